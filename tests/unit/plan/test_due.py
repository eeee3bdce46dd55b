"""What is due at one moment, rule by rule."""

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

from forerun.domain.campaign import Mode, Occurrence
from forerun.domain.capacity import FloorDecision
from forerun.domain.ledger import Owner
from forerun.domain.observation import Sample
from forerun.domain.policy import Policy
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import TierRelease
from forerun.plan.due import decide
from forerun.plan.inputs import DueInput, PlanInput
from forerun.plan.planner import make_plan

# start 3600, end 7200, held until 7800; a floor of 10 from 3450 on
DROP = make_campaign()
WEB = chain("web")
FORECAST = make_forecast((3600, 1200, [900, 900, 900]))


def plan_of(storefront=WEB, scheduled=(DROP,), forecast=FORECAST, baseline=2, **fields):
    tiers = tuple(make_state(tier, baseline) for tier in storefront.tiers)
    return make_plan(PlanInput(NOON, storefront, tuple(scheduled), forecast, tiers=tiers, **fields))


def samples(now, *values, every=15.0):
    """The last measurements, newest last and now."""
    count = len(values)
    return tuple(Sample(at(now - every * (count - 1 - i)), value) for i, value in enumerate(values))


def due(now, floor=2, demand=(100.0,) * 5, storefront=WEB, **fields):
    values = {
        "plan": plan_of(storefront),
        "campaigns": (DROP,),
        "tiers": tuple(make_state(tier, 2, floor) for tier in storefront.tiers),
        "live": samples(now, *demand),
        "ledger": tuple(make_entry(tier.name, 10) for tier in storefront.tiers) if floor > 2 else (),
    }
    return decide(DueInput(at(now), storefront, **{**values, **fields}))


def with_rate(percent):
    """The campaign with another release rate, percent of the surplus per minute."""
    return make_campaign(rate=percent)


def only(outcomes):
    (outcome,) = outcomes
    return outcome


def summary(outcome):
    """(tier, floor, reason) of a decision, (subject, reason) of a Hold."""
    if isinstance(outcome, Hold):
        return (outcome.subject, outcome.reason)
    return (outcome.tier, outcome.floor, outcome.reason)


def summaries(outcomes):
    return [summary(outcome) for outcome in outcomes]


