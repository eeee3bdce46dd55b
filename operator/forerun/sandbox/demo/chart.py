"""Demand against capacity over time, in the cells of a terminal. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rich.text import Text

from forerun.domain.campaign import Occurrence
from forerun.observe.words import rps

LABEL_WIDTH = 8
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_DEMAND, _UNSERVED, _CAPACITY, _PLANNED, _BAND = "cyan", "bright_red", "bright_green", "green", "magenta"


@dataclass(frozen=True, slots=True)
class Point:
    """One moment: demand at the door and the demand that the scarcest tier's Ready replicas serve; requests/s."""

    at: datetime
    demand_rps: float | None
    served_rps: float | None


@dataclass(frozen=True, slots=True)
class Chart:
    """`planned` are future points of which only `served_rps` counts; `band` is p50..p99 of the peak."""

    left: datetime
    right: datetime
    now: datetime
    seen: Sequence[Point]
    planned: Sequence[Point]
    window: Occurrence | None
    band: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class _Column:
    demand: float | None  # in rows from the bottom, a fraction
    served: float | None
    future: bool
    band: tuple[float, float] | None


def draw(chart: Chart, width: int, height: int) -> list[Text]:
    """`height` lines of `width` cells, the last of them the time axis."""
    rows, columns = height - 1, max(10, width - LABEL_WIDTH)
    top = _top(chart)
    cells = [_column(chart, index, columns, rows / top) for index in range(columns)]
    lines = []
    for row in reversed(range(rows)):
        line = Text(_label(row, rows, top).rjust(LABEL_WIDTH - 1) + " ", style="dim")
        for cell in cells:
            character, style = _cell(cell, row)
            line.append(character, style=style)
        lines.append(line)
    lines.append(_axis(chart, columns))
    return lines


def _top(chart: Chart) -> float:
    """The highest demand to be shown; capacity beyond it is cut off."""
    heights = [point.demand_rps for point in chart.seen if point.demand_rps is not None]
    heights += [point.served_rps / 1.6 for point in (*chart.seen, *chart.planned) if point.served_rps]
    if chart.band is not None:
        heights.append(chart.band[1])
    return 1.08 * max(heights, default=1.0) or 1.0


def _column(chart: Chart, index: int, columns: int, scale: float) -> _Column:
    span = (chart.right - chart.left) / columns
    low, high = chart.left + index * span, chart.left + (index + 1) * span
    band = _band(chart, low, high, scale)
    if low >= chart.now:
        return _Column(None, _lowest(_ahead(chart.planned, low, high), scale), future=True, band=band)
    inside = [point for point in chart.seen if low <= point.at < high]
    demands = [point.demand_rps for point in inside if point.demand_rps is not None]
    demand = scale * sum(demands) / len(demands) if demands else None
    return _Column(demand, _lowest(inside, scale), future=False, band=band)


def _band(chart: Chart, low: datetime, high: datetime, scale: float) -> tuple[float, float] | None:
    """The forecast peak, over the window only."""
    if chart.band is None or chart.window is None:
        return None
    live = low < chart.window.end and high > chart.window.start
    return (chart.band[0] * scale, chart.band[1] * scale) if live else None


def _ahead(planned: Sequence[Point], low: datetime, high: datetime) -> Sequence[Point]:
    """The plan in a stretch of time; a step holds until the next."""
    inside = [point for point in planned if low <= point.at < high]
    return inside or [point for point in planned if point.at <= low][-1:]


def _lowest(points: Sequence[Point], scale: float) -> float | None:
    served = [point.served_rps for point in points if point.served_rps is not None]
    return scale * min(served) if served else None


def _cell(column: _Column, row: int) -> tuple[str, str]:
    """One character and its style; the row covers [row, row + 1)."""
    filled = 0.0 if column.demand is None else min(1.0, max(0.0, column.demand - row))
    if column.served is not None and row <= column.served < row + 1:
        return _capacity_cell(filled, future=column.future)
    if filled > 0.0:
        short = column.served is not None and row >= column.served
        return _block(filled), _UNSERVED if short else _DEMAND
    if column.band is not None and column.band[0] < row + 1 and column.band[1] > row:
        return "░", _BAND
    return " ", ""


def _capacity_cell(filled: float, *, future: bool) -> tuple[str, str]:
    """The cell in which the capacity ends."""
    if future:
        return "┄", _PLANNED
    if 0.5 <= filled < 1.0:  # demand ends in it too, and would hide the line
        return _block(filled), _DEMAND
    return "─", f"bold {_CAPACITY} on {_DEMAND}" if filled >= 1.0 else f"bold {_CAPACITY}"


def _block(filled: float) -> str:
    return _EIGHTHS[max(1, round(filled * 8))]


def _label(row: int, rows: int, top: float) -> str:
    marks = {rows - 1: 1.0, rows // 2: (rows // 2 + 0.5) / rows}
    return rps(top * marks[row]) if row in marks else ""


def _axis(chart: Chart, columns: int) -> Text:
    """The start and the end of the window and the present moment, under the chart."""
    line = [" "] * columns
    marks = [(chart.now, "▲ now", "▲")]
    if chart.window is not None:
        marks = [(chart.window.start, "├ start", "├"), (chart.window.end, "┤ end", "┤"), *marks]
    for at, words, sign in marks:
        place = int((at - chart.left) / (chart.right - chart.left) * columns) if chart.right > chart.left else 0
        for text in (words, sign):
            if 0 <= place <= columns - len(text) and not "".join(line[place : place + len(text)]).strip():
                line[place : place + len(text)] = text
                break
    axis = Text(" " * LABEL_WIDTH)
    axis.append("".join(line), style="bold")
    return axis


def steps_between(left: datetime, right: datetime, count: int) -> list[datetime]:
    """`count` moments from `left` on, evenly up to `right`."""
    span = (right - left) / max(1, count)
    return [left + index * span for index in range(count)] if span > timedelta(0) else [left]
