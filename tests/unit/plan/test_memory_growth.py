"""When the pods of a tier are to be larger."""

import pytest
from tests.properties.plan_world import (
    at,
    make_campaign,
    make_forecast,
    make_state,
    make_storefront,
    make_tier,
    preview,
)

from forerun.domain.campaign import Occurrence
from forerun.domain.policy import Policy
from forerun.domain.storefront import MemoryGrowth, TierRelease
from forerun.plan.due import decide
from forerun.plan.inputs import DueInput, PlanInput
from forerun.plan.memory_growth import growth_of
from forerun.plan.planner import make_plan

DROP = make_campaign()  # start 3600, end 7200, held until 7800
CACHE = make_tier("cache", memory_growth=MemoryGrowth("valkey", "12Gi"))
WEB = make_tier("web", depends_on=("cache",))
SHOP = make_storefront(CACHE, WEB)
STATES = (make_state("cache", 3), make_state("web", 2))


def growth(now, pods=0, tier=CACHE, campaigns=(DROP,), **fields):
    return growth_of(DueInput(at(now), SHOP, campaigns=campaigns, tiers=STATES, **fields), tier, pods)


def test_it_grows_in_its_turn_before_the_start():
    # web 120 s and 30 s of margin, then the cache's own 120 s
    assert not growth(3329).grown
    assert growth(3330).grown
    assert growth(3330).campaigns == ("drop",)
    assert growth(3330).expires == at(7800 + 86_400)


def test_it_stays_until_the_hold_is_over():
    assert growth(7799, pods=3).grown
    assert growth(7800, pods=3).given_back


def test_where_nothing_grew_nothing_is_given_back():
    assert not growth(7800, pods=0).given_back


def test_never_means_never():
    kept = make_tier("cache", memory_growth=CACHE.memory_growth, release=TierRelease.NEVER)
    assert not growth(9000, pods=3, tier=kept).given_back


@pytest.mark.parametrize("now", [3400, 9000])
def test_nothing_in_a_freeze(now):
    frozen = Policy(freeze_windows=(Occurrence(at(now - 10), at(now + 10)),))
    found = growth(now, pods=3, policy=frozen)
    assert not found.grown
    assert not found.given_back


def test_a_preview_grows_nothing():
    assert not growth(3600, campaigns=(preview(DROP),)).grown


def test_its_replicas_are_left_alone():
    forecast = make_forecast((3600, 1200, [900, 900, 900]))
    plan = make_plan(PlanInput(at(0), SHOP, (DROP,), forecast, tiers=STATES))
    assert {step.tier for step in plan.steps} == {"web"}
    decided = decide(DueInput(at(4000), SHOP, plan=plan, campaigns=(DROP,), tiers=STATES))
    assert {decision.tier for decision in decided} == {"web"}
