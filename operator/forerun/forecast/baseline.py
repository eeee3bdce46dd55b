"""The seasonal baseline: usual demand by time of day and day of week, with the spread around it.

Robust by medians; past events are masked; gaps stay gaps. Demand and baseline are compared as
`log((demand + floor) / (baseline + floor))`, where `floor` is small, so that zeros at night are ordinary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forerun.domain.observation import DemandSeries

Array = npt.NDArray[np.float64]

RESIDUAL_LEVELS = 128  # entries of the residual table: medians of so many equal slices of probability
ABSURD_RPS = 1e15  # nothing serves that: a wrong unit or a broken exporter
_SMALLEST_RPS = 1e-12
_BINS_PER_DAY = 288
_LARGEST_WEEKDAY = 100.0  # a weekday's size against the others
_MAX_DAYS = 400
_NEW_SHOP_LOG_SD = 0.6  # of the level where one point is all there is; judgement
_UNSEEN_LOG_SD = 0.5  # of a time of day that was never seen; judgement
_DRIFT_LOG_SD_PER_WEEK = 0.05  # how far the level walks while the campaign is still ahead; judgement
_PRIOR_RESIDUAL_LOG_SD = 0.2  # of one bin around the level, until 50 bins were seen; judgement
_LEVELS = (np.arange(RESIDUAL_LEVELS) + 0.5) / RESIDUAL_LEVELS
# the logistic quantile function stands in for the normal one: heavier in the tail, and closed
_PRIOR_RESIDUAL: Array = np.log(_LEVELS / (1.0 - _LEVELS)) * (_PRIOR_RESIDUAL_LOG_SD * np.sqrt(3.0) / np.pi)


@dataclass(frozen=True, slots=True)
class Baseline:
    """What `history` says about usual demand.

    `profile` has shape [days in cycle, bins per day] in requests/s, the cycle being 1 or 7 days of
    `day_seconds` each, from the epoch; `seen` tells which bins rest on data. `residual` are the
    `RESIDUAL_LEVELS` log-residuals of one bin, ascending; `level_log_sd` is the spread between days.
    """

    day_seconds: float
    profile: Array
    seen: npt.NDArray[np.bool_]
    floor_rps: float
    residual: Array
    level_log_sd: float
    until: float  # epoch seconds of the last value used
    step_seconds: float

    @property
    def residual_log_sd(self) -> float:
        """Half the distance between the 16 % and the 84 % quantile of a bin's residual."""
        return max(0.03, 0.5 * float(np.interp(0.84, _LEVELS, self.residual) - np.interp(0.16, _LEVELS, self.residual)))

    def at(self, times: Array) -> Array:
        """Median demand in requests/s at the epoch seconds `times`; linear between the centres of bins."""
        days, bins = self.profile.shape
        place = np.mod(times, days * self.day_seconds) / self.day_seconds * bins - 0.5
        below = np.floor(place).astype(np.int64)
        share = place - below
        flat = self.profile.ravel()
        return np.asarray(flat[below % flat.size] * (1.0 - share) + flat[(below + 1) % flat.size] * share)

    def spread_at(self, times: Array) -> float:
        """Log-sd of the level over `times`: between days, of bins never seen, and of the weeks until then."""
        days, bins = self.profile.shape
        place = np.floor(np.mod(times, days * self.day_seconds) / self.day_seconds * bins).astype(np.int64)
        unseen = 1.0 - float(np.mean(self.seen.ravel()[place % self.seen.size]))
        weeks = max(0.0, float(times.max()) - self.until) / (7.0 * self.day_seconds)
        drift = _DRIFT_LOG_SD_PER_WEEK * min(weeks, 26.0) ** 0.5
        return float(np.sqrt(self.level_log_sd**2 + unseen * _UNSEEN_LOG_SD**2 + drift**2))


