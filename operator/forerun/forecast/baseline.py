"""The seasonal baseline: usual demand by time of day and day of week, many series at once.

Robust by trimmed means over the same slot of earlier weeks and days; past events are masked; gaps stay gaps. Each day's
baseline rests on the days before it alone, so that what demand did against it (the residual) is what a forecast of that
day would have missed: those residuals, whole stretches of them, become the paths of the forecast.

Residuals are `log((demand + pivot) / (baseline + pivot))`: relative where demand is large against the pivot,
absolute where it is small, so that one scale serves night and day.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forerun.domain.observation import DemandSeries
from forerun.forecast.carryover import Carryover, fit_carryover

Array = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

ABSURD_RPS = 1e15  # nothing serves that: a wrong unit or a broken exporter
_SMALLEST_RPS = 1e-12
_PIVOT = 2.0  # times the usual demand; judgement, between a log scale (0) and a linear one
_SAMPLED, _MANY = 5, 2000  # every fifth of many values tells their median
_BINS_PER_DAY = 288
_MAX_DAYS = 400
_FINE_BINS = 96  # per day
_CYCLE = 7  # days
_WEEKS = 6
_DAYS = 7
_RIPE_WEEKS = 3  # with an earlier week behind them, the one to come among them
_WEEK_AGAINST_DAY = 2.0  # so many weekdays weigh as much as the daily profile; judgement
_LEAST_NOISE, _PRIOR_NOISE, _PRIOR_BINS = 0.03, 0.2, 50.0


@dataclass(frozen=True, slots=True)
class Baseline:
    """What one series says about usual demand.

    `usual` has shape [days + 7, bins] in requests/s, the last seven rows being the week to come; day 0 is
    `first_day` days of `day_seconds` after the epoch. `residual` has shape [days, bins], NaN where nothing usual
    was measured. `own_days` is how many days' worth of ordinary data there are.
    """

    day_seconds: float
    first_day: int
    usual: Single
    residual: Single
    daily_against_usual: Single  # [days + 7, bins]: log of the last days' profile over `usual`
    carryover: Carryover
    pivot_rps: float
    floor_rps: float
    first_week_ends: float  # epoch seconds; before it no weekday has a baseline of its own
    residual_log_sd: float  # of one bin around its day, as `log(demand / usual)`
    own_days: float
    until: float  # epoch seconds of the last value used
    step_seconds: float

    @property
    def bins(self) -> int:
        return int(self.usual.shape[1])

    @property
    def bin_seconds(self) -> float:
        return self.day_seconds / self.bins

    @property
    def ordinary_log_sd(self) -> float:
        """Spread of ordinary demand around the baseline, on its scale."""
        return self.carryover.log_sd

    def place(self, times: Array) -> Array:
        """Bins since the start of day 0, fractional."""
        return np.asarray(times / self.bin_seconds - float(self.first_day) * self.bins)

    def row(self, days: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """For each day since day 0 its row of `usual`: its own, or that of its weekday in the week to come."""
        last = self.usual.shape[0] - _CYCLE
        return np.where((days >= 0) & (days < last + _CYCLE), days, last + np.mod(days - last, _CYCLE))

    def slots(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Flat indices into `usual` of the bins `places`."""
        return np.asarray(self.row(places // self.bins) * self.bins + places % self.bins)

    def at(self, times: Array) -> Array:
        """Usual demand in requests/s at the epoch seconds `times`; linear between the middles of bins."""
        place = self.place(times) - 0.5
        below = np.floor(place).astype(np.int64)
        share = place - below
        flat = self.usual.ravel()
        return np.asarray(flat[self.slots(below)] * (1.0 - share) + flat[self.slots(below + 1)] * share)


def clean(series: DemandSeries, now: float) -> tuple[Array, Array]:
    """(mid-bin epoch seconds, values) of what is usable up to `now`: finite, not negative, not absurd."""
    values = np.asarray(series.values, dtype=np.float64)
    times: Array = series.start.timestamp() + (np.arange(values.size, dtype=np.float64) + 0.5) * series.step_seconds
    usable = _usable(values) & (times <= now)
    # below it, quotients overflow; nobody means it
    return times[usable], np.where(values[usable] < _SMALLEST_RPS, 0.0, values[usable])


def _usable(values: Array) -> Mask:
    with np.errstate(invalid="ignore"):
        return np.asarray((values >= 0.0) & (values <= ABSURD_RPS))


def outside(times: Array, windows: Sequence[tuple[float, float]]) -> Mask:
    """Which of `times` lie in none of the half-open `windows`; windows may overlap and be many."""
    if not windows:
        return np.ones(times.shape, dtype=np.bool_)
    starts = np.sort(np.array([start for start, _ in windows]))
    ends = np.sort(np.array([end for _, end in windows]))
    begun = np.searchsorted(starts, times, side="right")
    over = np.searchsorted(ends, times, side="right")
    return np.asarray(begun <= over, dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class Table:
    """A series by days: `values` [days, bins] in requests/s, NaN where nothing was measured; `usual` is not masked."""

    first_day: int
    values: Single
    usual: Mask
    day_seconds: float
    until: float
    step_seconds: float


def tabulate(
    series: DemandSeries, masked: Sequence[tuple[float, float]], now: float, day_seconds: float
) -> Table | None:
    """What was measured up to `now`, by day and time of day; None where nothing is usable.

    Where masking leaves nothing, the masked values are used after all: an event's demand says more than nothing.
    """
    bins = int(np.clip(round(day_seconds / max(series.step_seconds, day_seconds / _BINS_PER_DAY)), 1, _BINS_PER_DAY))
    start = series.start.timestamp()
    aligned = bins * series.step_seconds == day_seconds and start % series.step_seconds == 0.0
    first, table, until = _laid_out(series, now, bins) if aligned else _averaged(series, now, bins, day_seconds)
    present = np.isfinite(table)
    if not present.any():
        return None
    width = day_seconds / bins
    middles = np.asarray((np.arange(table.size) + 0.5 + first * bins) * width, dtype=np.float64)
    usual = outside(middles, masked)
    usual = usual.reshape(table.shape)
    if not (usual & present).any():
        usual = present
    return Table(first, table, usual, day_seconds, until, series.step_seconds)


def _laid_out(series: DemandSeries, now: float, bins: int) -> tuple[int, Single, float]:
    """(first day, table, epoch seconds of the last value) where the series' steps are the table's bins."""
    step, start = series.step_seconds, series.start.timestamp()
    values = np.asarray(series.values, dtype=np.float64)
    known = int(np.clip(np.floor((now - start) / step + 0.5), 0, values.size))
    values = values[:known][-_MAX_DAYS * bins :]
    usable = _usable(values)
    if not usable.any():
        return 0, np.full((1, bins), np.nan, np.float32), start
    begin = round(start / step) + known - values.size
    first = begin // bins
    days = (begin + values.size - 1) // bins - first + 1
    table = np.full(days * bins, np.nan, np.float32)
    low = begin - first * bins
    table[low : low + values.size] = np.where(usable, values, np.nan)
    last = int(np.flatnonzero(usable)[-1])
    return first, table.reshape(days, bins), (begin + last + 0.5) * step


def _averaged(series: DemandSeries, now: float, bins: int, day_seconds: float) -> tuple[int, Single, float]:
    """As `_laid_out`, for steps of any length: the mean of what falls into a bin."""
    times, values = clean(series, now)
    if values.size == 0:
        return 0, np.full((1, bins), np.nan, np.float32), now
    slot = np.floor(times / (day_seconds / bins)).astype(np.int64)
    last = int(slot[-1]) // bins
    first = max(int(slot[0]) // bins, last - _MAX_DAYS + 1)
    recent = slot >= first * bins
    slot = slot[recent] - first * bins
    size = (last - first + 1) * bins
    counts = np.bincount(slot, minlength=size)
    with np.errstate(invalid="ignore"):
        table = np.bincount(slot, weights=values[recent], minlength=size) / counts
    return first, table.astype(np.float32).reshape(-1, bins), float(times[-1])


def fit_baseline(
    series: DemandSeries, masked: Sequence[tuple[float, float]], now: float, day_seconds: float
) -> Baseline | None:
    """Fit to what was measured up to `now` outside the `masked` windows; None where nothing is usable."""
    table = tabulate(series, masked, now, day_seconds)
    return fit_tables([table])[0] if table is not None else None


def fit_tables(tables: Sequence[Table]) -> list[Baseline]:
    """Fit tables of one shape together, in order."""
    values = np.stack([table.values for table in tables])
    usual = np.stack([table.usual for table in tables])
    flat = values.reshape(len(tables), -1)
    pivot = np.array([_pivot(row, table) for row, table in zip(flat, tables, strict=True)], dtype=np.float32)
    pivots = pivot[:, None, None]
    logs = np.log(values + pivots)
    kept = np.where(usual, logs, np.float32(np.nan))
    smooth = _smoothed(kept)
    weekly, weeks = _trimmed(smooth, [_CYCLE * week for week in range(1, _WEEKS + 1)])
    daily, days = _trimmed(smooth, list(range(1, _DAYS + 1)))
    known = weeks + days > 0
    fallback = _fallback(kept, known, np.where(days > 0, daily, weekly))
    daily = np.where(days > 0, daily, fallback)
    share = weeks / (weeks + np.float32(_WEEK_AGAINST_DAY))
    offset = _weekday_offset(weekly, weeks, daily)
    expected = np.where(weeks > 0, share * weekly + (1.0 - share) * (daily + offset), daily + offset)
    rows = values.shape[1]
    told = _told(known, weeks)[:, :rows]
    residual = np.where(told, kept - expected[:, :rows], np.float32(np.nan))
    profile = np.maximum(np.exp(expected) - pivots, 0.0)
    against = daily - expected
    carryovers = fit_carryover(residual, against)
    noise = _noise(values, profile[:, :rows], residual, 0.025 * pivot)
    own = np.isfinite(kept).sum(axis=(1, 2)) / kept.shape[2]
    return [
        Baseline(
            day_seconds=table.day_seconds,
            first_day=table.first_day,
            usual=profile[index],
            residual=residual[index],
            daily_against_usual=against[index],
            carryover=carryovers[index],
            pivot_rps=float(pivot[index]),
            floor_rps=0.025 * float(pivot[index]),
            first_week_ends=(table.first_day + _CYCLE) * table.day_seconds,
            residual_log_sd=float(noise[index]),
            own_days=float(own[index]),
            until=table.until,
            step_seconds=table.step_seconds,
        )
        for index, table in enumerate(tables)
    ]


def _pivot(values: Single, table: Table) -> float:
    """A multiple of the median demand; where most of it is zero, of the mean, or of one request."""
    known = values[:: _SAMPLED if values.size > _MANY else 1]
    known = known[np.isfinite(known)]
    if not known.size:
        known = values[np.isfinite(values)]
    middle = float(np.partition(known, known.size // 2)[known.size // 2])
    return max(_PIVOT * middle, float(known.mean()), 1.0 / (values.size * table.step_seconds))


def _trimmed(logs: Single, lags: Sequence[int]) -> tuple[Single, Single]:
    """(mean over the rows `lags` days before without the largest and the smallest, how many rows), for days + 7 rows.

    The median of four, and the mean of the middle five of seven: one day that went astray moves nothing.
    """
    series, days, bins = logs.shape
    shape = (series, days + _CYCLE, bins)
    total, count = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    highest, lowest = np.full(shape, -np.inf, np.float32), np.full(shape, np.inf, np.float32)
    known = np.isfinite(logs)
    present, filled = known.astype(np.float32), np.where(known, logs, np.float32(0.0))
    # several times faster than fmax and fmin, which would pass over NaN by themselves
    high, low = np.where(known, logs, np.float32(-np.inf)), np.where(known, logs, np.float32(np.inf))
    for lag in lags:
        rows = min(days, days + _CYCLE - lag)
        if rows <= 0:
            continue
        target, source = slice(lag, lag + rows), slice(0, rows)
        total[:, target] += filled[:, source]
        count[:, target] += present[:, source]
        np.maximum(highest[:, target], high[:, source], out=highest[:, target])
        np.minimum(lowest[:, target], low[:, source], out=lowest[:, target])
    enough = count > 2.0
    with np.errstate(invalid="ignore", divide="ignore"):
        trimmed = np.where(enough, (total - highest - lowest) / (count - 2.0), total / count)
    return trimmed, count


def _smoothed(logs: Single) -> Single:
    """Fine bins lean on their neighbours, 1 : 2 : 1, where those were measured."""
    if logs.shape[2] < _FINE_BINS:
        return logs
    mean = logs.copy()
    inner, beside = mean[:, :, 1:-1], logs[:, :, :-2] + logs[:, :, 2:]
    inner *= np.float32(0.5)
    beside *= np.float32(0.25)
    inner += beside
    alone = np.isnan(mean)
    if alone.any():
        mean[alone] = logs[alone]
    return mean


def _told(known: Mask, weeks: Single) -> Mask:
    """Where the baseline stands for that of today: once weekdays are known, not where they were not yet."""
    ripe = (weeks > 0).sum(axis=(1, 2)) >= _RIPE_WEEKS * _CYCLE * weeks.shape[2]
    return np.where(ripe[:, None, None], weeks > 0, known)


def _weekday_offset(weekly: Single, weeks: Single, daily: Single) -> Single:
    """How much each day lies above the daily profile as a whole, shrunk where few weeks tell; [series, days + 7, 1]."""
    present = weeks > 0
    count = present.sum(axis=2, keepdims=True)
    apart = np.where(present, weekly - daily, np.float32(0.0)).sum(axis=2, keepdims=True) / np.maximum(count, 1)
    told = np.where(present, weeks, np.float32(0.0)).sum(axis=2, keepdims=True) / weekly.shape[2]
    return np.asarray(apart * told / (told + np.float32(_WEEK_AGAINST_DAY)), dtype=np.float32)


def _fallback(logs: Single, known: Mask, daily: Single) -> Single:
    """For slots that no earlier day tells of: the week to come at that time of day, or at the nearest ones."""
    if known[:, 1:].all():  # the first day has none before it: as on its weekday of the week after
        return np.concatenate([daily[:, _CYCLE : _CYCLE + 1], daily[:, 1:]], axis=1)
    ways = known[:, -_CYCLE:].sum(axis=1)
    slot = np.where(known[:, -_CYCLE:], daily[:, -_CYCLE:], np.float32(0.0)).sum(axis=1) / np.maximum(ways, 1)
    for index in np.flatnonzero((ways == 0).any(axis=1)):
        slot[index] = _around_the_clock(slot[index], ways[index] > 0, logs[index])
    return np.broadcast_to(slot[:, None, :], daily.shape).astype(np.float32)


def _around_the_clock(slot: Single, told: Mask, logs: Single) -> Array:
    """Slots between those that are told; where none is, the mean of everything."""
    places = np.flatnonzero(told)
    if not places.size:
        return np.full(slot.size, float(np.nanmean(logs)))
    wrapped = np.concatenate([places - slot.size, places, places + slot.size])
    return np.interp(np.arange(slot.size), wrapped, np.tile(slot[places], 3))


def _noise(values: Single, usual: Single, residual: Single, floor: Single) -> Single:
    """Log-sd of one bin around its day, from absolute deviations; widened towards a prior where bins are few."""
    floors = floor[:, None, None]
    logs = np.log((values + floors) / (usual + floors))
    present = np.isfinite(residual) & np.isfinite(logs)
    logs = np.where(present, logs, np.float32(0.0))
    by_day = present.sum(axis=2, keepdims=True)
    level = logs.sum(axis=2, keepdims=True) / np.maximum(by_day, 1)
    deviation = np.where(present, np.minimum(np.abs(logs - level), 2.0), 0.0)
    count = by_day.sum(axis=(1, 2))
    own = np.sqrt(np.pi / 2.0) * deviation.sum(axis=(1, 2)) / np.maximum(count, 1)
    variance = (count * own**2 + _PRIOR_BINS * _PRIOR_NOISE**2) / (count + _PRIOR_BINS)
    return np.asarray(np.maximum(np.sqrt(variance), _LEAST_NOISE), dtype=np.float32)


def flat_baseline(usual_rps: float, now: float, day_seconds: float) -> Baseline:
    """The baseline of a shop of which only a declared peak is known."""
    nothing = np.full((1, 1), np.nan, np.float32)
    flat = np.full((1 + _CYCLE, 1), usual_rps, np.float32)
    return Baseline(
        day_seconds=day_seconds,
        first_day=int(now // day_seconds),
        usual=flat,
        residual=nothing,
        daily_against_usual=np.zeros_like(flat),
        carryover=fit_carryover(nothing[None], np.zeros_like(flat)[None])[0],
        pivot_rps=_PIVOT * usual_rps,
        floor_rps=0.05 * usual_rps,
        first_week_ends=now,
        residual_log_sd=_PRIOR_NOISE,
        own_days=0.0,
        until=now,
        step_seconds=300.0,
    )