class TestRaising:
    def test_before_the_raise_nothing_is_due(self):
        assert due(3449) == ()

    def test_at_its_time_the_floor_is_raised_with_owner_and_expiry(self):
        decision = only(due(3450))
        assert decision == FloorDecision("web", 10, Reason.CAMPAIGN, campaigns=("drop",), expires=at(7800 + 86_400))

    def test_what_stands_is_at_rest(self):
        assert due(3460, floor=10) == ()
        assert due(5000, floor=10, demand=(900.0,) * 5) == ()

    def test_a_raise_needs_no_metric(self):
        assert summaries(due(3450, live=())) == [("web", 10, Reason.CAMPAIGN)]
        assert summaries(due(3450, live=(Hold(Reason.METRICS_UNREACHABLE),))) == [("web", 10, Reason.CAMPAIGN)]

    def test_inside_the_window_live_demand_raises_above_the_plan(self):
        assert summaries(due(4000, floor=10, demand=(1500.0,))) == [("web", 16, Reason.LIVE_DEMAND)]

    def test_live_demand_is_capped_by_the_ceiling(self):
        assert summaries(due(4000, floor=10, demand=(90_000.0,))) == [("web", 50, Reason.LIVE_DEMAND)]

    def test_live_demand_counts_without_a_plan(self):
        assert summaries(due(4000, plan=None, demand=(1500.0,))) == [("web", 16, Reason.LIVE_DEMAND)]

    def test_outside_of_windows_live_demand_raises_nothing(self):
        assert due(1000, demand=(1500.0,)) == ()
        assert due(1000, demand=(1500.0,), campaigns=(preview(DROP),), plan=None) == ()

    @pytest.mark.parametrize(
        "value", [Sample(at(3000), 1500.0), Sample(at(9000), 1500.0), Sample(at(4000), float("nan"))]
    )
    def test_a_stale_future_or_absurd_sample_raises_nothing(self, value):
        assert due(4000, floor=10, live=(value,)) == ()

    def test_a_consumer_waits_for_its_dependency_until_it_cannot_any_more(self):
        shop = chain("cache", "web")
        warming = (make_state("cache", 2, 10, ready=4), make_state("web", 2))
        ledger = (make_entry("cache", 10),)
        held = only(due(3450, storefront=shop, tiers=warming, ledger=ledger))
        assert summary(held) == ("web", Reason.WAITING_FOR_DEPENDENCY)
        assert (held.numbers, held.detail) == ({"want": 10, "ready": 4}, "cache")
        last = due(3480, storefront=shop, tiers=warming, ledger=ledger)
        assert summaries(last) == [("web", 10, Reason.CAMPAIGN)]
        ready = (make_state("cache", 2, 10, ready=10), make_state("web", 2))
        assert summaries(due(3450, storefront=shop, tiers=ready, ledger=ledger)) == [("web", 10, Reason.CAMPAIGN)]

    def test_a_freeze_holds_every_write(self):
        policy = Policy(freeze_windows=(Occurrence(at(3000), at(9000)),))
        assert summaries(due(4000, policy=policy)) == [("web", Reason.FREEZE_WINDOW)]
        assert summaries(due(8500, floor=10, policy=policy)) == [("web", Reason.FREEZE_WINDOW)]

    def test_a_late_raise_keeps_to_the_largest_step_but_live_demand_does_not_wait(self):
        policy = Policy(max_step_up_percent=100.0)
        assert summaries(due(4000, policy=policy, demand=(100.0,))) == [("web", 4, Reason.CAMPAIGN)]
        assert summaries(due(4000, policy=policy, demand=(550.0,))) == [("web", 6, Reason.CAMPAIGN)]

    def test_what_somebody_drifted_or_contested_is_not_written(self):
        entry = make_entry("web", 10)
        drifted = due(4000, floor=5, ledger=(replace(entry, drifted=True),))
        assert summaries(drifted) == [("web", Reason.DRIFTED)]
        contested = due(9000, floor=5, ledger=(replace(entry, contested=True),))
        assert summaries(contested) == [("web", Reason.CONTESTED)]

    def test_a_raise_that_stands_for_a_later_window_is_renewed_once(self):
        old = make_entry("web", 10, expires=at(5000))
        decision = only(due(3600, floor=10, ledger=(old,)))
        assert (summary(decision), decision.expires) == (("web", 10, Reason.CAMPAIGN), at(7800 + 86_400))
        assert due(3600, floor=10, ledger=(replace(old, expires=decision.expires),)) == ()

    @pytest.mark.parametrize("mode", [Mode.APPROVAL, Mode.PREVIEW])
    def test_who_may_not_act_asks_for_nothing(self, mode):
        other = replace(DROP, campaign=replace(DROP.campaign, mode=mode))
        assert due(4000, campaigns=(other,), demand=(1500.0,)) == ()

    def test_an_approved_campaign_asks(self):
        asked = replace(DROP, campaign=replace(DROP.campaign, mode=Mode.APPROVAL))
        approved = frozenset({("drop", 1)})
        assert summaries(due(4000, campaigns=(asked,), approved=approved)) == [("web", 10, Reason.CAMPAIGN)]


LOWER = make_forecast((3600, 1200, [300, 300, 300]))  # needs 4


