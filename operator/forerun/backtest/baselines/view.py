"""A decision's request as numbers on one grid: bin 0 is the first of the window, and bins before it lie in the past."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from forerun.backtest.decision import Decision
from forerun.domain.forecast import EventWindow
from forerun.domain.observation import DemandSeries

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

DAY_SECONDS = 86400.0


@dataclass(frozen=True, slots=True)
class View:
    """`values[zero + i]` is the demand in requests/s of bin i of `step_seconds`, NaN where unknown at the decision.

    The grid ends with the window's last bin. `zero` bins lie before the window, `known` bins before the decision
    (counted from the grid's start). `masked` says where another event, of whatever kind, was or will be under way.
    `events` holds the grid index of the first bin of each finished event of this kind, ascending; `others` the kind
    and index of every other event that is known by then: of other kinds, unfinished, or yet to come.
    """

    step_seconds: float
    start_seconds: float  # epoch of bin 0
    zero: int
    known: int
    bins: int
    values: Array
    masked: Mask
    kind: str
    events: tuple[int, ...]
    others: tuple[tuple[str, int], ...]

    @property
    def day(self) -> int:
        """Bins per day, at least 1."""
        return max(1, round(DAY_SECONDS / self.step_seconds))

    @property
    def week(self) -> int:
        return max(1, round(7 * DAY_SECONDS / self.step_seconds))

    @property
    def usable(self) -> int:
        """The grid index from which a window has a day of data before it (a week of daily bins)."""
        finite = np.flatnonzero(np.isfinite(self.values[: self.known]))
        first = int(finite[0]) if finite.size else self.known
        return first + (self.day if self.day > 1 else self.week)

    @property
    def times(self) -> Array:
        """Epoch seconds of each bin's beginning."""
        bins = np.arange(self.values.size, dtype=np.float64) - self.zero
        return np.asarray(self.start_seconds + bins * self.step_seconds)

    @property
    def window(self) -> slice:
        return slice(self.zero, self.zero + self.bins)

    @property
    def floor(self) -> float:
        """What keeps ratios finite where demand is near nothing: one request per bin, or 2 % of the usual level."""
        usual = self.values[: self.known][~self.masked[: self.known]]
        usual = usual[np.isfinite(usual)]
        level = float(usual.mean()) if usual.size else 0.0
        return max(1.0 / self.step_seconds, 0.02 * level)

    @classmethod
    def of(cls, decision: Decision) -> Self:
        """The grid begins where history (or, without any, recent) begins, at least one week before the window."""
        request, step = decision.request, decision.step_seconds
        start, now = decision.start.timestamp(), decision.decided_at.timestamp()
        series = [found for found in (request.history, request.recent) if found is not None and found.values]
        first = min((found.start.timestamp() for found in series), default=start)
        zero = max(round(7 * DAY_SECONDS / step), int(np.ceil((start - first) / step)))
        values = _laid(series, start - zero * step, step, zero + decision.bins)
        known = int(np.clip(np.floor((now - start) / step + 1e-6) + zero, 0, values.size))
        values[known:] = np.nan
        kind = kind_of(request.upcoming[0]) if request.upcoming else decision.kind
        past = _placed(request.past, start, step, zero)
        others = {(index, which) for index, which in past if which != kind}
        ahead = _placed(request.upcoming[1:], start, step, zero)
        return cls(
            *(step, start, zero, known, decision.bins, values),
            _masked((*request.past, *request.upcoming[1:]), start - zero * step, step, values.size, decision.bins),
            kind,
            tuple(index for index, _ in sorted(past - others)),
            tuple((which, index) for index, which in sorted(others | ahead)),
        )


def kind_of(window: EventWindow) -> str:
    """Events of one kind are occurrences of one campaign."""
    return window.campaign


def _placed(windows: Sequence[EventWindow], start: float, step: float, zero: int) -> set[tuple[int, str]]:
    """(grid index, kind) of the windows that begin on the grid; the bin at `start` is number `zero`."""
    placed = {(round((w.occurrence.start.timestamp() - start) / step) + zero, kind_of(w)) for w in windows}
    return {(index, kind) for index, kind in placed if index >= 0}


def _masked(others: tuple[EventWindow, ...], first: float, step: float, size: int, bins: int) -> Mask:
    """An event is under way from its start to its end, and at least for one window's length."""
    masked = np.zeros(size, dtype=np.bool_)
    for window in others:
        begin = int(np.floor((window.occurrence.start.timestamp() - first) / step + 1e-6))
        end = int(np.ceil((window.occurrence.end.timestamp() - first) / step - 1e-6))
        masked[max(begin, 0) : max(end, begin + bins, 0)] = True
    return masked


def _laid(series: Sequence[DemandSeries], first: float, step: float, size: int) -> Array:
    """Demand on the grid from `first`; where several series know a bin, the last of them has the word."""
    values = np.full(size, np.nan)
    for found in series:
        binned = _binned(found, first, step, size)
        values = np.where(np.isfinite(binned), binned, values)
    return values


def _binned(series: DemandSeries, first: float, step: float, size: int) -> Array:
    """Mean demand in each bin of the grid from `first`; bins narrower than the series' own repeat it."""
    values = np.asarray(series.values, dtype=np.float64)
    begin, width = series.start.timestamp(), series.step_seconds
    if width > step * 1.001:
        middles = first + (np.arange(size) + 0.5) * step
        source = np.floor((middles - begin) / width).astype(np.int64)
        inside = (source >= 0) & (source < values.size)
        return np.where(inside, values[np.clip(source, 0, values.size - 1)], np.nan)
    middles = begin + (np.arange(values.size) + 0.5) * width
    target = np.floor((middles - first) / step).astype(np.int64)
    good = np.isfinite(values) & (target >= 0) & (target < size)
    sums = np.bincount(target[good], weights=values[good], minlength=size)
    counts = np.bincount(target[good], minlength=size)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
