"""The clairvoyant optimum against every schedule there is, each replayed pod by pod."""

import math
from dataclasses import dataclass, field, fields, replace

import numpy as np
from hypothesis import strategies as st
from tests.properties.plan_world import given

from forerun.simulate.oracle import Optimum, optimum


@dataclass(frozen=True)
class Case:
    """One lane."""

    demand: tuple[float, ...]
    capacity: float = 10.0
    lead: int = 0
    least: int = 0
    most: int = 3
    initial: int = 0
    tick_seconds: float = 5.0
    judged_from: int = 0
    ratio: float = 99.0
    up: int | None = None
    down: int | None = None

    @property
    def ticks(self) -> int:
        return len(self.demand)


@dataclass
class Replay:
    """What one schedule comes to."""

    ready: list[int] = field(default_factory=list)
    replica_seconds: float = 0.0
    unserved: float = 0.0
    churn: int = 0

    def cost(self, case: Case) -> float:
        return self.replica_seconds + case.ratio * self.unserved / case.capacity


def answer(*cases: Case) -> Optimum:
    """The optimum of lanes that share all but what is theirs."""
    one = cases[0]
    whole = {name: np.array([getattr(case, name) for case in cases]) for name in ("lead", "least", "most", "initial")}
    return optimum(
        np.array([case.demand for case in cases]),
        np.array([case.capacity for case in cases]),
        whole["lead"],
        whole["least"],
        whole["most"],
        whole["initial"],
        one.tick_seconds,
        one.judged_from,
        one.ratio,
        one.up,
        one.down,
    )


def cost(case: Case) -> float:
    return float(answer(case).cost[0])


def replay(case: Case, desired) -> Replay:
    """Pod by pod: each has an age, the youngest goes first, and those that are old enough serve."""
    pods = [math.inf] * case.initial
    result, before = Replay(), case.initial
    for tick, wanted in enumerate(desired):
        pods = [age + 1 for age in pods]
        while len(pods) > wanted:
            pods.remove(min(pods))
        while len(pods) < wanted:
            pods.append(0)
        ready = sum(age >= case.lead for age in pods)
        result.ready.append(ready)
        if tick >= case.judged_from:
            result.replica_seconds += case.tick_seconds * len(pods)
            result.unserved += case.tick_seconds * max(case.demand[tick] - ready * case.capacity, 0.0)
            result.churn += abs(int(wanted) - before) if tick > case.judged_from else 0
        before = int(wanted)
    return result


def every_schedule(case: Case):
    """All schedules within bounds and step limits [schedules, T]."""
    choices = case.most - case.least + 1
    schedules = np.indices((choices,) * case.ticks).reshape(case.ticks, -1).T + case.least
    return schedules[within_steps(case, schedules)]


def within_steps(case: Case, schedules):
    """Which of them [schedules] take no step that is too large; the way into the bounds is no step."""
    steps = np.diff(schedules, axis=1, prepend=min(max(case.initial, case.least), case.most))
    up, down = (math.inf if limit is None else limit for limit in (case.up, case.down))
    return ((steps <= up) & (steps >= -down)).all(axis=1)


def costs_of(case: Case, schedules):
    """Each schedule's cost; pods stand in a row, and each knows since when it has stood."""
    places = np.arange(max(case.most, case.initial))
    age = np.where(places < case.initial, math.inf, -1.0) * np.ones((len(schedules), 1))
    total = np.zeros(len(schedules))
    for tick in range(case.ticks):
        age = np.where(places < schedules[:, tick, None], age + 1, -1.0)
        lost = np.maximum(case.demand[tick] - (age >= case.lead).sum(axis=1) * case.capacity, 0.0)
        if tick >= case.judged_from:
            total += case.tick_seconds * (schedules[:, tick] + case.ratio * lost / case.capacity)
    return total


@st.composite
def small_cases(draw, exact=False, limited=False):
    ticks = draw(st.integers(1, 7))
    least = draw(st.integers(0, 2))
    capacity = 8.0 if exact else draw(st.sampled_from([1.0, 7.3, 10.0]))
    quarters = st.integers(0, 14).map(lambda n: n * capacity / 4)  # ties are common
    load = quarters if exact else quarters | st.floats(0.0, 3.5 * capacity)
    limit = st.none() | st.integers(0, 2)
    return Case(
        demand=tuple(draw(st.lists(load, min_size=ticks, max_size=ticks))),
        capacity=capacity,
        lead=draw(st.integers(0, 3) | st.just(ticks) | st.just(ticks + 2)),
        least=least,
        most=draw(st.integers(least, 3)),
        initial=draw(st.integers(0, 4)),
        tick_seconds=draw(st.sampled_from([1.0, 5.0])),
        judged_from=draw(st.just(0) | st.integers(0, ticks)),
        ratio=draw(st.sampled_from([0.0, 0.5, 1.0, 2.0, 4.0, 9.0, 99.0])),
        up=draw(limit) if limited else None,
        down=draw(limit) if limited else None,
    )


