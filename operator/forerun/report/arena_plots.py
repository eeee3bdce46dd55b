"""Plots of the arena as compact inline SVG: how J/J* lies, and single runs. The colours are CSS."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from forerun.report.event_plot import number

OURS = "forerun"
_TICK_SECONDS = (60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
_MOST_TICKS = 6
_POINTS = 420  # of demand; more could not be seen
_LEVELS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0, 100.0, 200.0, 500.0, 1000.0)


@dataclass(frozen=True, slots=True)
class Spread:
    """How J/J* of the runs of one arm lies: its 0.05, 0.25, 0.5, 0.75 and 0.95 quantile."""

    kind: str
    lead_seconds: float
    arm: str
    quantiles: tuple[float, ...]
    runs: int


@dataclass(frozen=True, slots=True)
class ArenaTimeline:
    """One run of one arm, tick by tick, in replicas; `start_seconds` is where the campaign begins, from the first tick.

    `optimum` is what the clairvoyant optimum has desired.
    """

    arm: str
    setting: str
    place: str  # best, median, worst
    name: str
    lead_seconds: float
    relative: float
    unserved_percent: float
    tick_seconds: float
    start_seconds: float
    end_seconds: float
    needed: tuple[float, ...]
    ready: tuple[int, ...]
    floor: tuple[int, ...]
    optimum: tuple[int, ...]


def spread_svg(spreads: Sequence[Spread], longest: float) -> str:
    """One row per arm on a logarithmic axis from 1 to `longest`: 5 to 95 %, 25 to 75 % and the median of J/J*."""
    width, row, left, top = 480.0, 22.0, 96.0, 18.0
    height = top + row * len(spreads) + 20.0
    high = math.log(max(longest, 1.5))

    def x(value: float) -> float:
        return left + min(max(math.log(max(value, 1e-9)) / high, -0.03), 1.0) * (width - left - 56.0)

    parts = [f"<svg viewBox='0 0 {width:g} {height:g}' role=img aria-label='distribution of J over the optimum'>"]
    parts.append(f"<text class=n x={width - 2:g} y=11>median</text>")
    for level in _shown_levels(high):
        parts.append(f"<path class=grid d='M{x(level):.1f} {top:g}V{height - 18:g}'/>")
        parts.append(f"<text class=t x={x(level):.1f} y={height - 6:g}>{number(level)}</text>")
    for place, spread in enumerate(spreads):
        middle = top + row * (place + 0.5)
        low, first, median, third, far = spread.quantiles
        mine = " ours" if spread.arm == OURS else ""
        parts.append(f"<text class='n{mine}' x={left - 10:g} y={middle + 4:.1f}>{escape(spread.arm)}</text>")
        parts.append(f"<path class='whisk{mine}' d='M{x(low):.1f} {middle:.1f}H{x(far):.1f}'/>")
        wide = max(x(third) - x(first), 1.5)
        parts.append(f"<rect class='box{mine}' x={x(first):.1f} y={middle - 6:.1f} width={wide:.1f} height=12 rx=2 />")
        parts.append(f"<path class='mid{mine}' d='M{x(median):.1f} {middle - 7:.1f}v14'/>")
        parts.append(f"<text class='n{mine}' x={width - 2:g} y={middle + 4:.1f}>{median:.2f}</text>")
    return "".join(parts) + "</svg>"


def _shown_levels(high: float) -> list[float]:
    """Levels of the axis, none too near to the next."""
    shown: list[float] = []
    for level in _LEVELS:
        place = math.log(level)
        if place <= high and (not shown or place - math.log(shown[-1]) >= 0.09 * high):
            shown.append(level)
    return shown


def timeline_svg(line: ArenaTimeline, clip: str) -> str:
    """Needed, Ready, floor and the optimum; red where more was needed than was Ready. `clip` is unique in the page."""
    width, height, left, right, top, bottom = 340.0, 190.0, 34.0, 6.0, 8.0, 20.0
    span = len(line.needed) * line.tick_seconds
    highest = max([1.0, *line.needed, *map(float, (*line.ready, *line.floor, *line.optimum))])

    def x(tick: float) -> float:
        return left + tick * line.tick_seconds / span * (width - left - right)

    def y(value: float) -> float:
        return height - bottom - value / (1.06 * highest) * (height - top - bottom)

    needed = _thinned(line.needed)
    ready = _steps(line.ready, x, y)
    area = "L".join(f"{x(tick):.1f} {y(value):.1f}" for tick, value in needed)
    base = f"{y(0):.1f}"
    served = f"M{x(0):.1f} {y(line.ready[0]):.1f}{ready}V{top:g}H{left:g}Z"
    begin, end = (x(seconds / line.tick_seconds) for seconds in (line.start_seconds, line.end_seconds))
    parts = [
        f"<svg viewBox='0 0 {width:g} {height:g}' role=img aria-label='{escape(line.name, quote=True)}'>",
        f"<clipPath id={clip}><path d='{served}'/></clipPath>",
        f"<rect class=win x={begin:.1f} y={top:g} width={max(end - begin, 0):.1f} height={height - top - bottom:g} />",
        _values(highest, y, left, width - right),
        _times(line, x, height),
        f"<path class=need d='M{x(0):.1f} {base}L{area}V{base}Z'/>",
        f"<path class=lost clip-path='url(#{clip})' d='M{x(0):.1f} {base}L{area}V{base}Z'/>",
        f"<path class=best d='M{x(0):.1f} {y(line.optimum[0]):.1f}{_steps(line.optimum, x, y)}'/>",
        f"<path class=floor d='M{x(0):.1f} {y(line.floor[0]):.1f}{_steps(line.floor, x, y)}'/>",
        f"<path class=ready d='M{x(0):.1f} {y(line.ready[0]):.1f}{ready}'/>",
        "</svg>",
    ]
    return "".join(parts)


def _thinned(values: Sequence[float]) -> list[tuple[float, float]]:
    """(tick, value), the highest of each of `_POINTS` stretches: what was needed must not be hidden."""
    wide = max(1, math.ceil(len(values) / _POINTS))
    found = []
    for first in range(0, len(values), wide):
        some = values[first : first + wide]
        found.append((first + len(some) / 2.0, max(some)))
    return [(0.0, values[0]), *found, (float(len(values)), values[-1])]


def _steps(values: Sequence[int], x: Callable[[float], float], y: Callable[[float], float]) -> str:
    """The changes only, to the right end."""
    found = [
        f"H{x(tick):.1f}V{y(after):.1f}"
        for tick, (before, after) in enumerate(itertools.pairwise(values), start=1)
        if after != before
    ]
    return "".join(found) + f"H{x(len(values)):.1f}"


def _values(highest: float, y: Callable[[float], float], left: float, right: float) -> str:
    step = 10.0 ** math.floor(math.log10(max(highest, 1.0)))
    step *= max((factor for factor in (0.2, 0.5, 1.0, 2.0) if highest / (factor * step) >= 2.5), default=0.2)
    step = max(1.0, step)
    found = []
    for place in range(int(highest / step) + 1):
        at = y(place * step)
        found.append(f"<path class=grid d='M{left:g} {at:.1f}H{right:g}'/>")
        found.append(f"<text class=n x={left - 4:g} y={at + 3.5:.1f}>{number(place * step)}</text>")
    return "".join(found)


def _times(line: ArenaTimeline, x: Callable[[float], float], height: float) -> str:
    """From the campaign's start, before it below zero."""
    span = len(line.needed) * line.tick_seconds
    tick = next((width for width in _TICK_SECONDS if span / width <= _MOST_TICKS), span / _MOST_TICKS)
    first, last = math.ceil(-line.start_seconds / tick), math.floor((span - line.start_seconds) / tick)
    return "".join(
        f"<text class=t x={x((line.start_seconds + place * tick) / line.tick_seconds):.1f} y={height - 6:g}>"
        f"{_lasting(place * tick)}</text>"
        for place in range(first, last + 1)
        if 30.0 < x((line.start_seconds + place * tick) / line.tick_seconds) < 328.0
    )


def _lasting(seconds: float) -> str:
    if seconds == 0:
        return "start"
    for width, unit in ((86400.0, "d"), (3600.0, "h")):
        if abs(seconds) >= width:
            return f"{seconds / width:+g} {unit}"
    return f"{seconds / 60.0:+g} min"
