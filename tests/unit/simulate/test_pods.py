"""Pods: asked for, starting, Ready."""

import numpy as np
import pytest

from forerun.simulate.pods import Pods


def pods(*initial, lead=4, jitter=0.0, phase=0, **nodes):
    count = len(initial)
    return Pods(np.array(initial), np.full(count, lead), jitter, np.full(count, phase), **nodes)


def at(some, tick, *replicas):
    some.arrive(tick)
    some.scale(tick, np.array(replicas))
    return some.ready.tolist(), some.starting.tolist()


def ready_over(some, replicas, ticks):
    """Ready pods of the only lane tick by tick; `replicas` are asked for at tick 0 and kept."""
    return [at(some, tick, replicas)[0][0] for tick in range(ticks)]


def test_what_is_asked_for_starts_and_is_ready_a_lead_time_later():
    assert ready_over(pods(2), 7, 6) == [2, 2, 2, 2, 7, 7]


def test_all_that_is_asked_for_is_either_ready_or_starting():
    some = pods(3, 0)
    for tick, wanted in enumerate([(5, 9), (5, 2), (1, 14), (30, 0), (2, 2), (2, 50)]):
        ready, starting = at(some, tick, *wanted)
        assert [one + other for one, other in zip(ready, starting, strict=True)] == list(wanted)
        assert min(ready + starting) >= 0


def test_without_a_start_up_time_it_is_ready_at_once():
    assert at(pods(1, lead=0), 0, 9) == ([9], [0])
    assert at(pods(1, lead=0, jitter=0.5), 0, 9) == ([9], [0])


@pytest.mark.parametrize("phase", range(4))
def test_jitter_spreads_the_start_up_times_around_the_lead_time(phase):
    lead, jitter = 100, 0.2
    ready = np.array(ready_over(pods(0, lead=lead, jitter=jitter, phase=phase), 400, 200))
    delays = np.repeat(np.arange(200), np.diff(ready, prepend=0))
    assert delays.size == 400
    assert delays.min() >= lead * np.exp(-2 * jitter)
    assert delays.max() <= lead * np.exp(2 * jitter)
    assert 0.95 * lead <= np.median(delays) <= 1.05 * lead
    assert 0.6 * jitter <= np.log(delays).std() <= 1.1 * jitter


def test_nothing_is_ready_in_the_tick_in_which_it_is_asked_for_were_the_lead_time_one_tick():
    assert ready_over(pods(0, lead=1, jitter=3.0), 40, 2)[0] == 0


def test_single_pods_meet_early_and_late_starts_alike():
    delays = []
    for tick in range(8):
        some = pods(0, lead=50, jitter=0.3)
        for now in range(tick, 200):
            if at(some, now, 1)[0] == [1]:
                delays.append(now - tick)
                break
    assert len(set(delays)) == 4
    assert sorted(delays[:4]) == sorted(delays[4:])


def test_the_same_request_meets_the_same_luck_in_every_lane():
    some = pods(0, 5, lead=20, jitter=0.4, phase=3)
    for tick in range(40):
        at(some, tick, 10, 15)
        assert some.ready[1] - some.ready[0] == 5


def test_fewer_takes_those_not_ready_before_the_ready_ones():
    some = pods(5)
    at(some, 0, 9)
    assert at(some, 1, 6) == ([5], [1])
    assert at(some, 2, 4) == ([4], [0])


def test_of_those_not_ready_the_newest_go_first():
    some = pods(0)
    at(some, 0, 3)
    at(some, 2, 8)
    at(some, 3, 4)  # four of the five that began at tick 2
    assert at(some, 4, 4) == ([3], [1])
    assert at(some, 6, 4) == ([4], [0])


def test_those_that_went_do_not_come_back():
    some = pods(2)
    at(some, 0, 10)
    at(some, 1, 2)
    assert [at(some, tick, 2) for tick in range(2, 9)] == [([2], [0])] * 7


def test_a_pod_beyond_the_slots_waits_for_a_node_first():
    assert ready_over(pods(2, warm_slots=[4], node_ticks=3), 6, 9) == [2, 2, 2, 2, 4, 4, 4, 6, 6]


def test_nodes_stay_for_the_next_time():
    some = pods(2, warm_slots=[2], node_ticks=3)
    for tick in range(8):
        at(some, tick, 6)
    at(some, 8, 2)
    at(some, 9, 6)
    assert at(some, 13, 6) == ([6], [0])


def test_a_node_that_is_yet_to_come_helps_nobody():
    some = pods(2, warm_slots=[2], node_ticks=10)
    at(some, 0, 6)
    at(some, 1, 2)
    at(some, 2, 6)
    ready = [at(some, tick, 6)[0][0] for tick in range(3, 17)]
    assert ready.index(6) + 3 == 16  # asked for at 2: ten ticks for a node, four to start


def test_what_stands_at_the_begin_has_its_slots():
    assert ready_over(pods(8, warm_slots=[2], node_ticks=5), 8, 2) == [8, 8]
    some = pods(8, warm_slots=[2], node_ticks=5)
    at(some, 0, 1)
    at(some, 1, 8)
    assert at(some, 5, 8) == ([8], [0])


def test_lanes_do_not_touch_each_other():
    some, alone = Pods(np.array([1, 1]), np.array([2, 30]), 0.2, np.array([0, 1])), pods(1, lead=2, jitter=0.2)
    for tick, wanted in enumerate([5, 9, 2, 2, 40, 3, 8, 8]):
        both = at(some, tick, wanted, 100 - 10 * tick)
        assert (both[0][0], both[1][0]) == tuple(column[0] for column in at(alone, tick, wanted))
