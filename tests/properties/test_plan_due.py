"""What is due now: random lives of a shop, with writes that take effect on a virtual clock."""

import math
from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st
from tests.properties.plan_world import (
    NOON,
    World,
    anything,
    at,
    campaigns,
    demands,
    forecasts,
    given,
    make_entry,
    make_state,
    storefronts,
)

from forerun.domain.capacity import FloorDecision, TierState
from forerun.domain.ledger import Owner
from forerun.domain.observation import Sample
from forerun.domain.policy import Policy
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import TierRelease
from forerun.plan.due import decide
from forerun.plan.inputs import DueInput, PlanInput
from forerun.plan.planner import make_plan
from forerun.plan.sizing import size

unknown = st.sampled_from(
    [
        Hold(Reason.METRICS_UNREACHABLE),
        Hold(Reason.METRIC_STALE),
        Hold(Reason.METRIC_ABSURD),
        Hold(Reason.DEMAND_UNKNOWN),
    ]
)


@st.composite
def measurements(draw, now: float):
    """Fresh samples, stale ones, samples from the future, absurd values and holds, in any mixture."""
    kind = draw(st.integers(0, 5))
    if kind == 0:
        return draw(unknown)
    if kind == 1:
        return Sample(at(now - draw(st.integers(121, 5000))), draw(demands))
    if kind == 2:
        return Sample(at(now), draw(anything))
    if kind == 3:
        return Sample(at(now + draw(st.integers(200, 5000))), draw(demands))
    return Sample(at(now - draw(st.integers(0, 100))), draw(demands))


def is_known(measurement, now: float) -> bool:
    if isinstance(measurement, Hold) or not math.isfinite(measurement.value) or measurement.value < 0:
        return False
    return abs((at(now) - measurement.at).total_seconds()) <= 120


def hold_until(scheduled):
    return scheduled.occurrence.end + timedelta(seconds=scheduled.campaign.release.hold_for_seconds)


def check(world: World, given_input: DueInput, outcomes) -> None:
    """What must never happen, of one decision in one moment."""
    known = bool(given_input.live) and is_known(given_input.live[-1], world.now)
    state = {s.tier: s for s in given_input.tiers}
    assert len({o.tier if isinstance(o, FloorDecision) else o.subject for o in outcomes}) == len(outcomes)
    for decision in (o for o in outcomes if isinstance(o, FloorDecision)):
        tier = given_input.storefront.tier(decision.tier)
        before = state[decision.tier].floor
        assert decision.floor >= state[decision.tier].baseline
        if decision.floor < before:
            assert known or world.entries[tier.name].expires <= given_input.now
            assert tier.release is TierRelease.GRADUAL
            _check_order(world, given_input, decision)
    _check_live_demand(given_input, outcomes, known)


def _check_order(world: World, given_input: DueInput, decision: FloorDecision) -> None:
    def fraction(name, floor):
        surplus = world.entries[name].peak - world.baselines[name] if name in world.entries else 0
        return (floor - world.baselines[name]) / surplus if surplus > 0 else 0.0

    for consumer in given_input.storefront.consumers(decision.tier):
        if consumer.release is TierRelease.GRADUAL:
            standing = fraction(consumer.name, world.floors[consumer.name])
            assert fraction(decision.tier, decision.floor) >= standing - 1e-9


def _check_live_demand(given_input: DueInput, outcomes, known: bool) -> None:
    inside = any(
        sc.occurrence.start <= given_input.now < hold_until(sc) and not sc.campaign.suspend
        for sc in given_input.campaigns
    )
    if not (known and inside):
        return
    decided = {o.tier: o.floor for o in outcomes if isinstance(o, FloorDecision)}
    held = {o.subject for o in outcomes if isinstance(o, Hold)}
    for state in given_input.tiers:
        need = size(given_input.storefront.tier(state.tier), given_input.live[-1].value)
        floor = decided.get(state.tier, state.floor)
        if state.tier not in held:
            assert floor >= need
        else:
            assert floor >= min(need, state.floor)


def check_rate(world: World, rate: float) -> None:
    """No more than the policy's share of the surplus, or one replica, within any minute."""
    for steps in world.lowered.values():
        for when, _, surplus in steps:
            within = sum(count for other, count, _ in steps if when - 60 < other <= when)
            assert within <= max(1, math.floor(surplus * rate / 100 + 1e-9))


def settle(world: World, policy: Policy) -> None:
    """All campaigns are over and demand is a measured zero: tick until nothing is left to do."""
    live: list[Sample] = []
    for _ in range(3000):
        world.now += 60
        live = [*live[-9:], Sample(at(world.now), 0.0)]
        given_input = DueInput(
            now=at(world.now),
            storefront=world.storefront,
            tiers=world.states(),
            live=tuple(live),
            policy=policy,
            ledger=tuple(world.entries.values()),
        )
        outcomes = decide(given_input)
        check(world, given_input, outcomes)
        world.apply(outcomes)
        if not any(isinstance(o, FloorDecision) for o in outcomes) and not _waiting(world):
            return


def _waiting(world: World) -> bool:
    return any(world.storefront.tier(name).release is TierRelease.GRADUAL for name in world.entries)


