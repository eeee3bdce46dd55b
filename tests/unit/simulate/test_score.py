"""What an arm cost and missed."""

import numpy as np
import pytest

from forerun.simulate.score import Score, Tally, scores

ALL = np.array([True, True])


def counted(*ticks):
    """Two lanes of 10 calls/s a replica; each tick is (demand, unserved, replicas, judged) of both."""
    tally = Tally.of(2)
    for demand, unserved, replicas, judged in ticks:
        tally.count(5.0, *(np.array(value, dtype=float) for value in (demand, unserved)), np.array(replicas), judged)
    return scores(tally, np.array([10.0, 20.0]))


def test_sums_are_over_time():
    one, other = counted(((100, 50), (20, 0), (8, 3), ALL), ((200, 50), (0, 0.2), (20, 3), ALL))
    assert (one.replica_seconds, one.unserved, one.demand) == (140.0, 100.0, 1500.0)
    assert (other.replica_seconds, other.unserved, other.demand) == (30.0, 1.0, 500.0)


def test_the_cost_is_replica_seconds_and_the_ratio_times_those_whose_demand_was_not_served():
    score = Score(1000.0, 50.0, 5000.0, 0.0, 0.0, 10.0)
    assert score.cost() == 1000.0 + 99.0 * 5.0
    assert score.cost(9.0) == 1000.0 + 9.0 * 5.0
    assert score.unserved_percent == 1.0


def test_without_any_demand_nothing_is_unserved():
    (one, _) = counted(((0, 0), (0, 0), (2, 2), ALL))
    assert one.unserved_percent == 0.0
    assert one.violation_seconds == 0.0
    assert one.cost() == 10.0


def test_a_tick_is_violated_where_more_than_one_per_cent_is_not_served():
    one, other = counted(((100, 100), (1.0, 1.001), (1, 1), ALL), ((100, 100), (0, 50), (1, 1), ALL))
    assert (one.violation_seconds, other.violation_seconds) == (0.0, 10.0)


def test_ticks_that_are_not_judged_cost_nothing():
    first = ((100, 100), (90, 90), (2, 2), ~ALL)
    one, other = counted(
        first, ((100, 100), (0, 0), (7, 2), ALL), ((100, 100), (0, 0), (4, 9), np.array([True, False]))
    )
    assert (one.replica_seconds, one.unserved, one.demand) == (55.0, 0.0, 1000.0)
    assert other.replica_seconds == 10.0


def test_changes_count_from_one_judged_tick_to_the_next_and_not_into_the_first_nor_out_of_the_last():
    heights = ((2, 2), (7, 5), (4, 6), (9, 1))
    judged = (~ALL, ALL, ALL, np.array([True, False]))
    ticks = [((0, 0), (0, 0), replicas, counts) for replicas, counts in zip(heights, judged, strict=True)]
    assert [score.churn for score in counted(*ticks)] == [3.0 + 5.0, 1.0]
    assert [score.churn for score in counted(ticks[1])] == [0.0, 0.0]


def test_a_tally_keeps_no_hold_of_what_it_is_given():
    tally, replicas, judged = Tally.of(1), np.array([3]), np.array([True])
    tally.count(1.0, np.zeros(1), np.zeros(1), replicas, judged)
    replicas[0], judged[0] = 9, False
    tally.count(1.0, np.zeros(1), np.zeros(1), np.array([9]), np.array([True]))
    assert scores(tally, np.ones(1))[0].churn == pytest.approx(6.0)
