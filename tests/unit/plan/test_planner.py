"""One campaign, one plan: steps, guards, hysteresis, cost and risks by example."""

from dataclasses import replace

import pytest
from tests.properties.plan_world import (
    NOON,
    at,
    chain,
    floor_at,
    make_campaign,
    make_forecast,
    make_state,
    make_storefront,
    make_tier,
    preview,
    steps_of,
)

from forerun.domain.campaign import Budget, Mode, Occurrence
from forerun.domain.policy import Policy, Pool
from forerun.domain.reason import Reason
from forerun.domain.storefront import Accelerator, TierRelease
from forerun.domain.target import Rollout
from forerun.plan.inputs import PlanInput
from forerun.plan.planner import make_plan

DROP = make_campaign()
# start 3600, end 7200, held until 7800; 975 requests/s need ten replicas of 100
PEAK = make_forecast((3600, 1200, [900, 900, 900]))


def plan_input(storefront=None, scheduled=(DROP,), forecast=PEAK, **fields) -> PlanInput:
    storefront = storefront or chain("web")
    tiers = fields.pop("tiers", tuple(make_state(tier, 2) for tier in storefront.tiers))
    return PlanInput(NOON, storefront, tuple(scheduled), forecast, tiers=tiers, **fields)


def raises_of(plan, tier="web"):
    return [(s, f) for s, f in steps_of(plan, tier) if s < 7800]


def risks_of(plan):
    return {risk.reason: risk.numbers for risk in plan.risks}


def test_a_raise_a_hold_and_a_stepped_release():
    plan = make_plan(plan_input())
    # 30 s margin, 120 s lead; 8 replicas of surplus leave one a minute
    assert steps_of(plan, "web") == [
        (3450, 10),
        *((7800 + 60 * i, 9 - i) for i in range(8)),
    ]
    assert [step.reason for step in plan.steps] == [Reason.CAMPAIGN] + [Reason.RELEASING] * 8
    assert {step.campaigns for step in plan.steps} == {("drop",)}
    assert plan.horizon == plan.steps[-1].at
    assert plan.generations == (("drop", 1),)
    assert plan.peak_rps == 900


def test_tiers_are_raised_from_the_inside_out_and_released_the_other_way():
    plan = make_plan(plan_input(chain("cache", "web")))
    assert raises_of(plan, "cache") == [(3330, 10)]
    assert raises_of(plan, "web") == [(3450, 10)]
    last = [step.tier for step in plan.steps if step.at == plan.horizon]
    assert last == ["web", "cache"]


def test_small_rises_within_an_eighth_of_the_window_are_one_step_where_they_are_far():
    """The window is 4200 s with its hold. What comes within two leads of the start is near, and planned by the minute."""
    demands = [100, 100, 100, 300, 300, 500] + [700] * 36
    plan = make_plan(plan_input(forecast=make_forecast((3600, 100, demands))))
    assert raises_of(plan) == [(3750, 8)]  # two replicas serve until then
    near = make_plan(plan_input(forecast=make_forecast((3600, 50, [100, 300, 500, 500, 700, 700]))))
    assert raises_of(near) == [(3450, 4), (3550, 6), (3650, 8)]


def test_a_long_curve_stays_short():
    demands = [10.0 * i for i in range(360)]
    plan = make_plan(plan_input(chain("cache", "web"), forecast=make_forecast((3600, 10, demands))))
    assert len(raises_of(plan)) <= 14
    assert len(plan.steps) <= 200


def test_two_hundred_steps_are_the_most():
    names = [f"tier-{i}" for i in range(12)]
    storefront = make_storefront(*(make_tier(name) for name in names))
    scheduled = [make_campaign(f"c{i}", 3600 + 20_000 * i, 7200 + 20_000 * i) for i in range(12)]
    forecast = make_forecast(*((3600 + 20_000 * i, 1200, [900, 900, 900]) for i in range(12)))
    plan = make_plan(plan_input(storefront, scheduled, forecast))
    assert 100 < len(plan.steps) <= 200
    # the nearest windows are whole, and in time
    assert all(raises_of(plan, name)[0] == (3450, 10) for name in names)