@given(st.data(), examples=60)
def test_whatever_happens_everything_is_given_back(data):
    storefront = data.draw(storefronts())
    world = World(
        storefront,
        {tier.name: data.draw(st.integers(0, 5)) for tier in storefront.tiers},
        data.draw(st.sampled_from([Owner.HPA, Owner.SCALE])),
    )
    policy = Policy(max_step_down_percent_per_minute=data.draw(st.sampled_from([7.0, 10.0, 40.0])))
    scheduled = [data.draw(campaigns(name)) for name in ("drop", "letter")]
    forecast, plan, live = data.draw(forecasts(*scheduled)), None, []
    for _ in range(data.draw(st.integers(5, 60))):
        world.now += data.draw(st.sampled_from([1, 5, 20, 60, 60, 300]))
        event = data.draw(st.integers(0, 12))
        if event == 0 and scheduled:
            scheduled.pop(data.draw(st.integers(0, len(scheduled) - 1)))
        elif event == 1 and scheduled:
            scheduled[0] = replace(scheduled[0], campaign=replace(scheduled[0].campaign, suspend=True))
        elif event == 2 and scheduled:
            edited = replace(scheduled[0].campaign, generation=scheduled[0].campaign.generation + 1)
            scheduled[0] = replace(scheduled[0], campaign=edited)
            forecast = data.draw(forecasts(*scheduled))
        elif event == 3:
            forecast = None
        asked = tuple(sc for sc in scheduled if at(world.now) < hold_until(sc))
        if event in (2, 4, 5) or plan is None:
            asking = tuple(sc for sc in asked if not sc.campaign.suspend)
            plan = make_plan(
                PlanInput(
                    at(world.now), storefront, asking, forecast, tiers=world.states(), policy=policy, previous=plan
                )
            )
        live = [*live[-6:], data.draw(measurements(world.now))]
        given_input = DueInput(
            now=at(world.now),
            storefront=storefront,
            plan=data.draw(st.sampled_from([plan, plan, plan, None])),
            campaigns=asked,
            tiers=world.states(autoscaler_wants_less=data.draw(st.sampled_from([None, True, False]))),
            live=tuple(live),
            policy=policy,
            ledger=tuple(world.entries.values()),
            evidence_samples=3,
        )
        outcomes = decide(given_input)
        check(world, given_input, outcomes)
        assert decide(given_input) == outcomes
        world.apply(outcomes)
    settle(world, policy)
    check_rate(world, policy.max_step_down_percent_per_minute)
    for tier in storefront.tiers:
        if tier.release is TierRelease.GRADUAL:
            assert world.floors[tier.name] == world.baselines[tier.name]
            assert tier.name not in world.entries
        else:
            assert world.floors[tier.name] >= world.baselines[tier.name]


@given(storefronts(TierRelease.GRADUAL), st.data())
def test_nothing_is_lowered_on_what_is_not_known(storefront, data):
    """Any history whose newest measurement is unknown, stale, NaN, from the future or absent."""
    now = data.draw(st.integers(0, 100_000))
    history = data.draw(st.lists(measurements(now), max_size=8))
    live = tuple([*history, data.draw(measurements(now).filter(lambda m: not is_known(m, now)))] if history else [])
    scheduled = tuple(data.draw(st.lists(campaigns(), max_size=1)))
    outcomes = decide(
        DueInput(
            at(now),
            storefront,
            None,
            scheduled,
            tuple(make_state(tier, 2, 30, raised=True) for tier in storefront.tiers),
            live,
            ledger=tuple(make_entry(tier.name, 30, changed_at=at(-5000)) for tier in storefront.tiers),
        )
    )
    assert not any(isinstance(o, FloorDecision) and o.floor < 30 for o in outcomes)


@given(storefronts(), campaigns(), st.data())
def test_one_sample_is_never_evidence(storefront, scheduled, data):
    """Inside a window fewer fresh samples than asked for, or the same one repeated, lower nothing."""
    now = (scheduled.occurrence.start - NOON).total_seconds() + 30
    sample = Sample(at(now), data.draw(demands))
    live = tuple([sample] * data.draw(st.integers(1, 10)))
    plan = make_plan(PlanInput(NOON, storefront, (), None))
    outcomes = decide(
        DueInput(
            at(now),
            storefront,
            plan,
            (scheduled,),
            tuple(make_state(tier, 2, 60, raised=True) for tier in storefront.tiers),
            live,
            ledger=tuple(make_entry(tier.name, 60, changed_at=at(-5000)) for tier in storefront.tiers),
        )
    )
    assert not any(isinstance(o, FloorDecision) and o.floor < 60 for o in outcomes)


@given(st.data(), examples=200)
def test_no_value_raises_an_exception(data):
    storefront = data.draw(storefronts())
    scheduled = data.draw(campaigns())
    plan = make_plan(PlanInput(NOON, storefront, (scheduled,), data.draw(forecasts(scheduled)), tiers=()))
    counts = st.integers(-5, 10**9)
    tiers = tuple(
        TierState(
            tier.name,
            data.draw(counts),
            data.draw(counts),
            data.draw(st.none() | counts),
            data.draw(st.none() | counts),
            data.draw(anything),
            data.draw(st.none() | st.booleans()),
            data.draw(st.none() | anything),
            data.draw(st.booleans()),
        )
        for tier in storefront.tiers
        if data.draw(st.booleans())
    )
    ledger = tuple(
        make_entry(tier.name, data.draw(counts), data.draw(counts), drifted=data.draw(st.booleans()))
        for tier in storefront.tiers
        if data.draw(st.booleans())
    )
    storefront = replace(
        storefront, tiers=tuple(replace(t, capacity_per_replica_rps=data.draw(anything)) for t in storefront.tiers)
    )
    now = data.draw(st.integers(-10_000, 10**6))
    live = tuple(Sample(at(now), data.draw(anything)) for _ in range(data.draw(st.integers(0, 6))))
    policy = Policy(max_step_up_percent=data.draw(anything), max_step_down_percent_per_minute=data.draw(anything))
    outcomes = decide(DueInput(at(now), storefront, plan, (scheduled,), tiers, live, policy, ledger))
    states = {state.tier: state for state in tiers}
    for outcome in outcomes:
        if isinstance(outcome, FloorDecision):
            assert outcome.floor >= states[outcome.tier].baseline
