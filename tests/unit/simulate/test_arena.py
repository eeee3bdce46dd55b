"""The arena: what arms see and do, what ends one, and that none sees the future."""

import math
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from importlib.util import find_spec

import numpy as np
import pytest

from forerun.domain.campaign import Expected
from forerun.domain.forecast import ForecastRequest
from forerun.domain.reason import Hold, Reason
from forerun.forecast.worker import answer
from forerun.simulate import mean_forecast, peers
from forerun.simulate.arena import compete
from forerun.simulate.ours import Forerun
from forerun.simulate.policy import known_of
from forerun.simulate.scenario import World, with_lead_time

from .arena_world import (
    CALM,
    START,
    altered,
    arm,
    busy_days,
    campaign,
    no_answer,
    recorded,
    run,
    scenario,
    tier,
    window,
)

STEADY = np.full(120, 100.0)  # ten minutes


@dataclass
class Told:
    """A policy that does as it is told: `made` gets each view."""

    made: object
    every_seconds: float = 15.0
    seen: list = field(default_factory=list)

    def floors(self, view):
        self.seen.append(view)
        return self.made(view)


@dataclass
class Asks:
    """A policy that asks for forecasts, and keeps the answers."""

    request: object
    every_seconds: float = 60.0
    answers: list = field(default_factory=list)

    def ask(self, view):
        return self.request(view)

    def take(self, answer):
        self.answers.append(answer)

    def floors(self, view):
        return {}


def always(floors):
    return Told(lambda view: floors)


# floors


def test_a_schedule_acts_at_its_ticks_where_nobody_else_scales():
    floors = np.repeat([2, 9, 4], 40)
    floors[41] = 7
    lane = recorded(arm(scenario(STEADY), {"web": floors}, None))
    assert lane.floor.tolist() == lane.desired.tolist() == floors.tolist()
    assert lane.ready[40:60].tolist() == [2] * 12 + [7] * 2 + [9] * 6  # 41 took two back, 42 asked for them again


def test_a_schedule_is_a_floor_under_the_autoscaler():
    lane = recorded(arm(scenario(STEADY), {"web": np.repeat([2, 40], 60)}))
    assert lane.desired[:60].tolist() == [15] * 60
    assert lane.desired[60:].tolist() == [40] * 60


def test_a_policy_is_asked_as_often_as_it_says_and_its_floors_stay():
    policy = Told(lambda view: {"web": 20} if view.tick == 24 else {}, every_seconds=60.0)
    lane = recorded(arm(scenario(STEADY), policy, None))
    assert [view.tick for view in policy.seen] == list(range(0, 120, 12))
    assert lane.floor.tolist() == [2] * 24 + [20] * 96


@pytest.mark.parametrize(("floor", "stands"), [(0, 2), (1, 2), (2.1, 3), (np.float64(5), 5), (np.int32(7), 7)])
def test_a_floor_is_whole_and_never_below_min_replicas(floor, stands):
    assert set(recorded(arm(scenario(STEADY), always({"web": floor}), None)).floor) == {stands}
    assert set(recorded(arm(scenario(STEADY), {"web": np.full(120, float(floor))}, None)).floor) == {stands}


def test_no_more_replicas_than_max_replicas_or_the_pool_holds():
    made = scenario(np.full(120, 1e5), tier(max_replicas=50))
    for target in (None, 0.7):
        entrant = arm(made, always({"web": 900}), target)
        assert recorded(entrant).desired.max() == 50
        assert recorded(entrant, replace(CALM, pool_replicas=30)).desired.max() == 30


def test_each_tier_has_floors_and_demand_of_its_own():
    made = scenario(STEADY, tier("cache", demand_per_request=3.0), tier("web"))
    (result,) = run([arm(made, always({"web": 30}), 0.5)])
    assert set(result.recorded["cache"].floor) == {2}
    assert set(result.recorded["cache"].desired) == {60}
    assert set(result.recorded["web"].desired) == {30}
    assert result.scores["cache"].demand == 3.0 * result.scores["web"].demand


# what is seen


def test_a_view_ends_now_and_is_the_policys_own():
    def scribbling(view):
        assert view.shown_rps.size == view.tick + 1
        assert view.shown_rps.base is None  # nothing behind its end
        view.shown_rps[:] = 1e9
        return {}

    spoilt, other = run([arm(scenario(STEADY), Told(scribbling)), arm(scenario(STEADY), Told(lambda view: {}))])
    assert spoilt.verdict is None
    assert spoilt.scores == other.scores