class TestLoweringInsideAWindow:
    def lowering(self, demand=(200.0,) * 5, **fields):
        now = fields.pop("now", 5000)
        return due(now, floor=10, demand=demand, **{"plan": plan_of(forecast=LOWER), **fields})

    def test_on_evidence_in_steps(self):
        assert summaries(self.lowering()) == [("web", 9, Reason.EVIDENCE)]

    def test_never_below_what_the_samples_need(self):
        rate = with_rate(1000.0)
        policy = Policy(max_step_down_percent_per_minute=1000.0)
        fast = {"campaigns": (rate,), "policy": policy}
        assert summaries(self.lowering(**fast)) == [("web", 4, Reason.EVIDENCE)]
        assert summaries(self.lowering((200.0, 200.0, 550.0, 200.0, 200.0), **fast)) == [("web", 6, Reason.EVIDENCE)]

    def test_demand_that_fills_the_floor_keeps_it(self):
        assert self.lowering((200.0, 950.0, 200.0, 200.0, 200.0)) == ()

    def test_while_demand_rises_nothing_comes_down(self):
        """All samples need less than the floor: but the way up is no time to learn how far it goes."""
        assert self.lowering((100.0, 130.0, 160.0, 190.0, 220.0)) == ()
        assert summaries(self.lowering((220.0, 190.0, 160.0, 130.0, 100.0))) == [("web", 9, Reason.EVIDENCE)]
        assert summaries(self.lowering((200.0, 204.0, 201.0, 198.0, 205.0))) == [("web", 9, Reason.EVIDENCE)]

    @pytest.mark.parametrize("count", [1, 4])
    def test_too_few_samples_are_no_evidence(self, count):
        assert summaries(self.lowering((200.0,) * count)) == [("web", Reason.DEMAND_UNKNOWN)]

    def test_samples_of_less_than_a_minute_are_no_evidence(self):
        """An exporter that has restarted shows a dip for as long as its rate is not whole."""
        dip = samples(5000, *(200.0,) * 12, every=5.0)
        assert summaries(self.lowering(live=dip)) == [("web", Reason.DEMAND_UNKNOWN)]
        assert self.lowering(live=(Sample(at(4940), 950.0), *dip)) == ()
        assert summaries(self.lowering(live=(Sample(at(4940), 200.0), *dip))) == [("web", 9, Reason.EVIDENCE)]

    def test_samples_may_be_far_apart_but_none_is_missing(self):
        """Asked seldom: each sample was fresh when the next was taken."""
        assert summaries(self.lowering(live=samples(5000, *(200.0,) * 5, every=110.0))) == [("web", 9, Reason.EVIDENCE)]
        assert summaries(self.lowering(live=samples(5000, *(200.0,) * 5, every=130.0))) == [
            ("web", Reason.METRIC_STALE)
        ]

    def test_a_source_that_repeats_itself_is_no_evidence(self):
        assert summaries(self.lowering(live=samples(5000, 200.0) * 5)) == [("web", Reason.METRIC_STALE)]
        again = samples(4990, *(200.0,) * 5)
        assert summaries(self.lowering(live=(*again, again[-1]))) == [("web", Reason.METRIC_STALE)]
        earlier = (*again, again[-1], *samples(5000, 200.0))
        assert summaries(self.lowering(live=earlier)) == [("web", 9, Reason.EVIDENCE)]

    def test_a_gap_among_the_samples_is_no_evidence(self):
        live = (*samples(5000, 200.0, 200.0, 200.0, 200.0), Hold(Reason.METRICS_UNREACHABLE), *samples(5000, 200.0))
        assert summaries(self.lowering(live=live)) == [("web", Reason.METRICS_UNREACHABLE)]

    def test_an_autoscaler_that_wants_no_less_contradicts(self):
        tiers = (make_state("web", 2, 10, autoscaler_wants_less=False),)
        assert summaries(self.lowering(tiers=tiers)) == [("web", Reason.SIGNALS_DISAGREE)]
        agreeing = (make_state("web", 2, 10, autoscaler_wants_less=True),)
        assert summaries(self.lowering(tiers=agreeing)) == [("web", 9, Reason.EVIDENCE)]

    def test_what_the_autoscalers_metrics_ask_for_bounds_how_far_it_comes_down(self):
        """The demand metric shows a part of the truth only; the HPA goes by the load of the pods."""
        policy = Policy(max_step_down_percent_per_minute=1000.0)
        fast = {"campaigns": (with_rate(1000.0),), "policy": policy}
        tiers = (make_state("web", 2, 10, autoscaler_wants_less=True, autoscaler_recommends=8),)
        assert summaries(self.lowering(tiers=tiers, **fast)) == [("web", 8, Reason.EVIDENCE)]
        tiers = (make_state("web", 2, 10, autoscaler_recommends=99),)
        assert summaries(self.lowering(tiers=tiers, **fast)) == [("web", Reason.SIGNALS_DISAGREE)]

    def test_the_tiers_own_demand_contradicts(self):
        tiers = (make_state("web", 2, 10, own_demand_rps=1200.0),)
        assert summaries(self.lowering(tiers=tiers)) == [("web", Reason.SIGNALS_DISAGREE)]

    def test_the_tiers_own_demand_bounds_how_far_it_comes_down(self):
        policy = Policy(max_step_down_percent_per_minute=1000.0)
        tiers = (make_state("web", 2, 10, own_demand_rps=650.0),)
        assert summaries(self.lowering(campaigns=(with_rate(1000.0),), policy=policy, tiers=tiers)) == [
            ("web", 7, Reason.EVIDENCE)
        ]

    def test_while_it_is_held_after_the_end_the_window_is_still_open(self):
        assert summaries(self.lowering(now=7500, demand=(200.0,))) == [("web", Reason.DEMAND_UNKNOWN)]
        assert due(7500, floor=10, demand=(0.0,) * 5) == ()

    def test_without_a_plan_nothing_comes_down(self):
        assert summaries(self.lowering(plan=None)) == [("web", Reason.FORECAST_UNAVAILABLE)]


