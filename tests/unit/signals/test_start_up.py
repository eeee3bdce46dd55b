from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st
from tests.properties.plan_world import given

from forerun.domain.observation import Start, StartPart
from forerun.signals.start_up import KEPT_OF_A_KIND, is_cold, lead_time, remembered, starts_of

SINCE = datetime(2026, 11, 27, tzinfo=UTC)


def stamp(seconds, created=SINCE):
    return (created + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def pod(seconds, created=SINCE, restarts=0, status="True", scheduled=None, running=None, uid="", **metadata):
    conditions = [
        {"type": "Initialized", "status": "True", "lastTransitionTime": created.isoformat()},
        {"type": "Ready", "status": status, "lastTransitionTime": stamp(seconds, created)},
    ]
    if scheduled is not None:
        conditions.append({"type": "PodScheduled", "status": "True", "lastTransitionTime": stamp(scheduled, created)})
    container = {"restartCount": restarts}
    if running is not None:
        container["state"] = {"running": {"startedAt": stamp(running, created)}}
    return {
        "metadata": {
            "uid": uid or f"uid-{seconds}-{id(container)}",
            "creationTimestamp": stamp(0, created),
            **metadata,
        },
        "status": {"conditions": conditions, "containerStatuses": [container]},
    }


def measured(pods, events=()):
    return lead_time(starts_of(pods, events, SINCE))


def start(seconds, number=0, wait=0.0, pull=None):
    parts = [(StartPart.NODE_WAIT, wait)] + ([(StartPart.IMAGE_PULL, pull)] if pull is not None else [])
    return Start(f"pod-{number}", SINCE + timedelta(seconds=number), seconds, tuple(parts))


def test_below_three_nothing_is_known():
    assert measured([pod(1), pod(2)]) is None


def test_with_few_samples_p95_is_the_longest():
    found = measured([pod(30), pod(10), pod(20)])
    assert (found.p50_seconds, found.p95_seconds, found.samples) == (20, 30, 3)


def test_with_many_samples_p95_is_the_nearest_rank():
    found = measured([pod(i) for i in range(1, 101)])
    assert (found.p50_seconds, found.p95_seconds, found.samples) == (50, 95, 100)


def test_one_start_far_off_is_left_out_and_two_are_not():
    usual = [40.0, 42.0, 45.0, 41.0]
    assert lead_time([start(s, i) for i, s in enumerate([*usual, 1200.0])]).p95_seconds == 45.0
    assert lead_time([start(s, i) for i, s in enumerate([*usual, 1100.0, 1200.0])]).p95_seconds == 1200.0
    # a minute is no outlier, however short the others are
    assert lead_time([start(s, i) for i, s in enumerate([0.0, 0.0, 50.0])]).p95_seconds == 50.0


def test_the_parts_add_up_to_the_whole():
    found = measured([pod(60, scheduled=20, running=35), pod(62, scheduled=22, running=37), pod(64)])
    shown = {part.part: (part.p50_seconds, part.p95_seconds, part.samples) for part in found.parts}
    assert shown == {
        StartPart.NODE_WAIT: (20.0, 22.0, 2),
        StartPart.CONTAINER_START: (15.0, 15.0, 2),
        StartPart.WARM_UP: (25.0, 25.0, 2),
    }


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        # the kubelet's words, of Kubernetes 1.36 and of before 1.27
        (
            'Successfully pulled image "shop/reco:3" in 1.5s (1m2.25s including waiting). Image size: 7 bytes.',
            62.25,
        ),
        ('Successfully pulled image "shop/reco:3" in 850ms (850ms including waiting). Image size: 7 bytes.', 0.85),
        ('Successfully pulled image "shop/reco:3" in 1h0m3s', 3603.0),
        ('Successfully pulled image "shop in 5s" in 2s (3s including waiting)', 3.0),
        ('Container image "shop/reco:3" already present on machine', 0.0),
        ("Successfully pulled image", 0.0),
        ('Successfully pulled image "x" in 1.2.3s', 2.3),  # garbled: any number will do, as long as nothing breaks
        ('Successfully pulled image "x" in .h', 0.0),
        ("", 0.0),
    ],
)
def test_pull_times_are_read_from_the_kubelet_s_words(message, seconds):
    event = {"reason": "Pulled", "involvedObject": {"uid": "a" * 36}, "message": message}
    (found,) = starts_of([pod(90, uid="a" * 36)], [event], SINCE)
    assert found.part(StartPart.IMAGE_PULL) == pytest.approx(seconds)