def test_a_tier_that_is_never_released_keeps_its_floor():
    storefront = make_storefront(make_tier("cache", release=TierRelease.NEVER))
    plan = make_plan(plan_input(storefront))
    assert [(step.floor, step.reason) for step in plan.steps] == [(10, Reason.CAMPAIGN), (10, Reason.KEPT)]


def test_a_baseline_above_the_need_is_left_alone():
    plan = make_plan(plan_input(tiers=(make_state("web", 30),)))
    assert plan.steps == ()
    assert plan.cost.replica_hours == 0


def test_a_higher_service_level_plans_for_more():
    wide = make_forecast((3600, 1200, [900, 900, 900]), flat=False)
    low = make_plan(plan_input(scheduled=[make_campaign(service_level=0.5)], forecast=wide))
    high = make_plan(plan_input(scheduled=[make_campaign(service_level=0.999)], forecast=wide))
    assert raises_of(low) == [(3450, 9)]
    assert raises_of(high) == [(3450, 13)]


def test_the_strictest_of_two_open_campaigns_counts_only_while_it_is_open():
    wide = make_forecast((3600, 3600, [900, 900, 900]), flat=False)
    lax = make_campaign("lax", 3600, 14_400, service_level=0.5)
    strict = make_campaign("strict", 7200, 10_800, service_level=0.999, hold_for_seconds=0.0)
    plan = make_plan(plan_input(scheduled=[lax, strict], forecast=wide))
    assert [(s, f) for s, f in steps_of(plan, "web") if s < 14_400] == [(3450, 9), (7050, 13)]
    assert {step.campaigns for step in plan.steps} == {("lax", "strict")}


def test_more_than_the_ceiling_is_capped_and_said():
    plan = make_plan(plan_input(make_storefront(make_tier("web", max_replicas=6))))
    assert raises_of(plan) == [(3450, 6)]
    assert plan.steps[0].reason is Reason.MAX_REPLICAS
    assert risks_of(plan) == {Reason.MAX_REPLICAS: {"want": 10, "fits": 6}}


def test_a_pool_is_divided_above_the_baselines():
    gpu = Accelerator("nvidia.com/gpu", 1, "a10")
    storefront = make_storefront(make_tier("small", accelerator=gpu), make_tier("large", accelerator=gpu))
    plan = make_plan(plan_input(storefront, policy=Policy(pools=(Pool("a10", "nvidia.com/gpu", 13),))))
    assert (raises_of(plan, "small")[-1][1], raises_of(plan, "large")[-1][1]) == (7, 6)
    assert {(r.subject, r.numbers["fits"]) for r in plan.risks} == {("small", 7), ("large", 6)}


def test_a_budget_caps_the_surplus():
    scheduled = make_campaign(budget=Budget(replica_hours=5.0))
    plan = make_plan(plan_input(scheduled=[scheduled]))
    assert plan.cost.replica_hours <= 5.0
    assert raises_of(plan) == [(3450, 6)]
    assert risks_of(plan) == {Reason.BUDGET_EXCEEDED: {"want": 10, "fits": 6}}
    roomy = make_plan(plan_input(policy=Policy(replica_hours=100.0)))
    assert roomy.steps == make_plan(plan_input()).steps


def test_the_policys_budget_holds_where_the_campaign_names_none():
    plan = make_plan(plan_input(policy=Policy(replica_hours=5.0)))
    assert raises_of(plan) == [(3450, 6)]


def test_cost_counts_replicas_and_accelerators_above_the_baseline():
    storefront = make_storefront(make_tier("web", accelerator=Accelerator("nvidia.com/gpu", 2, "a10")))
    plan = make_plan(
        plan_input(storefront, scheduled=[make_campaign(rate=1000.0)], policy=Policy("p", (), (), None, 1000.0))
    )
    hours = 8 * (7800 - 3450) / 3600
    assert plan.cost.replica_hours == pytest.approx(hours)
    assert plan.cost.accelerator_hours == pytest.approx(2 * hours)


