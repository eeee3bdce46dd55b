"""One HPA per lane: each rule of https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/."""

import numpy as np
import pytest

from forerun.simulate.hpa import Hpa, HpaSeen, HpaSettings, ScalingPolicies

CAPACITY = 10.0  # requests/s; the target is 5 a replica
MISSING = float("nan")


class One:
    """One lane on requests/s whose pods are Ready at once; `at` is one sync, and its answer what stands then."""

    def __init__(self, replicas=10, floor=1, ceiling=100, target=0.5, **settings):
        given = {"on_cpu": np.array([False]), "capacity_rps": np.array([CAPACITY]), **settings}
        self.hpa = Hpa(HpaSettings(target=np.array([target]), **given), 1)
        self.replicas, self.floor, self.ceiling = replicas, floor, ceiling

    def at(self, now_seconds, rps):
        standing = np.array([self.replicas])
        bounds = np.array([self.floor]), np.array([self.ceiling])
        seen = HpaSeen(standing, standing, np.array([0]), np.array([rps]), *bounds)
        self.replicas = int(self.hpa.sync(float(now_seconds), seen)[0])
        return self.replicas

    def over(self, rps, begin, end, step=15):
        return [self.at(now, rps) for now in range(begin, end, step)]

    @property
    def wants_less(self):
        return bool(self.hpa.wants_less[0]) if self.hpa.wants_known[0] else None


def without_delay(**settings):
    return {"scale_down_stabilization_seconds": 0.0, **settings}


# the metric


def test_the_average_value_asks_for_the_total_over_the_target_rounded_up():
    assert One().at(0, 75.5) == 16  # 75.5 / 5 = 15.1


@pytest.mark.parametrize(("rps", "replicas"), [(45.0, 10), (44.9, 9), (55.0, 10), (55.1, 12), (50.0, 10)])
def test_nothing_changes_within_the_tolerance_of_a_tenth(rps, replicas):
    assert One(**without_delay()).at(0, rps) == replicas


def test_another_tolerance():
    assert One(tolerance=0.3).at(0, 64.0) == 10
    assert One(tolerance=0.3).at(0, 66.0) == 14


def test_quantities_are_thousandths_as_the_api_server_keeps_them():
    assert 1140.0 / (0.57 * 100.0) > 20.0  # in floats
    assert One(replicas=10, target=0.57, capacity_rps=np.array([100.0])).at(0, 1140.0) == 20


# bounds


def test_below_min_replicas_it_goes_straight_there_whatever_tolerance_and_policies_say():
    one = One(replicas=2, floor=60, policies=ScalingPolicies(up_percent=None, up_pods=1))
    assert one.at(0, 10.0) == 60


def test_below_min_replicas_it_goes_there_without_a_metric():
    assert One(replicas=2, floor=9).at(0, MISSING) == 9


def test_above_max_replicas_it_goes_straight_there_without_a_metric():
    assert One(replicas=50, ceiling=20).at(0, MISSING) == 20


def test_the_metric_asks_in_vain_for_more_than_max_replicas():
    one = One(ceiling=12)
    assert one.at(0, 100.0) == 12
    assert one.wants_less is False


def test_the_metric_asks_in_vain_for_less_than_min_replicas():
    one = One(floor=10, **without_delay())
    assert one.at(0, 20.0) == 10
    assert one.wants_less is True


def test_at_zero_replicas_it_is_off_whatever_its_floor():
    one = One(replicas=0, floor=5)
    assert one.over(500.0, 0, 60) == [0] * 4
    assert one.wants_less is None


def test_min_replicas_of_zero_is_one():
    assert One(floor=0, **without_delay()).at(0, 0.0) == 1


def test_a_missing_metric_changes_nothing_but_the_floor_still_acts():
    one = One()
    assert one.over(MISSING, 0, 60) == [10] * 4
    assert one.wants_less is None
    one.floor = 13
    assert one.at(60, MISSING) == 13


# stabilization


def test_down_it_goes_to_the_highest_recommendation_of_the_last_five_minutes():
    one = One()
    assert one.at(0, 75.0) == 15
    assert one.at(15, 60.0) == 15
    low = one.over(20.0, 30, 400)
    # what the metric asked for at 0 s (15) and at 15 s (12) each leaves the window 300 s later
    assert low == [15] * 18 + [12] + [4] * 6


def test_the_windows_are_seconds_however_often_it_syncs():
    one = One(replicas=10)
    assert one.over(20.0, 0, 301, step=1) == [10] * 300 + [4]
    steps = One(policies=ScalingPolicies(up_percent=None, up_pods=1, up_period_seconds=7.0))
    assert steps.over(500.0, 0, 22, step=1) == [11] * 7 + [12] * 7 + [13] * 7 + [14]


def test_what_stood_at_the_first_sync_counts_as_a_recommendation():
    assert One(replicas=10).over(20.0, 0, 316) == [10] * 20 + [4, 4]