@st.composite
def large_cases(draw):
    """Waves and noise, of a scale at which not all schedules can be tried."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ticks, most = draw(st.integers(20, 120)), draw(st.integers(1, 20))
    wave = np.sin(np.arange(ticks) * 2 * np.pi / draw(st.integers(3, 60)))
    demand = np.maximum((0.5 + 0.5 * wave) * most * 10.0 + rng.normal(0.0, 5.0, ticks), 0.0)
    return Case(
        demand=tuple(demand.tolist()),
        lead=draw(st.integers(0, 30)),
        least=draw(st.integers(0, most)),
        most=most,
        initial=draw(st.integers(0, most)),
        judged_from=draw(st.integers(0, 10)),
        ratio=draw(st.sampled_from([1.5, 9.0, 99.0])),
    )


@given(small_cases(), examples=400)
def test_no_schedule_of_all_costs_less(case):
    assert math.isclose(cost(case), costs_of(case, every_schedule(case)).min(), rel_tol=1e-9, abs_tol=1e-9)


@given(small_cases(limited=True), examples=400)
def test_no_schedule_within_step_limits_costs_less(case):
    allowed = every_schedule(case)
    best = answer(case)
    assert (allowed == best.desired[0]).all(axis=1).any()
    assert math.isclose(best.cost[0], costs_of(case, allowed).min(), rel_tol=1e-9, abs_tol=1e-9)


@given(small_cases(exact=True), examples=400)
def test_no_schedule_of_equal_cost_changes_less(case):
    every = every_schedule(case)
    costs = costs_of(case, every)
    changes = np.abs(np.diff(every, axis=1, prepend=case.initial)).sum(axis=1)
    ours = np.abs(np.diff(answer(case).desired, axis=1, prepend=case.initial)).sum()
    assert ours == changes[costs <= costs.min() + 1e-9].min()


@given(small_cases(limited=True) | large_cases(), examples=200)
def test_pod_by_pod_it_comes_to_what_it_says(case):
    best = answer(case)
    told = replay(case, best.desired[0])
    assert ((best.desired >= case.least) & (best.desired <= case.most)).all()
    assert best.ready[0].tolist() == told.ready
    assert best.churn[0] == told.churn
    for said, found in (
        (best.replica_seconds[0], told.replica_seconds),
        (best.unserved[0], told.unserved),
        (best.cost[0], told.cost(case)),
    ):
        assert math.isclose(said, found, rel_tol=1e-9, abs_tol=1e-9)


@given(large_cases(), st.sampled_from([(None, None), (1, None), (2, 1), (None, 3)]), st.integers(0, 2**32 - 1))
def test_no_other_schedule_costs_less(case, limits, seed):
    case = replace(case, up=limits[0], down=limits[1])
    best = answer(case)
    rng = np.random.default_rng(seed)
    begin, end = np.sort(rng.integers(0, case.ticks + 1, (2, 400)), axis=0)
    ticks = np.arange(case.ticks)
    inside = (ticks >= begin[:, None]) & (ticks < end[:, None])
    nearby = best.desired[0] + inside * rng.integers(-2, 3, (400, 1))
    anything = rng.integers(case.least, case.most + 1, (100, case.ticks))
    others = np.clip(np.concatenate([nearby, anything]), case.least, case.most)
    assert within_steps(case, best.desired).all()
    others = others[within_steps(case, others)]
    assert (costs_of(case, others) >= best.cost[0] * (1 - 1e-12) - 1e-9).all()


@given(large_cases(), st.integers(1, 40))
def test_a_longer_lead_time_never_costs_less(case, more):
    assert cost(replace(case, lead=case.lead + more)) >= cost(case) * (1 - 1e-12)


@given(large_cases(), st.integers(0, 3), st.integers(0, 3), st.integers(1, 5))
def test_a_tighter_step_never_costs_less(case, up, down, more):
    free = cost(case)
    wide = cost(replace(case, up=up + more, down=down + more))
    assert free <= wide * (1 + 1e-12) <= cost(replace(case, up=up, down=down)) * (1 + 2e-12)
    assert math.isclose(free, cost(replace(case, up=case.most, down=case.most)), rel_tol=1e-12)


@given(large_cases(), st.floats(1.0, 100.0))
def test_a_dearer_loss_never_costs_less_and_never_loses_more(case, factor):
    cheap, dear = answer(case), answer(replace(case, ratio=case.ratio * factor))
    assert dear.cost[0] >= cheap.cost[0] * (1 - 1e-12)
    assert dear.unserved[0] <= cheap.unserved[0] * (1 + 1e-9) + 1e-6


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.integers(0, 12), st.sampled_from([1.5, 99.0]))
def test_without_lead_time_and_with_whole_replicas_the_need_is_what_it_costs(need, initial, ratio):
    case = Case(tuple(10.0 * replicas for replicas in need), most=9, initial=initial, ratio=ratio)
    best = answer(case)
    assert best.desired[0].tolist() == need
    assert best.cost[0] == case.tick_seconds * sum(need)
    assert best.unserved[0] == 0.0


@given(st.lists(st.tuples(large_cases(), st.integers(0, 5)), min_size=2, max_size=5))
def test_lanes_do_not_know_each_other(drawn):
    ticks = min(case.ticks for case, _ in drawn)
    shared = {"judged_from": drawn[0][0].judged_from, "ratio": drawn[0][0].ratio}
    cases = [replace(case, demand=case.demand[:ticks], initial=start, **shared) for case, start in drawn]
    together = answer(*cases)
    for lane, case in enumerate(cases):
        alone = answer(case)
        for name in (one.name for one in fields(Optimum)):
            assert np.array_equal(getattr(together, name)[lane], getattr(alone, name)[0])