class TestGivingBack:
    def test_one_step_a_minute(self):
        assert summaries(due(7800, floor=10)) == [("web", 9, Reason.RELEASING)]
        waiting = make_entry("web", 10, changed_at=at(7800))
        assert due(7859, floor=9, ledger=(waiting,)) == ()
        assert summaries(due(7860, floor=9, ledger=(waiting,))) == [("web", 8, Reason.RELEASING)]

    def test_a_step_is_a_share_of_the_whole_surplus(self):
        tall = make_entry("web", 42, changed_at=at(7800))
        assert summaries(due(7860, floor=38, ledger=(tall,))) == [("web", 34, Reason.RELEASING)]
        assert summaries(due(9999, floor=38, ledger=(tall,))) == [("web", 34, Reason.RELEASING)]

    def test_the_last_step_gives_the_target_back_whole(self):
        decision = only(due(9000, floor=3))
        assert (summary(decision), decision.release) == (("web", 2, Reason.RELEASING), True)

    def test_an_entry_without_a_raise_is_closed_but_not_ahead_of_one(self):
        entry = (make_entry("web", 2),)
        closed = only(due(9000, ledger=entry))
        assert (closed.floor, closed.release) == (2, True)
        assert due(3430, ledger=entry) == ()

    @pytest.mark.parametrize(
        ("live", "reason"),
        [
            ((), Reason.DEMAND_UNKNOWN),
            ((Hold(Reason.METRICS_UNREACHABLE),), Reason.METRICS_UNREACHABLE),
            ((Sample(at(7000), 5.0),), Reason.METRIC_STALE),
            ((Sample(at(9000), float("nan")),), Reason.METRIC_ABSURD),
            ((Sample(at(9000), -1.0),), Reason.METRIC_ABSURD),
            ((Sample(at(9000), 5.0), Hold(Reason.METRICS_UNREACHABLE)), Reason.METRICS_UNREACHABLE),
        ],
    )
    def test_nothing_comes_down_on_what_is_not_known(self, live, reason):
        assert summaries(due(9000, floor=10, live=live)) == [("web", reason)]

    def test_what_has_expired_is_given_back_in_steps_even_so(self):
        expired = make_entry("web", 10, expires=at(8900))
        assert summaries(due(9000, floor=10, live=(), ledger=(expired,))) == [("web", 9, Reason.EXPIRED)]

    def test_dependencies_wait_for_their_consumers(self):
        shop = chain("cache", "web")
        assert summaries(due(9000, floor=10, storefront=shop)) == [
            ("cache", Reason.CONSUMER_NOT_RELEASED),
            ("web", 9, Reason.RELEASING),
        ]
        apart = (make_state("cache", 2, 10), make_state("web", 2, 6))
        assert summaries(
            due(9000, storefront=shop, tiers=apart, ledger=(make_entry("cache", 10), make_entry("web", 10)))
        )[0] == ("cache", 9, Reason.RELEASING)

    def uneven(self, web=6, demand=(100.0,) * 5, **fields):
        """All of the cache's 40 may go at once; the web tier still has a share of its own 8."""
        shop = chain("cache", "web")
        policy = Policy(max_step_down_percent_per_minute=100.0)
        tiers = (make_state("cache", 2, 42), make_state("web", 2, web))
        entry = make_entry("web", 10, owner=Owner.SCALE)
        values = {"tiers": tiers, "ledger": (make_entry("cache", 42), entry), "policy": policy, **fields}
        return due(9000, campaigns=(with_rate(100.0),), storefront=shop, demand=demand, **values)

    def test_part_of_a_step_waits_for_the_whole_one(self):
        assert summaries(self.uneven()) == [("cache", Reason.CONSUMER_NOT_RELEASED), ("web", 2, Reason.RELEASING)]
        assert summaries(self.uneven(web=2))[0] == ("cache", 2, Reason.RELEASING)

    def test_a_dependency_keeps_the_share_that_its_consumers_will_not_give_back(self):
        """Nobody else scales the web tier, and demand fills four or six of it: more than that share is never freed."""
        assert summaries(self.uneven(demand=(600.0,) * 5))[0] == ("cache", 22, Reason.RELEASING)
        assert summaries(self.uneven(demand=(400.0,) * 5))[0] == ("cache", Reason.CONSUMER_NOT_RELEASED)
        assert summaries(self.uneven(web=4, demand=(400.0,) * 5))[0] == ("cache", 12, Reason.RELEASING)

    def test_a_consumer_that_is_held_is_not_waited_for(self):
        """Inside a window the web tier's autoscaler contradicts: the cache takes what there is."""
        shop = chain("cache", "web")
        states = (make_state("cache", 2, 42), make_state("web", 2, 6, autoscaler_wants_less=False))
        plan = plan_of(shop, forecast=make_forecast((3600, 1200, [1.0] * 3)))
        policy = Policy(max_step_down_percent_per_minute=100.0)
        ledger = (make_entry("cache", 42), make_entry("web", 10))
        fields = {"storefront": shop, "tiers": states, "plan": plan, "policy": policy, "ledger": ledger}
        outcomes = due(5000, campaigns=(with_rate(100.0),), demand=(10.0,) * 5, **fields)
        assert summaries(outcomes) == [("cache", 22, Reason.EVIDENCE), ("web", Reason.SIGNALS_DISAGREE)]

    def test_a_consumer_that_nothing_will_move_holds_nobody_up(self):
        shop = chain("cache", "web")
        ledger = (make_entry("cache", 10), make_entry("web", 10, drifted=True))
        assert summaries(due(9000, floor=10, storefront=shop, ledger=ledger)) == [
            ("cache", 9, Reason.RELEASING),
            ("web", Reason.DRIFTED),
        ]

    def test_a_tier_that_is_never_released_is_kept(self):
        shop = make_storefront(make_tier("web", release=TierRelease.NEVER))
        for moment in (9000, 10**6):
            assert summaries(due(moment, floor=10, storefront=shop)) == [("web", Reason.KEPT)]
        assert due(5000, floor=10, storefront=shop, plan=plan_of(shop, forecast=LOWER)) == ()

    def test_suspended_and_deleted_campaigns_are_given_back_without_five_samples(self):
        suspended = replace(DROP, campaign=replace(DROP.campaign, suspend=True))
        one = {"floor": 10, "demand": (900.0,)}
        assert summaries(due(5000, campaigns=(suspended,), **one)) == [("web", 9, Reason.SUSPENDED)]
        assert summaries(due(5000, campaigns=(), **one)) == [("web", 9, Reason.RELEASING)]
        assert summaries(due(5000, campaigns=(), floor=10, live=())) == [("web", Reason.DEMAND_UNKNOWN)]

    def test_a_target_without_an_autoscaler_keeps_what_demand_fills(self):
        plain = (make_entry("web", 10, owner=Owner.SCALE),)
        assert summaries(due(9000, floor=6, demand=(600.0,) * 5, ledger=plain)) == [("web", Reason.LIVE_DEMAND)]
        assert summaries(due(9000, floor=6, demand=(450.0,) * 5, ledger=plain)) == [("web", 5, Reason.RELEASING)]
        dip = (600.0, 600.0, 600.0, 0.0, 0.0)
        assert summaries(due(9000, floor=6, demand=dip, ledger=plain)) == [("web", Reason.LIVE_DEMAND)]
        assert summaries(due(9000, floor=6, demand=(450.0,), ledger=plain)) == [("web", Reason.DEMAND_UNKNOWN)]
        assert summaries(due(9000, floor=6, demand=(600.0,))) == [("web", 5, Reason.RELEASING)]

    def test_the_slowest_rate_counts(self):
        fast = with_rate(50.0)
        assert summaries(due(9000, floor=10, campaigns=(fast,))) == [("web", 9, Reason.RELEASING)]
        quick = Policy(max_step_down_percent_per_minute=100.0)
        assert summaries(due(9000, floor=10, campaigns=(fast,), policy=quick)) == [("web", 6, Reason.RELEASING)]

    def test_a_tier_that_cannot_be_seen_is_held(self):
        assert summaries(due(9000, floor=10, tiers=())) == [("web", Reason.TARGET_NOT_FOUND)]
        assert due(9000, tiers=()) == ()

    def test_the_window_of_another_campaign_keeps_its_floor(self):
        both = (DROP, make_campaign("tv", 7000, 10_000))
        forecast = make_forecast((3600, 3400, [900, 300]))
        plan = plan_of(scheduled=both, forecast=forecast)
        assert due(8000, floor=10, plan=plan, campaigns=both) == ()
        # replanned without the one that is over
        alone = plan_of(scheduled=both[1:], forecast=forecast)
        assert summaries(due(8000, floor=10, plan=alone, campaigns=both[1:])) == [("web", 9, Reason.EVIDENCE)]
