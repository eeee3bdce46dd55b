"""One event of a backtest as compact inline SVG: the band, what happened, what was known. The colours are CSS."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from itertools import pairwise

_WIDTH, _HEIGHT = 960.0, 270.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 22.0, 12.0, 24.0
_TICK_SECONDS = (60, 300, 600, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800)
_MOST_TICKS = 13
_FEW = 6  # bins of a window that are drawn as steps: between so few points a line would say too much
_HIGHEST = 2.5  # times what happened or was the median: a band that goes further leaves the frame


@dataclass(frozen=True, slots=True)
class Band:
    """`rows[i]` holds the 0.05, 0.165, 0.5, 0.835 and 0.95 quantile of bin i of the window, in requests/s.

    `peak` holds the 0.05, 0.5, 0.9, 0.95 and 0.99 quantile of the window's highest bin, expected at `peak_at`.
    """

    rows: tuple[tuple[float, ...], ...]
    peak: tuple[float, float, float, float, float]
    peak_at: datetime


@dataclass(frozen=True, slots=True)
class EventPlot:
    """All demand in requests/s on one grid of `step_seconds`, NaN where unknown.

    `before` ends at `start` and holds what was known when it was decided; `actual` begins there; `usual` spans both.
    `band` is None where the model said nothing, `peak` where too little was measured. `losses` are the pinball losses
    of the peak by model.
    """

    kind: str
    name: str
    decided_at: datetime
    start: datetime
    step_seconds: float
    before: tuple[float, ...]
    actual: tuple[float, ...]
    usual: tuple[float, ...]
    band: Band | None
    peak: float | None
    losses: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class _Frame:
    """From (seconds after the start, requests/s) to the picture."""

    low: float
    high: float
    top: float

    def x(self, seconds: float) -> float:
        return _LEFT + (seconds - self.low) / (self.high - self.low) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        # far outside is enough: the frame cuts it off
        share = min(max(value / self.top, -1.0), 3.0)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def event_svg(plot: EventPlot, clip: str) -> str:
    """The picture; `clip` is an id that no other picture of the page has."""
    step = plot.step_seconds
    frame = _Frame(-len(plot.before) * step, len(plot.actual) * step, _top(plot))
    inner = f"x={_LEFT:g} y={_TOP:g} width={_WIDTH - _LEFT - _RIGHT:g} height={_HEIGHT - _TOP - _BOTTOM:g}"
    decided = (plot.decided_at - plot.start).total_seconds()
    parts = [
        f"<svg viewBox='0 0 {_WIDTH:g} {_HEIGHT:g}' role=img aria-label='{escape(plot.name, quote=True)}'>",
        f"<clipPath id={clip}><rect {inner} /></clipPath>",
        _value_axis(frame),
        _time_axis(frame, plot.start),
        f"<g clip-path='url(#{clip})'>",
        f"<rect class=win x={frame.x(0):.1f} y={_TOP:g} width={_WIDTH - _RIGHT - frame.x(0):.1f} height=100% />",
        _bands(frame, plot),
        _line(frame, "usual", plot.usual, -len(plot.before), step),
        _line(frame, "known", plot.before, -len(plot.before), step),
        _line(frame, "actual", plot.actual, 0, step),
        _upright(frame, "decided", decided),
        _upright(frame, "start", 0.0),
        _peaks(frame, plot),
        "</g></svg>",
    ]
    return "".join(parts)


def _top(plot: EventPlot) -> float:
    seen = [value for value in (*plot.before, *plot.actual) if math.isfinite(value)]
    rows = plot.band.rows if plot.band else ()
    middle = max([*seen, *(row[2] for row in rows), *((plot.band.peak[1],) if plot.band else ())], default=1.0)
    widest = max([middle, *(row[4] for row in rows), *((plot.band.peak[3],) if plot.band else ())])
    return 1.06 * min(widest, _HIGHEST * middle) or 1.0


def _bands(frame: _Frame, plot: EventPlot) -> str:
    if plot.band is None:
        return ""
    rows = plot.band.rows
    wide = _area(frame, "b90", [row[0] for row in rows], [row[4] for row in rows], plot.step_seconds)
    narrow = _area(frame, "b67", [row[1] for row in rows], [row[3] for row in rows], plot.step_seconds)
    return wide + narrow + _line(frame, "median", [row[2] for row in rows], 0, plot.step_seconds)


def _area(frame: _Frame, name: str, low: Sequence[float], high: Sequence[float], step: float) -> str:
    there = [point for i, value in enumerate(high) for point in _points(frame, i, value, step)]
    back = [point for i, value in enumerate(low) for point in _points(frame, i, value, step)]
    return f"<path class={name} d='M{'L'.join([*there, *reversed(back)])}Z'/>"


def _points(frame: _Frame, index: int, value: float, step: float) -> list[str]:
    """The middle of the bin, or both of its edges."""
    places = (0.0, 1.0) if frame.high <= _FEW * step else (0.5,)
    return [f"{frame.x((index + place) * step):.1f} {frame.y(value):.1f}" for place in places]


def _line(frame: _Frame, name: str, values: Sequence[float], first: int, step: float) -> str:
    """A gap breaks the line; a bin alone becomes a dot."""
    pieces: list[list[str]] = [[]]
    for index, value in enumerate(values):
        if math.isfinite(value):
            pieces[-1].extend(_points(frame, first + index, value, step))
        elif pieces[-1]:
            pieces.append([])
    path = "".join(f"M{'L'.join(piece if len(piece) > 1 else piece * 2)}" for piece in pieces if piece)
    return f"<path class={name} d='{path}'/>" if path else ""


def _peaks(frame: _Frame, plot: EventPlot) -> str:
    """A whisker from p5 to p95 of the peak with its median where it was expected, and a dot at the real one."""
    found = ""
    if plot.band is not None:
        low, middle, _, high, _ = plot.band.peak
        x = frame.x((plot.band.peak_at - plot.start).total_seconds())
        found += f"<path class=whisker d='M{x:.1f} {frame.y(low):.1f}V{frame.y(high):.1f}'/>"
        found += f"<circle class=expected cx={x:.1f} cy={frame.y(middle):.1f} r=4 />"
    if plot.peak is not None:
        at = (plot.actual.index(plot.peak) + 0.5) * plot.step_seconds
        found += f"<circle class=top cx={frame.x(at):.1f} cy={frame.y(plot.peak):.1f} r=4 />"
    return found


def _upright(frame: _Frame, name: str, seconds: float) -> str:
    return f"<path class={name} d='M{frame.x(seconds):.1f} {_TOP:g}V{_HEIGHT - _BOTTOM:g}'/>"


def _value_axis(frame: _Frame) -> str:
    step = 10.0 ** math.floor(math.log10(frame.top / 3.0))
    step *= max((factor for factor in (1.0, 2.0, 5.0) if frame.top / (factor * step) >= 3.0), default=1.0)
    lines = []
    for index in range(int(frame.top / step) + 1):
        y = frame.y(index * step)
        lines.append(f"<path class=grid d='M{_LEFT:g} {y:.1f}H{_WIDTH - _RIGHT:g}'/>")
        lines.append(f"<text class=n x={_LEFT - 6:g} y={y + 3.5:.1f}>{number(index * step)}</text>")
    return "".join(lines)


def _time_axis(frame: _Frame, start: datetime) -> str:
    span = frame.high - frame.low
    tick = next((width for width in _TICK_SECONDS if span / width <= _MOST_TICKS), span / _MOST_TICKS)
    epoch = start.timestamp()
    first = math.ceil((epoch + frame.low) / tick)
    last = math.floor((epoch + frame.high) / tick)
    moments = [datetime.fromtimestamp(index * tick, UTC) for index in range(first, last + 1)]
    days = [None, *(moment.date() for moment in moments)]
    found = []
    for moment, (earlier, day) in zip(moments, pairwise(days), strict=True):
        x = frame.x(moment.timestamp() - epoch)
        words = (
            f"{moment:%d %b}" if day != earlier and (tick >= 86400 or earlier or first == last) else f"{moment:%H:%M}"
        )
        found.append(f"<text class=t x={x:.1f} y={_HEIGHT - 8:g}>{words}</text>")
    return "".join(found)


def number(value: float) -> str:
    """Three significant digits, without an exponent up to a million millions; no trailing zeros."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "unknown"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{digits}f}" if abs(value) < 1e12 and digits <= 9 else f"{value:.2e}"
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text