def test_a_ramp_splits_a_raise_ahead_of_its_time():
    plan = make_plan(plan_input(policy=Policy(max_step_up_percent=100.0)))
    assert raises_of(plan) == [(3330, 3), (3390, 5), (3450, 10)]


def test_what_a_ramped_tier_depends_on_is_ready_before_the_first_step():
    plan = make_plan(plan_input(chain("cache", "web"), policy=Policy(max_step_up_percent=100.0)))
    assert raises_of(plan)[0] == (3330, 3)
    assert raises_of(plan, "cache")[-1] == (3330 - 120, 10)


def test_a_raise_inside_a_freeze_comes_just_before_it_and_dependencies_before_that():
    policy = Policy(freeze_windows=(Occurrence(at(3000), at(4000)),))
    plan = make_plan(plan_input(chain("cache", "web"), policy=policy))
    assert raises_of(plan) == [(2999, 10)]
    assert raises_of(plan, "cache") == [(2879, 10)]


def test_the_way_down_waits_for_the_end_of_a_freeze():
    plan = make_plan(plan_input(policy=Policy(freeze_windows=(Occurrence(at(7850), at(9000)),))))
    assert steps_of(plan, "web")[1:4] == [(7800, 9), (9000, 8), (9060, 7)]


def test_preview_is_only_proposed():
    plan = make_plan(plan_input(scheduled=[preview(make_campaign())], forecast=None, proposed_forecast=PEAK))
    assert plan.steps == ()
    assert [step.floor for step in plan.proposed][0] == 10
    assert [(hold.reason, hold.subject) for hold in plan.holds] == [(Reason.PREVIEW, "drop")]


def test_an_approval_is_for_one_generation():
    asked = make_campaign(mode=Mode.APPROVAL)
    given = plan_input(scheduled=[asked], forecast=PEAK, proposed_forecast=PEAK)
    assert make_plan(given).steps == ()
    assert make_plan(given).holds[0].reason is Reason.APPROVAL_REQUIRED
    assert make_plan(replace(given, approved=frozenset({("drop", 2)}))).steps == ()
    approved = make_plan(replace(given, approved=frozenset({("drop", 1)})))
    assert approved.steps == make_plan(plan_input()).steps
    assert approved.proposed == ()


def test_proposed_is_what_a_preview_would_add():
    running, shown = make_campaign(), preview(make_campaign("tv", 20_000, 23_600))
    both = make_forecast((3600, 1200, [900, 900, 900]), (20_000, 1200, [500, 500, 500]))
    plan = make_plan(plan_input(scheduled=[running, shown], proposed_forecast=both))
    assert plan.steps == make_plan(plan_input()).steps
    assert {step.campaigns for step in plan.proposed} == {("tv",)}


def test_above_the_policys_limit_an_approval_is_needed():
    given = plan_input(policy=Policy(require_approval_above_replicas=7))
    plan = make_plan(given)
    assert raises_of(plan) == [(3450, 7)]
    assert (at(3450), 10) in {(step.at, step.floor) for step in plan.proposed}
    assert risks_of(plan) == {Reason.APPROVAL_REQUIRED: {"want": 10, "fits": 7}}
    assert raises_of(make_plan(replace(given, approved=frozenset({("drop", 1)})))) == [(3450, 10)]