def test_a_view_shows_pods_and_what_the_metrics_say():
    policy = Told(lambda view: {"web": 40} if view.tick >= 60 else {}, every_seconds=5.0)
    recorded(arm(scenario(STEADY), policy))
    first, late = policy.seen[0], policy.seen[119]
    assert (first.now, first.demand_rps, first.tiers[0].ready) == (START, None, 15)
    assert late.now == START + timedelta(seconds=595)
    assert late.demand_rps == pytest.approx(100.0)
    one = late.tiers[0]
    assert (one.name, one.floor, one.desired, one.ready, one.wants_less) == ("web", 40, 40, 40, True)


def test_wants_less_says_nothing_before_a_metric_or_without_an_autoscaler():
    for target, later in ((0.7, False), (None, None)):
        policy = Told(lambda view: {}, every_seconds=5.0)
        recorded(arm(scenario(STEADY), policy, target))
        assert policy.seen[0].tiers[0].wants_less is None
        assert policy.seen[-1].tiers[0].wants_less is later


def test_recent_demand_is_what_was_shown_up_to_now():
    policy = Told(lambda view: {}, every_seconds=5.0)
    recorded(arm(scenario(np.arange(120.0)), policy))
    view = policy.seen[100]
    recent = view.recent(120.0, 30.0)
    assert recent.start + timedelta(seconds=120) == view.now
    assert recent.values == tuple(view.shown_rps[[82, 88, 94, 100]])
    assert policy.seen[0].recent(120.0, 30.0) is None


# what ends an arm


class Unprintable:
    def __repr__(self):
        raise RuntimeError("no repr")


def raising(view):
    raise KeyError("mine")


def leaving(view):
    raise SystemExit(3)


BAD = {
    "raises": (raising, "raised KeyError: 'mine'"),
    "leaves": (leaving, "raised SystemExit: 3"),
    "nothing": (lambda view: None, "raised TypeError"),
    "nan": (lambda view: {"web": math.nan}, "gave nan as the floor of web, at 2026-11-27T12:00:00Z"),
    "infinity": (lambda view: {"web": math.inf}, "gave inf"),
    "negative": (lambda view: {"web": -1}, "gave -1"),
    "enormous": (lambda view: {"web": 10**30}, "gave 1000000000"),
    "a string": (lambda view: {"web": "12"}, "gave '12'"),
    "complex": (lambda view: {"web": np.complex128(3)}, "as the floor of web"),
    "an array": (lambda view: {"web": np.array([3, 4])}, "as the floor of web"),
    "unprintable": (lambda view: {"web": Unprintable()}, "raised RuntimeError: no repr"),
    "an unknown tier": (lambda view: {"wbe": 3}, "gave a floor for 'wbe', which is no tier"),
}


def others():
    """Arms that must not change for what another one does."""
    return [arm(scenario(STEADY)), arm(scenario(STEADY), always({"web": 20})), arm(scenario(STEADY), None, None)]


@pytest.mark.parametrize("kind", BAD)
def test_an_arm_that_misbehaves_ends_with_a_verdict_and_the_others_go_on(kind):
    made, verdict = BAD[kind]
    alone = [result.scores for result in run(others())]
    bad = Told(made)
    results = run([*others()[:1], arm(scenario(STEADY), bad), *others()[1:]])
    (ended,) = (result for result in results if result.verdict is not None)
    assert ended is results[1]
    assert verdict in ended.verdict
    assert len(bad.seen) == 1
    assert [result.scores for result in results if result is not ended] == alone
    assert ended.scores == alone[0]  # the autoscaler alone


def test_an_arm_that_ends_later_keeps_its_last_floors_to_the_end():
    lane = recorded(arm(scenario(STEADY), Told(lambda view: {"web": 30} if view.tick < 60 else {"web": math.nan})))
    assert lane.floor.tolist() == [30] * 120


def test_of_an_answer_with_one_bad_floor_none_is_taken():
    made = scenario(STEADY, tier("cache"), tier("web"))
    (result,) = run([arm(made, always({"cache": 50, "web": math.nan}))])
    assert set(result.recorded["cache"].floor) == {2}


@pytest.mark.parametrize("every", [0.0, -1.0, math.nan, "often", None])
def test_how_often_it_is_asked_has_to_be_more_than_nothing(every):
    (result,) = run([arm(scenario(STEADY), Told(lambda view: {}, every_seconds=every))])
    assert result.verdict is not None


