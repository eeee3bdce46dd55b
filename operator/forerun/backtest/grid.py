"""The rules of the split by bin width, and a trace put into the bins that are judged. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

import numpy as np

from forerun.domain.observation import DemandSeries

MINUTE_BIN_SECONDS = 300.0
_HOUR_SECONDS = 3600.0
_DAY_SECONDS = 86400.0


@dataclass(frozen=True, slots=True)
class Rule:
    """Bins of `step_seconds`; decided `lead_seconds` before the start; judged over `bins` bins.

    `fine` is True for data of five minutes or less: the lead counts from the declared start. For wider bins it counts
    from the start of the bin that holds it, so that the last bin known ends a whole lead before the first one judged.
    """

    step_seconds: float
    lead_seconds: float
    bins: int
    fine: bool

    @property
    def window_seconds(self) -> float:
        return self.bins * self.step_seconds


def rule_of(step_seconds: float, decide_seconds: float | None = None) -> Rule:
    """The rule for data in bins of `step_seconds`; `decide_seconds` replaces its lead.

    Up to 5 minutes: bins of 5 minutes (or the widest multiple below), 15 min ahead, 4 h. Up to an hour: one bin ahead,
    12 h. Wider: a day ahead (one bin where that is longer), 3 days (or 3 bins).
    """
    if step_seconds <= MINUTE_BIN_SECONDS:
        width = step_seconds * max(1, int(MINUTE_BIN_SECONDS / step_seconds + 1e-9))
        lead, window, fine = 900.0, 4 * _HOUR_SECONDS, True
    elif step_seconds <= _HOUR_SECONDS:
        width, lead, window, fine = step_seconds, step_seconds, 12 * _HOUR_SECONDS, False
    else:
        width, lead, fine = step_seconds, max(step_seconds, _DAY_SECONDS), False
        window = max(3 * _DAY_SECONDS, 3 * step_seconds)
    lead = lead if decide_seconds is None else decide_seconds
    return Rule(width, lead, ceil(window / width - 1e-9), fine)


def binned(series: DemandSeries, width_seconds: float) -> DemandSeries:
    """Means in requests/s over what was measured in each bin of `width_seconds`; NaN where nothing was.

    `width_seconds` is a whole multiple of the series' step. Bins begin at whole multiples of their width since the
    epoch where the series' own grid allows it.
    """
    each = round(width_seconds / series.step_seconds)
    if each <= 1:
        return series
    phase = (series.start.timestamp() % width_seconds) / series.step_seconds
    ahead = round(phase) if abs(phase - round(phase)) < 1e-6 else 0
    behind = -(ahead + len(series.values)) % each
    values = np.pad(np.asarray(series.values, dtype=np.float64), (ahead, behind), constant_values=np.nan)
    rows = values.reshape(-1, each)
    known = np.isfinite(rows)
    counts = known.sum(axis=1)
    sums = np.where(known, rows, 0.0).sum(axis=1)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    start = series.start - timedelta(seconds=ahead * series.step_seconds)
    return DemandSeries(start, each * series.step_seconds, tuple(means.tolist()))


def bin_of(series: DemandSeries, at: datetime) -> int:
    """The index of the bin that contains `at`; negative or too large outside the series."""
    return (at - series.start) // timedelta(seconds=series.step_seconds)


def before(series: DemandSeries, at: datetime, reach_seconds: float) -> DemandSeries | None:
    """The bins that END at or before `at` and begin less than `reach_seconds` before it; None where there is none."""
    last = min(bin_of(series, at), len(series.values))
    first = max(0, bin_of(series, at - timedelta(seconds=reach_seconds)))
    if last <= first:
        return None
    start = series.start + timedelta(seconds=first * series.step_seconds)
    return DemandSeries(start, series.step_seconds, series.values[first:last])
