"""What one request shows of its shop: the baseline, how the present compares with it, and what a window has seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from forerun.domain.forecast import EventWindow, ForecastRequest
from forerun.domain.observation import DemandSeries
from forerun.forecast.baseline import Array, Baseline, clean, fit_baseline, outside
from forerun.forecast.grid import tail_end
from forerun.forecast.remaining import despiked, noise
from forerun.forecast.remembered import Remembered
from forerun.forecast.units import Lately, Seen

_COMPARED_SECONDS = 1800.0  # its median says how high demand is now
_INDEPENDENT_SECONDS = 600.0  # samples closer together than this err together
_LARGEST_SHIFT = 2.5  # log, on the baseline's scale: some thirty times the usual
_MOST_BINS = 48  # of what was seen inside a window
_LIVE_MEMORY = 0.2  # of the window: older bins count less, so that a late turn is noticed
_LATELY_SHARE, _LATELY_POINTS = 24.0, 8
_LATELY_LEAST_SECONDS, _LATELY_MOST_SECONDS = 240.0, 3600.0
_CACHED_FITS = 1024

_fits: Remembered[Baseline | None] = Remembered(_CACHED_FITS)


@dataclass(frozen=True, slots=True)
class Shop:
    """`now` in epoch seconds; until `origin` ordinary demand is known: before a window that has begun.

    `levels` are the deviations of the last hour and the last day from the baseline, as logs on its scale. `measured`
    is the finest series, for live windows.
    """

    now: float
    time_compression: float
    baseline: Baseline
    basis: str
    measured: DemandSeries | None
    origin: float
    levels: tuple[float, float]

    def usual(self, times: Array) -> Array:
        """The baseline at epoch seconds with what the present deviation carries over to them."""
        base = self.baseline
        places = base.place(times)
        slots = base.slots(np.floor(places).astype(np.int64))
        against = base.daily_against_usual.ravel()[slots].astype(np.float64)
        carried = base.carryover.carried(against, np.array(self.levels), (times - self.origin) / base.bin_seconds)
        return np.maximum((base.at(times) + base.pivot_rps) * np.exp(carried) - base.pivot_rps, 0.0)


def masks(windows: Sequence[EventWindow], time_compression: float) -> tuple[tuple[float, float], ...]:
    """Stretches, in epoch seconds, that are not usual demand: the windows with their tails."""
    return tuple(sorted({(w.occurrence.start.timestamp(), tail_end(w, time_compression).timestamp()) for w in windows}))


def observe(request: ForecastRequest, time_compression: float) -> Shop | None:
    """The shop at `request.now`; None where neither history nor recent holds one usable value."""
    now = request.now.timestamp()
    begun = [window for window in request.upcoming if window.occurrence.start <= request.now]
    lessons = [lesson.window for lesson in request.experience]  # of campaigns that may be gone by now
    masked = masks([*request.past, *lessons, *begun], time_compression)
    day_seconds = 86400.0 / time_compression
    measured = request.recent or request.history
    origin = min([now, *(window.occurrence.start.timestamp() for window in begun)])
    for basis, series in (("history", request.history), ("recent", request.recent)):
        fitted = series and _fitted(series, masked, now, day_seconds)
        if fitted:
            levels = _levels(fitted, origin, request.recent if basis == "history" else None, masked, time_compression)
            return Shop(now, time_compression, fitted, basis, measured, origin, levels)
    return None


def _fitted(
    series: DemandSeries, masked: tuple[tuple[float, float], ...], now: float, day_seconds: float
) -> Baseline | None:
    """`fit_baseline`, remembered: the history stays the same from one refresh to the next."""
    end = series.start.timestamp() + len(series.values) * series.step_seconds
    key = (id(series), masked, min(now, end), day_seconds)
    return _fits.of(key, series, lambda: fit_baseline(series, masked, now, day_seconds))


def levels_at(base: Baseline, origin: float) -> tuple[float, float]:
    """Deviation of the last hour and of the last day before `origin`, as the baseline's own series has them."""
    known = np.floor(base.place(np.array([origin])) + 1e-6).astype(np.int64).clip(0, base.residual.size)
    hour, day = base.carryover.levels(known)[0]
    return float(hour), float(day)


