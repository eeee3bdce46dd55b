"""The plan: what must hold of every plan, whatever the shop, the campaign and the forecast."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st
from tests.properties.plan_world import (
    NOON,
    at,
    campaigns,
    floor_at,
    forecasts,
    given,
    make_campaign,
    make_forecast,
    make_state,
    make_storefront,
    preview,
    storefronts,
)

from forerun.domain.campaign import Budget, Occurrence
from forerun.domain.policy import Policy, Pool
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Accelerator, Storefront, TierRelease
from forerun.plan.inputs import PlanInput
from forerun.plan.planner import make_plan
from forerun.plan.service_level import quantile_at
from forerun.plan.sizing import size
from forerun.plan.windows import stretches

freezes = st.lists(st.tuples(st.integers(-5000, 20_000), st.integers(1, 4000)), max_size=2)
baselines = st.lists(st.integers(0, 8), min_size=4, max_size=4)


def states(storefront: Storefront, counts) -> tuple:
    return tuple(make_state(tier, count) for tier, count in zip(storefront.tiers, counts, strict=False))


@st.composite
def plan_inputs(draw, release=None) -> PlanInput:
    storefront = draw(storefronts(release))
    scheduled = tuple(draw(campaigns(name)) for name in ["drop", "letter"][: draw(st.integers(1, 2))])
    return PlanInput(
        now=NOON,
        storefront=storefront,
        campaigns=scheduled,
        forecast=draw(forecasts(*scheduled)),
        tiers=states(storefront, draw(baselines)),
        policy=Policy(
            max_step_up_percent=draw(st.sampled_from([None, None, 50.0, 100.0])),
            max_step_down_percent_per_minute=draw(st.sampled_from([5.0, 10.0, 100.0])),
            freeze_windows=tuple(
                Occurrence(at(start), at(start + length)) for start, length in draw(st.just([]) | freezes)
            ),
        ),
    )


def hold_until(scheduled):
    return scheduled.occurrence.end + timedelta(seconds=scheduled.campaign.release.hold_for_seconds)


@given(plan_inputs())
def test_no_floor_below_baseline_or_above_the_ceiling(given_input):
    plan = make_plan(given_input)
    state = {s.tier: s for s in given_input.tiers}
    assert len(plan.steps) <= 200
    assert list(plan.steps) == sorted(plan.steps, key=lambda step: step.at)
    for step in plan.steps:
        baseline = state[step.tier].baseline
        assert baseline <= step.floor <= max(baseline, given_input.storefront.tier(step.tier).max_replicas)
        assert step.campaigns
        assert set(step.campaigns) <= {sc.campaign.key.name for sc in given_input.campaigns}


def cells(given_input, scheduled):
    """(begin, end, demand at the level asked for) of all forecast cells that lie in the window of a campaign."""
    level = scheduled.campaign.service_level or given_input.policy.service_level
    for segment in given_input.forecast.segments:
        for i, row in enumerate(segment.quantiles):
            begin = max(segment.start + timedelta(seconds=i * segment.step_seconds), scheduled.occurrence.start)
            end = min(segment.start + timedelta(seconds=(i + 1) * segment.step_seconds), hold_until(scheduled))
            if begin < end:
                yield begin, end, quantile_at(row, level)


@given(plan_inputs())
def test_inside_a_window_the_floor_serves_the_forecast(given_input):
    """At every point of every window, and one lead time ahead of it (the raise has begun by then)."""
    plan = make_plan(given_input)
    state = {s.tier: s for s in given_input.tiers}
    for scheduled in given_input.campaigns:
        for begin, _, demand in cells(given_input, scheduled):
            for tier in given_input.storefront.tiers:
                need, baseline = size(tier, demand), state[tier.name].baseline
                ahead = begin - timedelta(seconds=tier.lead_time_seconds)
                assert floor_at(plan.steps, tier.name, begin, baseline) >= need
                assert floor_at(plan.steps, tier.name, ahead, baseline) >= need


@given(plan_inputs())
def test_no_floor_comes_down_inside_a_window(given_input):
    if len(stretches(given_input.campaigns)) > 1:
        return  # the way down of one window may reach into the next
    plan = make_plan(given_input)
    for tier in given_input.storefront.tiers:
        floor = next(s.baseline for s in given_input.tiers if s.tier == tier.name)
        for step in (s for s in plan.steps if s.tier == tier.name):
            inside = any(sc.occurrence.start <= step.at < hold_until(sc) for sc in given_input.campaigns)
            assert not (inside and step.floor < floor), step
            floor = step.floor


@given(plan_inputs(TierRelease.GRADUAL))
def test_every_raise_ends_at_the_baseline(given_input):
    plan = make_plan(given_input)
    for state in given_input.tiers:
        assert floor_at(plan.steps, state.tier, plan.horizon, state.baseline) == state.baseline


@given(plan_inputs(TierRelease.NEVER))
def test_a_tier_that_is_never_released_keeps_its_floor_and_says_so(given_input):
    plan = make_plan(given_input)
    for tier in given_input.storefront.tiers:
        steps = [step for step in plan.steps if step.tier == tier.name]
        floors = [step.floor for step in steps]
        assert floors == sorted(floors) or len(given_input.campaigns) > 1
        assert not any(step.reason is Reason.RELEASING for step in steps)
        if steps:
            assert steps[-1].reason is Reason.KEPT


@given(plan_inputs(TierRelease.GRADUAL))
def test_steps_down_stay_within_the_policy(given_input):
    """In any minute a tier gives back at most the percentage of its surplus, or one replica."""
    if len(given_input.campaigns) > 1:
        given_input = replace(given_input, campaigns=given_input.campaigns[:1])
    plan = make_plan(given_input)
    rate = min(
        given_input.policy.max_step_down_percent_per_minute,
        given_input.campaigns[0].campaign.release.max_step_percent_per_minute,
    )
    for state in given_input.tiers:
        steps = [step for step in plan.steps if step.tier == state.tier]
        peak = max((step.floor for step in steps), default=state.baseline)
        minute_worth = max(1, int((peak - state.baseline) * rate / 100 + 1e-9))
        begun = hold_until(given_input.campaigns[0])
        for step in steps:
            if step.reason is Reason.RELEASING:
                minutes = 1 + int((step.at - begun).total_seconds() // 60)
                assert step.floor >= max(state.baseline, peak - minutes * minute_worth)


@given(plan_inputs(), examples=200)
def test_dependencies_are_ready_before_their_consumers_are_raised(given_input):
    """When a consumer rises beyond some demand, what it depends on has been at its floor for it for one lead."""
    if len(given_input.campaigns) > 1:
        return
    plan = make_plan(given_input)
    state = {s.tier: s for s in given_input.tiers}
    demands_of = sorted(demand for _, _, demand in cells(given_input, given_input.campaigns[0]))
    for step in plan.steps:
        tier = given_input.storefront.tier(step.tier)
        before = floor_at(plan.steps, tier.name, step.at - timedelta(seconds=1), state[tier.name].baseline)
        beyond = next((demand for demand in demands_of if size(tier, demand) > before), None)
        if step.floor <= before or beyond is None:
            continue
        for name in tier.depends_on:
            dependency = given_input.storefront.tier(name)
            ready_by = step.at - timedelta(seconds=dependency.lead_time_seconds)
            assert floor_at(plan.steps, name, ready_by, state[name].baseline) >= size(dependency, beyond)


@given(plan_inputs(TierRelease.GRADUAL))
def test_consumers_are_released_no_later_than_their_dependencies(given_input):
    plan = make_plan(given_input)
    state = {s.tier: s for s in given_input.tiers}

    def fraction(name, when):
        floors = [s.floor for s in plan.steps if s.tier == name]
        surplus = max(floors, default=0) - state[name].baseline
        if surplus <= 0:
            return 0.0
        return (floor_at(plan.steps, name, when, state[name].baseline) - state[name].baseline) / surplus

    if len(given_input.campaigns) > 1:
        return
    begun = hold_until(given_input.campaigns[0])
    moments = {step.at for step in plan.steps if step.at >= begun}
    for tier in given_input.storefront.tiers:
        for dependency in tier.depends_on:
            raised = [s.floor for s in plan.steps if s.tier == dependency]
            if not raised or max(raised) <= state[dependency].baseline:
                continue
            for when in moments:
                assert fraction(dependency, when) >= fraction(tier.name, when)


@given(plan_inputs(), st.integers(0, 500), st.data())
def test_replanning_changes_nothing(given_input, later, data):
    """Equal inputs a little later, before the earliest raise or after it, give equal steps."""
    accelerator = Accelerator("nvidia.com/gpu", 2, "a10")
    tiers = (replace(t, accelerator=accelerator) for t in given_input.storefront.tiers)
    policy = replace(
        given_input.policy,
        replica_hours=data.draw(st.none() | st.floats(0, 50)),
        require_approval_above_replicas=data.draw(st.none() | st.integers(1, 20)),
        pools=data.draw(st.just(()) | st.just((Pool("a10", "nvidia.com/gpu", 20),))),
    )
    given_input = replace(given_input, policy=policy, storefront=make_storefront(*tiers))
    first = make_plan(given_input)
    second = make_plan(replace(given_input, now=at(later), previous=first))
    third = make_plan(replace(given_input, now=at(later + 60), previous=second))
    assert second.steps == first.steps
    assert third.steps == first.steps
    assert second.proposed == third.proposed
    assert second.risks == first.risks or later


@given(plan_inputs(), st.integers(0, 20_000), st.data())
def test_before_the_start_no_floor_that_is_due_goes_down(given_input, later, data):
    given_input = replace(given_input, campaigns=given_input.campaigns[:1])
    first = make_plan(given_input)
    now = min(at(later), given_input.campaigns[0].occurrence.start - timedelta(seconds=1))
    wobbled = data.draw(forecasts(*given_input.campaigns))
    second = make_plan(replace(given_input, forecast=wobbled, previous=first, now=now))
    released = hold_until(given_input.campaigns[0])
    for state in given_input.tiers:
        stands = floor_at(first.steps, state.tier, now, state.baseline)
        times = [now, *(step.at for step in second.steps if step.tier == state.tier)]
        assert all(
            floor_at(second.steps, state.tier, t, state.baseline) >= stands for t in times if now <= t < released
        )


@given(plan_inputs(), st.lists(st.floats(0.0, 5000.0), min_size=1, max_size=12), st.sampled_from([20.0, 60.0, 300.0]))
def test_what_demand_may_rise_to_only_lowers_a_plan_and_is_served(given_input, demands, step):
    """Never above the plan without it, and never below what the lower of both needs a lead ahead."""
    given_input = replace(given_input, campaigns=given_input.campaigns[:1], policy=Policy())
    (scheduled,) = given_input.campaigns
    now = scheduled.occurrence.start
    ahead = make_forecast(((now - NOON).total_seconds(), step, sorted(demands))).segments[0]
    bare = replace(given_input, now=now)
    plan = make_plan(bare)
    limited = make_plan(replace(bare, forecast=replace(bare.forecast, reach=ahead)))
    for tier in given_input.storefront.tiers:
        baseline = next(s.baseline for s in given_input.tiers if s.tier == tier.name)
        for number, row in enumerate(ahead.quantiles):
            when = ahead.start + timedelta(seconds=number * step)
            if when >= scheduled.occurrence.end:
                break
            floor = floor_at(limited.steps, tier.name, when, baseline)
            assert floor <= floor_at(plan.steps, tier.name, when, baseline)
            segment = bare.forecast.segments[0]
            place = int((when - segment.start).total_seconds() // segment.step_seconds)
            if 0 <= place < len(segment.quantiles):
                needed = min(quantile_at(row, 0.99), quantile_at(segment.quantiles[place], 0.99))
                assert floor >= max(baseline, size(tier, needed))


@given(plan_inputs(), st.data())
def test_inside_a_window_a_plan_is_steady_and_not_short(given_input, data):
    """Any forecasts one after another: what is owed serves the newest within 5 %, and asked again nothing changes."""
    given_input = replace(given_input, campaigns=given_input.campaigns[:1], policy=Policy())
    (scheduled,) = given_input.campaigns
    plan = make_plan(given_input)
    opened = (scheduled.occurrence.start - NOON).total_seconds()
    length = (scheduled.occurrence.end - scheduled.occurrence.start).total_seconds()
    for share in sorted(data.draw(st.lists(st.floats(0.0, 1.0), max_size=3))):
        now = at(opened + int(share * length))
        fresh = replace(given_input, forecast=data.draw(forecasts(scheduled)), now=now)
        needed, before = make_plan(fresh), plan
        plan = make_plan(replace(fresh, previous=before))
        assert make_plan(replace(fresh, previous=plan)).steps == plan.steps
        for tier in given_input.storefront.tiers:
            baseline = next(s.baseline for s in given_input.tiers if s.tier == tier.name)
            owed = floor_at(plan.steps, tier.name, now, baseline)
            wanted = floor_at(needed.steps, tier.name, now, baseline)
            if now <= scheduled.occurrence.end - timedelta(seconds=tier.lead_time_seconds):
                assert owed * 1.05 >= wanted
            else:
                assert owed * 1.05 >= min(wanted, floor_at(before.steps, tier.name, now, baseline))
            rising = [s.floor for s in plan.steps if s.tier == tier.name and s.reason is Reason.CAMPAIGN]
            assert rising == sorted(rising)


@given(plan_inputs(), st.floats(1.0, 3.0), st.integers(0, 20_000))
def test_more_demand_never_a_lower_floor(given_input, factor, second):
    more = replace(
        given_input.forecast,
        segments=tuple(
            replace(s, quantiles=tuple(tuple(v * factor for v in row) for row in s.quantiles))
            for s in given_input.forecast.segments
        ),
    )
    # the times of raises are those of the demand's records, which a factor does not move
    low = make_plan(replace(given_input, policy=Policy()))
    high = make_plan(replace(given_input, policy=Policy(), forecast=more))
    ends = [hold_until(sc) for sc in given_input.campaigns]
    for state in given_input.tiers:
        if at(second) < min(ends):
            assert floor_at(low.steps, state.tier, at(second), state.baseline) <= floor_at(
                high.steps, state.tier, at(second), state.baseline
            )


@given(storefronts(TierRelease.GRADUAL), st.integers(1, 5000), st.integers(1, 5000))
def test_two_campaigns_add_up_in_demand(storefront, one, other):
    """The forecast adds demands; where both are open the floor serves the sum, not the sum of two floors."""
    both = (make_campaign("one", 3600, 7200), make_campaign("two", 5400, 9000))
    forecast = make_forecast((3600, 1800, [one, one + other, other]))
    tiers = states(storefront, [1] * 4)
    plan = make_plan(PlanInput(NOON, storefront, both, forecast, tiers=tiers))
    for tier in storefront.tiers:
        assert floor_at(plan.steps, tier.name, at(5400), 1) == max(1, size(tier, float(one + other)))


@given(plan_inputs(), st.integers(1, 40))
def test_pools_are_never_promised_twice(given_input, capacity):
    accelerator = Accelerator("nvidia.com/gpu", 2, "a10")
    storefront = make_storefront(*(replace(t, accelerator=accelerator) for t in given_input.storefront.tiers))
    given_input = replace(
        given_input,
        storefront=storefront,
        campaigns=given_input.campaigns[:1],
        policy=Policy(pools=(Pool("a10", "nvidia.com/gpu", capacity),)),
    )
    plan = make_plan(given_input)
    standing = sum(s.baseline for s in given_input.tiers)
    for moment in {step.at for step in plan.steps}:
        used = sum(floor_at(plan.steps, s.tier, moment, s.baseline) for s in given_input.tiers)
        assert used * 2 <= max(capacity, standing * 2)
    free = make_plan(replace(given_input, policy=Policy()))
    if free.steps != plan.steps:
        assert any(risk.reason is Reason.CAPACITY_SHORT for risk in plan.risks)


@given(plan_inputs(TierRelease.GRADUAL), st.floats(0, 20))
def test_a_budget_is_never_exceeded(given_input, hours):
    first = given_input.campaigns[0]
    limited = replace(first, campaign=replace(first.campaign, budget=Budget(replica_hours=hours)))
    given_input = replace(given_input, campaigns=(limited,))
    plan = make_plan(given_input)
    assert plan.cost.replica_hours <= hours + 1e-6
    free = make_plan(replace(given_input, campaigns=(first,)))
    if free.cost.replica_hours > hours + 1e-6:
        assert any(risk.reason is Reason.BUDGET_EXCEEDED for risk in plan.risks)
    else:
        assert plan.steps == free.steps


@given(plan_inputs(), st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 4000)), max_size=3))
def test_no_step_inside_a_freeze_window(given_input, raw):
    windows = tuple(Occurrence(at(start), at(start + length)) for start, length in raw)
    plan = make_plan(replace(given_input, policy=replace(given_input.policy, freeze_windows=windows)))
    for step in plan.steps:
        assert not any(window.contains(step.at) for window in windows)


@given(plan_inputs())
def test_a_preview_raises_nothing(given_input):
    shown = tuple(preview(sc) for sc in given_input.campaigns)
    plan = make_plan(replace(given_input, campaigns=shown, forecast=None, proposed_forecast=given_input.forecast))
    assert plan.steps == ()
    assert plan.proposed == make_plan(given_input).steps


@given(plan_inputs())
def test_an_unknown_forecast_keeps_the_previous_plan_whole(given_input):
    first = make_plan(given_input)
    plan = make_plan(replace(given_input, now=at(60), forecast=None, previous=first))
    assert plan.steps == first.steps
    assert [hold.reason for hold in plan.holds] == [Reason.DEMAND_UNKNOWN]


@given(plan_inputs(), st.data(), examples=200)
def test_no_value_raises_an_exception(given_input, data):
    number = st.floats(allow_nan=True, allow_infinity=True)
    segments = tuple(
        replace(s, quantiles=tuple(tuple(data.draw(number) for _ in row) for row in s.quantiles[:2]))
        for s in given_input.forecast.segments
    )
    tiers = tuple(
        replace(t, lead_time_seconds=data.draw(number), baseline=data.draw(st.integers(-3, 10**7)))
        for t in given_input.tiers
    )
    policy = Policy(
        max_step_up_percent=data.draw(number),
        max_step_down_percent_per_minute=data.draw(number),
        service_level=data.draw(number),
        replica_hours=data.draw(number),
        require_approval_above_replicas=data.draw(st.integers(-5, 100)),
    )
    storefront = make_storefront(
        *(
            replace(t, capacity_per_replica_rps=data.draw(number), demand_per_request=data.draw(number))
            for t in given_input.storefront.tiers
        )
    )
    plan = make_plan(
        replace(
            given_input,
            storefront=storefront,
            tiers=tiers,
            policy=policy,
            forecast=replace(given_input.forecast, segments=segments),
        )
    )
    assert len(plan.steps) <= 200
    assert all(isinstance(risk, Hold) for risk in plan.risks)