def test_a_policy_may_be_asked_once():
    policy = Told(lambda view: {"web": 9}, every_seconds=math.inf)
    (result,) = run([arm(scenario(STEADY), policy, None)])
    assert (len(policy.seen), result.verdict) == (1, None)
    assert set(result.recorded["web"].floor) == {9}


def test_a_policy_that_jumps_from_nothing_to_a_million_each_tick_is_held_by_the_bounds():
    jumping = Told(lambda view: {"web": 1_000_000 * (view.tick % 2)}, every_seconds=5.0)
    made = scenario(STEADY, tier(max_replicas=100_000))
    result, still = run([arm(made, jumping, None), arm(made, None, None)])
    lane, score = result.recorded["web"], result.scores["web"]
    assert result.verdict is None
    assert lane.desired.tolist() == [2, 100_000] * 60
    assert score.churn == 119 * 99_998.0
    assert lane.ready.max() == 2  # nobody lives for a lead time
    assert score.unserved == still.scores["web"].unserved


@pytest.mark.parametrize("step", ["ask", "take", "junk"])
def test_one_that_asks_for_forecasts_may_fail_at_each_step(step):
    def fail(*arguments):
        raise ValueError(step)

    asked = Asks(lambda view: 7 if step == "junk" else ForecastRequest("s", view.now, None, None, ()))
    if step != "junk":
        setattr(asked, step, fail)
    hold = Hold(Reason.METRICS_UNREACHABLE)
    fine = Asks(lambda view: ForecastRequest("s", view.now, None, None, ()))
    results = run(
        [arm(scenario(STEADY), asked), arm(scenario(STEADY), fine)], answer=lambda requests: [hold] * len(requests)
    )
    assert [result.verdict is None for result in results] == [False, True]
    assert fine.answers == [hold] * 10


# forecasts


def test_who_asks_the_same_shares_the_answer_and_who_asks_something_else_does_not():
    made, batches = scenario(STEADY), []

    def count(requests):
        batches.append(len(requests))
        return [Hold(Reason.METRICS_UNREACHABLE, detail=str(number)) for number in range(len(requests))]

    def asks(history=None, recent=False, upcoming=()):
        return Asks(
            lambda view: ForecastRequest("s", view.now, history, view.recent(60.0, 5.0) if recent else None, upcoming)
        )

    past = busy_days(1)
    policies = [asks(), asks(), asks(past), asks(past), asks(replace(past)), asks(recent=True), asks(recent=True)]
    policies += [asks(upcoming=(window(60, 60),)), asks(upcoming=(window(60, 60),))]
    run([arm(made, policy) for policy in policies], answer=count)
    told = [[hold.detail for hold in policy.answers] for policy in policies]
    assert batches == [4] + [5] * 9  # at first nothing was measured lately
    assert told[0] == told[1] != told[2] == told[3] != told[4]
    assert told[5] == told[6] and told[7] == told[8]
    assert len({told[at][-1] for at in (0, 2, 4, 5, 7)}) == 5


# what is put in


@pytest.mark.parametrize(
    "made",
    [
        scenario(np.zeros(120)),
        scenario(STEADY, known=np.zeros(120, bool)),
        scenario(STEADY, known=np.arange(120) % 7 > 2),
        scenario(np.full(1, 300.0)),
        scenario(np.full(120, 1e9)),
        scenario(np.where(np.arange(120) < 60, 0.0, 1e9), tier(min_replicas=0)),
        scenario(STEADY / 1e6, tier(capacity_per_replica_rps=1e-6)),
        scenario(STEADY, judged_from=120),
        scenario(STEADY, tier(min_replicas=None)),
        scenario(np.full(40, 100.0), tick_seconds=60.0),
    ],
    ids=["zero", "nothing known", "gaps", "one", "1e9", "from 0 to 1e9", "tiny", "not judged", "no bounds", "minutes"],
)
@pytest.mark.parametrize("target", [None, 0.7])
def test_odd_demand_has_an_ordinary_outcome(made, target):
    seen = Told(lambda view: {"web": 3})
    for result in run([arm(made, None, target), arm(made, seen, target), arm(made, None, target, on_cpu=True)]):
        lane, score = result.recorded["web"], result.scores["web"]
        assert result.verdict is None
        assert ((lane.ready >= 0) & (lane.ready <= lane.desired) & (lane.desired <= 1000)).all()
        assert (lane.unserved_rps >= 0.0).all()
        assert all(math.isfinite(value) for value in (score.cost(), score.churn, score.unserved_percent))
        assert score.replica_seconds >= 0.0
        assert 0.0 <= score.unserved_percent <= 100.0