def clean(series: DemandSeries, now: float) -> tuple[Array, Array]:
    """(mid-bin epoch seconds, values) of what is usable up to `now`: finite, not negative, not absurd."""
    values = np.asarray(series.values, dtype=np.float64)
    times: Array = series.start.timestamp() + (np.arange(values.size, dtype=np.float64) + 0.5) * series.step_seconds
    with np.errstate(invalid="ignore"):
        usable = np.isfinite(values) & (values >= 0.0) & (values <= ABSURD_RPS) & (times <= now)
    # below it, quotients overflow; nobody means it
    return times[usable], np.where(values[usable] < _SMALLEST_RPS, 0.0, values[usable])


def outside(times: Array, windows: Sequence[tuple[float, float]]) -> npt.NDArray[np.bool_]:
    """Which of `times` lie in none of the half-open `windows`; windows may overlap and be many."""
    if not windows:
        return np.ones(times.shape, dtype=np.bool_)
    starts = np.sort(np.array([start for start, _ in windows]))
    ends = np.sort(np.array([end for _, end in windows]))
    begun = np.searchsorted(starts, times, side="right")
    over = np.searchsorted(ends, times, side="right")
    return np.asarray(begun <= over, dtype=np.bool_)


def fit_baseline(
    series: DemandSeries, masked: Sequence[tuple[float, float]], now: float, day_seconds: float
) -> Baseline | None:
    """Fit to what was measured up to `now` outside the `masked` windows; None where nothing is usable.

    Where masking leaves nothing, the masked values are used after all: an event's demand says more than nothing.
    """
    times, values = clean(series, now)
    if values.size == 0:
        return None
    kept = outside(times, masked)
    if kept.any():
        times, values = times[kept], values[kept]
    bins = int(np.clip(round(day_seconds / max(series.step_seconds, day_seconds / _BINS_PER_DAY)), 1, _BINS_PER_DAY))
    first, table = _by_day(times, values, day_seconds, bins)
    profile, seen = _profile(first, table)
    floor = max(0.05 * float(np.median(profile)), 1.0 / (values.size * series.step_seconds))
    residual = np.log((table + floor) / (profile[_cycle(first, table, profile)] + floor))
    level, between = _level(residual)
    shifted = np.maximum((profile + floor) * np.exp(level) - floor, 0.0)
    return Baseline(
        day_seconds=day_seconds,
        profile=shifted,
        seen=seen,
        floor_rps=floor,
        residual=_residual_table(residual),
        level_log_sd=between,
        until=float(times[-1]),
        step_seconds=series.step_seconds,
    )


def _by_day(times: Array, values: Array, day_seconds: float, bins: int) -> tuple[int, Array]:
    """(index of the first day, means with shape [days, bins]); NaN where nothing was measured."""
    day = np.floor(times / day_seconds).astype(np.int64)
    first = max(int(day.min()), int(day.max()) - _MAX_DAYS + 1)
    recent = day >= first
    times, values, day = times[recent], values[recent], day[recent]
    place = np.minimum((np.mod(times, day_seconds) / day_seconds * bins).astype(np.int64), bins - 1)
    days = int(day.max()) - first + 1
    slot = (day - first) * bins + place
    counts = np.bincount(slot, minlength=days * bins)
    sums = np.bincount(slot, weights=values, minlength=days * bins)
    with np.errstate(invalid="ignore"):
        return first, (sums / counts).reshape(days, bins)


def _cycle(first: int, table: Array, profile: Array) -> npt.NDArray[np.int64]:
    """For each day of `table` the row of `profile` it belongs to."""
    return np.mod(first + np.arange(table.shape[0]), profile.shape[0])


