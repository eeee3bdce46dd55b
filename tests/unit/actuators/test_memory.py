"""A pod's memory: what it is to have, what it had, and that both survive whatever stands in the annotation."""

from datetime import UTC, datetime

import pytest
from hypothesis import strategies as st
from tests.properties.plan_world import given

from forerun.actuators.memory import MEMORY_ANNOTATION, bytes_of, grown, mark_of, memory_of, pending, resized, same
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import MemoryGrowth

UNTIL = datetime(2026, 11, 27, 12, tzinfo=UTC)
WANTED = MemoryGrowth("valkey", "12Gi")


def pod(requests="8Gi", limits="8Gi", annotation=None, **status):
    resources = {"requests": {"cpu": "2", "memory": requests}, "limits": {"memory": limits}}
    resources = {kind: {k: v for k, v in amounts.items() if v} for kind, amounts in resources.items()}
    containers = [{"name": "exporter", "image": "e"}, {"name": "valkey", "image": "v", "resources": resources}]
    metadata = {"name": "valkey-0"} | ({"annotations": {MEMORY_ANNOTATION: annotation}} if annotation else {})
    return {"metadata": metadata, "spec": {"containers": containers}, "status": status}


def mark(**amounts):
    return grown(pod(**amounts), "main", "cache", WANTED, ("sale",), UNTIL)


def test_a_limit_equal_to_the_request_stays_equal():
    assert dict(mark().written) == {"requests": "12Gi", "limits": "12Gi"}


def test_a_limit_above_the_request_grows_by_as_much():
    found = mark(limits="10Gi")
    assert bytes_of(found.written["limits"]) == 14 * 2**30


def test_no_limit_stays_none():
    assert dict(mark(limits=None).written) == {"requests": "12Gi"}


def test_what_is_large_enough_is_left_alone():
    assert mark(requests="12Gi", limits="12Gi") is None
    assert mark(requests="16Gi", limits="16Gi") is None


def test_the_baseline_is_never_taken_from_our_own_raise():
    first = mark()
    again = grown(pod("12Gi", "12Gi", first.text()), "main", "cache", MemoryGrowth("valkey", "20Gi"), ("b",), UNTIL)
    assert dict(again.baseline) == {"requests": "8Gi", "limits": "8Gi"}
    assert dict(again.written) == {"requests": "20Gi", "limits": "20Gi"}


@pytest.mark.parametrize("text", ["{", "[]", "null", "1", '{"container": 1}', "[" * 10_000])
def test_a_garbled_mark_is_held_and_not_taken_for_none(text):
    found = grown(pod("12Gi", "12Gi", text), "main", "cache", WANTED, (), UNTIL)
    assert isinstance(found, Hold)
    assert found.reason is Reason.INVALID
    assert mark_of(pod(annotation=text)) is None


@pytest.mark.parametrize(
    ("raw", "wanted", "words"),
    [
        (pod(), MemoryGrowth("redis", "12Gi"), "has no container redis"),
        (pod(), MemoryGrowth("exporter", "12Gi"), "has no memory request"),
        (pod(requests="1.5Gi"), WANTED, "of whole units"),
    ],
)
def test_what_cannot_grow_is_told(raw, wanted, words):
    found = grown(raw, "main", "cache", wanted, (), UNTIL)
    assert isinstance(found, Hold)
    assert words in found.detail


def test_only_that_container_s_memory_is_in_the_patch():
    raw = pod()
    containers = resized(raw, "valkey", {"requests": "12Gi", "limits": "12Gi"})["spec"]["containers"]
    assert containers[0] == raw["spec"]["containers"][0]
    assert containers[1]["resources"] == {"requests": {"cpu": "2", "memory": "12Gi"}, "limits": {"memory": "12Gi"}}
    assert memory_of(raw, "valkey") == {"requests": "8Gi", "limits": "8Gi"}


def test_amounts_are_the_same_however_they_are_written():
    assert same({"requests": "1Gi"}, {"requests": "1024Mi"})
    assert not same({"requests": "1Gi"}, {"requests": "1G"})
    assert not same({"requests": "1Gi"}, {"requests": "1Gi", "limits": "1Gi"})


def test_the_kubelet_s_words_are_passed_on():
    condition = {"type": "PodResizePending", "status": "True", "reason": "Deferred", "message": "no room on the node"}
    assert pending(pod(conditions=[condition])) == "Deferred: no room on the node"
    assert pending(pod()) is None


@given(st.integers(1, 2**40), st.integers(1, 2**40), st.integers(1, 2**40))
def test_request_and_limit_grow_by_the_same(request, beyond, more):
    found = grown(
        pod(str(request), str(request + beyond)),
        "main",
        "cache",
        MemoryGrowth("valkey", str(request + more)),
        (),
        UNTIL,
    )
    added = [bytes_of(found.written[kind]) - bytes_of(found.baseline[kind]) for kind in ("requests", "limits")]
    assert added == [more, more]
    assert mark_of(pod(annotation=found.text())) == found
