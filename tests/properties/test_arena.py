"""The arena against loops that know nothing of lanes: pod by pod, scrape by scrape, tick by tick."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import strategies as st
from tests.properties.plan_world import given
from tests.unit.simulate.arena_world import NaivePods, arm, naive_run, run, scenario, tier

from forerun.simulate.hpa import Hpa, HpaSeen, HpaSettings
from forerun.simulate.pods import Pods
from forerun.simulate.scenario import World
from forerun.simulate.scrape import shown

TARGETS = st.lists(st.integers(0, 30), min_size=1, max_size=40)


@st.composite
def lanes_of_pods(draw):
    """(pods, lead, jitter, phase, slots) of each of a few lanes with one number of ticks, and node ticks for all."""
    ticks = draw(st.integers(1, 30))
    lane = st.tuples(
        st.lists(st.integers(0, 20), min_size=ticks, max_size=ticks),
        st.integers(0, 8),
        st.integers(0, 5),
        st.integers(0, 12),
    )
    jitter, nodes = draw(st.sampled_from([0.0, 0.1, 0.5])), draw(st.integers(0, 6))
    return draw(st.lists(lane, min_size=1, max_size=4)), jitter, nodes, draw(st.integers(0, 6)), draw(st.booleans())


@given(lanes_of_pods(), examples=200)
def test_pods_are_those_of_a_model_pod_by_pod(case):
    lanes, jitter, node_ticks, initial, bounded = case
    wanted = np.array([lane[0] for lane in lanes])
    leads, phases, slots = (np.array([lane[at] for lane in lanes]) for at in (1, 2, 3))
    start = np.full(len(lanes), initial)
    pods = Pods(start, leads, jitter, phases, warm_slots=slots if bounded else None, node_ticks=node_ticks)
    naive = [
        NaivePods(initial, lead, jitter, phase, slot if bounded else None, node_ticks) for _, lead, phase, slot in lanes
    ]
    for tick in range(wanted.shape[1]):
        pods.arrive(tick)
        pods.scale(tick, wanted[:, tick])
        for model, replicas in zip(naive, wanted[:, tick].tolist(), strict=True):
            model.scale(tick, replicas)
        assert pods.ready.tolist() == [model.ready(tick) for model in naive]
        assert (pods.ready + pods.starting).tolist() == wanted[:, tick].tolist()


def scraped(door, known, tick, scrape, rate, delay):
    """The rate at one moment, from a list of the scrapes that were made; all in ticks."""
    now = tick - delay
    made = [at for at in range(0, door.size, scrape) if known[at] and now - rate < at <= now]
    if len(made) < 2:
        return math.nan
    return float(door[made[0] : made[-1]].sum()) / (made[-1] - made[0])


@given(
    st.lists(st.tuples(st.floats(0, 1e4), st.booleans() | st.just(True)), min_size=1, max_size=60),
    st.integers(1, 4),
    st.integers(2, 5),
    st.integers(0, 3),
    examples=200,
)
def test_the_metric_is_the_rate_over_the_scrapes_that_were_made(ticks, scrape, scrapes, delay):
    door, known = np.array([value for value, _ in ticks]), np.array([seen for _, seen in ticks])
    world = World(scrape_seconds=5.0 * scrape, rate_seconds=5.0 * scrape * scrapes, delay_seconds=5.0 * delay)
    expected = [scraped(door, known, tick, scrape, scrape * scrapes, delay) for tick in range(door.size)]
    assert shown(door, known, 5.0, world) == pytest.approx(expected, nan_ok=True, rel=1e-9, abs=1e-6)


@st.composite
def small(draw):
    """A scenario of one tier, what its pods take in ticks, and a world."""
    door = draw(st.lists(st.integers(0, 300), min_size=1, max_size=60))
    lead, least = draw(st.integers(0, 10)), draw(st.integers(1, 4))
    one = tier(
        lead_time_seconds=5.0 * lead,
        min_replicas=least,
        max_replicas=least + draw(st.integers(0, 40)),
        demand_per_request=draw(st.sampled_from([0.5, 1.0, 2.0])),
    )
    known = draw(st.lists(st.booleans() | st.just(True), min_size=len(door), max_size=len(door)))
    made = scenario(
        door, one, known=np.array(known), judged_from=draw(st.integers(0, len(door))), seed=draw(st.integers(0, 9))
    )
    world = World(
        jitter=draw(st.sampled_from([0.0, 0.3])),
        retry_share=draw(st.sampled_from([0.0, 0.5])),
        delay_seconds=draw(st.sampled_from([0.0, 5.0, 20.0])),
        stabilization_seconds=draw(st.sampled_from([0.0, 60.0])),
        seed=draw(st.integers(0, 3)),
    )
    floors = np.array(draw(st.lists(st.integers(0, 60), min_size=len(door), max_size=len(door))))
    return made, lead, world, floors


class OneHpa:
    """The model of the HPA with one lane, stepped by hand."""

    def __init__(self, made, world, target):
        self.tier = made.storefront.tiers[0]
        capacity = np.array([self.tier.capacity_per_replica_rps])
        stabilization = world.stabilization_seconds
        settings = HpaSettings(
            np.array([target]), np.array([False]), capacity, scale_down_stabilization_seconds=stabilization
        )
        self.hpa = Hpa(settings, 1)

    def sync(self, now, replicas, ready, metric, least):
        one = (np.array([value]) for value in (replicas, ready, replicas - ready))
        metric = np.array([metric * self.tier.demand_per_request])
        seen = HpaSeen(*one, metric, np.array([least]), np.array([self.tier.max_replicas]))
        return int(self.hpa.sync(now, seen)[0])


@given(small(), st.sampled_from([None, 0.5, 0.7, 0.9]), examples=200)
def test_what_is_served_billed_and_changed_is_what_a_plain_loop_counts(case, target):
    made, lead, world, floors = case
    one = made.storefront.tiers[0]
    asked = 0 if target is None else math.ceil(made.door_rps[0] * one.demand_per_request / (target * 10.0) - 1e-9)
    rows, sums = naive_run(
        made,
        shown(made.door_rps, made.known, 5.0, world),
        world,
        floors,
        hpa_sync=None if target is None else OneHpa(made, world, target).sync,
        initial=min(max(asked, one.min_replicas), one.max_replicas),
        lead=lead,
    )
    (result,) = run([arm(made, {"web": floors}, target)], world)
    lane, score = result.recorded["web"], result.scores["web"]
    assert lane.desired.tolist() == [desired for desired, _, _ in rows]
    assert lane.ready.tolist() == [ready for _, ready, _ in rows]
    assert lane.unserved_rps == pytest.approx([missing for _, _, missing in rows])
    for name, value in sums.items():
        assert getattr(score, name) == pytest.approx(value, abs=1e-6), name
    assert score.cost() == pytest.approx(sums["replica_seconds"] + 99.0 * sums["unserved"] / 10.0)
    assert score.cost(9.0) == pytest.approx(sums["replica_seconds"] + 9.0 * sums["unserved"] / 10.0)


@given(st.lists(st.tuples(small(), st.sampled_from([None, 0.6, 0.9])), min_size=2, max_size=5), examples=60)
def test_arms_side_by_side_do_as_each_does_alone(cases):
    world = cases[0][0][2]
    entrants = [arm(made, {"web": floors}, target) for (made, _, _, floors), target in cases]
    for together, entrant in zip(run(entrants, world), entrants, strict=True):
        (alone,) = run([entrant], world)
        assert together.scores == alone.scores
        assert together.recorded["web"].ready.tolist() == alone.recorded["web"].ready.tolist()
        assert together.recorded["web"].desired.tolist() == alone.recorded["web"].desired.tolist()


@given(small(), st.integers(0, 60), st.sampled_from([None, 0.7]), examples=100)
def test_demand_that_is_yet_to_come_changes_nothing(case, tick, target):
    made, _, world, floors = case
    tick = min(tick, made.ticks - 1)
    door = made.door_rps.copy()
    door[tick:] = 7.0 * door[tick:] + 100.0
    begin = {"web": floors}
    now, then = (
        run([arm(one, begin, target)], world)[0].recorded["web"] for one in (made, replace(made, door_rps=door))
    )
    if tick == 0 and target is not None:
        return  # what stands before the first tick is what its demand asks for
    for name in ("floor", "desired", "ready"):
        assert getattr(now, name)[: tick + 1].tolist() == getattr(then, name)[: tick + 1].tolist()
