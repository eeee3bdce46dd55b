"""Campaign objects: what each field becomes, and how misfits read."""

import pytest

from forerun.api.convert import campaign_from
from forerun.domain.campaign import (
    Budget,
    Campaign,
    CampaignType,
    Expected,
    Key,
    Mode,
    Overlap,
    ReleaseRule,
)
from forerun.domain.reason import Refusal


def test_every_field_arrives(campaign):
    campaign["metadata"] |= {"uid": "u-1", "generation": 7, "labels": {"anything": "goes"}}
    found = campaign_from(campaign)

    assert isinstance(found, Campaign)
    assert found.key == Key("shop", "black-friday-drop")
    assert (found.uid, found.generation, found.storefront) == ("u-1", 7, "main")
    assert found.type is CampaignType.FLASH_SALE
    assert found.schedule.time_zone == "Europe/Warsaw"
    assert found.schedule.recurrence == "FREQ=WEEKLY;BYDAY=FR"
    assert found.expected == Expected(1_200_000, 6.0, 12_000.0)
    assert found.service_level == 0.99
    assert found.priority == 100
    assert (found.overlap, found.mode, found.suspend) == (Overlap.SUM, Mode.AUTOMATIC, False)
    assert found.release == ReleaseRule(600.0, 10.0)
    assert found.budget == Budget(400.0, 60.0)


def test_what_is_not_said_has_the_usual_meaning(campaign):
    spec = campaign["spec"]
    campaign["spec"] = {name: spec[name] for name in ("storefrontRef", "type", "schedule")}
    found = campaign_from(campaign)

    assert found.expected == Expected()
    assert found.service_level is None
    assert (found.priority, found.overlap, found.mode, found.suspend) == (0, Overlap.SUM, Mode.AUTOMATIC, False)
    assert (found.release, found.budget) == (ReleaseRule(), Budget())


def test_no_hold_after_the_end_can_be_said(campaign):
    campaign["spec"]["release"] = {"holdFor": "0s"}

    assert campaign_from(campaign).release == ReleaseRule(hold_for_seconds=0.0)


@pytest.mark.parametrize(("written", "value"), [("6", 6.0), (6, 6.0), ("0.98", 0.98), ("10000", 10000.0), ("06", 6.0)])
def test_decimals(campaign, written, value):
    campaign["spec"]["expected"] = {"multiplier": written}

    assert campaign_from(campaign).expected.multiplier == value


@pytest.mark.parametrize(
    "written",
    [
        "-3",
        "0",
        0,
        -1,
        10**18,
        "1e400",
        "1e2",
        "NaN",
        "inf",
        "",
        " 6",
        "6\n",
        "٦",
        "0x6",
        6.5,
        True,
        None,
        [],
        {},
        "9" * 16,
    ],
)
def test_absurd_numbers(campaign, written):
    campaign["spec"]["expected"] = {"multiplier": written}
    found = campaign_from(campaign)

    if written is None:  # null is what an omitted field looks like
        assert found.expected == Expected()
    else:
        assert isinstance(found, Refusal)
        assert found.field == "spec.expected.multiplier"
        assert found.remedy == 'must be a decimal above 0 and at most 10000, in quotes, for example "6"'


def test_a_number_too_long_to_print(campaign):
    campaign["spec"]["expected"] = {"multiplier": 10**6000, "audience": -(10**6000)}

    assert campaign_from(campaign).field == "spec.expected.audience"


@pytest.mark.parametrize(
    ("path", "value", "field", "said"),
    [
        ("spec.type", "Spam", "spec.type", "FlashSale, Influencer"),
        ("spec.type", None, "spec.type", "must be one of"),
        ("spec.suspend", "yes", "spec.suspend", "true or false"),
        ("spec.priority", "100", "spec.priority", "whole number"),
        ("spec.priority", 10**18, "spec.priority", "whole number"),
        ("spec.priority", True, "spec.priority", "whole number"),
        ("spec.expected.audience", 0, "spec.expected.audience", "whole number"),
        ("spec.serviceLevel", "1", "spec.serviceLevel", "0.9999"),
        ("spec.serviceLevel", 1, "spec.serviceLevel", "0.9999"),
        ("spec.storefrontRef", "main", "spec.storefrontRef", "object"),
        ("spec.storefrontRef.name", "Main!", "spec.storefrontRef.name", "lower-case"),
        ("spec.storefrontRef.namespace", "x", "spec.storefrontRef.namespace", "remove it"),
        ("spec.schedule.exclude", ["2026-01-01"] * 367, "spec.schedule.exclude", "at most 366"),
        ("spec.release.holdFor", "25h", "spec.release.holdFor", "24h"),
        ("spec.budget.replicaHours", "0", "spec.budget.replicaHours", "above 0"),
        ("spec.schedule", [], "spec.schedule", "object"),
        ("spec.re\nach", 1, "spec.re\\nach", "not a field"),
        ("spec.storefront_ref", {"name": "main"}, "spec.storefront_ref", "not a field"),
        ("spec", None, "spec", "object"),
        ("schedule", {}, "schedule", "not a field"),
        ("metadata.name", 3, "metadata.name", "name"),
        ("kind", "Storefront", "kind", "must be Campaign"),
        ("apiVersion", "forerun.dev/v2", "apiVersion", "must be forerun.dev/v1alpha1"),
    ],
)
def test_misfits(campaign, path, value, field, said):
    *parents, last = path.split(".")
    place = campaign
    for parent in parents:
        place = place[parent]
    place[last] = value

    found = campaign_from(campaign)

    assert isinstance(found, Refusal)
    assert found.field == field
    assert said in found.remedy
    assert "\n" not in str(found)
    assert len(str(found)) < 500


@pytest.mark.parametrize("obj", [None, 1, "text", [], {}, {"kind": "Campaign"}, {"metadata": None}, {"spec": {}, 3: 4}])
def test_no_object_at_all(obj):
    assert isinstance(campaign_from(obj), Refusal)


def test_a_refusal_never_shows_hostile_names():
    found = campaign_from({"kind": "Campaign", "metadata": {"name": "a\nb\x1b[31m", "namespace": "shop"}, "spec": {}})

    assert found.obj == "Campaign shop"
