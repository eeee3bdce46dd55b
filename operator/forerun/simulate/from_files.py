"""Scenarios from what a user has: a trace, and where they are given a Storefront, Campaigns and a policy."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from forerun.api.windows import occurrences
from forerun.domain.campaign import Campaign, Expected, Key, Mode, Occurrence, ScheduledCampaign
from forerun.domain.forecast import EventWindow, Lesson
from forerun.domain.observation import DemandSeries
from forerun.domain.policy import Policy as CapacityPolicy
from forerun.domain.storefront import Storefront, Tier
from forerun.signals.trace import TraceEvent
from forerun.simulate.entrant import Entrant, Setting, refusal
from forerun.simulate.from_trace import (
    BUSY_REPLICAS,
    Answer,
    Rule,
    Shop,
    busy_rps,
    cut,
    history_of,
    kept,
    last_peak_of,
    learnt_at,
    lessons_of,
    one_tier,
    resampled,
    rule_of,
    scenarios_from,
)
from forerun.simulate.scenario import Scenario, with_lead_time

MOST_SCENARIOS = 200
_MOST_TICKS = 40_000  # of one scenario: longer campaigns get wider ticks
_WIDER_TICKS_SECONDS = (5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
_DAY = timedelta(days=1)


class InputError(ValueError):
    """What cannot be simulated: object, field and remedy in one line."""


@dataclass(frozen=True, slots=True)
class Given:
    """What stands in the user's files."""

    storefronts: tuple[Storefront, ...] = ()
    campaigns: tuple[Campaign, ...] = ()
    policy: CapacityPolicy | None = None


@dataclass(frozen=True, slots=True)
class Happened:
    """What the events file says, and the numbers that were declared for each."""

    events: tuple[TraceEvent, ...] = ()
    declared: tuple[Expected, ...] = ()


def scenarios_of(
    name: str,
    trace: DemandSeries,
    given: Given,
    happened: Happened,
    answer: Answer,
    lead_time_seconds: float | None = None,
    first: int | None = None,
) -> tuple[tuple[Scenario, ...], tuple[str, ...]]:
    """The scenarios, and what a user should be told about how they were chosen. Raises InputError.

    One for each occurrence of a Campaign inside the trace; where there is none, one for each event; without events,
    the days of the trace. `first` keeps only so many.
    """
    shop = _shop_of(given)
    made, remarks = _all_of(name, trace, shop, _executed(given, shop), happened, answer)
    if len(made) > MOST_SCENARIOS:
        remarks = (*remarks, f"{len(made)} scenarios: only the last {MOST_SCENARIOS} are simulated")
    made = made[-MOST_SCENARIOS:][:first]
    for scenario in made:
        reason = refusal(Entrant(scenario, "", Setting(), {}))
        if reason is not None:
            raise InputError(f"{scenario.name}: {reason}; correct the trace or the Storefront")
    if lead_time_seconds is not None:
        made = tuple(with_lead_time(scenario, lead_time_seconds) for scenario in made)
    return made, remarks


def _all_of(
    name: str,
    trace: DemandSeries,
    shop: Storefront | None,
    campaigns: Sequence[Campaign],
    happened: Happened,
    answer: Answer,
) -> tuple[tuple[Scenario, ...], tuple[str, ...]]:
    """What the Campaigns give, else the events, else the days; and what is to be said of that."""
    if not campaigns and not happened.events:
        remark = "no Campaign and no --events: the days of the trace are simulated without any"
        return _days_of(name, trace, shop), (remark,)
    if not campaigns:
        return _from_events(name, trace, shop, happened, answer), ()
    made = _from_campaigns(name, trace, shop, campaigns, answer)
    if made:
        aside = "--events is left aside: the Campaigns say what was declared"
        return made, (aside,) if happened.events else ()
    if not happened.events:
        raise InputError(
            f"spec.schedule: no occurrence of {_named(campaigns)} lies inside the trace, which {_span(trace)}; "
            "change start, or give --events"
        )
    remark = "no occurrence of the Campaigns lies inside the trace: the events are simulated instead"
    return _from_events(name, trace, shop, happened, answer), (remark,)


