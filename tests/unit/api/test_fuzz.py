"""No object that a user can write makes anything but a value or a refusal."""

from copy import deepcopy
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from forerun.api import convert
from forerun.domain.campaign import Campaign
from forerun.domain.capacity import CapacityPlan
from forerun.domain.ledger import LedgerEntry
from forerun.domain.policy import MetricsSource, Policy
from forerun.domain.reason import Refusal
from forerun.domain.storefront import Storefront

SAMPLES = Path(__file__).parents[3] / "manifests" / "samples"
TIME = "2027-11-26T07:00:00Z"
ENTRY = {
    "tier": "cache",
    "targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "valkey"},
    "owner": "Scale",
    "ownerRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "valkey"},
    "ownerUid": "u",
    "baseline": {"minReplicas": 2, "maxReplicas": "absent"},
    "written": [{"minReplicas": 4, "maxReplicas": "absent"}],
    "campaigns": ["black-friday-drop"],
    "epoch": 3,
    "raisedAt": TIME,
    "changedAt": TIME,
    "peak": 4,
    "expires": TIME,
}
PLAN = {
    "apiVersion": "forerun.dev/v1alpha1",
    "kind": "CapacityPlan",
    "metadata": {"name": "main", "namespace": "shop"},
    "spec": {
        "storefrontRef": {"name": "main"},
        "generatedAt": TIME,
        "horizon": TIME,
        "steps": [{"at": TIME, "tier": "cache", "floor": 4, "reason": "Campaign", "campaigns": ["a"]}],
        "peak": "12000",
        "cost": {"replicaHours": "4", "acceleratorHours": "0"},
        "risks": [{"reason": "CapacityShort", "subject": "cache", "message": "m", "numbers": {"want": "4"}}],
        "approvedBy": [{"campaign": "a", "generation": 1, "by": "b"}],
        "generations": [{"campaign": "a", "generation": 1}],
    },
    "status": {"ledger": [ENTRY], "holds": [{"reason": "Drifted"}]},
}
OBJECTS = [obj for path in sorted(SAMPLES.glob("*.yaml")) for obj in yaml.safe_load_all(path.read_text())] + [PLAN]
READERS = {
    "Campaign": (convert.campaign_from, Campaign),
    "Storefront": (convert.storefront_from, Storefront),
    "CapacityPlan": (convert.plan_from, CapacityPlan),
    "CapacityPolicy": (convert.policy_from, Policy),
    "MetricsSource": (lambda obj: convert.metrics_source_from(obj, None), MetricsSource),
}

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**18, -(10**30), 0, "NaN", "1e400", "", "absent", "2027-11-26T08:00:00+14:00", "FREQ=YEARLY"])
    | st.floats()
    | st.text(max_size=12)
    | st.characters(categories=["Cs", "Cc"])
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def places(value, path=()):
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


@st.composite
def mutated(draw):
    """A valid object with one to three places replaced, taken out or added to."""
    obj = deepcopy(draw(st.sampled_from(OBJECTS)))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([path for path in places(obj) if path]))
        place = obj
        for key in path[:-1]:
            place = place[key]
        change = draw(st.sampled_from(["replace", "drop", "add"]))
        if change == "replace":
            place[path[-1]] = draw(anything)
        elif change == "drop":
            del place[path[-1]]
        elif isinstance(place, dict):
            place[draw(st.text(max_size=8))] = draw(anything)
        else:
            place.append(draw(anything))
    return obj


def check(obj):
    for read, kind in READERS.values():
        found = read(obj)
        assert isinstance(found, (kind, Refusal))
        if isinstance(found, Refusal):
            assert "\n" not in str(found)
            assert found.field
            assert found.remedy
    assert isinstance(convert.approvals_from(obj), frozenset)
    convert.auth_secret_of(obj)
    convert.policy_selects(obj, {"a": "b"})
    status = obj.get("status") if isinstance(obj, dict) else obj
    assert all(isinstance(entry, LedgerEntry) for entry in convert.ledger_from(status))
    assert all(isinstance(fault, Refusal) for fault in convert.ledger_faults(status))
    convert.holds_from(status)


def test_the_unchanged_objects_are_taken():
    for obj in OBJECTS:
        if obj["kind"] in READERS:
            read, kind = READERS[obj["kind"]]
            assert isinstance(read(obj), kind), read(obj)
    assert len(convert.ledger_from(PLAN["status"])) == 1


@settings(max_examples=100, deadline=None)
@given(anything)
def test_anything(obj):
    check(obj)


@settings(max_examples=250, deadline=None)
@given(mutated())
def test_nearly_valid_objects(obj):
    check(obj)


@settings(max_examples=50, deadline=None)
@given(st.text() | anything.map(repr) | st.just("[" * 100_000))
def test_annotations(text):
    assert convert.entry_from_annotation(text) is None