def test_a_wobble_before_the_start_changes_nothing_but_a_real_rise_does():
    first = make_plan(plan_input())
    lower = plan_input(forecast=make_forecast((3600, 1200, [500, 500, 500])), previous=first)
    assert raises_of(make_plan(lower)) == [(3450, 10)]
    hundred = make_plan(plan_input(forecast=make_forecast((3600, 1200, [3900] * 3))))
    assert raises_of(hundred) == [(3450, 40)]
    little = plan_input(forecast=make_forecast((3600, 1200, [4050] * 3)), previous=hundred)
    assert raises_of(make_plan(little)) == [(3450, 40)]
    more = plan_input(forecast=make_forecast((3600, 1200, [4400] * 3)), previous=hundred)
    assert raises_of(make_plan(more)) == [(3450, 45)]


def test_a_small_shortage_is_still_said_when_it_is_planned_again():
    demand = make_forecast((3600, 1200, [3900, 3900, 3900]))
    first = make_plan(plan_input(forecast=demand, policy=Policy(require_approval_above_replicas=39)))
    again = make_plan(plan_input(forecast=demand, policy=Policy(require_approval_above_replicas=39), previous=first))
    assert risks_of(again) == risks_of(first) == {Reason.APPROVAL_REQUIRED: {"want": 40, "fits": 39}}
    assert again.steps == first.steps


def test_after_the_start_the_forecast_may_come_down():
    first = make_plan(plan_input())
    lower = plan_input(forecast=make_forecast((3600, 1200, [500, 500, 500])), previous=first)
    assert raises_of(make_plan(replace(lower, now=at(3600)))) == [(3450, 6)]


class TestInsideTheWindow:
    """The window is open from 3600 to 7200, held until 7800; the lead is 120 s, and 30 s of margin."""

    first = make_plan(plan_input(forecast=make_forecast((3600, 1200, [3900] * 3))))  # 40 from 3450 on

    def again(self, now, demands, previous=None, **fields):
        step = 3600 / len(demands)
        forecast = make_forecast((3600, step, demands))
        return make_plan(replace(plan_input(forecast=forecast, previous=previous or self.first, **fields), now=at(now)))

    def test_within_two_or_three_percent_the_plan_stays_as_it_is(self):
        hundred = make_plan(plan_input(forecast=make_forecast((3600, 1200, [4900] * 3))))
        for demands in ([4950] * 3, [4800] * 3):
            assert self.again(4000, demands, hundred).steps == hundred.steps
        assert raises_of(self.again(4000, [4700] * 3, hundred)) == [(3450, 48)]

    def test_a_need_beyond_is_planned_from_now_on_and_what_is_past_stays(self):
        assert raises_of(self.again(4000, [4400] * 3)) == [(3450, 40), (4000, 45)]
        assert raises_of(self.again(4000, [3900, 3900, 4400])) == [(3450, 40), (5850, 45)]

    def test_what_is_not_needed_any_more_is_not_planned_any_more(self):
        ten = make_plan(plan_input())
        assert raises_of(self.again(4000, [800] * 3, ten)) == [(3450, 9)]
        assert raises_of(self.again(4000, [3600] * 3)) == [(3450, 37)]

    def test_a_spike_that_has_passed_holds_nothing_up(self):
        """Demand was high in the first 1200 s: afterwards only what still comes counts."""
        assert raises_of(self.again(4000, [3900, 500, 500])) == [(3450, 40)]
        assert [floor for _, floor in raises_of(self.again(4900, [3900, 500, 500]))] == [6]

    def test_raises_to_come_are_few(self):
        """Those within an eighth of the window, with its hold, of one that is new are one with it."""
        demands = [3900, 3900, 3900, 4400, 4600, 4800, 5000, 5000, 5000]
        assert raises_of(self.again(4000, demands)) == [(3450, 40), (4650, 47), (5450, 50)]  # 50 is the ceiling

    def test_a_raise_to_come_is_moved_when_it_is_near(self):
        planned = self.again(3700, [3900] * 12 + [4900] * 6)
        assert raises_of(planned) == [(3450, 40), (5850, 50)]
        earlier = [3900] * 11 + [4900] * 7
        assert raises_of(self.again(3700, earlier, planned)) == raises_of(planned)
        assert raises_of(self.again(5640, earlier, planned)) == [(3450, 40), (5650, 50)]
        assert raises_of(self.again(5660, earlier, planned)) == [(3450, 40), (5660, 50)]
        put_off = [3900] * 13 + [4900] * 5
        assert raises_of(self.again(5000, put_off, planned)) == [(3450, 40), (6050, 50)]

    @pytest.mark.parametrize(("now", "floors"), [(7079, [40, 45]), (7081, [40]), (7300, [40])])
    def test_what_is_only_forecast_raises_nothing_in_the_last_lead_time(self, now, floors):
        assert [floor for _, floor in raises_of(self.again(now, [4400] * 3))] == floors

    def test_a_tier_without_a_raise_is_steady_too(self):
        none = make_plan(plan_input(forecast=make_forecast((3600, 1200, [100] * 3))))
        assert raises_of(none) == []
        assert raises_of(self.again(4000, [900] * 3, none)) == [(4000, 10)]
        assert raises_of(self.again(7100, [900] * 3, none)) == []

    def test_raises_stay_out_of_a_freeze(self):
        policy = Policy(freeze_windows=(Occurrence(at(3900), at(4200)),))
        assert raises_of(self.again(4000, [4400] * 3, policy=policy)) == [(3450, 40), (3899, 45)]

    def test_a_rise_of_one_is_still_capped_and_said(self):
        policy = Policy(require_approval_above_replicas=39)
        capped = make_plan(plan_input(forecast=make_forecast((3600, 1200, [3900] * 3)), policy=policy))
        plan = self.again(4000, [3900] * 3, capped, policy=policy)
        assert plan.steps == capped.steps
        assert risks_of(plan)[Reason.APPROVAL_REQUIRED] == {"want": 40, "fits": 39}

    def test_another_way_down_alone_is_no_new_plan(self):
        policy = Policy(max_step_down_percent_per_minute=5.0)
        plan = self.again(4000, [3900] * 3, policy=policy)
        assert (plan.steps, plan.cost, plan.horizon) == (self.first.steps, self.first.cost, self.first.horizon)
        before = make_plan(plan_input(forecast=make_forecast((3600, 1200, [3900] * 3)), policy=policy))
        assert before.steps != plan.steps

    def test_an_edited_campaign_is_planned_anew(self):
        edited = make_campaign(generation=2)
        assert raises_of(self.again(4000, [4000] * 3, scheduled=[edited])) == [(3450, 41)]


