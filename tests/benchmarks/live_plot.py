"""All arms of one event in one page: demand and what was served, floor, desired and Ready of each."""

import io
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from forerun.domain.campaign import Occurrence
from forerun.report.timeline import TimelineRow

_DEMAND, _READY, _DESIRED, _FLOOR, _MISSED = "#0e7490", "#15803d", "#64748b", "#1e293b", "#dc2626"
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;color:#0f172a;max-width:62rem;margin:2rem auto}svg{width:100%;height:auto}"
)


def write_page(
    path: Path, title: str, rows: Sequence[TimelineRow], capacity_rps: float, window: Occurrence, speed: float
) -> None:
    """One HTML file that fetches nothing, and the same plot as a PNG beside it."""
    figure = draw(rows, capacity_rps, window, speed)
    figure.savefig(path.with_suffix(".png"), format="png", dpi=110)
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    path.write_text(
        f"<!doctype html><html lang=en><head><meta charset=utf-8><title>{escape(title)}</title><style>{_STYLE}</style>"
        f"</head><body><h1>{escape(title)}</h1>{svg[svg.index('<svg') :]}</body></html>\n",
        encoding="utf-8",
    )


def draw(rows: Sequence[TimelineRow], capacity_rps: float, window: Occurrence, speed: float) -> Any:
    """A matplotlib figure, one panel per arm; time in minutes of the trace from the event's start."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    arms = list(dict.fromkeys(row.policy for row in rows))
    figure = Figure(figsize=(9.6, 2.6 * len(arms)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(arms), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for axes, arm in zip(panels, arms, strict=True):
        _panel(axes, arm, [row for row in rows if row.policy == arm], capacity_rps, window, speed)
    panels[0].set_ylim(bottom=0)
    panels[0].legend(
        fontsize=7, frameon=False, ncols=5, loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.1
    )
    panels[-1].set_xlabel("minutes of the trace from the start", fontsize=8)
    return figure


def _panel(
    axes: Any, arm: str, rows: Sequence[TimelineRow], capacity_rps: float, window: Occurrence, speed: float
) -> None:
    minutes = [(row.at - window.start).total_seconds() * speed / 60.0 for row in rows]
    needed = [_nan(row.demand) / capacity_rps for row in rows]
    ready = [_nan(row.ready) for row in rows]
    axes.axvspan(0, (window.end - window.start).total_seconds() * speed / 60.0, color="#f1f5f9", zorder=0)
    axes.fill_between(minutes, 0, needed, color=_DEMAND, alpha=0.25, linewidth=0, label="needed")
    missed = [want > have for want, have in zip(needed, ready, strict=True)]
    axes.fill_between(minutes, needed, ready, where=missed, color=_MISSED, alpha=0.8, linewidth=0, label="unserved")
    axes.step(minutes, ready, where="post", color=_READY, linewidth=1.6, label="Ready")
    axes.step(
        minutes, [_nan(row.desired) for row in rows], where="post", color=_DESIRED, lw=0.9, ls="--", label="desired"
    )
    axes.step(minutes, [_nan(row.floor) for row in rows], where="post", color=_FLOOR, linewidth=1.1, label="floor")
    axes.set_ylabel("replicas", fontsize=8)
    axes.set_title(arm, loc="left", fontsize=9, color="#475569")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e2e8f0", linewidth=0.6)
    axes.tick_params(labelsize=8)


def _nan(value: float | None) -> float:
    return math.nan if value is None else float(value)
