"""When demand began to rise at an event, seen in hindsight. It chooses the moment of a live decision, nothing more."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from forerun.backtest.grid import bin_of
from forerun.domain.campaign import Occurrence
from forerun.domain.observation import DemandSeries

Array = npt.NDArray[np.float64]

_SHARE = 0.25  # of the way from the usual to the peak
_LEAST_RISE = 1.2
_SAMPLES = 4
_MOST_DAYS = 28
_AROUND = 7  # minutes on either side: one minute alone is too noisy
_DAY_SECONDS = 86400.0


def onset_of(
    minutes: DemandSeries, bins: DemandSeries, start: datetime, window: Occurrence, busy: Sequence[Occurrence]
) -> datetime | None:
    """The first minute at or after `start` that is a quarter of the way from the usual to the window's highest bin.

    `minutes` and `bins` are the whole trace; minutes inside `busy` are not usual ones. None where nothing rises to
    1.2 times the usual, or where there is no usual to compare with.
    """
    first, last = bin_of(bins, window.start), bin_of(bins, window.end)
    seen = np.asarray(bins.values[first:last])
    if not np.isfinite(seen).any():
        return None
    highest = int(np.nanargmax(seen))
    usual = usual_of(minutes, window, busy)
    each = round(bins.step_seconds / minutes.step_seconds)
    at_peak = usual[highest * each : (highest + 1) * each]
    level = float(np.nanmean(at_peak)) if np.isfinite(at_peak).any() else float("nan")
    peak = float(seen[highest])
    if not (np.isfinite(level) and peak >= _LEAST_RISE * level and peak > 0.0):
        return None
    begin = bin_of(minutes, window.start)
    demand = np.asarray(minutes.values[begin : begin + usual.size])
    usual = usual[: demand.size]
    over = demand > usual + _SHARE * (peak - usual)
    over[: max(0, bin_of(minutes, start) - begin)] = False
    if not over.any():
        return None
    return minutes.start + timedelta(seconds=(begin + int(over.argmax())) * minutes.step_seconds)


def usual_of(minutes: DemandSeries, window: Occurrence, busy: Sequence[Occurrence]) -> Array:
    """The median of the same time of day, minute by minute of the window; NaN where it is not known.

    Taken from four earlier weeks outside `busy`; where fewer than two of these are known, from the last four such days.
    """
    begin, end = bin_of(minutes, window.start), bin_of(minutes, window.end)
    values = np.asarray(minutes.values, dtype=np.float64).copy()
    for other in busy:
        values[max(0, bin_of(minutes, other.start)) : max(0, bin_of(minutes, other.end))] = np.nan
    day = round(_DAY_SECONDS / minutes.step_seconds)
    usual = _median(values, begin, end, [7 * day * week for week in range(1, _SAMPLES + 1)])
    days = _median(values, begin, end, [day * back for back in range(1, _MOST_DAYS + 1)])
    return np.where(np.isfinite(usual), usual, days)


def _median(values: Array, begin: int, end: int, offsets: Sequence[int]) -> Array:
    """Over the nearest four offsets that are known, each smoothed; NaN where fewer than two are."""
    rows = np.array([_smoothed(values, begin - offset, end - offset) for offset in offsets])
    rank = np.cumsum(np.isfinite(rows), axis=0)
    rows[rank > _SAMPLES] = np.nan
    enough = np.isfinite(rows).sum(axis=0) >= 2
    found = np.full(end - begin, np.nan)
    found[enough] = np.nanmedian(rows[:, enough], axis=0)
    return found


def _smoothed(values: Array, begin: int, end: int) -> Array:
    """The mean of the known minutes around each of `[begin, end)`; NaN outside the values."""
    reach = np.full(end - begin + 2 * _AROUND, np.nan)
    low, high = max(0, begin - _AROUND), max(0, min(values.size, end + _AROUND))
    if high > low:
        offset = low - (begin - _AROUND)
        reach[offset : offset + high - low] = values[low:high]
    rows = np.lib.stride_tricks.sliding_window_view(reach, 2 * _AROUND + 1)
    known = np.isfinite(rows)
    counts = known.sum(axis=1)
    return np.where(counts > 0, np.where(known, rows, 0.0).sum(axis=1) / np.maximum(counts, 1), np.nan)
