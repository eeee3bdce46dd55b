"""Plots as inline SVG. matplotlib is imported when a plot is made, and without its global state."""

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from forerun.domain.campaign import Occurrence
from forerun.report.timeline import TimelineRow

_DEMAND, _SERVED, _FLOOR, _BAND, _MISSED = "#0e7490", "#15803d", "#1e293b", "#a21caf", "#dc2626"


@dataclass(frozen=True, slots=True)
class TierLimits:
    """What a tier's replicas can do: calls/s of one Ready replica, and how many calls a request at the door makes."""

    name: str
    capacity_rps: float
    max_replicas: int
    demand_per_request: float


def door_plot(
    rows: Sequence[TimelineRow],
    tiers: Sequence[TierLimits],
    window: Occurrence,
    peak: tuple[float, float, float] | None,
) -> str:
    """Demand at the door against what the scarcest tier's Ready replicas serve, with the forecast of the peak."""
    moments = sorted({row.at for row in rows})
    demand, served = _at_the_door(rows, tiers, moments)
    axes, finish = _axes(height=3.4)
    seconds = [(at - window.start).total_seconds() for at in moments]
    length = (window.end - window.start).total_seconds()
    axes.axvspan(0, length, color="#f1f5f9", zorder=0)
    if peak is not None:
        axes.fill_between(
            [0, length],
            peak[0],
            peak[2],
            color=_BAND,
            alpha=0.15,
            linewidth=0,
            label="forecast before the start, p50..p99",
        )
        axes.plot([0, length], [peak[1], peak[1]], color=_BAND, linewidth=0.8, linestyle=":", label="p90")
    axes.plot(seconds, demand, color=_DEMAND, linewidth=1.6, label="demand")
    axes.step(seconds, served, where="post", color=_SERVED, linewidth=1.6, label="served by Ready replicas")
    axes.fill_between(seconds, demand, served, where=_above(demand, served), color=_MISSED, alpha=0.5, linewidth=0)
    axes.set_ylabel("requests/s at the door")
    highest = max([value for value in demand if math.isfinite(value)] + ([peak[2]] if peak else []), default=1.0)
    most = max([value for value in served if math.isfinite(value)], default=0.0)
    axes.set_ylim(0, max(1.2 * highest, min(1.1 * most, 2.5 * highest)))
    return finish(f"{_span(moments)}; 0 is the campaign's start")


def tier_plot(rows: Sequence[TimelineRow], tier: TierLimits, window: Occurrence) -> str:
    """Floor, desired and Ready replicas of one tier, and what its demand needed."""
    mine = [row for row in rows if row.tier == tier.name]
    axes, finish = _axes(height=2.3)
    seconds = [(row.at - window.start).total_seconds() for row in mine]
    axes.axvspan(0, (window.end - window.start).total_seconds(), color="#f1f5f9", zorder=0)
    needed = [_nan(row.demand) / tier.capacity_rps for row in mine]
    axes.fill_between(seconds, 0, needed, color=_DEMAND, alpha=0.25, linewidth=0, label="needed")
    axes.step(seconds, [_nan(row.ready) for row in mine], where="post", color=_SERVED, linewidth=1.6, label="Ready")
    desired = [_nan(row.desired) for row in mine]
    axes.step(seconds, desired, where="post", color="#64748b", linewidth=0.9, linestyle="--", label="desired")
    axes.step(seconds, [_nan(row.floor) for row in mine], where="post", color=_FLOOR, linewidth=1.1, label="floor")
    axes.set_ylabel("replicas")
    axes.set_ylim(bottom=0)
    return finish(tier.name)


def _at_the_door(
    rows: Sequence[TimelineRow], tiers: Sequence[TierLimits], moments: Sequence[datetime]
) -> tuple[list[float], list[float]]:
    limits = {tier.name: tier for tier in tiers}
    demand: dict[datetime, float] = {}
    served: dict[datetime, float] = {}
    for row in rows:
        tier = limits.get(row.tier)
        if tier is None:
            continue
        demand[row.at] = _nan(row.demand) / tier.demand_per_request
        able = _nan(row.ready) * tier.capacity_rps / tier.demand_per_request
        served[row.at] = min(served.get(row.at, able), able)
    nan = float("nan")
    return [demand.get(at, nan) for at in moments], [served.get(at, nan) for at in moments]


def _axes(height: float) -> tuple[Any, Callable[[str], str]]:
    """Empty axes (of matplotlib, which has no types), and what makes them an SVG under a title."""
    from matplotlib import rc_context  # noqa: PLC0415  # an extra; and slow to import
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(9.6, height), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e2e8f0", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)

    def finish(title: str) -> str:
        axes.set_title(title, loc="left", fontsize=9, color="#475569")
        axes.set_xlabel("seconds from the start", fontsize=8)
        axes.legend(fontsize=7, frameon=False, ncols=5, loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.1)
        text = io.StringIO()
        # the same rows make the same bytes
        with rc_context({"svg.hashsalt": "forerun", "svg.fonttype": "none", "font.family": "sans-serif"}):
            figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
        svg = text.getvalue()
        return svg[svg.index("<svg") :]

    return axes, finish


def _above(demand: Sequence[float], served: Sequence[float]) -> list[bool]:
    return [wanted > able for wanted, able in zip(demand, served, strict=True)]


def _nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _span(moments: Sequence[datetime]) -> str:
    return f"{moments[0]:%Y-%m-%d %H:%M:%S} to {moments[-1]:%H:%M:%S} UTC" if moments else "nothing recorded"
