"""The life of a campaign, phase by phase, and the go/no-go gate."""

from dataclasses import replace

import pytest
from tests.properties.plan_world import (
    NOON,
    at,
    chain,
    make_campaign,
    make_entry,
    make_forecast,
    make_state,
    make_storefront,
    make_tier,
    preview,
)

from forerun.domain.campaign import Mode, Phase
from forerun.domain.storefront import TierRelease
from forerun.plan.inputs import PlanInput
from forerun.plan.phase import PhaseInput, capacity_ready, phase_of, required_at_start
from forerun.plan.planner import make_plan

DROP = make_campaign()  # start 3600, end 7200, held until 7800; raised at 3330 and 3450
SHOP = chain("cache", "web")


def plan_of(storefront=SHOP, scheduled=(DROP,), medians=(900, 900, 900)):
    tiers = tuple(make_state(tier, 2) for tier in storefront.tiers)
    forecast = make_forecast((3600, 1200, medians))
    return make_plan(PlanInput(NOON, storefront, tuple(scheduled), forecast, tiers=tiers))


def given(now, floor=2, ready=None, storefront=SHOP, **fields):
    standing = floor if ready is None else ready
    values = {
        "campaign": DROP.campaign,
        "occurrence": DROP.occurrence,
        "storefront": storefront,
        "plan": plan_of(storefront),
        "tiers": tuple(make_state(tier, 2, floor, ready=standing) for tier in storefront.tiers),
        "ledger": tuple(make_entry(tier.name, 10) for tier in storefront.tiers) if floor > 2 else (),
    }
    return PhaseInput(now=at(now), **{**values, **fields})


@pytest.mark.parametrize(
    ("now", "floor", "ready", "phase"),
    [
        (0, 2, 2, Phase.SCHEDULED),
        (3329, 2, 2, Phase.SCHEDULED),
        (3330, 2, 2, Phase.WARMING),
        (3500, 10, 4, Phase.WARMING),
        (3500, 10, 10, Phase.ARMED),
        (3600, 10, 4, Phase.LIVE),
        (7199, 10, 10, Phase.LIVE),
        (7200, 10, 10, Phase.RELEASING),
        (7800, 9, 9, Phase.RELEASING),
        (9000, 2, 2, Phase.COMPLETED),
    ],
)
def test_the_life_of_a_campaign(now, floor, ready, phase):
    assert phase_of(given(now, floor, ready)) is phase


def test_suspended_and_rejected_come_first():
    suspended = replace(DROP.campaign, suspend=True)
    assert phase_of(given(4000, 10, campaign=suspended)) is Phase.SUSPENDED
    assert phase_of(given(4000, 10, campaign=suspended, accepted=False)) is Phase.REJECTED


def test_without_an_occurrence_it_is_over_once_everything_is_back():
    assert phase_of(given(9000, 5, occurrence=None)) is Phase.RELEASING
    assert phase_of(given(9000, 2, occurrence=None)) is Phase.COMPLETED


def test_the_next_occurrence_waits_until_the_last_one_is_given_back():
    later = make_campaign(start=603_600, end=607_200)
    plan = plan_of(scheduled=(later,))
    forecast = make_forecast((603_600, 1200, [900]))
    plan = make_plan(PlanInput(NOON, SHOP, (later,), forecast, tiers=tuple(make_state(tier, 2) for tier in SHOP.tiers)))
    assert phase_of(given(9000, 5, occurrence=later.occurrence, plan=plan)) is Phase.RELEASING
    assert phase_of(given(9000, 2, occurrence=later.occurrence, plan=plan)) is Phase.SCHEDULED


def test_what_is_kept_on_purpose_is_not_releasing():
    kept = make_storefront(make_tier("cache", release=TierRelease.NEVER))
    assert phase_of(given(9000, 10, storefront=kept)) is Phase.COMPLETED
    flagged = tuple(make_entry(name, 10, kept=True) for name in ("cache", "web"))
    assert phase_of(given(9000, 10, ledger=flagged)) is Phase.COMPLETED


@pytest.mark.parametrize(
    "scheduled", [preview(DROP), replace(DROP, campaign=replace(DROP.campaign, mode=Mode.APPROVAL))]
)
def test_who_is_not_carried_out_stays_scheduled(scheduled):
    waiting = given(3500, campaign=scheduled.campaign, plan=plan_of(scheduled=(scheduled,)))
    assert phase_of(waiting) is Phase.SCHEDULED
    assert not capacity_ready(waiting).ready


def test_a_campaign_that_needs_no_raise_is_armed():
    assert phase_of(given(100, plan=plan_of(medians=(50, 50, 50)))) is Phase.ARMED


def test_the_gate_counts_ready_replicas_per_tier():
    tiers = (make_state("cache", 2, 10, ready=10), make_state("web", 2, 10, ready=9))
    readiness = capacity_ready(given(3500, 10, tiers=tiers))
    assert not readiness.ready
    assert [(t.tier, t.required, t.ready, t.is_ready) for t in readiness.tiers] == [
        ("cache", 10, 10, True),
        ("web", 10, 9, False),
    ]
    assert capacity_ready(given(3500, 10)).ready


@pytest.mark.parametrize(
    "fields",
    [
        {"plan": None},
        {"storefront": None, "tiers": ()},
        {"tiers": ()},
        {"tiers": (make_state("cache", 2, 10, ready=None), make_state("web", 2, 10))},
        {"campaign": replace(DROP.campaign, generation=2)},
        {"occurrence": None},
    ],
)
def test_unknown_is_not_ready(fields):
    shop = fields.pop("storefront", SHOP)
    base = given(3500, 10)
    assert not capacity_ready(replace(base, storefront=shop, **fields)).ready


def test_a_tier_that_the_plan_holds_is_not_ready():
    unknown = make_storefront(make_tier("cache", capacity_per_replica_rps=None), make_tier("web"))
    assert not capacity_ready(given(3500, 10, storefront=unknown)).ready


def test_a_raise_for_later_demand_does_not_delay_the_gate():
    plan = plan_of(medians=(300, 900, 900))  # the second one at 4800, raised at 4650
    assert required_at_start(plan, "web", DROP.occurrence, 2, 120.0) == 4
    soon = make_campaign(start=3600, end=3660, hold_for_seconds=0.0)
    plan = plan_of(scheduled=(soon,), medians=(900,))
    assert required_at_start(plan, "web", soon.occurrence, 2, 120.0) == 10


def test_the_way_down_of_the_window_before_does_not_hide_a_late_raise():
    """Steps down of the first window lie between the last moment in time and the raise for the second."""
    first, second = make_campaign("first", 3600, 7200, hold_for_seconds=0.0), make_campaign("second", 7750, 9000)
    forecast = make_forecast((3600, 3600, [900]), (7750, 1250, [900]))
    tiers = tuple(make_state(tier, 2) for tier in SHOP.tiers)
    plan = make_plan(PlanInput(NOON, SHOP, (first, second), forecast, tiers=tiers))
    assert required_at_start(plan, "web", second.occurrence, 2, 250.0) == 10


def test_a_raise_that_comes_late_is_still_required():
    assert required_at_start(plan_of(), "web", DROP.occurrence, 2, 600.0) == 10
    assert required_at_start(None, "web", DROP.occurrence, 2, 600.0) == 2