def test_pulls_of_all_containers_add_up_and_no_event_is_unknown():
    events = [
        {"reason": "Pulled", "involvedObject": {"uid": "one"}, "message": 'Successfully pulled image "a" in 2s'},
        {"reason": "Pulled", "involvedObject": {"uid": "one"}, "message": 'Successfully pulled image "b" in 3s'},
        {"reason": "Pulling", "involvedObject": {"uid": "two"}, "message": "Pulling image"},
        {},
    ]
    one, two = starts_of([pod(9, uid="one"), pod(9, uid="two")], events, SINCE)
    assert one.part(StartPart.IMAGE_PULL) == 5.0
    assert two.part(StartPart.IMAGE_PULL) is None


def test_cold_is_what_waited_for_a_node_or_pulled_an_image():
    assert not is_cold(start(40, wait=1.0))
    assert is_cold(start(140, wait=95.0))
    assert is_cold(start(70, wait=1.0, pull=30.0))
    assert not is_cold(start(40, wait=1.0, pull=0.0))


def test_cold_starts_have_a_p95_of_their_own():
    warm = [start(40.0, i) for i in range(30)]
    found = lead_time([*warm, start(400.0, 99, wait=300.0)])
    assert (found.p95_seconds, found.cold_p95_seconds, found.cold_samples) == (40.0, 400.0, 1)


def test_what_was_seen_first_of_a_pod_stays():
    first, again = start(40.0, 1), Start("pod-1", SINCE + timedelta(seconds=1), 4000.0)
    assert remembered([first], [again], SINCE) == (first,)


def test_a_pull_that_is_told_later_is_taken():
    before, after = start(40.0, 1), start(40.0, 1, pull=12.0)
    assert remembered([before], [after], SINCE) == (after,)
    assert remembered([after], [before], SINCE) == (after,)  # the Event is gone by then


def test_warm_starts_do_not_push_out_the_cold_ones():
    cold = [start(400.0, i, wait=300.0) for i in range(3)]
    kept = remembered(cold, [start(40.0, 100 + i) for i in range(200)], SINCE)
    assert [s for s in kept if is_cold(s)] == cold
    assert len(kept) == 3 + KEPT_OF_A_KIND


def test_what_is_older_than_the_memory_is_forgotten():
    assert remembered([start(40.0, 1), start(41.0, 5)], [], SINCE + timedelta(seconds=3)) == (start(41.0, 5),)


def starts(first, last):
    number, seconds, pull = st.integers(first, last), st.floats(0, 3600), st.none() | st.floats(0, 600)
    one = st.builds(start, seconds, number, st.floats(0, 600), pull)
    return st.lists(one, max_size=80, unique_by=lambda s: s.pod)


STARTS = starts(0, 99)


@given(STARTS, starts(100, 199))
def test_remembering_twice_is_remembering_once(known, seen):
    kept = remembered(known, seen, SINCE)
    assert remembered(kept, seen, SINCE) == kept
    assert remembered(kept, [], SINCE) == kept


@given(STARTS)
def test_every_figure_was_seen(starts):
    found = lead_time(starts)
    if found is None:
        return
    seen = {s.seconds for s in starts}
    assert {found.p50_seconds, found.p95_seconds} <= seen
    assert found.cold_p95_seconds is None or found.cold_p95_seconds in seen
    assert found.p50_seconds <= found.p95_seconds


@pytest.mark.parametrize(
    "other",
    [
        pod(900, restarts=1),
        pod(900, status="False"),
        pod(900, created=SINCE - timedelta(seconds=1)),
        pod(900, deletionTimestamp="2026-11-27T01:00:00Z"),
        pod(-5),
        pod(3601),  # waited for something that no lead time can be
        {},
        {"metadata": None, "status": None},
        {"metadata": {"creationTimestamp": "x"}, "status": {"conditions": "x"}},
        {
            "metadata": {"creationTimestamp": "2026-11-28T00:00:00Z"},
            "status": {"conditions": [None, {"type": "Ready"}]},
        },
    ],
)
def test_what_is_no_clean_start_does_not_count(other):
    assert measured([pod(10), pod(10), pod(10), other]).samples == 3
    assert measured([pod(10), pod(10), other]) is None


def test_clocks_that_run_backwards_make_a_part_unknown_not_negative():
    (found,) = starts_of([pod(30, scheduled=-2, running=40)], [], SINCE)
    assert dict(found.parts) == {StartPart.CONTAINER_START: 42.0}