def _median(table: Array) -> Array:
    """Column medians; NaN where a column is empty. Sorting puts NaN last, which is faster than nanmedian."""
    ordered = np.sort(table, axis=0)
    count = np.isfinite(ordered).sum(axis=0)
    columns = np.arange(table.shape[1])
    low = ordered[np.maximum((count - 1) // 2, 0), columns]
    high = ordered[np.maximum(count // 2, 0).clip(max=table.shape[0] - 1), columns]
    return np.asarray(np.where(count > 0, 0.5 * (low + high), np.nan))


def _profile(first: int, table: Array) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Daily medians; with two weeks or more, a profile per weekday that is shrunk towards the daily one."""
    daily = _median(table)
    seen = np.isfinite(daily)
    daily = _filled(daily)
    days, bins = table.shape
    if np.isfinite(table).any(axis=1).sum() < 14:
        return (_smoothed(daily) if days < 4 else daily)[None, :], seen[None, :]
    profile = np.empty((7, bins))
    for weekday in range(7):
        rows = table[np.mod(first + np.arange(days), 7) == weekday]
        profile[weekday] = _weekday(rows, daily) if rows.size and np.isfinite(rows).any() else daily
    return profile, np.repeat(seen[None, :], 7, axis=0)


def _weekday(rows: Array, daily: Array) -> Array:
    """The profile of one weekday: its own medians, weighed n : 2 against the daily profile at this weekday's size."""
    present = np.isfinite(rows)
    usual = np.where(present, daily, 0.0).sum(axis=1)
    size = np.where(present, rows, 0.0).sum(axis=1)
    ratios = np.clip(size[usual > 0.0] / usual[usual > 0.0], 1.0 / _LARGEST_WEEKDAY, _LARGEST_WEEKDAY)
    weeks = ratios.size
    factor = float(np.median(ratios)) ** (weeks / (weeks + 1.0)) if weeks else 1.0
    own, count = _median(rows), present.sum(axis=0)
    weight = count / (count + 2.0)
    return np.asarray(
        np.where(count > 0, weight * np.nan_to_num(own) + (1.0 - weight) * factor * daily, factor * daily)
    )


def _filled(daily: Array) -> Array:
    """Bins never seen are interpolated around the clock."""
    known = np.flatnonzero(np.isfinite(daily))
    if known.size == daily.size:
        return daily
    around = np.concatenate([known - daily.size, known, known + daily.size])
    return np.interp(np.arange(daily.size), around, np.tile(daily[known], 3))


def _smoothed(daily: Array) -> Array:
    """A circular mean over five bins: with few days a median of one or two is mostly noise."""
    if daily.size < 5:
        return daily
    return np.asarray(np.mean([np.roll(daily, shift) for shift in range(-2, 3)], axis=0))


def _level(residual: Array) -> tuple[float, float]:
    """(log shift of the last two days against the profile, log-sd between days), both shrunk where data are few."""
    by_day = _median(residual.T)
    known = by_day[np.isfinite(by_day)]
    days = float(np.isfinite(residual).sum()) / residual.shape[1]  # full days' worth of data
    last = residual[-2:][np.isfinite(residual[-2:])]
    fullness = last.size / residual.shape[1]
    shift = float(np.median(last)) * fullness / (fullness + 0.5)
    spread = 1.4826 * float(np.median(np.abs(known - np.median(known)))) if known.size > 2 else 0.0
    return shift, float(np.hypot(spread, _NEW_SHOP_LOG_SD / np.sqrt(1.0 + 2.0 * days)))


def _residual_table(residual: Array) -> Array:
    """Quantiles of a bin's residual around its day, widened by a normal prior while bins are few."""
    around = residual - _median(residual.T)[:, None]
    known = np.sort(around[np.isfinite(around)])
    empirical = np.interp(_LEVELS * known.size - 0.5, np.arange(known.size), known)
    weight = known.size / (known.size + 50.0)
    return np.asarray(np.clip(weight * empirical + (1.0 - weight) * _PRIOR_RESIDUAL, -6.0, 6.0))


def flat_baseline(usual_rps: float, now: float, day_seconds: float) -> Baseline:
    """The baseline of a shop of which only a declared peak is known."""
    return Baseline(
        day_seconds=day_seconds,
        profile=np.full((1, 1), usual_rps),
        seen=np.ones((1, 1), dtype=np.bool_),
        floor_rps=0.01 * usual_rps,
        residual=_PRIOR_RESIDUAL,
        level_log_sd=0.0,
        until=now,
        step_seconds=3600.0,
    )
