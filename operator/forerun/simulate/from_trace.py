"""Scenarios from a trace and its events: what was known before each event, and what then came."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from forerun.domain.campaign import Campaign, CampaignType, Expected, Key, Occurrence, Schedule
from forerun.domain.forecast import EventWindow, Forecast, ForecastRequest, Lesson
from forerun.domain.observation import DemandSeries
from forerun.domain.reason import Hold
from forerun.domain.storefront import Role, Storefront, TargetRef, Tier
from forerun.forecast.grid import tail_end
from forerun.signals.trace import TraceEvent
from forerun.simulate.scenario import BoolArray, FloatArray, Scenario

Answer = Callable[[Sequence[ForecastRequest]], list[Forecast | Hold]]

HISTORY = timedelta(days=28)
HISTORY_STEP_SECONDS = 300.0
BUSY_REPLICAS = 40  # so many serve the demand that 99 % of the four weeks before lie below
LEAST_REPLICAS = 2
BUSY_RPS = 400.0
_FINE_SECONDS, _HOUR_SECONDS = 300.0, 3600.0
_MATCH = timedelta(minutes=110)  # two halves and the break; its end is not known beforehand
_BUSY_QUANTILE = 0.99
_TYPES = {str(kind): kind for kind in CampaignType}


@dataclass(frozen=True, slots=True)
class Rule:
    """How events are cut out of a trace, by the width of its bins."""

    window: timedelta  # what is declared where nobody knows the end
    before: timedelta
    after: timedelta
    settle: timedelta  # of `before`: not judged
    tick_seconds: float


def rule_of(step_seconds: float) -> Rule:
    """Bins of up to five minutes: four hours; of up to an hour: twelve; wider ones: three days."""
    if step_seconds <= _FINE_SECONDS:
        hour = timedelta(hours=1)
        return Rule(4 * hour, 1.5 * hour, 1.5 * hour, 0.5 * hour, 5.0)
    if step_seconds <= _HOUR_SECONDS:
        return Rule(timedelta(hours=12), timedelta(hours=3), timedelta(hours=4), timedelta(hours=1), 15.0)
    return Rule(timedelta(days=3), timedelta(days=1), timedelta(days=1), timedelta(hours=6), 60.0)


@dataclass(frozen=True, slots=True)
class Shop:
    """The one tier that serves a trace's demand where the user gives no Storefront."""

    lead_time_seconds: float = 180.0
    max_replicas: int = 100_000


def scenarios_from(
    name: str,
    trace: DemandSeries,
    events: Sequence[TraceEvent],
    answer: Answer,
    declared: Sequence[Expected] = (),
    shop: Shop | None = None,
) -> tuple[Scenario, ...]:
    """One per event that lies in the trace with at least a day before it, in time order."""
    rule = rule_of(trace.step_seconds)
    numbers = declared or [Expected()] * len(events)
    pairs = sorted(zip(events, numbers, strict=True), key=lambda pair: (pair[0].start, pair[0].kind))
    windows = [_window(event, expected, rule) for event, expected in pairs]
    inside = [window for window in windows if _is_inside(trace, window, rule)]
    lessons = lessons_of(name, trace, windows, answer)
    made = []
    for number, window in enumerate(inside):
        scenario = _scenario(name, trace, window, windows, lessons, rule, shop or Shop())
        made.append(replace(scenario, name=f"{scenario.name} #{number + 1}", seed=number))
    return tuple(made)


def cut(
    name: str, trace: DemandSeries, start: datetime, length: timedelta, shop: Shop | None = None, seed: int = 0
) -> Scenario:
    """A stretch of a trace without any campaign."""
    rule = rule_of(trace.step_seconds)
    door, known = resampled(trace, start - rule.settle, start + length, rule.tick_seconds)
    history = history_of(trace, start - rule.settle)
    return Scenario(
        name=f"{name} {start:%Y-%m-%d}",
        group=name,
        storefront=one_tier(name, busy_rps(history, door) / BUSY_REPLICAS, shop or Shop()),
        campaigns=(),
        start=start - rule.settle,
        tick_seconds=rule.tick_seconds,
        door_rps=door,
        known=known,
        judged_from=round(rule.settle.total_seconds() / rule.tick_seconds),
        history=history,
        seed=seed,
    )


