"""What an accelerator pool may have, what is there, and who gets less."""

from dataclasses import replace
from datetime import timedelta

from tests.properties.plan_world import (
    NOON,
    at,
    floor_at,
    make_campaign,
    make_forecast,
    make_state,
    make_storefront,
    make_tier,
    steps_of,
)

from forerun.domain.campaign import Key
from forerun.domain.policy import Policy, Pool
from forerun.domain.reason import Reason
from forerun.domain.stock import Ask, Piece, Quota, Stock, Supply
from forerun.domain.storefront import Accelerator
from forerun.plan.inputs import PlanInput
from forerun.plan.planner import make_plan

GPU = "nvidia.com/gpu"
NOTHING_READ = Supply()
POOL = Policy(pools=(Pool("a10", GPU, 12),))
PEAK = make_forecast((3600, 60, [950.0] * 70))  # ten replicas at 100/s each, from 3450 on


def planned(policy=POOL, supply=NOTHING_READ, previous=None, now=NOON, scheduled=None):
    tier = make_tier("reco", accelerator=Accelerator(GPU, 1, "a10"))
    campaigns = (scheduled or make_campaign(priority=10),)
    states = (make_state(tier, 2),)
    shop = make_storefront(tier)
    return make_plan(PlanInput(now, shop, campaigns, PEAK, None, states, policy, previous, frozenset(), supply))


def rival(pieces, baseline=2, name="other", namespace="shop"):
    return Ask(Key(namespace, name), "reco", "a10", GPU, 1, baseline, tuple(pieces))


def risks(plan):
    return {risk.reason: (risk.numbers, risk.detail) for risk in plan.risks}


def second(offset):
    return int(at(offset).timestamp())


def test_what_is_declared_and_there_needs_no_word():
    plan = planned(supply=Supply((Stock("a10", GPU, 12),)))
    assert risks(plan) == {}
    assert steps_of(plan, "reco")[0] == (3450, 10)


def test_days_ahead_it_says_what_does_not_fit():
    scheduled = make_campaign(start=5 * 86400, end=5 * 86400 + 3600)
    forecast = make_forecast((5 * 86400, 60, [3950.0] * 70))
    tier = make_tier("reco", accelerator=Accelerator(GPU, 1, "a10"))
    given = PlanInput(NOON, make_storefront(tier), (scheduled,), forecast, tiers=(make_state(tier, 2),), policy=POOL)
    plan = make_plan(given)
    assert risks(plan) == {Reason.CAPACITY_SHORT: ({"want": 40, "fits": 12}, "pool a10")}
    assert max(step.floor for step in plan.steps) == 12
    assert plan.steps[0].reason is Reason.CAPACITY_SHORT


def test_what_others_hold_is_not_for_tiers():
    plan = planned(supply=Supply((Stock("a10", GPU, 12, others=5),)))
    assert risks(plan)[Reason.CAPACITY_SHORT][0] == {"want": 10, "fits": 7}


def test_what_may_still_come_is_planned_and_said():
    plan = planned(supply=Supply((Stock("a10", GPU, 4),)))
    assert risks(plan) == {Reason.STOCK_TO_COME: ({"want": 10, "there": 4}, "")}
    assert steps_of(plan, "reco")[0] == (3450, 10)


def test_a_pool_that_nobody_declares_limits_nothing_and_is_no_secret():
    undeclared = planned(Policy(), Supply((Stock("a10", GPU, 4),)))
    assert steps_of(undeclared, "reco")[0] == (3450, 10)
    numbers, remedy = risks(undeclared)[Reason.STOCK_UNKNOWN]
    assert numbers == {"want": 10, "there": 4}
    assert "declare pool a10" in remedy
    assert risks(planned(Policy(), Supply((Stock("a10", GPU, 64),)))) == {}


