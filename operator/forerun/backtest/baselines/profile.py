"""Usual demand of a time of the week, read off the weeks before it; and how it errs on ordinary days."""

from dataclasses import dataclass

import numpy as np

from forerun.backtest.baselines.view import Array, View

_WEEKS, _WEEKS_BACK = 4, 8  # four usable weeks, looked for among the last eight
_DAYS, _DAYS_BACK = 7, 14
_REFERENCE_DAYS = 84  # ordinary windows are looked for this far back
_LAST_SECONDS = 3600.0
_RIDGE = 4.0  # windows' worth of belief in no correction


@dataclass(frozen=True, slots=True)
class Usual:
    """`log_usual[t]` is log(usual demand + floor) of each grid bin, from weeks before it alone.

    `ratio[t]` is log(demand + floor) minus it: 0 where demand is as usual, NaN where unknown.
    """

    view: View
    floor: float
    log_usual: Array
    ratio: Array


def usual(view: View) -> Usual:
    """The median of the last four same weekdays, of the last seven days before two weeks are known."""
    ordinary = np.where(view.masked, np.nan, view.values)
    weekly, weeks = _median_of_lags(ordinary, view.week, _WEEKS, _WEEKS_BACK)
    daily, _ = _median_of_lags(ordinary, view.day, _DAYS, _DAYS_BACK)
    found = np.where(weeks >= 2, weekly, np.where(np.isfinite(daily), daily, weekly))
    known = ordinary[: view.known]
    level = float(np.nanmedian(known)) if np.isfinite(known).any() else 0.0
    found = np.where(np.isfinite(found), found, level)
    log_usual = np.log(found + view.floor)
    return Usual(view, view.floor, log_usual, np.log(view.values + view.floor) - log_usual)


def _median_of_lags(values: Array, lag: int, wanted: int, back: int) -> tuple[Array, Array]:
    """(median of the latest `wanted` finite values among those 1..`back` lags earlier, how many there were)."""
    rows = np.full((back, values.size), np.nan)
    for number in range(1, back + 1):
        if number * lag < values.size:
            rows[number - 1, number * lag :] = values[: values.size - number * lag]
    finite = np.isfinite(rows)
    rows[finite.cumsum(axis=0) > wanted] = np.nan
    counts = np.isfinite(rows).sum(axis=0)
    ordered = np.sort(rows, axis=0)  # NaN last
    low, high = np.maximum(counts - 1, 0) // 2, counts // 2
    columns = np.arange(values.size)
    medians = 0.5 * (ordered[low, columns] + ordered[np.minimum(high, back - 1), columns])
    return np.where(counts > 0, medians, np.nan), counts.astype(np.float64)


def references(view: View) -> list[int]:
    """Grid indices where ordinary windows of this time of day begin, the latest first."""
    found, usable = [], view.usable
    for days in range(1, _REFERENCE_DAYS + 1):
        begin = view.zero - days * view.day
        window = slice(begin, begin + view.bins)
        if begin < usable or begin + view.bins > view.known:
            continue
        if view.masked[window].mean() < 0.25 and np.isfinite(view.values[window]).mean() > 0.5:
            found.append(begin)
    return found


def present_level(found: Usual, begin: int, lead: int) -> Array:
    """How demand compares with the usual before a window at grid index `begin`, `lead` bins ahead: (2,).

    The last hour (at least one bin) and the last day (at least a week of daily bins), 0 where unknown.
    """
    view, end = found.view, begin - lead
    hour = max(1, round(_LAST_SECONDS / view.step_seconds))
    day = view.day if view.day > 1 else 7
    levels = np.zeros(2)
    for place, bins in enumerate((hour, day)):
        seen = found.ratio[max(end - bins, 0) : max(end, 0)]
        seen = seen[np.isfinite(seen)]
        levels[place] = np.clip(np.median(seen), -1.5, 1.5) if seen.size else 0.0
    return levels


def level_weights(found: Usual, begins: list[int], lead: int) -> Array:
    """By how much the present level carries into each bin of a window: (2, bins), ridge regression, smoothed over bins.

    Learnt from ordinary windows; zero where there are too few.
    """
    view = found.view
    if len(begins) < 3:
        return np.zeros((2, view.bins))
    levels = np.array([present_level(found, begin, lead) for begin in begins])
    ratios = np.array([found.ratio[begin : begin + view.bins] for begin in begins])
    ratios = np.where(np.isfinite(ratios), ratios, 0.0)
    spread = float(levels.var()) + 1e-9
    system = levels.T @ levels + _RIDGE * spread * np.eye(2)
    weights = np.linalg.solve(system, levels.T @ ratios)
    width = max(1, view.bins // 4)
    kernel = np.ones(width)
    counts = np.convolve(np.ones(view.bins), kernel, mode="same")
    smooth = np.array([np.convolve(row, kernel, mode="same") / counts for row in weights])
    return np.asarray(np.clip(smooth, -0.5, 1.0))