def _scenario(
    name: str,
    trace: DemandSeries,
    own: EventWindow,
    windows: Sequence[EventWindow],
    lessons: Sequence[Lesson],
    rule: Rule,
    shop: Shop,
) -> Scenario:
    start, end = own.occurrence.start - rule.before, own.occurrence.end + rule.after
    door, known = resampled(trace, start, end, rule.tick_seconds)
    history = history_of(trace, start)
    near, past = _around(windows, start, end)
    return Scenario(
        name=f"{name} {own.campaign} {own.occurrence.start:%Y-%m-%dT%H:%MZ}",
        group=name,
        storefront=one_tier(name, busy_rps(history, door) / BUSY_REPLICAS, shop),
        campaigns=tuple(campaign_of(window) for window in near),
        start=start,
        tick_seconds=rule.tick_seconds,
        door_rps=door,
        known=known,
        judged_from=round(rule.settle.total_seconds() / rule.tick_seconds),
        history=history,
        past=kept(history, past),
        experience=tuple(lesson for lesson in lessons if learnt_at(trace, lesson.window) <= start),
        last_peak_rps=last_peak_of(trace, own, past, start),
    )


def _around(
    windows: Sequence[EventWindow], start: datetime, end: datetime
) -> tuple[list[EventWindow], list[EventWindow]]:
    """Those that touch `[start, end)`, each once, and those that are over."""
    near = [w for w in windows if w.occurrence.end > start and w.occurrence.start < end]
    return list(dict.fromkeys(near)), [w for w in windows if w.occurrence.end <= start]


def one_tier(name: str, capacity_rps: float, shop: Shop) -> Storefront:
    """A shop that is served by one Deployment, at least `LEAST_REPLICAS` of it."""
    tier = Tier(
        name="web",
        role=Role.WEB,
        target=TargetRef("apps/v1", "Deployment", "web"),
        capacity_per_replica_rps=capacity_rps,
        max_replicas=shop.max_replicas,
        min_replicas=LEAST_REPLICAS,
        lead_time_seconds=shop.lead_time_seconds,
    )
    return Storefront(Key("arena", "shop"), name, 1, "default", "demand", "requests", (tier,))


def campaign_of(window: EventWindow) -> Campaign:
    """A Campaign whose one occurrence is that window."""
    occurrence = window.occurrence
    schedule = Schedule(
        time_zone="+00:00",
        start_local=occurrence.start.astimezone(UTC).replace(tzinfo=None),
        duration_seconds=(occurrence.end - occurrence.start).total_seconds(),
    )
    # events of one kind are occurrences of one campaign
    return Campaign(Key("arena", window.campaign), window.campaign, 1, "shop", window.type, schedule, window.expected)


def resampled(trace: DemandSeries, start: datetime, end: datetime, tick_seconds: float) -> tuple[FloatArray, BoolArray]:
    """Demand at each tick of `[start, end)`, linear between the middles of the bins, and where it was measured.

    The world goes on through a gap: linear across it too.
    """
    values = np.array(trace.values)
    measured = np.isfinite(values)
    ticks = round((end - start).total_seconds() / tick_seconds)
    at = (start - trace.start).total_seconds() + (np.arange(ticks) + 0.5) * tick_seconds
    middles = (np.arange(values.size) + 0.5) * trace.step_seconds
    if not measured.any():
        return np.zeros(ticks), np.zeros(ticks, dtype=np.bool_)
    door = np.interp(at, middles[measured], values[measured])
    place = np.floor(at / trace.step_seconds).astype(np.int64)
    inside = (place >= 0) & (place < values.size)
    return door, inside & measured[np.clip(place, 0, values.size - 1)]