def _shop_of(given: Given) -> Storefront | None:
    """The Storefront, each tier within what its pool holds; None where there is none."""
    if not given.storefronts:
        return None
    if len(given.storefronts) > 1:
        names = ", ".join(str(storefront.key) for storefront in given.storefronts)
        raise InputError(f"Storefront: {len(given.storefronts)} found ({names}); give exactly one")
    shop = _without_rungs(given.storefronts[0])
    unknown = [tier.name for tier in shop.tiers if tier.capacity_per_replica_rps is None]
    if unknown:
        raise InputError(
            f"Storefront {shop.key}: spec.tiers: {', '.join(unknown)}: capacityPerReplica is missing; "
            "write how many calls/s one Ready replica serves"
        )
    return replace(shop, tiers=tuple(_within_pool(tier, given.policy) for tier in shop.tiers))


def _without_rungs(shop: Storefront) -> Storefront:
    """The degradation ladder is not modelled: what a tier may not have stays unserved."""
    rungs = {tier.name for tier in shop.tiers if tier.rung_of is not None}
    tiers = (tier for tier in shop.tiers if tier.name not in rungs)
    return replace(
        shop,
        tiers=tuple(replace(tier, depends_on=tuple(n for n in tier.depends_on if n not in rungs)) for tier in tiers),
    )


