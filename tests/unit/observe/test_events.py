from datetime import UTC, datetime

import pytest

from forerun.observe.events import Event, event_body, transitions

NOW = datetime(2026, 11, 27, 7, 0, 0, 250_000, tzinfo=UTC)


def status(phase="Scheduled", tiers=(), **conditions):
    """`Degraded=("True", "MetricStale", "too old")` and so on."""
    return {
        "phase": phase,
        "tiers": list(tiers),
        "conditions": [
            {"type": kind, "status": state, "reason": reason, "message": message}
            for kind, (state, reason, message) in conditions.items()
        ],
    }


PLANNED = ("True", "Planned", "peak 3k/s; required at the start: web 9")
CALM = {"Degraded": ("False", "AsPlanned", ""), "Contested": ("False", "Uncontested", "")}
STALE = ("True", "MetricStale", "web: the newest sample is too old; nothing is lowered")


def told(before, after):
    return [(event.reason, event.warning) for event in transitions(before, after)]


def test_the_same_status_tells_nothing():
    same = status("Live", Accepted=("True", "Accepted", ""), Planned=PLANNED, Degraded=STALE)
    assert transitions(same, same) == []


def test_the_first_status_tells_the_plan_and_no_trouble_that_is_not_there():
    after = status(Accepted=("True", "Accepted", ""), Planned=PLANNED, **CALM)
    assert transitions({}, after) == [Event("Planned", PLANNED[2])]


def test_a_first_status_with_trouble_tells_it():
    assert told({}, status(Planned=PLANNED, Degraded=STALE)) == [("Planned", False), ("MetricStale", True)]


def test_a_refusal_is_a_warning():
    after = {**status("Rejected", Accepted=("False", "Invalid", "spec.schedule.timeZone: write an IANA name"))}
    assert transitions({}, after) == [Event("NotAccepted", "spec.schedule.timeZone: write an IANA name", warning=True)]


def test_the_phase_turns_once_and_says_where_the_tiers_stand():
    tiers = [{"name": "web", "floor": 9, "required": 9, "ready": 7}, {"name": "cache", "floor": 3, "required": 3}]
    before, after = status("Scheduled"), status("Warming", tiers)
    assert transitions(before, after) == [
        Event("Warming", "Warming: web floor 9, 7/9 Ready, cache floor 3, ?/3 Ready", action="Phase")
    ]
    assert transitions(after, after) == []


@pytest.mark.parametrize("phase", ["Scheduled", "Rejected", None])
def test_phases_that_are_no_news(phase):
    assert transitions(status("Completed"), status(phase)) == []


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (CALM["Degraded"], STALE, [("MetricStale", True)]),
        (STALE, ("True", "Late", "web: late"), [("Late", True)]),  # another trouble
        (STALE, ("True", "MetricStale", "web: other words"), []),  # the same in other words
        (STALE, CALM["Degraded"], [("DegradedOver", False)]),
    ],
)
def test_trouble_comes_changes_and_goes(before, after, expected):
    assert told(status(Degraded=before), status(Degraded=after)) == expected


def test_contested_is_told_beside_degraded():
    contested = ("True", "Contested", "web: somebody reverts our floor each time")
    before, after = status(**CALM), status(Degraded=contested, Contested=contested)
    assert told(before, after) == [("Contested", True), ("Contested", True)]


@pytest.mark.parametrize("reason", ["Completed", "Suspended", "Pending"])
def test_a_campaign_without_a_plan_is_no_news_where_none_is_due(reason):
    assert told(status(Planned=PLANNED), status(Planned=("False", reason, ""))) == []


def test_a_plan_that_is_lost_is():
    lost = ("False", "ForecastUnavailable", "the forecast worker is not there")
    assert told(status(Planned=PLANNED), status(Planned=lost)) == [("NotPlanned", True)]


def test_the_plan_is_not_told_anew_for_each_forecast():
    assert told(status(Planned=PLANNED), status(Planned=("True", "Planned", "peak 3.1k/s"))) == []


def test_the_body_regards_the_very_object():
    campaign = {
        "apiVersion": "forerun.dev/v1alpha1",
        "kind": "Campaign",
        "metadata": {"name": "c" * 253, "namespace": "shop", "uid": "u-1", "resourceVersion": "7"},
    }
    body = event_body(Event("Late", "n" * 2000, warning=True), campaign, "i" * 300, NOW)
    assert body["regarding"] == {
        "apiVersion": "forerun.dev/v1alpha1",
        "kind": "Campaign",
        "namespace": "shop",
        "name": "c" * 253,
        "uid": "u-1",
        "resourceVersion": "7",
    }
    assert (body["type"], body["reason"], body["eventTime"]) == ("Warning", "Late", "2026-11-27T07:00:00.250000Z")
    # the API server's limits
    assert (len(body["note"]), len(body["reportingInstance"])) == (1024, 128)
    assert len(body["metadata"]["name"]) <= 253


def test_an_object_without_a_namespace_is_told_of_in_default():
    policy = {"apiVersion": "forerun.dev/v1alpha1", "kind": "CapacityPolicy", "metadata": {"name": "default"}}
    body = event_body(Event("Invalid", "spec"), policy, "one", NOW)
    assert body["metadata"]["namespace"] == "default"
    assert body["type"] == "Normal"