def history_of(trace: DemandSeries, until: datetime) -> DemandSeries | None:
    """Up to four weeks before `until`, in bins of five minutes or of the trace's own, whichever is wider."""
    count = int((until - trace.start).total_seconds() // trace.step_seconds)
    share = max(1, round(HISTORY_STEP_SECONDS / trace.step_seconds))
    most = int(HISTORY.total_seconds() // trace.step_seconds) // share
    count = min(count, len(trace.values))
    whole = min(most, count // share)
    if whole < 1:
        return None
    first = count - whole * share
    values = np.array(trace.values[first:count]).reshape(whole, share)
    known = np.isfinite(values)
    sums = np.where(known, values, 0.0).sum(axis=1)
    means = np.divide(sums, known.sum(axis=1), out=np.full(whole, np.nan), where=known.any(axis=1))
    start = trace.start + timedelta(seconds=first * trace.step_seconds)
    return DemandSeries(start, share * trace.step_seconds, tuple(means.tolist()))


def as_a_shape(trace: DemandSeries) -> DemandSeries:
    """The trace in units in which a busy moment is `BUSY_RPS`: for traces that count few people or none.

    Replicas serve tens of requests a second, so a shop of forty has hundreds at the door. A walk that is passed by one
    person a minute has the shape of a shop's demand, not its noise of small counts.
    """
    values = np.array(trace.values)
    known = values[np.isfinite(values)]
    busy = float(np.quantile(known, _BUSY_QUANTILE)) if known.size else 0.0
    return trace if busy <= 0.0 else replace(trace, values=tuple((values * (BUSY_RPS / busy)).tolist()))


def busy_rps(history: DemandSeries | None, door: FloatArray) -> float:
    """Demand at a busy moment of the weeks before; of the first hour where there is no history. Above 0."""
    values = np.array(history.values) if history is not None else door[: max(1, door.size // 10)]
    values = values[np.isfinite(values)]
    busy = float(np.quantile(values, _BUSY_QUANTILE)) if values.size else 0.0
    return busy if busy > 0.0 else 1.0


def _window(event: TraceEvent, expected: Expected, rule: Rule) -> EventWindow:
    length = _MATCH if event.kind.startswith("match") and rule.window < timedelta(hours=12) else rule.window
    kind = _TYPES.get(event.kind, CampaignType.CUSTOM)
    return EventWindow(event.kind, kind, Occurrence(event.start, event.start + length), expected)


def _is_inside(trace: DemandSeries, window: EventWindow, rule: Rule) -> bool:
    end = trace.start + timedelta(seconds=len(trace.values) * trace.step_seconds)
    begin = trace.start + rule.before + timedelta(seconds=max(86400.0, 2 * trace.step_seconds))
    return begin <= window.occurrence.start and window.occurrence.end + rule.after <= end


def lessons_of(name: str, trace: DemandSeries, windows: Sequence[EventWindow], answer: Answer) -> tuple[Lesson, ...]:
    """What each window taught, asked when it was over, as the operator asks."""
    questions = [(window, _question(name, trace, windows, learnt_at(trace, window))) for window in windows]
    asked = [(window, request) for window, request in questions if request is not None]
    lessons: list[Lesson] = []
    for (window, _), found in zip(asked, answer([request for _, request in asked]), strict=True):
        if isinstance(found, Forecast):
            lessons += [lesson for lesson in found.learnt if lesson.window == window]
    return tuple(lessons)


def _question(name: str, trace: DemandSeries, windows: Sequence[EventWindow], now: datetime) -> ForecastRequest | None:
    """What the windows over at `now` taught; None where the trace does not reach from before to then."""
    end = trace.start + timedelta(seconds=len(trace.values) * trace.step_seconds)
    history = history_of(trace, now) if now <= end else None
    if history is None:
        return None
    past = kept(history, [window for window in windows if window.occurrence.end <= now])
    return ForecastRequest(name, now, history, None, (), past)


def learnt_at(trace: DemandSeries, window: EventWindow) -> datetime:
    """The window's tail is over and measured."""
    return tail_end(window) + timedelta(seconds=max(HISTORY_STEP_SECONDS, trace.step_seconds))


def kept(history: DemandSeries | None, past: Sequence[EventWindow]) -> tuple[EventWindow, ...]:
    """Those that the history reaches back to."""
    return tuple(window for window in past if history is not None and history.start <= window.occurrence.start)


def last_peak_of(trace: DemandSeries, own: EventWindow, past: Sequence[EventWindow], now: datetime) -> float | None:
    """The highest bin of the last window of the same kind, its tail included as far as it was over at `now`."""
    for window in sorted(past, key=lambda w: w.occurrence, reverse=True):
        if window.campaign != own.campaign:
            continue
        begin, end = window.occurrence.start, min(tail_end(window), now)
        first, last = (int((moment - trace.start).total_seconds() // trace.step_seconds) for moment in (begin, end))
        seen = [value for value in trace.values[max(0, first) : max(0, last)] if np.isfinite(value)]
        if seen:
            return max(seen)
    return None