def test_unknown_stock_is_neither_unlimited_nor_zero():
    unread = Stock("a10", GPU, None, None, "nodes cannot be read")
    plan = planned(supply=Supply((unread,)))
    assert risks(plan) == {Reason.STOCK_UNKNOWN: ({"want": 10}, "nodes cannot be read")}
    assert steps_of(plan, "reco")[0] == (3450, 10)
    declared = planned(replace(POOL, pools=(Pool("a10", GPU, 6),)), Supply((unread,)))
    assert steps_of(declared, "reco")[0] == (3450, 6)  # a policy's word holds all the same


def test_a_quota_limits_where_a_pool_would_not():
    plan = planned(supply=Supply((Stock("a10", GPU, 12),), (Quota("gpus", GPU, 5),)))
    assert risks(plan) == {Reason.CAPACITY_SHORT: ({"want": 10, "fits": 5}, "ResourceQuota gpus")}
    assert steps_of(plan, "reco")[0] == (3450, 5)


def test_a_rival_of_higher_priority_comes_first_and_one_of_lower_does_not_matter():
    wants = [Piece(second(0), second(20_000), 10, 20)]
    low = planned(supply=Supply(rivals=(rival(wants),)))
    assert risks(low)[Reason.CAPACITY_SHORT][0] == {"want": 10, "fits": 2}
    assert max((step.floor for step in low.steps), default=2) == 2
    high = planned(supply=Supply(rivals=(rival([wants[0]._replace(priority=0)]),)))
    assert steps_of(high, "reco")[0] == (3450, 10)
    assert risks(high) == {}


def test_equals_share_what_their_baselines_leave():
    plan = planned(supply=Supply(rivals=(rival([Piece(second(0), second(20_000), 10, 10)]),)))
    assert risks(plan)[Reason.CAPACITY_SHORT][0] == {"want": 10, "fits": 6}


def test_a_donor_goes_down_in_steps_and_is_down_a_minute_before_the_receiver_comes():
    comes = 5400
    plan = planned(supply=Supply(rivals=(rival([Piece(second(comes), second(20_000), 8, 20)]),)))
    steps = steps_of(plan, "reco")
    assert steps[0] == (3450, 10)
    falling = [(when, floor) for when, floor in steps if 3450 < when < 7000]
    assert falling[-1] == (comes - 60, 4)
    assert [floor for _, floor in falling] == [9, 8, 7, 6, 5, 4]  # a tenth of the surplus, at least one, a minute
    assert all(step.reason is Reason.CAPACITY_SHORT for step in plan.steps[1:7])


def test_what_a_rival_leaves_again_is_taken_again():
    plan = planned(supply=Supply(rivals=(rival([Piece(second(0), second(5000), 10, 20)]),)))
    assert floor_at(plan.steps, "reco", at(4999), 2) == 2
    assert floor_at(plan.steps, "reco", at(5000), 2) == 10


def test_what_is_still_given_back_is_asked_for_too():
    """One of lower priority takes over as it becomes free; for one of higher priority it is given back earlier."""
    ends = make_campaign(priority=10, end=5000)  # and is held until 5600
    alone = planned(scheduled=ends)
    (ask,) = alone.asks
    assert ask.pieces[0] == Piece(second(3450), second(5600), 10, 10)
    assert [piece.replicas for piece in ask.pieces[1:]] == [10, 9, 8, 7, 6, 5, 4, 3]
    lower = planned(supply=Supply(rivals=(rival([Piece(second(5600), second(9000), 10, 0)]),)), scheduled=ends)
    assert lower.steps == alone.steps
    higher = planned(supply=Supply(rivals=(rival([Piece(second(5600), second(9000), 10, 20)]),)), scheduled=ends)
    assert floor_at(higher.steps, "reco", at(5540), 2) == 2
    assert higher.risks == ()


def test_a_plan_made_again_is_the_same():
    supply = Supply((Stock("a10", GPU, 12),), (), (rival([Piece(second(5400), second(20_000), 8, 20)]),))
    first = planned(supply=supply)
    second_plan = planned(supply=supply, previous=first, now=NOON + timedelta(seconds=60))
    assert second_plan.steps == first.steps
    assert second_plan.asks == first.asks
