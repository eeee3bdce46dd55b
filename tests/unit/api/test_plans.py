"""What is stored comes back: plans, holds, approvals, and the ledger in both of its places."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forerun.api.convert import (
    approvals_from,
    entry_from_annotation,
    entry_to_annotation,
    holds_from,
    holds_to,
    ledger_faults,
    ledger_from,
    ledger_to,
    plan_from,
    plan_to_spec,
)
from forerun.api.plans import figure
from forerun.domain.capacity import CapacityPlan, Cost, Step
from forerun.domain.fields import FloorField
from forerun.domain.ledger import Bounds, LedgerEntry, Owner
from forerun.domain.reason import Hold, Reason, Refusal
from forerun.domain.storefront import TargetRef

times = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
labels = st.from_regex(r"[a-z]([-a-z0-9]{0,10}[a-z0-9])?", fullmatch=True)
counts = st.integers(0, 100_000)
# what is stored keeps three digits after the point
figures = st.integers(0, 10**12).map(lambda thousandths: thousandths / 1000)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
names = st.lists(labels, max_size=3).map(tuple)
steps = st.builds(Step, times, labels, counts, st.sampled_from(Reason), names)
holds = st.builds(
    Hold,
    st.sampled_from(Reason),
    labels | st.just(""),
    st.dictionaries(st.sampled_from(["want", "fits"]), figures),
    texts,
)
plans = st.builds(
    CapacityPlan,
    storefront=labels,
    generated_at=times,
    horizon=times,
    steps=st.lists(steps, max_size=5).map(tuple),
    proposed=st.lists(steps, max_size=3).map(tuple),
    peak_rps=figures,
    cost=st.builds(Cost, figures, figures),
    risks=st.lists(holds, max_size=3).map(tuple),
    holds=st.lists(holds, max_size=3).map(tuple),
    generations=st.lists(st.tuples(labels, st.integers(0, 10**12)), max_size=3).map(tuple),
)
bounds = st.builds(Bounds, st.none() | counts, st.none() | counts)
targets = st.builds(
    TargetRef,
    st.sampled_from(["apps/v1", "v1", "keda.sh/v1alpha1"]),
    st.sampled_from(["Deployment", "ScaledObject"]),
    labels,
)
entries = st.builds(
    LedgerEntry,
    tier=labels,
    target=targets,
    owner=st.sampled_from(Owner),
    owner_ref=targets,
    owner_uid=st.uuids().map(str),
    baseline=bounds,
    written=st.lists(bounds, max_size=3).map(tuple),
    campaigns=names,
    epoch=st.integers(0, 10**12),
    raised_at=times,
    changed_at=times,
    peak=counts,
    expires=times,
    confirmed=st.booleans(),
    lifted_from_zero=st.booleans(),
    reverts=st.integers(0, 5),
    contested=st.booleans(),
    drifted=st.booleans(),
    kept=st.booleans(),
    floor_field=st.none()
    | st.builds(
        FloorField,
        st.sampled_from(["/spec/size", "/spec/groups/[name=a]/min", "/metadata/annotations/own.example~1floor"]),
        st.none() | st.just("/spec/max"),
        is_count=st.booleans(),
        absent=counts,
        created=st.none() | st.just("/spec/template/metadata"),
    ),
)


def stored(value):
    """As it comes back from an API server."""
    return json.loads(json.dumps(value, allow_nan=False))


def as_object(plan):
    return stored(
        {
            "apiVersion": "forerun.dev/v1alpha1",
            "kind": "CapacityPlan",
            "metadata": {"name": plan.storefront, "namespace": "shop", "uid": "u", "generation": 1},
            "spec": plan_to_spec(plan),
            "status": {"holds": holds_to(plan.holds)},
        }
    )


@settings(max_examples=60, deadline=None)
@given(plans)
def test_a_plan_comes_back(plan):
    assert plan_from(as_object(plan)) == plan


@settings(max_examples=60, deadline=None)
@given(st.lists(entries, max_size=2).map(tuple))
def test_a_ledger_comes_back_from_the_status_and_from_annotations(ledger):
    assert ledger_from(stored({"ledger": ledger_to(ledger)})) == ledger
    assert tuple(entry_from_annotation(entry_to_annotation(entry)) for entry in ledger) == ledger


@given(entries)
def test_an_absent_bound_is_written_as_absent(entry):
    written = ledger_to([entry])[0]["baseline"]

    assert (written["minReplicas"] == "absent") is (entry.baseline.minimum is None)
    assert (written["maxReplicas"] == "absent") is (entry.baseline.maximum is None)
    assert "\n" not in entry_to_annotation(entry)


@given(plans)
def test_no_float_is_stored(plan):
    def floats(value):
        if isinstance(value, dict):
            return any(floats(inner) for inner in value.values())
        if isinstance(value, list):
            return any(floats(inner) for inner in value)
        return isinstance(value, float)

    assert not floats(as_object(plan))


@settings(max_examples=100)
@given(st.floats(allow_nan=True))
def test_every_float_has_a_stored_form(value):
    text = figure(value)

    assert abs(float(text)) < 1e15
    if abs(value) < 1e11:
        assert abs(float(text) - value) <= 0.0005 + abs(value) * 1e-12


def test_a_plan_is_at_most_200_steps_and_says_every_field(monkeypatch):
    now = datetime(2027, 1, 1, tzinfo=UTC)
    many = tuple(Step(now + timedelta(minutes=i), "web", i, Reason.CAMPAIGN) for i in range(300))
    spec = plan_to_spec(CapacityPlan("main", now, now, many))

    assert len(spec["steps"]) == 200
    # a merge patch leaves approvals as they are, and empties what is empty
    assert spec.keys() == {
        "storefrontRef",
        "generatedAt",
        "horizon",
        "steps",
        "proposed",
        "peak",
        "cost",
        "risks",
        "generations",
    }


def test_numbers_that_are_not_finite_are_left_out():
    assert holds_to([Hold(Reason.CAPACITY_SHORT, "web", {"want": 4.0, "fits": float("nan")})]) == [
        {"reason": "CapacityShort", "subject": "web", "message": "", "numbers": {"want": "4"}}
    ]


def test_a_reason_of_a_newer_version():
    now = datetime(2027, 1, 1, tzinfo=UTC)
    obj = as_object(CapacityPlan("main", now, now, (Step(now, "web", 3, Reason.CAMPAIGN),)))
    assert holds_from({"holds": [{"reason": "NotYetInvented", "message": "m"}]}) == (Hold(Reason.INVALID, detail="m"),)

    obj["spec"]["steps"][0]["reason"] = "NotYetInvented"
    found = plan_from(obj)
    assert isinstance(found, Refusal)
    assert found.field == "spec.steps[0].reason"


def test_a_broken_entry_hides_no_other(campaign):
    good = LedgerEntry(
        "web",
        TargetRef("apps/v1", "Deployment", "web"),
        Owner.SCALE,
        TargetRef("apps/v1", "Deployment", "web"),
        "u",
        Bounds(None, None),
        (),
        (),
        1,
        *[datetime(2027, 1, 1, tzinfo=UTC)] * 2,
        3,
        datetime(2027, 1, 1, tzinfo=UTC),
    )
    broken = ledger_to([good])[0]
    broken["baseline"]["minReplicas"] = "2"
    status = {"ledger": [broken, *ledger_to([good])]}

    assert ledger_from(status) == (good,)
    (fault,) = ledger_faults(status)
    assert fault.field == "status.ledger[0].baseline.minReplicas"


@pytest.mark.parametrize("text", ["", "{", "null", "[]", '{"tier": "web"}', "[" * 100_000])
def test_annotations_of_somebody_else(text):
    assert entry_from_annotation(text) is None


def test_approvals():
    spec = {
        "approvedBy": [
            {"campaign": "a", "generation": 3, "by": "me"},
            {"campaign": "b", "generation": 1},
            {"campaign": "c", "generation": "1"},
            {"campaign": "d"},
            "e",
        ]
    }

    assert approvals_from({"spec": spec}) == {("a", 3), ("b", 1)}
    assert approvals_from({"spec": {"approvedBy": None}}) == frozenset()
    assert approvals_from({}) == frozenset()