def test_what_only_min_replicas_held_up_is_no_recommendation():
    one = One(replicas=4, floor=4)
    one.over(20.0, 0, 60)
    one.floor = 30
    assert one.over(20.0, 60, 600) == [30] * 36
    assert one.wants_less is True
    one.floor = 4
    assert one.at(600, 20.0) == 4  # at once: for ten minutes the metric has asked for 4


def test_what_was_within_the_tolerance_of_a_floor_is_a_recommendation_and_holds():
    one = One(replicas=20, floor=20)
    one.over(95.0, 0, 600)  # 19 would do, but 20 are within the tolerance
    one.floor = 4
    assert one.at(600, 60.0) == 20
    assert one.at(900, 60.0) == 12


def test_a_missing_metric_leaves_no_recommendation():
    one = One(replicas=4, floor=30)
    one.at(0, MISSING)
    one.over(MISSING, 15, 400)
    one.floor = 4
    assert one.at(405, 20.0) == 4


def test_stabilization_cuts_a_spike_out_of_the_way_up_where_the_behavior_says_so():
    one = One(scale_up_stabilization_seconds=60.0, policies=ScalingPolicies())
    assert one.over(50.0, 0, 60) == [10] * 4
    assert one.at(60, 90.0) == 10
    assert one.at(75, 70.0) == 10
    assert one.at(90, 80.0) == 10
    assert one.over(90.0, 105, 180) == [14, 14, 16, 18, 18]  # the lowest of the last minute


def test_between_the_windows_limits_the_count_stays():
    settings = {"scale_up_stabilization_seconds": 60.0, "scale_down_stabilization_seconds": 60.0}
    one = One(replicas=10, policies=ScalingPolicies(), **settings)
    one.over(50.0, 0, 75)
    assert [one.at(75 + 15 * turn, rps) for turn, rps in enumerate([30.0, 70.0] * 4)] == [10] * 8


def test_scale_up_stabilization_needs_a_behavior():
    with pytest.raises(ValueError, match="behavior"):
        One(scale_up_stabilization_seconds=60.0)


# how fast


def test_without_a_behavior_each_sync_doubles_or_goes_to_four():
    assert One(replicas=1).over(500.0, 0, 105) == [4, 8, 16, 32, 64, 100, 100]
    assert One(replicas=1).over(500.0, 0, 7, step=1) == [4, 8, 16, 32, 64, 100, 100]  # the sync counts, not time


def test_with_the_default_behavior_the_larger_of_four_pods_and_doubling_in_15_seconds():
    assert One(replicas=1, policies=ScalingPolicies()).over(500.0, 0, 90) == [5, 10, 20, 40, 80, 100]


def test_policies_count_what_was_added_in_their_period():
    one = One(replicas=3, policies=ScalingPolicies())
    assert one.over(500.0, 0, 15, step=5) == [7, 7, 7]
    assert one.over(500.0, 15, 30, step=5) == [14, 14, 14]


def test_a_rise_to_the_floor_counts_in_the_policies_of_the_metric():
    one = One(replicas=10, policies=ScalingPolicies(up_period_seconds=60.0))
    one.at(0, 50.0)
    one.floor = 40
    assert one.at(15, 50.0) == 40
    assert one.over(300.0, 30, 75) == [40] * 3  # 30 have come in this minute, 10 were allowed
    assert one.at(75, 300.0) == 60


def test_select_policy_min_takes_the_smaller_change():
    assert One(policies=ScalingPolicies(up_select="Min")).at(0, 500.0) == 14
    down = ScalingPolicies(down_percent=10, down_pods=3, down_select="Min")
    assert One(replicas=20, policies=down, **without_delay()).at(0, 5.0) == 18


def test_select_policy_disabled_forbids_the_direction():
    never = ScalingPolicies(up_select="Disabled", down_select="Disabled")
    assert One(policies=never).at(0, 500.0) == 10
    assert One(policies=never, **without_delay()).at(0, 5.0) == 10


def test_percent_policies_round_towards_the_larger_change():
    tenth = ScalingPolicies(up_percent=10, up_pods=None, down_percent=10)
    assert One(replicas=15, policies=tenth).at(0, 500.0) == 17  # 16.5
    assert One(replicas=15, policies=tenth, **without_delay()).at(0, 5.0) == 13  # 13.5


def test_the_way_down_in_steps_of_a_policy():
    steps = ScalingPolicies(down_percent=None, down_pods=2, down_period_seconds=60.0)
    one = One(replicas=10, policies=steps, **without_delay())
    assert one.over(10.0, 0, 180) == [8] * 4 + [6] * 4 + [4] * 4
    assert one.wants_less is None  # the rate hides what the metric wants


def test_what_came_in_the_period_may_go_beside_what_the_policy_allows():
    steps = ScalingPolicies(up_period_seconds=60.0, down_percent=None, down_pods=2, down_period_seconds=60.0)
    one = One(replicas=10, policies=steps, **without_delay())
    assert one.at(0, 80.0) == 16
    assert one.at(15, 20.0) == 8  # two less than the 10 at the begin of the minute