def _levels(
    base: Baseline,
    origin: float,
    recent: DemandSeries | None,
    masked: Sequence[tuple[float, float]],
    time_compression: float,
) -> tuple[float, float]:
    """`levels_at`; the last hour from the finer series where there is one, as the history may be an hour old."""
    hour, day = levels_at(base, origin)
    if recent is None:
        return hour, day
    times, values = clean(recent, origin)
    kept = outside(times, masked)
    times, values = times[kept], values[kept]
    if not times.size:
        return hour, day
    near = times >= float(times[-1]) - _COMPARED_SECONDS / time_compression
    ratios = np.log((values[near] + base.pivot_rps) / (base.at(times[near]) + base.pivot_rps))
    independent = near.sum() * recent.step_seconds * time_compression / _INDEPENDENT_SECONDS
    weight = independent / (independent + 0.5)
    return float(np.clip(np.median(ratios), -_LARGEST_SHIFT, _LARGEST_SHIFT)) * float(weight), day


def seen_since(shop: Shop, start: float, origin: float, window: float) -> Seen | None:
    """Demand since `start`, binned, in real-world seconds from `origin`; None where nothing was measured since.

    `start`, `origin` are epoch seconds; `window` is the longest live window's length in real-world seconds.
    """
    if shop.measured is None:
        return None
    times, values = clean(shop.measured, shop.now)
    inside = times >= start
    if not inside.any():
        return None
    times, values = _binned(times[inside], values[inside])
    scale = shop.time_compression
    return Seen((times - origin) * scale, values, shop.usual(times), (shop.now - origin) * scale, _LIVE_MEMORY * window)


def lately(shop: Shop, start: float, origin: float, window: float) -> Lately | None:
    """The last samples since `start`, as `seen_since` takes it; None where they are fewer than two.

    They span a twenty-fourth of the window, from four minutes to an hour.
    """
    if shop.measured is None:
        return None
    scale = shop.time_compression
    span = float(np.clip(window / _LATELY_SHARE, _LATELY_LEAST_SECONDS, _LATELY_MOST_SECONDS))
    times, values = clean(shop.measured, shop.now)
    floor = shop.baseline.floor_rps
    noise_log_sd = noise(values[-_MOST_BINS:], floor, shop.baseline.residual_log_sd)
    near = (times >= start) & (times > shop.now - span / scale)
    if near.sum() < 2:
        return None
    times, values = _binned(times[near], values[near], _LATELY_POINTS)
    each = near.sum() / times.size
    return Lately((times - origin) * scale, values, span, noise_log_sd / float(each) ** 0.5)


def measured_cells(shop: Shop, low: Array, high: Array) -> tuple[Array, float]:
    """(mean demand measured in each cell, NaN where nothing was; epoch seconds until which cells are known).

    `low`, `high` are the cells' edges in epoch seconds. Samples wider than cells count for all that they cover.
    """
    found = np.full(low.shape, np.nan)
    if shop.measured is None:
        return found, -np.inf
    times, values = clean(shop.measured, shop.now)
    half = 0.5 * shop.measured.step_seconds
    inside = (times + half > low[0]) & (times - half < high[-1])
    times, values = times[inside], despiked(values[inside])
    if not times.size:
        return found, -np.inf
    first, last = np.searchsorted(times, low), np.searchsorted(times, high)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    several = last > first
    found[several] = (sums[last] - sums[first])[several] / (last - first)[several]
    middles = 0.5 * (low + high)
    after = np.searchsorted(times, middles).clip(max=times.size - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(middles - times[before] < times[after] - middles, before, after)
    alone = ~several & (np.abs(times[nearest] - middles) <= half)
    found[alone] = values[nearest][alone]
    return found, min(float(times[-1]) + half, shop.now)


def _binned(times: Array, values: Array, most: int = _MOST_BINS) -> tuple[Array, Array]:
    """Medians of at most `most` bins of equally many samples."""
    if times.size <= most:
        return times, values
    parts: list[npt.NDArray[np.int64]] = np.array_split(np.arange(times.size), most)
    return (
        np.array([times[part].mean() for part in parts]),
        np.array([np.median(values[part]) for part in parts]),
    )


def cell_edges(start: datetime, step_seconds: float, cells: int) -> tuple[Array, Array]:
    """Epoch seconds of the cells' lower and upper edges."""
    low: Array = start.timestamp() + np.arange(cells, dtype=np.float64) * step_seconds
    return low, low + step_seconds


def highest_usual(shop: Shop, low: Array, high: Array) -> Array:
    """The usual demand in each cell: at its middle, or where cells are wider than the baseline's bins, its highest."""
    width = float(high[0] - low[0])
    points = 1 if width <= shop.baseline.bin_seconds * 1.01 else 4
    shares = (np.arange(points) + 0.5) / points
    return np.asarray(np.max([shop.usual(low + share * (high - low)) for share in shares], axis=0))