@pytest.mark.parametrize("change", ["edited", "suspended", "deleted"])
def test_a_campaign_that_changed_holds_nothing(change):
    first = make_plan(plan_input())
    campaign = make_campaign().campaign
    scheduled = {
        "edited": [make_campaign(generation=2)],
        "suspended": [replace(make_campaign(), campaign=replace(campaign, suspend=True))],
        "deleted": [],
    }[change]
    forecast = make_forecast((3600, 1200, [500, 500, 500]))
    plan = make_plan(plan_input(scheduled=scheduled, forecast=forecast, previous=first))
    assert raises_of(plan) == ([(3450, 6)] if change == "edited" else [])


def test_what_is_asked_for_wins_over_an_expected_way_down():
    """A slow release of one window reaches into the raise of the next: the plan says what the next one needs."""
    slow = make_campaign(rate=1.0)
    second = make_campaign("tv", 8400, 9000)
    forecast = make_forecast((3600, 1200, [4900, 4900, 4900]), (8400, 600, [1900]))
    plan = make_plan(plan_input(scheduled=[slow, second], forecast=forecast))
    inside = [(s, f) for s, f in steps_of(plan, "web") if 8250 <= s < 9600]
    assert inside == [(8250, 20)]
    assert {step.campaigns for step in plan.steps if step.at >= at(8250)} == {("tv",)}
    after = [f for s, f in steps_of(plan, "web") if s >= 8250]
    assert after == sorted(after, reverse=True)


