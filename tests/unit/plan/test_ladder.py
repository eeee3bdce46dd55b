"""What a tier may not have, its rungs take: planned ahead, followed live, given back."""

from tests.properties.plan_world import (
    NOON,
    at,
    floor_at,
    make_campaign,
    make_entry,
    make_forecast,
    make_state,
    make_storefront,
    make_tier,
    steps_of,
)

from forerun.domain.capacity import FloorDecision
from forerun.domain.observation import Sample
from forerun.domain.policy import Policy, Pool
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Accelerator
from forerun.plan.due import decide
from forerun.plan.inputs import DueInput, PlanInput
from forerun.plan.phase import PhaseInput, capacity_ready
from forerun.plan.planner import make_plan

GPU = "nvidia.com/gpu"
PEAK = make_forecast((3600, 60, [3950.0] * 70))  # 40 replicas at 100/s each
RECO = make_tier("reco", accelerator=Accelerator(GPU, 1, "a10"))
CPU = make_tier("reco-cpu", capacity_per_replica_rps=50.0, max_replicas=60, lead_time_seconds=30.0, rung_of="reco")
LIST = make_tier("reco-list", capacity_per_replica_rps=None, rung_of="reco")
WEB = make_tier("web", depends_on=("reco", "reco-cpu", "reco-list"), lead_time_seconds=10.0)
SHOP = make_storefront(RECO, CPU, LIST, WEB)


def policy(capacity):
    return Policy(pools=(Pool("a10", GPU, capacity),))


def planned(capacity=12, shop=SHOP, previous=None, now=NOON, forecast=PEAK):
    states = tuple(make_state(tier, 2) for tier in shop.tiers)
    given = PlanInput(now, shop, (make_campaign(),), forecast, tiers=states, policy=policy(capacity), previous=previous)
    return make_plan(given)


def test_the_rest_goes_to_the_rung_ahead_by_its_own_lead_time():
    plan = planned()
    (when, floor), *down = steps_of(plan, "reco-cpu")
    assert floor == 56  # (3950 - 12 * 100) / 50, and headroom
    web = steps_of(plan, "web")[0][0]
    assert when == web - 30
    assert next(step for step in plan.steps if step.tier == "reco-cpu").reason is Reason.FALLBACK
    assert down[-1][1] == 2
    assert not steps_of(plan, "reco-list")
    assert {(risk.reason, risk.subject) for risk in plan.risks} == {(Reason.CAPACITY_SHORT, "reco")}


def test_a_pool_that_serves_all_leaves_the_ladder_alone():
    assert steps_of(planned(capacity=64), "reco-cpu") == []


def test_a_rung_that_is_no_longer_needed_is_not_planned_any_more():
    first = planned()
    assert steps_of(planned(capacity=64, previous=first, now=at(60)), "reco-cpu") == []


def test_before_the_start_a_rung_never_goes_down_because_the_forecast_wobbled():
    first = planned()
    wobble = make_forecast((3600, 60, [3700.0] * 70))
    again = planned(previous=first, now=at(60), forecast=wobble)
    assert floor_at(again.steps, "reco-cpu", at(3600), 2) == 56


def test_what_a_rung_cannot_have_goes_to_the_next_one_and_is_told_at_the_last():
    small = make_tier("reco-small", capacity_per_replica_rps=50.0, max_replicas=10, rung_of="reco")
    tiny = make_tier("reco-tiny", capacity_per_replica_rps=25.0, max_replicas=20, rung_of="reco")
    plan = planned(shop=make_storefront(RECO, small, tiny))
    assert floor_at(plan.steps, "reco-small", at(3600), 2) == 10
    assert floor_at(plan.steps, "reco-tiny", at(3600), 2) == 20


def due(live, ready, room, floors=(12, 56, 2, 41), entry=True, second=4000):
    tiers = tuple(
        make_state(tier, 2, floor, ready=count) for tier, floor, count in zip(SHOP.tiers, floors, ready, strict=True)
    )
    samples = tuple(Sample(at(second - 10 * k), live) for k in reversed(range(6)))
    ledger = (make_entry("reco-cpu", 56), make_entry("reco", 12), make_entry("web", 41)) if entry else ()
    given = DueInput(
        at(second), SHOP, None, (make_campaign(),), tiers, samples, policy(12), ledger, room={"reco": room}
    )
    return {found.tier if isinstance(found, FloorDecision) else found.subject: found for found in decide(given)}


def test_live_demand_that_the_pool_cannot_take_raises_the_rung():
    found = due(4950.0, ready=(12, 56, 2, 50), room=12)
    assert isinstance(found["reco"], Hold)
    assert found["reco"].reason is Reason.WAITING_FOR_DONOR
    assert found["reco-cpu"].floor == 60  # its maxReplicas; 76 would serve all
    assert found["reco-cpu"].reason is Reason.FALLBACK


def test_a_rung_is_lowered_only_when_what_is_ready_above_it_serves_without_it():
    """The pool has room for 50 now, and 12 are Ready: the rung stays until the others are."""
    early = due(3950.0, ready=(12, 56, 2, 40), room=50)
    assert "reco-cpu" not in early or isinstance(early["reco-cpu"], Hold)


def readiness(*ready):
    tiers = tuple(make_state(tier, 2, count, ready=count) for tier, count in zip(SHOP.tiers, ready, strict=True))
    scheduled = make_campaign()
    given = PhaseInput(at(3599), scheduled.campaign, scheduled.occurrence, SHOP, planned(), tiers)
    return capacity_ready(given).ready


def test_capacity_is_ready_where_the_ladder_together_serves_what_it_has_to():
    assert readiness(12, 56, 2, 40)
    assert not readiness(12, 55, 2, 40)
    assert readiness(13, 54, 2, 40)
    assert not readiness(12, 56, 2, 39)
