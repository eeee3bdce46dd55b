"""The report: one HTML file with its style and its plots inside; it fetches nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from itertools import pairwise

from forerun.domain.campaign import Occurrence
from forerun.report.plots import TierLimits, door_plot, tier_plot
from forerun.report.timeline import TimelineRow

__all__ = ["Chapter", "TierLimits", "report_page"]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #0f172a; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin: 2rem 0 .4rem; font-size: 1.1rem; } .sub { color: #475569; margin-top: .2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem; vertical-align: top; }
th { color: #475569; font-weight: 500; border-bottom: 1px solid #cbd5e1; } td { border-bottom: 1px solid #f1f5f9; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.pass { color: #15803d; font-weight: 700; } .fail { color: #dc2626; font-weight: 700; }
ul { margin: .2rem 0; padding-left: 1.2rem; color: #334155; font-size: .92em; } svg { width: 100%; height: auto; }
"""


@dataclass(frozen=True, slots=True)
class Chapter:
    """One campaign as it was recorded.

    `peak` is p50, p90, p99 of the forecast made before the start, in requests/s at the door;
    `verdicts` are (promise, kept, evidence); `turns` are (time, reason, note) of the operator's Events.
    """

    title: str
    subtitle: str
    window: Occurrence
    peak: tuple[float, float, float] | None
    tiers: tuple[TierLimits, ...]
    rows: tuple[TimelineRow, ...]
    verdicts: tuple[tuple[str, bool, tuple[str, ...]], ...] = ()
    turns: tuple[tuple[datetime, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class TierOutcome:
    """Totals of one tier over the recording; None where nothing was recorded of it."""

    name: str
    unserved_percent: float | None  # of the calls inside the window
    peak_needed: float | None  # replicas
    highest_floor: int | None
    replica_hours: float | None  # of Ready replicas, over the whole recording


def report_page(chapter: Chapter) -> str:
    """The page as HTML text; every text from outside is escaped."""
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        f"<title>{escape(chapter.title)} - Forerun</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(chapter.title)}</h1><p class=sub>{escape(chapter.subtitle)}</p>",
        _verdicts(chapter.verdicts),
        "<h2>Demand and what was there to serve it</h2>",
        door_plot(chapter.rows, chapter.tiers, chapter.window, chapter.peak),
        _outcomes([outcome(chapter.rows, tier, chapter.window) for tier in chapter.tiers]),
        *(f"<h2>{escape(tier.name)}</h2>{tier_plot(chapter.rows, tier, chapter.window)}" for tier in chapter.tiers),
        _turns(chapter.turns, chapter.window),
        "</body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def outcome(rows: Sequence[TimelineRow], tier: TierLimits, window: Occurrence) -> TierOutcome:
    """Totals from the rows: each row holds until the next of its tier."""
    mine = sorted((row for row in rows if row.tier == tier.name), key=lambda row: row.at)
    inside = [row for row in mine if window.contains(row.at)]
    return TierOutcome(
        name=tier.name,
        unserved_percent=_unserved_percent(mine, window),
        peak_needed=max((row.demand / tier.capacity_rps for row in inside if row.demand is not None), default=None),
        highest_floor=max((row.floor for row in mine if row.floor is not None), default=None),
        replica_hours=_replica_hours(mine) if mine else None,
    )


def _unserved_percent(rows: Sequence[TimelineRow], window: Occurrence) -> float | None:
    """Of the calls inside the window, where both demand and what was not served are known."""
    demand = unserved = 0.0
    for row, seconds in _lasting(rows):
        if window.contains(row.at) and row.demand is not None and row.unserved is not None:
            demand += row.demand * seconds
            unserved += row.unserved * seconds
    return 100.0 * unserved / demand if demand > 0 else None


def _replica_hours(rows: Sequence[TimelineRow]) -> float:
    return sum((row.ready or 0) * seconds for row, seconds in _lasting(rows)) / 3600.0


def _lasting(rows: Sequence[TimelineRow]) -> list[tuple[TimelineRow, float]]:
    """Every row but the last, with the seconds until the next."""
    return [(row, (following.at - row.at).total_seconds()) for row, following in pairwise(rows)]


def _verdicts(verdicts: Sequence[tuple[str, bool, tuple[str, ...]]]) -> str:
    if not verdicts:
        return ""
    rows = "".join(
        f"<tr><td class={'pass' if kept else 'fail'}>{'PASS' if kept else 'FAIL'}</td><td><b>{escape(promise)}</b>"
        f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in evidence)}</ul></td></tr>"
        for promise, kept, evidence in verdicts
    )
    return f"<h2>Verdict</h2><table>{rows}</table>"


def _outcomes(outcomes: Sequence[TierOutcome]) -> str:
    head = "".join(
        f"<th{'' if name == 'tier' else ' class=n'}>{name}</th>"
        for name in (
            "tier",
            "not served, % of calls in the window",
            "peak need",
            "highest floor",
            "Ready replica-hours",
        )
    )
    rows = "".join(
        f"<tr><td>{escape(o.name)}</td>{_cell(o.unserved_percent, '.2f')}{_cell(o.peak_needed, '.1f')}"
        f"{_cell(o.highest_floor, 'd')}{_cell(o.replica_hours, '.2f')}</tr>"
        for o in outcomes
    )
    return f"<table><tr>{head}</tr>{rows}</table>"


def _cell(value: float | None, form: str) -> str:
    return f"<td class=n>{'unknown' if value is None else format(value, form)}</td>"


def _turns(turns: Sequence[tuple[datetime, str, str]], window: Occurrence) -> str:
    if not turns:
        return ""
    rows = "".join(
        f"<tr><td class=n>{(at - window.start).total_seconds():+.0f} s</td><td><b>{escape(reason)}</b></td>"
        f"<td>{escape(note)}</td></tr>"
        for at, reason, note in turns
    )
    return f"<h2>What the operator said</h2><table>{rows}</table>"
