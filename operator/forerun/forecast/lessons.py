"""What past occurrences did to this shop: read off the history once, and kept as lessons. Pure, no torch."""

from collections import OrderedDict
from collections.abc import Sequence
from math import isfinite

import numpy as np

from forerun.domain.forecast import CURVE_POINTS, CURVE_SPAN, EventWindow, ForecastRequest, Lesson
from forerun.domain.observation import DemandSeries
from forerun.forecast.baseline import ABSURD_RPS, Array, Baseline, clean, outside
from forerun.forecast.grid import tail_end
from forerun.forecast.observed import Shop, levels_at

_OCCURRENCES = 40  # the latest of each type; older ones say little about the next
_LEAST_MEASURED = 0.5  # of a window
_DECIDED_SECONDS = 900.0  # before the start: what was known then is no effect of the event
_FIRST_WEEK_LOG_SD = 0.3  # of a baseline that knows no weekdays yet; judgement
_CACHED = 8192
_LARGEST = 12.0  # log

Span = tuple[float, float]

_read: OrderedDict[tuple[int, EventWindow], tuple[Baseline, Lesson | None]] = OrderedDict()


def learn(request: ForecastRequest, shop: Shop | None) -> tuple[Lesson, ...]:
    """The past windows, tails included, that the history holds and the request's experience lacks; newest first."""
    if shop is None or request.history is None:
        return ()
    found = []
    counts: dict[str, int] = {}
    for window in _unlearnt(request, shop.time_compression):
        counts[window.type] = counts.get(window.type, 0) + 1
        if counts[window.type] <= _OCCURRENCES:
            lesson = _remembered(shop, request, window)
            if lesson is not None:
                found.append(lesson)
    return tuple(found)


def _unlearnt(request: ForecastRequest, time_compression: float) -> list[EventWindow]:
    """The past windows that are over, tails included, and that the experience lacks; newest first."""
    known = {lesson.window.identity for lesson in request.experience}
    over = [
        window
        for window in request.past
        if tail_end(window, time_compression) <= request.now
        and window.occurrence.end > window.occurrence.start
        and window.identity not in known
    ]
    return sorted(over, key=lambda window: (window.occurrence.start, window.campaign), reverse=True)


def usable(experience: Sequence[Lesson]) -> list[Lesson]:
    """Those that can be read: anybody may have written into a status."""
    return [
        lesson
        for lesson in experience
        if 0.0 <= lesson.usual_rps <= ABSURD_RPS
        and 0.0 <= lesson.noise_log_sd <= _LARGEST
        and lesson.window.occurrence.end > lesson.window.occurrence.start
        and any(value is not None and isfinite(value) for value in lesson.log_uplift)
    ]


def _remembered(shop: Shop, request: ForecastRequest, window: EventWindow) -> Lesson | None:
    key = (id(shop.baseline), window)
    if key not in _read and request.history is not None:
        others = _spans((*request.past, *request.upcoming), window, shop.time_compression)
        # the baseline is kept with the result, so its identity cannot be taken over by another
        _read[key] = (shop.baseline, _lesson(shop, request.history, window, others))
        while len(_read) > _CACHED:
            _read.popitem(last=False)
    return _read[key][1]


def _spans(windows: Sequence[EventWindow], window: EventWindow, time_compression: float) -> list[list[Span]]:
    """When other campaigns ran at the same time, one list for each of them; epoch seconds."""
    start, end = window.occurrence.start, tail_end(window, time_compression)
    found: dict[str, list[Span]] = {}
    for other in windows:
        tail = tail_end(other, time_compression)
        if other.campaign != window.campaign and other.occurrence.start < end and tail > start:
            found.setdefault(other.campaign, []).append((other.occurrence.start.timestamp(), tail.timestamp()))
    return list(found.values())


def _lesson(shop: Shop, history: DemandSeries, window: EventWindow, others: Sequence[Sequence[Span]]) -> Lesson | None:
    """None where less than half of the window was measured. Campaigns at the same time share what they did equally."""
    base = shop.baseline
    start, end = window.occurrence.start.timestamp(), window.occurrence.end.timestamp()
    decided = start - max(base.bin_seconds, _DECIDED_SECONDS / shop.time_compression)
    known = Shop(decided, shop.time_compression, base, shop.basis, None, decided, levels_at(base, decided))
    edges = start + np.linspace(0.0, CURVE_SPAN * (end - start), CURVE_POINTS + 1)
    times, values = clean(history, shop.now)
    first, last = np.searchsorted(times, [edges[0] - history.step_seconds, edges[-1] + history.step_seconds])
    times, values = times[first:last], values[first:last]
    inside = (times >= start) & (times < end)
    if inside.sum() * history.step_seconds < _LEAST_MEASURED * (end - start) or not inside.any():
        return None
    usual = known.usual(times)
    ratio = np.log((values + base.pivot_rps) / (usual + base.pivot_rps)).clip(-_LARGEST, _LARGEST)
    at_once = 1.0 + sum((~outside(times, spans)).astype(np.float64) for spans in others)
    ratio = np.log1p(np.expm1(ratio) / at_once)
    curve = _sliced(times, ratio, edges, history.step_seconds)
    return Lesson(
        window=window,
        usual_rps=float(usual[inside].mean()),
        noise_log_sd=float(np.hypot(base.ordinary_log_sd, _FIRST_WEEK_LOG_SD if start < base.first_week_ends else 0.0)),
        log_uplift=tuple(float(value) if np.isfinite(value) else None for value in curve),
    )


def _sliced(times: Array, values: Array, edges: Array, step_seconds: float) -> Array:
    """Mean of the samples in each slice, weighed by how much of it they cover; NaN where none does."""
    low, high = times - 0.5 * step_seconds, times + 0.5 * step_seconds
    overlap = np.minimum(high[None, :], edges[1:, None]) - np.maximum(low[None, :], edges[:-1, None])
    overlap = overlap.clip(min=0.0)
    covered = overlap.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(covered > 0.0, overlap @ values / covered, np.nan))
