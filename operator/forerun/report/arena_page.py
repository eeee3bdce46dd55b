"""The page of the arena: goals, how J/J* lies, single runs and the tables. One file, fetches nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from forerun.report.arena_plots import OURS, ArenaTimeline, Spread, spread_svg, timeline_svg
from forerun.report.arena_style import STYLE

__all__ = ["ArenaPage", "ArenaTimeline", "ArmLine", "GoalLine", "GroupLine", "Spread", "arena_page"]

_MARKS = (
    ("<path class=need d='M0 2H36V14H0Z'/>", "needed"),
    ("<path class=lost d='M0 2H36V14H0Z'/>", "needed, and not Ready: unserved"),
    ("<path class=ready d='M0 7H36'/>", "Ready"),
    ("<path class=floor d='M0 7H36'/>", "floor (minReplicas)"),
    ("<path class=best d='M0 7H36'/>", "desired by the clairvoyant optimum"),
    ("<rect class=win x=0 y=0 width=36 height=14 />", "the declared window"),
)
_WORDS = (
    "J is what a run costs: its replica-seconds, and 99 replica-seconds for each that was needed and not there. J* is "
    "the cost of the clairvoyant optimum with the same start-up time. Each arm is shown at its best setting of each "
    "trace or family and lead time."
)
_READ = (
    "Below, J/J* of single runs: 5 to 95 % as a line, the middle half as a box, and the median. 1 is the optimum; the "
    "further left, the better."
)


@dataclass(frozen=True, slots=True)
class GoalLine:
    """`met` is None where the figure is only told."""

    name: str
    figure: str
    goal: str
    met: bool | None


@dataclass(frozen=True, slots=True)
class ArmLine:
    """One arm at its best settings over scenarios of one kind; ratios are to the optimum's, geometric means.

    `low` and `high` are the 95 % interval of `relative`, which is J/J* at a cost ratio of 99.
    """

    kind: str
    lead_seconds: float
    arm: str
    relative: float
    low: float
    high: float
    relative_9: float
    relative_999: float
    unserved_percent: float
    violation_seconds: float
    replicas: float
    churn: float
    runs: int


@dataclass(frozen=True, slots=True)
class GroupLine:
    """Ours beside the best-set peer on one trace or family, at one lead time; `ratio` is J of ours / of the peer."""

    group: str
    part: str
    lead_seconds: float
    runs: int
    relative: float
    low: float
    high: float
    setting: str
    peer: str
    peer_setting: str
    peer_relative: float
    ratio: float
    unserved_percent: float
    peer_unserved_percent: float
    replicas: float
    peer_replicas: float
    churn: float


@dataclass(frozen=True, slots=True)
class ArenaPage:
    """`notes` say how it was run; `losses` where a peer fares better."""

    notes: tuple[str, ...]
    goals: tuple[GoalLine, ...]
    arms: tuple[ArmLine, ...]
    groups: tuple[GroupLine, ...]
    losses: tuple[str, ...]
    spreads: tuple[Spread, ...]
    timelines: tuple[ArenaTimeline, ...]


def arena_page(page: ArenaPage) -> str:
    """The page as HTML text; every text from outside is escaped."""
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>Forerun: the arena</title><style>{STYLE}</style></head><body>",
        "<h1>The arena</h1>",
        *(f"<p class=sub>{escape(note)}</p>" for note in page.notes),
        "<h2>Goals</h2>",
        _goals(page.goals),
        "<h2>What it costs beside the optimum</h2>",
        f"<p class=sub>{_WORDS} {_READ}</p>",
        _spreads(page.spreads),
        "<h2>The best, the median and the worst run of each arm</h2>",
        _key(),
        *_timelines(page.timelines),
        "<h2>Every arm</h2>",
        _arms(page.arms),
        "<h2>Every trace and family: ours beside the best-set peer</h2>",
        "<p class=sub>Where the declaration is wrong or missing, beside hpa-rps at its best setting.</p>",
        _groups(page.groups),
        f"<h2>Where a peer fares better</h2>{_losses(page.losses)}",
        "</body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _goals(goals: Sequence[GoalLine]) -> str:
    words = {True: "<td class=good>met</td>", False: "<td class=bad>MISSED</td>", None: "<td></td>"}
    rows = "".join(
        f"<tr>{words[goal.met]}<td{' class=in' if goal.name.startswith(' ') else ''}>{escape(goal.name.strip())}</td>"
        f"<td class=n>{escape(goal.goal)}</td><td>{escape(goal.figure)}</td></tr>"
        for goal in goals
    )
    return f"<div class=wide><table><tr><th></th><th></th><th class=n>goal</th><th>figure</th></tr>{rows}</table></div>"


def _spreads(spreads: Sequence[Spread]) -> str:
    """One plot per kind and lead time, all of a kind on one axis."""
    parts = []
    for kind in dict.fromkeys(spread.kind for spread in spreads):
        plots = _plots([spread for spread in spreads if spread.kind == kind])
        parts.append(f"<h3>{escape(kind)}</h3><div class=two>{plots}</div>")
    return "".join(parts)


def _plots(spreads: Sequence[Spread]) -> str:
    """Those of one kind, by lead time."""
    longest = max(spread.quantiles[-1] for spread in spreads)
    parts = []
    for lead in dict.fromkeys(spread.lead_seconds for spread in spreads):
        some = [spread for spread in spreads if spread.lead_seconds == lead]
        said = f"pods take {lead:g} s to start; {max(spread.runs for spread in some)} runs"
        parts.append(f"<figure><figcaption>{said}</figcaption>{spread_svg(some, longest)}</figure>")
    return "".join(parts)


def _timelines(timelines: Sequence[ArenaTimeline]) -> list[str]:
    parts = []
    for arm in dict.fromkeys(line.arm for line in timelines):
        mine = [(place, line) for place, line in enumerate(timelines) if line.arm == arm]
        figures = "".join(_timeline(line, f"t{place}") for place, line in mine)
        parts.append(f"<h3>{escape(arm)}</h3><div class=three>{figures}</div>")
    return parts


def _timeline(line: ArenaTimeline, clip: str) -> str:
    name = escape(line.name, quote=True)
    said = f"J/J* {line.relative:.2f}, unserved {line.unserved_percent:.3g} %, {line.lead_seconds:g} s to start"
    setting = f", set to {escape(line.setting)}" if line.setting else ""
    return (
        f"<figure><figcaption title='{name}'><b>{escape(line.place)}</b> {name}<br><span>{said}{setting}</span>"
        f"</figcaption>{timeline_svg(line, clip)}</figure>"
    )


def _key() -> str:
    marks = "".join(f"<span><svg viewBox='0 0 36 14'>{mark}</svg>{words}</span>" for mark, words in _MARKS)
    return f"<div class=key>{marks}</div>"


def _arms(lines: Sequence[ArmLine]) -> str:
    names = (
        *("J/J*", "95 %", "at 9", "at 999", "unserved, %", "s with > 1 % unserved"),
        *("replica-seconds / optimum's", "churn / optimum's", "runs"),
    )
    head = "".join(f"<th class=n>{name}</th>" for name in names)
    body, before = [], None
    for line in lines:
        if (line.kind, line.lead_seconds) != before:
            before = (line.kind, line.lead_seconds)
            body.append(f"<tr><th colspan=10>{escape(line.kind)}, lead time {line.lead_seconds:g} s</th></tr>")
        cells = (
            *(f"{line.relative:.3f}", f"{line.low:.3f} to {line.high:.3f}", f"{line.relative_9:.2f}"),
            *(f"{line.relative_999:.2f}", f"{line.unserved_percent:.4f}", f"{line.violation_seconds:.0f}"),
            *(f"{line.replicas:.3f}", f"{line.churn:.2f}", f"{line.runs}"),
        )
        mine = " class=own" if line.arm == OURS else ""
        body.append(
            f"<tr{mine}><td>{escape(line.arm)}</td>{''.join(f'<td class=n>{cell}</td>' for cell in cells)}</tr>"
        )
    return f"<div class=wide><table><tr><th>arm</th>{head}</tr>{''.join(body)}</table></div>"


def _groups(lines: Sequence[GroupLine]) -> str:
    names = ("lead time", "runs", "ours J/J*", "95 %", "peer J/J*", "J / peer's", "unserved, %", "peer's")
    head = "".join(f"<th class=n>{name}</th>" for name in (*names, "replicas", "peer's", "churn"))
    body = "".join(_group_row(line) for line in lines)
    return f"<div class=wide><table><tr><th>trace or family</th><th>peer</th>{head}</tr>{body}</table></div>"


def _group_row(line: GroupLine) -> str:
    cells = (
        *(f"{line.lead_seconds:g} s", f"{line.runs}", f"{line.relative:.3f} <small>{escape(line.setting)}</small>"),
        *(f"{line.low:.3f} to {line.high:.3f}", f"{line.peer_relative:.3f}"),
        f"<b class={'bad' if line.ratio > 1.0 else 'good'}>{line.ratio:.3f}</b>",
        *(f"{line.unserved_percent:.4f}", f"{line.peer_unserved_percent:.4f}"),
        *(f"{line.replicas:.3f}", f"{line.peer_replicas:.3f}", f"{line.churn:.2f}"),
    )
    peer = f"{escape(line.peer)} <small>{escape(line.peer_setting)}</small>"
    row = "".join(f"<td class=n>{cell}</td>" for cell in cells)
    return f"<tr><td>{escape(line.group)}</td><td>{peer}</td>{row}</tr>"


def _losses(losses: Sequence[str]) -> str:
    if not losses:
        return "<p>Nowhere in this run.</p>"
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in losses)}</ul>"