def test_an_autoscaler_does_as_well_in_small_units_as_in_large_ones():
    usual, tiny = (
        recorded(arm(scenario(np.geomspace(50.0, 400.0, 360) / unit, tier(capacity_per_replica_rps=10.0 / unit))))
        for unit in (1.0, 1e4)
    )
    assert usual.desired.tolist() == tiny.desired.tolist()
    assert usual.desired.max() > 50


def test_an_autoscaler_is_never_at_nothing():
    lane = recorded(arm(scenario(np.zeros(120), tier(min_replicas=0))))
    assert set(lane.desired) == {1}
    lane = recorded(arm(scenario(np.where(np.arange(120) < 60, 0.0, 100.0), tier(min_replicas=0))))
    assert lane.desired[-1] == 15


REFUSED = {
    "no tick": lambda: arm(scenario(np.zeros(0))),
    "not finite": lambda: arm(scenario([1.0, math.nan])),
    "finite and >= 0": lambda: arm(scenario([1.0, -1.0])),
    "5 known": lambda: arm(scenario(STEADY, known=np.ones(5, bool))),
    "what a replica serves": lambda: arm(scenario(STEADY, tier(capacity_per_replica_rps=None))),
    "more than 1e+12": lambda: arm(scenario(np.full(3, 1e300))),
    "target is 0.0": lambda: arm(scenario(STEADY), target=0.0),
    "target is nan": lambda: arm(scenario(STEADY), target=math.nan),
    "'wbe'": lambda: arm(scenario(STEADY), {"wbe": np.ones(120)}),
    "one number for each": lambda: arm(scenario(STEADY), {"web": np.ones(7)}),
    "0 .. 1000000": lambda: arm(scenario(STEADY), {"web": np.full(120, np.nan)}),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_simulated_is_said_and_the_others_run(reason):
    alone = [result.scores for result in run(others())]
    results = run([*others()[:2], REFUSED[reason](), *others()[2:]])
    assert reason in results[2].verdict
    assert (results[2].scores, results[2].recorded) == ({}, {})
    assert [result.scores for result in results[:2] + results[3:]] == alone


def test_nothing_but_what_is_refused():
    assert [result.scores for result in run([REFUSED["no tick"]()])] == [{}]
    assert run([]) == []


def test_results_are_in_order_over_ticks_of_several_lengths():
    made = [scenario(np.full(size, 100.0), tick_seconds=tick) for size, tick in ((9, 5.0), (20, 60.0), (30, 5.0))]
    told = []
    results = list(compete([arm(one) for one in made], CALM, no_answer, told=told.append))
    assert [result.entrant.scenario for result in results] == made
    assert [result.scores["web"].demand for result in results] == [4500.0, 120_000.0, 15_000.0]
    assert told == ["1 of 3 runs", "2 of 3 runs", "3 of 3 runs"]


# nobody sees the future

EVENTS = tuple(window(1200 - day * 86400, 600, expected=Expected()) for day in (3, 6, 9))
LENGTH = 540  # ticks: 45 minutes; the sale runs from tick 240 to tick 360


def sale(**fields):
    """A sale that brings four times as much as usual, as three before it; declared are three times."""
    door = 100.0 * np.random.default_rng(5).lognormal(0.0, 0.03, LENGTH)
    door[240:360] *= 4.0
    return scenario(
        door,
        tier("cache", capacity_per_replica_rps=30.0),
        tier("web", depends_on=("cache",), lead_time_seconds=180.0),
        campaigns=(campaign(1200, 600, expected=Expected(multiplier=3.0)),),
        history=busy_days(10, events=EVENTS),
        past=EVENTS,
        last_peak_rps=400.0,
        **fields,
    )


def follows(view):
    """A user's policy: a quarter more than is shown."""
    shown = view.demand_rps
    return {} if shown is None else {"web": 1.25 * shown / 10.0, "cache": 1.25 * shown / 30.0}


def knows(made):
    """No policy, but a cheat: it reads the demand that comes."""
    return Told(lambda view: {"web": made.door_rps[min(view.tick + 60, LENGTH - 1)] / 10.0})


ARMS = {
    "hpa": lambda made: arm(made, on_cpu=True),
    "hpa-rps": lambda made: arm(made, target=0.8),
    "keda-cron": lambda made: arm(made, peers.cron_floors(known_of(made, World(), 0.8), 1.0), 0.8),
    "static": lambda made: arm(made, peers.static_floors(known_of(made, World(), 0.8), 0.5), 0.8),
    "mean-forecast": lambda made: arm(made, mean_forecast.mean_floors(known_of(made, World(), 0.8), 1.0), 0.8),
    "forerun": lambda made: arm(made, Forerun(known_of(made, World(), 0.8)), 0.8),
    "forerun without an autoscaler": lambda made: arm(made, Forerun(known_of(made, World(), None)), None),
    "a user's": lambda made: arm(made, Told(follows), None),
    "a user's with an autoscaler": lambda made: arm(made, Told(follows), 0.6),
}


def in_process(requests):
    return answer(requests, 1.0)


@cache
def outcomes(tick):
    """Result of each arm by name; from `tick` on another demand comes, None: the one that is."""
    made = sale() if tick is None else altered(sale(), tick)
    names = [name for name in ARMS if name != "mean-forecast" or find_spec("prophet")]
    results = run([ARMS[name](made) for name in names], World(), in_process)
    return dict(zip(names, results, strict=True))


def same_until(tick, one, other):
    """Whether floor, desired and Ready replicas of each tier are the same up to `tick`, and whether after it."""
    kinds = ("floor", "desired", "ready")
    pairs = [(one.recorded[name], other.recorded[name]) for name in one.recorded]
    lanes = [(getattr(now, kind), getattr(then, kind)) for now, then in pairs for kind in kinds]
    before = all((now[: tick + 1] == then[: tick + 1]).all() for now, then in lanes)
    return before, all((now[tick + 1 :] == then[tick + 1 :]).all() for now, then in lanes)


@pytest.mark.parametrize("tick", [150, 250, 340])
@pytest.mark.parametrize("name", ARMS)
def test_the_policy_sees_no_future(name, tick):
    if name not in outcomes(None):
        pytest.skip("prophet is not installed (make bench-forecast brings it)")
    now, then = outcomes(None)[name], outcomes(tick)[name]
    assert now.verdict is None and then.verdict is None
    before, after = same_until(tick, now, then)
    assert before
    assert not after  # what comes does matter once it is there


def test_one_that_sees_the_future_is_found_out():
    results = (run([arm(made, knows(made), None)])[0] for made in (sale(), altered(sale(), 250)))
    before, _ = same_until(250, *results)
    assert not before


def test_nothing_of_the_demand_is_known_before_it_comes():
    one, other = (known_of(made, World(), 0.7) for made in (sale(), altered(sale(), 0)))
    for name in one.__slots__:
        if name != "history":
            assert getattr(one, name) == getattr(other, name)
    assert one.history.values == other.history.values


# the same each time


def entrants():
    made = sale(seed=3)
    names = ("forerun", "forerun without an autoscaler", "a user's", "hpa-rps", "keda-cron")
    return [*(ARMS[name](made) for name in names), ARMS["forerun"](with_lead_time(made, 300.0))]


def test_the_same_seed_gives_the_same_and_another_one_other_luck():
    first, again, other = (run(entrants()[:5], World(jitter=0.3, seed=seed), in_process) for seed in (1, 1, 2))
    assert [result.scores for result in first] == [result.scores for result in again]
    assert [result.scores for result in first] != [result.scores for result in other]


def test_arms_that_forecast_do_together_as_they_do_alone():
    for together, entrant in zip(run(entrants(), World(), in_process), entrants(), strict=True):
        (alone,) = run([entrant], World(), in_process)
        for name, lane in together.recorded.items():
            assert lane.floor.tolist() == alone.recorded[name].floor.tolist()
        assert together.scores == alone.scores


def test_forerun_is_there_before_the_sale():
    ours, follower = outcomes(None)["forerun"], outcomes(None)["hpa-rps"]
    assert ours.recorded["web"].ready[240] > 2 * ours.recorded["web"].ready[100]
    assert ours.scores["web"].unserved < 0.5 * follower.scores["web"].unserved


# clients that come again


def test_who_was_not_served_comes_again_and_is_lost_in_the_end():
    door = np.where(np.arange(240) < 12, 100.0, 0.0)
    made = scenario(door, tier(max_replicas=2))
    lost, patient = (run([arm(made, None, None)], replace(CALM, retry_share=share))[0] for share in (0.0, 0.5))
    assert lost.scores["web"].unserved == 12 * 5.0 * 80.0
    assert 0.0 < patient.scores["web"].unserved < lost.scores["web"].unserved
    backlog = patient.recorded["web"].unserved_rps
    assert backlog[:3].tolist() == [80.0, 120.0, 140.0]
    assert backlog[12:14] == pytest.approx([0.5 * backlog[11] - 20.0, 0.25 * backlog[11] - 30.0])
    assert (backlog[14:] == 0.0).all()
