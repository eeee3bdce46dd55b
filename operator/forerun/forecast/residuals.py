"""Paths of ordinary demand around the baseline: what it did at the same hours of earlier days, in one piece.

A path that really happened has the right swings in the right order, so that the highest demand of a window is judged
rightly. What was known at the decision (an hour high, a day high) is taken out of each, as it was then.
"""

import numpy as np
import numpy.typing as npt

from forerun.forecast.baseline import Array, Baseline
from forerun.forecast.remembered import Remembered

ROWS = 120  # days back, at most
_ENOUGH = 8  # days; fewer are filled up from a prior
_MEASURED = 0.8  # of a stretch, to count
_LARGEST = 6.0  # log
_NEW_LEVEL_SD, _LEVEL_SD, _WIGGLE_SD = 0.3, 0.03, 0.05  # of the prior, on the baseline's scale; judgement
_DRIFT_SD_PER_WEEK = 0.03  # beyond the horizon that the history has shown; judgement
_stretches: Remembered[Array] = Remembered(128)  # of up to 120 rows of some fifty cells each
_NORMAL_EIGHTHS = np.array([-1.53, -0.89, -0.49, -0.16, 0.16, 0.49, 0.89, 1.53])


def residual_paths(base: Baseline, origin: float, low: Array, high: Array, usual: Array) -> Array:
    """Log of demand over `usual`, both with the small floor, in cells `[low, high)`; [rows, cells].

    `origin` is until when ordinary demand is known, epoch seconds like `low` and `high`; `usual` [cells] is the
    expected demand in requests/s. Ordered by their mean.
    """
    paths = _happened(base, origin, low, high, 0)
    for quarter in (1, 3, 2):
        if paths.shape[0] >= _ENOUGH or base.bins < 4:
            break  # other hours say less, but more than a prior
        paths = np.concatenate([paths, _happened(base, origin, low, high, quarter * base.bins // 4)])
    count = paths.shape[0]
    paths = paths * np.sqrt(1.0 + 2.0 / max(count, 1))  # the baseline and the carry-over were fitted to them
    if count < _ENOUGH:
        paths = np.concatenate([paths, _prior(base, _ENOUGH - count, low.size)])
    weeks = max(0.0, low[0] - base.until) / (7.0 * base.day_seconds)
    order = np.argsort(paths.mean(axis=1), kind="stable")
    paths = paths[order]
    drift = _DRIFT_SD_PER_WEEK * min(weeks, 26.0) ** 0.5
    paths = paths + drift * _normal_ranks(paths.shape[0])[:, None]
    grown = np.maximum((usual + base.pivot_rps) * np.exp(paths.clip(-_LARGEST, _LARGEST)) - base.pivot_rps, 0.0)
    return np.asarray(np.log((grown + base.floor_rps) / (usual + base.floor_rps)).clip(-_LARGEST, _LARGEST))


def _normal_ranks(count: int) -> Array:
    """About the normal quantiles of `count` ranks."""
    level = (np.arange(count) + 0.5) / count
    # the logistic quantile function stands in for the normal one
    return np.asarray(np.log(level / (1.0 - level)) * np.sqrt(3.0) / np.pi)


def _prior(base: Baseline, count: int, cells: int) -> Array:
    level_sd = float(np.hypot(_NEW_LEVEL_SD / (1.0 + base.own_days), min(_LEVEL_SD, base.ordinary_log_sd)))
    places = np.linspace(0, _ENOUGH - 1, count).round().astype(np.int64)
    random = np.random.Generator(np.random.PCG64(7)).standard_normal((_ENOUGH, cells))[:count]
    return np.asarray(level_sd * _NORMAL_EIGHTHS[places][:, None] + min(_WIGGLE_SD, base.ordinary_log_sd) * random)


def _happened(base: Baseline, origin: float, low: Array, high: Array, later: int) -> Array:
    """`_read`, remembered: while a window is open neither its cells nor its origin move."""
    key = (id(base), origin, float(low[0]), float(high[-1]), low.size, later)
    return _stretches.of(key, base, lambda: _read(base, origin, low, high, later))


def _read(base: Baseline, origin: float, low: Array, high: Array, later: int) -> Array:
    """The residuals of earlier days over the same stretch, `later` bins later in the day; [rows, cells].

    They are on the baseline's scale.
    """
    size = base.residual.size
    cover = base.carryover
    known = int(np.clip(np.floor(float(base.place(np.array([origin]))[0]) + 1e-6), 0, size))
    first = np.floor(base.place(low) + 1e-6).astype(np.int64)
    last = np.maximum(first + 1, np.floor(base.place(high) + 0.5).astype(np.int64))
    least = int(np.ceil(max(1, last[-1] - min(known, size)) / base.bins))
    shifts = np.arange(least, least + ROWS) * base.bins
    shifts = shifts if not later else shifts + base.bins - later
    origins = known - shifts
    usable = (origins >= min(cover.day, base.bins)) & (first[0] - shifts >= 0)
    shifts, origins = shifts[usable], origins[usable]
    if not shifts.size:
        return np.empty((0, low.size))
    places = first[None, :, None] - shifts[:, None, None] + np.arange(_bins_per_cell(first, last))
    values = base.residual.ravel()[places.clip(0, size - 1)]
    measured = np.isfinite(values) & (places >= 0) & (places < size)
    counts = measured.sum(axis=2)
    whole = (counts > 0).mean(axis=1) >= _MEASURED
    if not whole.any():
        return np.empty((0, low.size))
    sums = np.where(measured, values, np.float32(0.0)).sum(axis=2, dtype=np.float64)[whole]
    places, counts, origins = places[whole, :, 0], counts[whole], origins[whole]
    against = base.daily_against_usual.ravel()[places.clip(0, base.daily_against_usual.size - 1)].astype(np.float64)
    ahead = np.asarray(first - known + 0.5, dtype=np.float64)
    expected = cover.carried(against, cover.levels(origins).clip(-cover.limit, cover.limit), ahead)
    return np.where(counts > 0, sums / np.maximum(counts, 1) - expected, 0.0)


def _bins_per_cell(first: npt.NDArray[np.int64], last: npt.NDArray[np.int64]) -> int:
    return max(1, round(float((last - first).mean())))