@pytest.mark.parametrize(
    "wrong", [{"up_percent": None, "up_pods": None}, {"down_percent": None}, {"up_period_seconds": 0.0}]
)
def test_policies_that_say_nothing_are_refused(wrong):
    with pytest.raises(ValueError):
        ScalingPolicies(**wrong)


# CPU


def cpu(ready, unready, rps, replicas=None, target=0.5, fresh=None, missing=None, **settings):
    """One sync without memory of a lane on CPU."""
    given = {"on_cpu": np.array([True]), "capacity_rps": np.array([CAPACITY]), **without_delay(), **settings}
    hpa = Hpa(HpaSettings(target=np.array([target]), **given), 1)
    counts = [None if count is None else np.array([count]) for count in (fresh, missing)]
    standing = ready + unready + (missing or 0) if replicas is None else replicas
    seen = HpaSeen(*map(np.array, ([standing], [ready], [unready], [rps], [1], [100])), *counts)
    return int(hpa.sync(0.0, seen)[0])


def test_cpu_asks_for_the_ready_pods_times_the_ratio_rounded_up():
    assert cpu(10, 0, 72.0) == 15  # 72 % of 50 %: 14.4


def test_cpu_utilization_is_cut_to_whole_per_cent():
    assert cpu(10, 0, 50.0 * 1.1 + 0.9) == 10  # 55.9 % are 55 %, within the tolerance of 50 %


def test_cpu_ends_at_the_capacity_of_the_ready_pods():
    assert cpu(10, 0, 10_000.0) == 20  # however large the overload: 100 % of 50 %
    assert cpu(10, 0, 10_000.0, target=0.8) == 13


def test_on_the_way_up_pods_that_are_not_ready_count_as_idle():
    assert cpu(10, 0, 100.0) == 20
    assert cpu(10, 5, 100.0) == 20  # 100 % of 15 pods are 66 %: 20
    assert cpu(10, 9, 100.0) == 19  # 52 %: within the tolerance


def test_on_the_way_down_pods_that_are_not_ready_do_not_count():
    assert cpu(10, 10, 25.0) == 5


def test_unready_pods_never_turn_a_rise_into_a_fall():
    assert cpu(10, 30, 100.0) == 40


def test_pods_just_ready_count_as_unready():
    assert cpu(15, 0, 150.0, fresh=5) == 20


def test_on_the_way_down_pods_without_metrics_count_as_full():
    assert cpu(10, 0, 20.0) == 4
    assert cpu(10, 0, 20.0, missing=2, replicas=12) == 8  # 2 + 2 replicas' worth of 12: 33 %


def test_on_the_way_up_pods_without_metrics_count_as_idle():
    assert cpu(10, 0, 100.0, missing=5, replicas=15) == 20


def test_guesses_never_turn_the_direction():
    assert cpu(10, 0, 30.0, missing=10, replicas=20) == 20  # 30 % would fall; with ten full ones 65 % would rise
    assert cpu(10, 0, 60.0, missing=10, replicas=20) == 20


def test_cpu_without_a_ready_pod_changes_nothing():
    assert cpu(0, 7, 100.0) == 7
    assert cpu(5, 0, 100.0, fresh=5) == 5


def test_cpu_without_a_metric_changes_nothing():
    assert cpu(10, 0, MISSING) == 10


# lanes


def test_lanes_do_not_see_each_other():
    rng = np.random.default_rng(5)
    lanes, syncs = 40, 60
    settings = {
        "target": rng.uniform(0.3, 0.9, lanes),
        "on_cpu": rng.random(lanes) < 0.5,
        "capacity_rps": rng.uniform(5.0, 50.0, lanes),
    }
    more = {"scale_up_stabilization_seconds": 30.0, "policies": ScalingPolicies(down_pods=3, down_percent=None)}
    together = Hpa(HpaSettings(**settings, **more), lanes)
    alone = [
        Hpa(HpaSettings(**{name: value[[lane]] for name, value in settings.items()}, **more), 1)
        for lane in range(lanes)
    ]
    replicas = rng.integers(0, 30, lanes)
    distinct = set()
    for turn in range(syncs):
        unready = rng.integers(0, 3, lanes)
        rps = np.where(rng.random(lanes) < 0.1, np.nan, rng.uniform(0.0, 800.0, lanes))
        floor = rng.integers(1, 12, lanes)
        columns = (replicas, np.maximum(replicas - unready, 0), unready, rps, floor, np.full(lanes, 40))
        answer = together.sync(15.0 * turn, HpaSeen(*columns))
        single = [one.sync(15.0 * turn, HpaSeen(*(c[[n]] for c in columns)))[0] for n, one in enumerate(alone)]
        assert answer.tolist() == single
        assert together.wants_less.tolist() == [bool(one.wants_less[0]) for one in alone]
        replicas = answer
        distinct.update(answer.tolist())
    assert len(distinct) > 20


def test_settings_of_other_lanes_are_refused():
    with pytest.raises(ValueError, match="3 lanes"):
        Hpa(HpaSettings(np.full(2, 0.5), np.full(2, True), np.full(2, 5.0)), 3)
