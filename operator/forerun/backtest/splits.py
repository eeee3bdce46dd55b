"""From a trace and its events to decisions: what is known of each event, and when. Pure.

A decision sees the bins that end at or before its moment, the earlier events, and of the events that are under way or
yet to come only kind, start and declared numbers. Never an end, a note or a name.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import repeat
from typing import Self

from forerun.backtest.decision import Decision
from forerun.backtest.grid import Rule, before, bin_of, binned, rule_of
from forerun.backtest.onset import onset_of
from forerun.domain.campaign import CampaignType, Expected, Occurrence
from forerun.domain.forecast import EventWindow, ForecastRequest
from forerun.domain.observation import DemandSeries
from forerun.signals.trace import TraceEvent

_HISTORY_SECONDS = 400 * 86400.0
_RECENT_SECONDS = 7200.0
_MINUTE_SECONDS = 60.0
_TYPES = {str(kind): kind for kind in CampaignType}


def decisions(
    trace: DemandSeries,
    events: Sequence[TraceEvent],
    name: str,
    decide_seconds: float | None = None,
    declared: Sequence[Expected] = (),
) -> tuple[Decision, ...]:
    """One decision per event that lies inside the trace with at least one bin before it, in time order.

    `declared` has one entry per event, in the same order, or none. `decide_seconds` replaces the rule's lead.
    """
    split = _Split.of(trace, events, name, decide_seconds, declared)
    found = []
    for event, own in split.events:
        anchor = event.start if split.rule.fine else own.occurrence.start
        decided_at = anchor - timedelta(seconds=split.rule.lead_seconds)
        if split.inside(own):
            found.append(split.decision(event, own, decided_at))
    return tuple(decision for decision in found if decision is not None)


def live_decisions(
    trace: DemandSeries,
    events: Sequence[TraceEvent],
    name: str,
    after_seconds: float = 300.0,
    declared: Sequence[Expected] = (),
) -> tuple[Decision, ...]:
    """The same events decided `after_seconds` after their onset; only for traces in bins of a minute or less.

    The onset is the first minute at or after the declared start whose demand exceeds the usual by a quarter of what
    the peak does. Hindsight, the peak and the usual, chooses only the MOMENT that is judged: the request holds what
    was measured before it, like any other. Events that do not rise to 1.2 times the usual are left out.
    """
    if trace.step_seconds > _MINUTE_SECONDS:
        return ()
    split = _Split.of(trace, events, name, None, declared)
    minutes = binned(trace, trace.step_seconds * int(_MINUTE_SECONDS / trace.step_seconds + 1e-9))
    busy = tuple(window.occurrence for window in split.windows)
    found = []
    for event, own in split.events:
        if not split.inside(own):
            continue
        onset = onset_of(minutes, split.bins, event.start, own.occurrence, busy)
        if onset is None or onset + timedelta(seconds=after_seconds) >= own.occurrence.end:
            continue
        found.append(split.decision(event, own, onset + timedelta(seconds=after_seconds)))
    return tuple(decision for decision in found if decision is not None)


@dataclass(frozen=True, slots=True)
class _Split:
    """`bins` is the trace as it is judged, `fine` as it was measured where that is finer.

    `windows` are the different windows of all events, ascending; `starts` theirs. All windows are of one length, so
    they end in the same order.
    """

    name: str
    rule: Rule
    bins: DemandSeries
    fine: DemandSeries | None
    events: tuple[tuple[TraceEvent, EventWindow], ...]
    windows: tuple[EventWindow, ...]
    starts: tuple[datetime, ...]

    @classmethod
    def of(
        cls,
        trace: DemandSeries,
        events: Sequence[TraceEvent],
        name: str,
        decide_seconds: float | None,
        declared: Sequence[Expected],
    ) -> Self:
        rule = rule_of(trace.step_seconds, decide_seconds)
        bins = binned(trace, rule.step_seconds)
        numbers = declared or list(repeat(Expected(), len(events)))
        pairs = [(event, _window(event, expected, bins, rule)) for event, expected in zip(events, numbers, strict=True)]
        pairs.sort(key=lambda pair: (pair[0].start, pair[0].kind))
        different = {(window.occurrence, window.campaign): window for _, window in reversed(pairs)}
        windows = tuple(different[key] for key in sorted(different))
        fine = trace if trace.step_seconds < rule.step_seconds else None
        starts = tuple(window.occurrence.start for window in windows)
        return cls(name, rule, bins, fine, tuple(pairs), windows, starts)

    def inside(self, own: EventWindow) -> bool:
        """Whether the window begins inside the trace."""
        return 0 <= bin_of(self.bins, own.occurrence.start) < len(self.bins.values)

    def decision(self, event: TraceEvent, own: EventWindow, decided_at: datetime) -> Decision | None:
        """None where no bin ended before `decided_at`."""
        history = before(self.bins, decided_at, _HISTORY_SECONDS)
        if history is None:
            return None
        length = timedelta(seconds=self.rule.window_seconds)
        ended = bisect_right(self.starts, decided_at - length)
        begun = bisect_left(self.starts, own.occurrence.end)
        others = [
            window
            for window in self.windows[ended:begun]
            if (window.campaign, window.occurrence) != (own.campaign, own.occurrence)
        ]
        request = ForecastRequest(
            storefront=self.name,
            now=decided_at,
            history=history,
            recent=before(self.fine, decided_at, _RECENT_SECONDS) if self.fine else None,
            upcoming=(own, *others),
            past=self.windows[:ended],
        )
        return Decision(
            trace=self.name,
            kind=event.kind,
            name=event.name or event.kind,
            decided_at=decided_at,
            start=own.occurrence.start,
            step_seconds=self.rule.step_seconds,
            request=request,
            actual=_actual(self.bins, own.occurrence.start, self.rule.bins),
        )


def _window(event: TraceEvent, expected: Expected, bins: DemandSeries, rule: Rule) -> EventWindow:
    start = bins.start + timedelta(seconds=bin_of(bins, event.start) * rule.step_seconds)
    occurrence = Occurrence(start, start + timedelta(seconds=rule.window_seconds))
    return EventWindow(event.kind, _TYPES.get(event.kind, CampaignType.CUSTOM), occurrence, expected)


def _actual(bins: DemandSeries, start: datetime, count: int) -> tuple[float, ...]:
    first = bin_of(bins, start)
    seen = bins.values[first : first + count]
    return (*seen, *repeat(float("nan"), count - len(seen)))