def test_what_was_planned_for_the_last_occurrence_is_not_held_for_the_next():
    first = make_plan(plan_input())
    next_week = make_campaign(start=603_600, end=607_200)
    forecast = make_forecast((603_600, 1200, [300, 300, 300]))
    plan = make_plan(plan_input(scheduled=[next_week], forecast=forecast, previous=first))
    assert steps_of(plan, "web")[0] == (603_450, 4)


def test_an_unknown_capacity_holds_that_tier_as_it_was_planned():
    first = make_plan(plan_input(chain("cache", "web")))
    unknown = make_storefront(
        make_tier("cache", capacity_per_replica_rps=None), make_tier("web", depends_on=("cache",))
    )
    plan = make_plan(plan_input(unknown, previous=first))
    assert steps_of(plan, "cache") == steps_of(first, "cache")
    assert steps_of(plan, "web") == steps_of(first, "web")
    assert [(hold.reason, hold.subject) for hold in plan.holds] == [(Reason.DEMAND_UNKNOWN, "cache")]
    assert plan.risks == plan.holds
    fresh = make_plan(plan_input(unknown))
    assert steps_of(fresh, "cache") == []


def test_a_forecast_that_misses_the_window_holds_what_was_planned():
    first = make_plan(plan_input())
    elsewhere = make_forecast((50_000, 1200, [100]))
    plan = make_plan(plan_input(forecast=elsewhere, previous=first))
    assert plan.steps == first.steps
    assert plan.risks[0].reason is Reason.DEMAND_UNKNOWN


def test_a_forecast_that_begins_in_the_middle_of_the_window_is_enough():
    later = make_forecast((5000, 1000, [900, 900, 900]))
    plan = make_plan(replace(plan_input(forecast=later), now=at(5000)))
    assert floor_at(plan.steps, "web", at(5000), 2) == 10


@pytest.mark.parametrize(("now", "late"), [(0, None), (3451, None), (3480, None), (3500, 20.0), (3700, 220.0)])
def test_what_begins_too_late_is_a_risk(now, late):
    plan = make_plan(replace(plan_input(), now=at(now)))
    assert risks_of(plan).get(Reason.LATE) == (None if late is None else {"seconds_late": late})
    assert plan.steps == make_plan(plan_input()).steps


def test_what_stands_already_is_not_late():
    raised = (make_state("web", 2, 10),)
    assert make_plan(replace(plan_input(tiers=raised), now=at(3550))).risks == ()


def test_a_tier_whose_target_is_not_known_is_not_planned():
    plan = make_plan(plan_input(chain("cache", "web"), tiers=(make_state("web", 2),)))
    assert steps_of(plan, "cache") == []
    assert raises_of(plan) == [(3450, 10)]
    assert (Reason.TARGET_NOT_FOUND, "cache") in {(hold.reason, hold.subject) for hold in plan.holds}


def test_a_rollout_moves_no_raise_and_is_told_where_it_runs_into_one():
    """The raise of 120 s of lead and 30 s of margin begins at 3450; a rollout that may outlast that is a risk."""
    rolling = (make_state("web", 2, rollout=Rollout(3, 10)),)
    soon = replace(plan_input(tiers=rolling), now=at(3400))
    told = make_plan(soon)
    assert risks_of(told)[Reason.ROLLOUT_IN_PROGRESS] == {"updated": 3, "replicas": 10}
    assert told.steps == make_plan(replace(soon, tiers=(make_state("web", 2),))).steps
    assert not told.holds


def test_a_rollout_long_before_the_raise_or_after_it_is_no_risk():
    rolling = (make_state("web", 2, rollout=Rollout(3, 10)),)
    assert Reason.ROLLOUT_IN_PROGRESS not in risks_of(make_plan(plan_input(tiers=rolling)))
    raised = (make_state("web", 2, 10, rollout=Rollout(3, 10)),)
    assert Reason.ROLLOUT_IN_PROGRESS not in risks_of(make_plan(replace(plan_input(tiers=raised), now=at(3500))))
