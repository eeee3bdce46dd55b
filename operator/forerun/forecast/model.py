"""From requests to forecasts, many at once. Runs in the worker process: it imports torch."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from forerun.domain.forecast import LEVELS, EventWindow, Forecast, ForecastRequest, Lesson, Peak, Segment
from forerun.domain.reason import Hold, Reason
from forerun.forecast.lessons import learn, usable
from forerun.forecast.observed import observe
from forerun.forecast.paths import PATHS, UnitPaths, quantiles, simulate
from forerun.forecast.reach import reach
from forerun.forecast.terms import Plan, make_plans

_SIGNIFICANT = 6  # digits of what is handed out: more would only be longer to send


def forecast_all(
    requests: Sequence[ForecastRequest], time_compression: float = 1.0, paths: int = PATHS
) -> list[Forecast | Hold]:
    """One answer per request, in order.

    Equal requests give equal answers, alone or among others. Never NaN, negative or infinite. Where nothing at
    all is known, no usable history and no declared peak, the answer is Hold(DEMAND_UNKNOWN).
    """
    shops = [observe(request, time_compression) for request in requests]
    learnt = [learn(request, shop) for request, shop in zip(requests, shops, strict=True)]
    lessons = [(*usable(request.experience), *new) for request, new in zip(requests, learnt, strict=True)]
    plans = make_plans(requests, shops, lessons, time_compression)
    results = iter(simulate([unit for plan in plans if plan for unit in plan.units], paths))
    return [
        _answer(request, plan, [next(results) for _ in plan.units] if plan else [], new, reach(request, shop))
        for request, shop, plan, new in zip(requests, shops, plans, learnt, strict=True)
    ]


def _answer(
    request: ForecastRequest,
    plan: Plan | None,
    results: Sequence[UnitPaths],
    learnt: tuple[Lesson, ...],
    reached: Segment | None,
) -> Forecast | Hold:
    if plan is None or not request.upcoming:
        if not request.upcoming:
            return Forecast(request.storefront, request.now, (), (), "nothing", learnt)
        remedy = "no usable demand history: check the Storefront's query, or declare expected.peak"
        return Hold(Reason.DEMAND_UNKNOWN, request.storefront, {}, remedy)
    segments = tuple(
        Segment(grid.start, grid.step_seconds, tuple(map(tuple, _rounded(result.quantiles).tolist())))
        for grid, result in zip(plan.grid, results, strict=True)
    )
    peaks = tuple(_peak(window, plan, results) for window in request.upcoming if _is_planned(window))
    return Forecast(request.storefront, request.now, segments, peaks, plan.basis, learnt, reached)


def _is_planned(window: EventWindow) -> bool:
    return window.occurrence.end > window.occurrence.start


def _peak(window: EventWindow, plan: Plan, results: Sequence[UnitPaths]) -> Peak:
    """The highest demand of each path over all segments that hold a part of the window."""
    highest = np.full(results[0].peaks.shape[1], -1.0, dtype=np.float32)
    seconds = np.zeros(highest.shape)  # after the window's start
    for grid, windows, result in zip(plan.grid, plan.windows, results, strict=True):
        if window not in windows:
            continue
        place = windows.index(window)
        higher = result.peaks[place] > highest
        offset = (grid.start - window.occurrence.start).total_seconds()
        seconds = np.where(higher, offset + result.peak_cells[place] * grid.step_seconds, seconds)
        highest = np.maximum(highest, result.peaks[place])
    row = tuple(_rounded(quantiles(highest)).tolist())
    p50, p90, p99 = (row[LEVELS.index(level)] for level in (0.5, 0.9, 0.99))
    length = (window.occurrence.end - window.occurrence.start).total_seconds()
    at = timedelta(seconds=float(np.clip(np.median(seconds), 0.0, length)))
    return Peak(window.campaign, window.occurrence, p50, p90, p99, window.occurrence.start + at, row)


def _rounded(numbers: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Six significant digits: monotone, so that order is kept."""
    wide = numbers.astype(np.float64)
    digits = _SIGNIFICANT - 1 - np.floor(np.log10(np.maximum(wide, 1e-12)))
    scale = 10.0 ** np.abs(digits)
    return np.asarray(np.where(digits >= 0, np.round(wide * scale) / scale, np.round(wide / scale) * scale))
