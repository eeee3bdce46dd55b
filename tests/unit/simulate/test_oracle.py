"""The clairvoyant optimum of stories that can be worked out by hand, and what it refuses."""

import numpy as np
import pytest

from forerun.simulate import oracle_steps
from forerun.simulate.oracle import optimum

NEED = [1, 1, 1, 1, 4, 4, 4, 1, 1, 1]  # replicas; a campaign of three ticks


def asked(need, **changed):
    """One lane of 10 calls/s per replica and ticks of 5 s."""
    values = {
        "demand_rps": np.array([need], dtype=np.float64) * 10.0,
        "capacity_rps": np.array([10.0]),
        "lead_ticks": np.array([2]),
        "minimum": np.array([1]),
        "maximum": np.array([8]),
        "initial": np.array([1]),
        "tick_seconds": 5.0,
    }
    for name, value in changed.items():
        values[name] = np.array([value]) if isinstance(values.get(name), np.ndarray) and np.ndim(value) == 0 else value
    return optimum(**values)


def test_pods_start_one_lead_time_ahead_and_go_at_the_end():
    best = asked(NEED)
    assert best.desired[0].tolist() == [1, 1, 4, 4, 4, 4, 4, 1, 1, 1]
    assert best.ready[0].tolist() == NEED
    assert best.replica_seconds[0] == best.cost[0] == 5.0 * (sum(NEED) + 2 * 3)
    assert (best.unserved[0], best.churn[0]) == (0.0, 6)


def test_what_nobody_can_start_in_time_is_lost():
    best = asked(NEED, lead_ticks=6)
    assert best.desired[0].tolist() == [4, 4, 4, 4, 4, 4, 4, 1, 1, 1]
    assert best.ready[0].tolist() == [1, 1, 1, 1, 1, 1, 4, 1, 1, 1]
    assert best.unserved[0] == 5.0 * 30.0 * 2
    assert best.cost[0] == best.replica_seconds[0] + 99.0 * best.unserved[0] / 10.0


@pytest.mark.parametrize("lead", [10, 11, 10_000])
def test_with_a_lead_time_beyond_the_end_nothing_is_started(lead):
    best = asked(NEED, lead_ticks=lead)
    assert best.desired[0].tolist() == best.ready[0].tolist() == [1] * 10
    assert best.churn[0] == 0


def test_what_is_not_worth_its_start_is_not_started():
    # One replica for one tick costs 1 + lead ticks of billing; unserved it costs `ratio` ticks.
    spike = [1, 1, 1, 1, 2, 1, 1, 1]
    assert asked(spike, ratio=2.9).desired.max() == 1
    assert asked(spike, ratio=3.0).desired.max() == 1  # equal costs: fewer changes
    assert asked(spike, ratio=3.1).desired.max() == 2


def test_a_gap_no_longer_than_the_lead_time_is_waited_out():
    through = asked([1, 1, 3, 3, 1, 1, 3, 3, 1])
    assert through.desired[0].tolist() == [3, 3, 3, 3, 3, 3, 3, 3, 1]
    apart = asked([1, 1, 3, 3, 1, 1, 1, 3, 3, 1])
    assert apart.desired[0].tolist() == [3, 3, 3, 3, 1, 3, 3, 3, 3, 1]


def test_before_it_is_judged_it_takes_position_for_nothing():
    best = asked([9, 9, 9, 4, 4, 1], judged_from=3)
    assert best.ready[0].tolist()[3:] == [4, 4, 1]
    assert best.cost[0] == 5.0 * 9
    assert best.unserved[0] == 0.0
    late = asked([9, 9, 9, 4, 4, 1], judged_from=3, lead_ticks=4)
    assert late.ready[0].tolist() == [1, 1, 1, 1, 4, 1]
    assert late.unserved[0] == 5.0 * 30.0
    nothing = asked(NEED, judged_from=10)
    assert (nothing.cost[0], nothing.unserved[0], nothing.churn[0]) == (0.0, 0.0, 0)


@pytest.mark.parametrize(("judged_from", "churn"), [(0, 3), (1, 2), (2, 1), (3, 0), (5, 0)])
def test_the_change_into_the_first_judged_tick_does_not_count(judged_from, churn):
    best = asked([1] * 6, initial=5, max_step_down=1, judged_from=judged_from)
    assert best.desired[0].tolist() == [4, 3, 2, 1, 1, 1]
    assert best.churn[0] == churn


def test_bounds_hold_and_initial_replicas_outside_are_brought_in():
    assert asked(NEED, maximum=2).desired.max() == 2
    many = asked([0, 0, 0], initial=12)
    assert (many.desired[0].tolist(), many.churn[0]) == ([1, 1, 1], 0)
    few = asked([5, 5, 5, 5], initial=0, minimum=2, maximum=2, max_step_up=1)
    assert few.desired[0].tolist() == [2, 2, 2, 2]
    assert few.ready[0].tolist() == [0, 0, 2, 2]


def test_steps_are_taken_early_enough():
    best = asked([1, 1, 1, 1, 1, 4, 4, 1, 1, 1, 1], max_step_up=1, max_step_down=2)
    assert best.ready[0].tolist() == [1, 1, 1, 2, 3, 4, 4, 2, 1, 1, 1]
    assert best.desired[0].tolist() == [1, 2, 3, 4, 4, 4, 4, 2, 1, 1, 1]
    assert best.unserved[0] == 0.0


@pytest.mark.parametrize("limits", [(None, None), (2, 1)])
def test_lanes_in_blocks_are_what_they_are_together(monkeypatch, limits):
    rng = np.random.default_rng(5)
    values = (rng.uniform(0.0, 300.0, (7, 90)), np.full(7, 10.0), np.arange(7) * 4, np.arange(7) % 3)
    values = (*values, np.array([30, 3, 12, 30, 1, 7, 30]), np.array([0, 0, 40, 3, 1, 9, 2]), 5.0, 10, 9.0, *limits)
    together = optimum(*values)
    monkeypatch.setattr(oracle_steps, "_BLOCK", 40)
    apart = optimum(*values)
    assert np.array_equal(together.desired, apart.desired)
    assert np.array_equal(together.cost, apart.cost)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"demand_rps": np.zeros(4)}, "lanes, ticks"),
        ({"demand_rps": np.zeros((1, 0))}, "lanes, ticks"),
        ({"demand_rps": np.array([[1.0, np.nan]])}, "finite"),
        ({"demand_rps": np.array([[1.0, -1.0]])}, "negative"),
        ({"capacity_rps": np.array([1.0, 2.0])}, "one entry per lane"),
        ({"capacity_rps": 0.0}, "capacity"),
        ({"capacity_rps": np.nan}, "capacity"),
        ({"lead_ticks": -1}, "negative"),
        ({"initial": -1}, "negative"),
        ({"minimum": 9}, "above maximum"),
        ({"tick_seconds": 0.0}, "tick"),
        ({"judged_from": 11}, "judged_from"),
        ({"judged_from": -1}, "judged_from"),
        ({"ratio": -1.0}, "ratio"),
        ({"ratio": np.inf}, "ratio"),
        ({"max_step_up": -1}, "step limit"),
    ],
)
def test_nonsense_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        asked(NEED, **wrong)
