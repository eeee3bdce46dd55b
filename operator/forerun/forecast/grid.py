"""The time grid of a forecast: disjoint segments that cover the upcoming windows. Pure, no torch.

The grid depends on the windows only, never on `now`: while time passes the cells stay where they are, and a
plan made from them does not wobble.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from math import ceil

from forerun.domain.forecast import EventWindow

MAX_CELLS = 240
MIN_CELLS = 24
_AIM_CELLS = 48
_STEPS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
# A window this many times shorter than the segment it falls into gets cells of its own ...
_UNEVEN = 6.0
# ... unless there would be too many pieces: then one coarse grid is the honest answer.
_MAX_PIECES = 24
_COARSE_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class GridSegment:
    """`cells` cells of `step_seconds` from `start`; `windows` are those with demand in it."""

    start: datetime
    step_seconds: float
    cells: int
    windows: tuple[EventWindow, ...]

    @property
    def end(self) -> datetime:
        return self.start + timedelta(seconds=self.cells * self.step_seconds)


@dataclass(frozen=True, slots=True)
class _Span:
    start: datetime
    end: datetime
    windows: tuple[EventWindow, ...]

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


def tail_end(window: EventWindow, time_compression: float = 1.0) -> datetime:
    """Until when a window's demand is followed: a quarter of its length after the end, an hour at most."""
    length = (window.occurrence.end - window.occurrence.start).total_seconds()
    return window.occurrence.end + timedelta(seconds=min(3600.0 / time_compression, 0.25 * length))


def make_grid(
    windows: Sequence[EventWindow], time_compression: float = 1.0, measured_step_seconds: float = 0.0
) -> tuple[GridSegment, ...]:
    """Disjoint ascending segments over all windows and their tails; empty windows are left out.

    Where demand is measured in steps of a quarter of an hour or more, cells are not finer than those steps: nothing
    would be known of what is between.
    """
    spans: list[_Span] = []
    for window in sorted(windows, key=lambda window: (window.occurrence.start, window.campaign)):
        occurrence, end = window.occurrence, tail_end(window, time_compression)
        if occurrence.end <= occurrence.start:
            continue
        if spans and occurrence.start < spans[-1].end:
            last = spans[-1]
            spans[-1] = _Span(last.start, max(last.end, end), (*last.windows, window))
        else:
            spans.append(_Span(occurrence.start, end, (window,)))
    pieces = [piece for span in spans for piece in _pieces(span, time_compression)]
    return tuple(
        _segment(
            piece,
            pieces[index + 1].start if index + 1 < len(pieces) else None,
            measured_step_seconds if measured_step_seconds * time_compression >= _COARSE_SECONDS else 0.0,
        )
        for index, piece in enumerate(pieces)
    )


def _pieces(span: _Span, time_compression: float) -> list[_Span]:
    """Cut a span where windows of very different length overlap, so that a short one is not lost in a wide cell."""
    ends = [tail_end(window, time_compression) for window in span.windows]
    lengths = [(end - window.occurrence.start).total_seconds() for window, end in zip(span.windows, ends, strict=True)]
    if span.seconds <= _UNEVEN * min(lengths):
        return [span]
    cuts = sorted({*(window.occurrence.start for window in span.windows), *ends})
    if len(cuts) > _MAX_PIECES:
        return [span]
    return [
        _Span(
            start,
            end,
            tuple(w for w, tail in zip(span.windows, ends, strict=True) if w.occurrence.start < end and tail > start),
        )
        for start, end in pairwise(cuts)
    ]


def _segment(span: _Span, following: datetime | None, least_step: float) -> GridSegment:
    seconds = span.seconds
    step = max(_step(seconds), min(least_step, seconds))
    if following is not None and following < span.start + timedelta(seconds=seconds + step):
        # whole steps would run into the next segment: fit the step to the room there is
        cells = max(1, min(MAX_CELLS, ceil(seconds / step)))
        return GridSegment(span.start, seconds / cells, cells, span.windows)
    return GridSegment(span.start, step, max(1, ceil(seconds / step - 1e-9)), span.windows)


def _step(seconds: float) -> float:
    """The widest round step that leaves about 48 cells or more; fractions of a second below 48 s."""
    if seconds < _AIM_CELLS * _STEPS[0]:
        return 1.0 if seconds >= MIN_CELLS else seconds / MIN_CELLS
    widest = max(step for step in _STEPS if seconds / step >= _AIM_CELLS)
    return float(max(widest, ceil(seconds / MAX_CELLS)))