def _within_pool(tier: Tier, policy: CapacityPolicy | None) -> Tier:
    pools = {pool.name: pool.capacity for pool in policy.pools} if policy is not None else {}
    accelerator = tier.accelerator
    if accelerator is None or accelerator.pool not in pools:
        return tier
    most = min(tier.max_replicas, pools[accelerator.pool] // max(1, accelerator.per_replica))
    return replace(
        tier, max_replicas=most, min_replicas=None if tier.min_replicas is None else min(tier.min_replicas, most)
    )


def _executed(given: Given, shop: Storefront | None) -> tuple[Campaign, ...]:
    """Those that are not suspended. Nobody approves in a simulation: all of them act."""
    for campaign in given.campaigns:
        key = Key(campaign.key.namespace, campaign.storefront)
        if shop is not None and key != shop.key:
            raise InputError(
                f"Campaign {campaign.key}: spec.storefrontRef.name: the files hold no Storefront {key}; add it"
            )
    return tuple(replace(campaign, mode=Mode.AUTOMATIC) for campaign in given.campaigns if not campaign.suspend)


def _from_events(
    name: str, trace: DemandSeries, shop: Storefront | None, happened: Happened, answer: Answer
) -> tuple[Scenario, ...]:
    made = scenarios_from(name, trace, happened.events, answer, happened.declared)
    if not made:
        raise InputError(
            f"start: none of {len(happened.events)} events lies inside the trace with a day before it; "
            f"the trace {_span(trace)}"
        )
    return made if shop is None else tuple(replace(scenario, storefront=shop) for scenario in made)


def _from_campaigns(
    name: str, trace: DemandSeries, shop: Storefront | None, campaigns: Sequence[Campaign], answer: Answer
) -> tuple[Scenario, ...]:
    """One per occurrence that lies inside the trace, in time order."""
    begin, end = trace.start, _end_of(trace)
    windows = sorted(
        {EventWindow.of(ScheduledCampaign(c, o)) for c in campaigns for o in occurrences(c.schedule, begin, end)},
        key=lambda window: (window.occurrence, window.campaign),
    )
    rule = rule_of(trace.step_seconds)
    inside = _inside(windows, begin + rule.settle, end)
    if not inside:
        return ()
    rule = _with_wider_ticks(rule, inside)
    lessons = lessons_of(name, trace, windows, answer)
    made = []
    for number, own in enumerate(inside):
        scenario = replace(
            _stretch(name, trace, own.occurrence, rule, shop),
            name=f"{name} {own.campaign} {own.occurrence.start:%Y-%m-%dT%H:%MZ} #{number + 1}",
            seed=number,
        )
        scenario = _with_experience(scenario, trace, own, windows, lessons)
        made.append(replace(scenario, campaigns=_near(campaigns, scenario)))
    return tuple(made)


def _inside(windows: Sequence[EventWindow], begin: datetime, end: datetime) -> list[EventWindow]:
    """Those that lie in `[begin, end]`; one stretch of time is judged once, as the last of its windows."""
    inside = [window for window in windows if begin <= window.occurrence.start and window.occurrence.end <= end]
    return list({window.occurrence: window for window in inside}.values())


def _with_experience(
    scenario: Scenario, trace: DemandSeries, own: EventWindow, windows: Sequence[EventWindow], lessons: Sequence[Lesson]
) -> Scenario:
    """The same with what the windows before its start had shown by then."""
    past = tuple(window for window in windows if window.occurrence.end <= scenario.start)
    return replace(
        scenario,
        past=kept(scenario.history, past),
        experience=tuple(lesson for lesson in lessons if learnt_at(trace, lesson.window) <= scenario.start),
        last_peak_rps=last_peak_of(trace, own, past, scenario.start),
    )


def _near(campaigns: Sequence[Campaign], scenario: Scenario) -> tuple[Campaign, ...]:
    """Those with an occurrence in the scenario, or within a day of it."""
    begin, end = scenario.start - _DAY, scenario.at(scenario.ticks) + _DAY
    return tuple(campaign for campaign in campaigns if occurrences(campaign.schedule, begin, end))


def _stretch(name: str, trace: DemandSeries, occurrence: Occurrence, rule: Rule, shop: Storefront | None) -> Scenario:
    """The time around one window, as far as the trace goes."""
    start = max(trace.start, occurrence.start - rule.before)
    end = min(_end_of(trace), occurrence.end + rule.after)
    door, known = resampled(trace, start, end, rule.tick_seconds)
    history = history_of(trace, start)
    return Scenario(
        name=name,
        group=name,
        storefront=shop or one_tier(name, busy_rps(history, door) / BUSY_REPLICAS, Shop()),
        campaigns=(),
        start=start,
        tick_seconds=rule.tick_seconds,
        door_rps=door,
        known=known,
        judged_from=round(rule.settle.total_seconds() / rule.tick_seconds),
        history=history,
    )


def _with_wider_ticks(rule: Rule, windows: Sequence[EventWindow]) -> Rule:
    longest = max(window.occurrence.end - window.occurrence.start for window in windows) + rule.before + rule.after
    for tick in _WIDER_TICKS_SECONDS:
        if tick >= rule.tick_seconds and longest.total_seconds() / tick <= _MOST_TICKS:
            return replace(rule, tick_seconds=tick)
    return replace(rule, tick_seconds=_WIDER_TICKS_SECONDS[-1])


def _days_of(name: str, trace: DemandSeries, shop: Storefront | None) -> tuple[Scenario, ...]:
    """Day by day, in wide bins week by week; the first day is only seen, where there is a second one."""
    rule = rule_of(trace.step_seconds)
    begin, end = trace.start, _end_of(trace)
    piece = _DAY if trace.step_seconds <= 3600.0 else 7 * _DAY
    start = begin + piece if end - begin >= 2 * piece else begin + min(rule.settle, (end - begin) / 4)
    made: list[Scenario] = []
    while start < end:
        length = min(piece, end - start)
        if length == piece or not made:
            scenario = cut(name, trace, start, length, seed=len(made))
            scenario = scenario if shop is None else replace(scenario, storefront=shop)
            made.append(replace(scenario, name=f"{scenario.name} #{len(made) + 1}"))
        start += length
    return tuple(made)


def _end_of(trace: DemandSeries) -> datetime:
    return trace.start + timedelta(seconds=len(trace.values) * trace.step_seconds)


def _span(trace: DemandSeries) -> str:
    return f"begins {trace.start:%Y-%m-%dT%H:%MZ} and ends {_end_of(trace):%Y-%m-%dT%H:%MZ}"


def _named(campaigns: Sequence[Campaign]) -> str:
    names = ", ".join(campaign.key.name for campaign in campaigns[:3])
    return f"{names} and {len(campaigns) - 3} more" if len(campaigns) > 3 else names
