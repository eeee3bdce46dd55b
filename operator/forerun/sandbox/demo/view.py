"""The live view: one frame of the terminal from what has been seen so far. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from forerun.domain.campaign import Occurrence
from forerun.observe.words import rps
from forerun.sandbox.demo.chart import Chart, Point, draw, steps_between
from forerun.sandbox.demo.recording import Moment, Story, TierSight
from forerun.sandbox.demo.scenario import DemoTier, Scenario

_PHASES = {
    "Scheduled": "white",
    "Warming": "yellow",
    "Armed": "bright_green",
    "Live": "bright_magenta",
    "Releasing": "bright_cyan",
    "Completed": "green",
}
_CHROME_LINES = 9  # title, figures, two rules, the tiers' header, one line each for three tiers and a hint
_PLANNED_POINTS = 120


@dataclass(frozen=True, slots=True)
class Frame:
    """One moment of the demo. `window` is None until the campaign's time is set; `doing` says what is going on."""

    scenario: Scenario
    now: datetime
    opened_at: datetime
    window: Occurrence | None
    moments: Sequence[Moment]
    story: Story
    doing: str
    done: Sequence[str] = ()  # steps of the preparation that lie behind
    hint: str = "Ctrl-C ends it and gives everything back"


def render(frame: Frame, width: int, height: int) -> RenderableType:
    """The frame for a terminal of `width` x `height` cells; made for 80 x 24 and larger."""
    room = max(8, height - _CHROME_LINES)
    why = max(3, min(8, room // 4))
    return Group(
        _title(frame, width),
        _figures(frame),
        *(_preparation(frame, room - why) if _demand(frame) is None else draw(_chart(frame), width, room - why)),
        Rule(style="dim"),
        _tiers(frame, width),
        Rule(style="dim"),
        *_why(frame, why, width),
        Text(frame.hint, style="dim", justify="right", no_wrap=True),
    )


def line(frame: Frame) -> str:
    """The same in one line, for a log."""
    sights = _newest(frame)
    tiers = ", ".join(
        f"{tier.name} {_shown(sights[tier.name].ready)}/{_shown(sights[tier.name].floor)}"
        for tier in frame.scenario.tiers
        if tier.name in sights
    )
    peak = f", peak {rps(frame.story.peak[0])}..{rps(frame.story.peak[2])}" if frame.story.peak else ""
    last = f", {frame.story.turns[-1].reason}" if frame.story.turns else ""
    demand = _demand(frame)
    shown = "demand unknown" if demand is None else f"demand {rps(demand)}"
    if frame.window is None:
        return f"{frame.doing}; Ready/floor: {tiers or 'nothing yet'}"
    return f"{_clock(frame):>14}  {frame.story.phase or frame.doing}: {shown}{peak}; Ready/floor: {tiers}{last}"


def _title(frame: Frame, width: int) -> Text:
    event = frame.scenario.event
    left = f" FORERUN  {event.name} · {frame.scenario.campaign_type.value} · x{frame.scenario.speed:g} "
    phase = frame.story.phase or "Preparing"
    right = f" {phase} · {_clock(frame)} " if frame.window else f" {phase} "
    title = Text(no_wrap=True)
    title.append(left[: max(0, width - len(right))], style="bold white on blue")
    title.append(" " * max(0, width - len(left) - len(right)), style="on blue")
    title.append(right, style=f"bold {_PHASES.get(phase, 'white')} on blue")
    return title


def _preparation(frame: Frame, lines: int) -> list[Text]:
    """What has been brought up, as long as there is no demand to draw."""
    told = [Text(f"   ✓ {what}", style="green", no_wrap=True, overflow="ellipsis") for what in frame.done]
    told.append(Text(f"   … {frame.doing}", no_wrap=True, overflow="ellipsis"))
    told = [Text("")] * min(1, max(0, lines - len(told))) + told[-lines:]
    return told + [Text("")] * (lines - len(told))


def _clock(frame: Frame) -> str:
    if frame.window is None:
        return frame.doing or "preparing"
    if frame.now < frame.window.start:
        return f"starts in {_duration(frame.window.start - frame.now)}"
    if frame.now < frame.window.end:
        return f"ends in {_duration(frame.window.end - frame.now)}"
    return f"ended {_duration(frame.now - frame.window.end)} ago"


def _duration(span: timedelta) -> str:
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    return f"{minutes}:{seconds:02d}"


def _figures(frame: Frame) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    demand = _demand(frame)
    text.append(" demand ", style="dim")
    text.append("unknown" if demand is None else rps(demand), style="bold cyan")
    text.append("  Ready for ", style="dim")
    served = served_rps(frame.scenario.tiers, _newest(frame))
    text.append("?" if served is None else rps(served), style="bold bright_green")
    text.append("  peak ", style="dim")
    if frame.story.peak is None:
        text.append("not forecast yet", style="dim")
        return text
    p50, p90, p99 = frame.story.peak
    for level, value in (("p50", p50), ("p90", p90), ("p99", p99)):
        text.append(f"{level} ", style="magenta")
        text.append(f"{rps(value)} ", style="bold magenta")
    return text


def served_rps(tiers: Sequence[DemoTier], sights: dict[str, TierSight]) -> float | None:
    """Demand at the door that the scarcest tier's Ready replicas serve; None where one is not known."""
    known: list[float] = []
    for tier in tiers:
        ready = sights[tier.name].ready if tier.name in sights else None
        if ready is None:
            return None
        known.append(tier.served_rps(ready))
    return min(known)


def _chart(frame: Frame) -> Chart:
    scenario = frame.scenario
    end = frame.window.end if frame.window else frame.now + timedelta(seconds=scenario.window_seconds + 60.0)
    right = max(end + timedelta(seconds=0.5 * scenario.window_seconds + 30.0), frame.now + timedelta(seconds=5))
    seen = [Point(m.at, m.demand_rps, served_rps(scenario.tiers, dict(m.tiers))) for m in frame.moments]
    return Chart(
        left=frame.opened_at,
        right=right,
        now=frame.now,
        seen=seen,
        planned=_planned(frame, right),
        window=frame.window,
        band=(frame.story.peak[0], frame.story.peak[2]) if frame.story.peak else None,
    )


def _planned(frame: Frame, right: datetime) -> list[Point]:
    """What the plan's floors will serve: the steps to come, on top of what stands."""
    sights = _newest(frame)
    if not frame.story.steps or not sights:
        return []
    points = []
    for at in steps_between(frame.now, right, _PLANNED_POINTS):
        served = []
        for tier in frame.scenario.tiers:
            due = [step.floor for step in frame.story.steps if step.tier == tier.name and step.at <= at]
            floor = due[-1] if due else (sights[tier.name].floor or 0)
            served.append(tier.served_rps(floor))
        points.append(Point(at, None, min(served)))
    return points


def _tiers(frame: Frame, width: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1), expand=True, header_style="dim")
    table.add_column(" tier", no_wrap=True)
    for name in ("needed", "floor", "desired", "Ready"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("█ Ready  ▒ starting  │ needed now", no_wrap=True, ratio=1)
    sights, demand = _newest(frame), _demand(frame)
    most = max([sight.desired or 0 for sight in sights.values()] + [12])
    room = max(10, width - 50)
    for tier in frame.scenario.tiers:
        sight = sights.get(tier.name, TierSight(None, None, None))
        needed = None if demand is None else tier.needed(demand)
        table.add_row(
            Text(f" {tier.name}", style="bold"),
            Text(_shown(needed), style="cyan"),
            Text(_shown(sight.floor), style="bold"),
            _shown(sight.desired),
            Text(_shown(sight.ready), style=_ready_style(sight, needed)),
            _bar(sight, needed, most, room),
        )
    return table


def _ready_style(sight: TierSight, needed: int | None) -> str:
    """Red below what is needed now, yellow below the floor."""
    if sight.ready is None or sight.ready < (needed or 0):
        return "bold red"
    return "yellow" if sight.floor is not None and sight.ready < sight.floor else "bold bright_green"


def _bar(sight: TierSight, needed: int | None, most: int, room: int) -> Text:
    """Ready and starting replicas on a scale of `most` in `room` cells, and a mark at what is needed."""
    bar = Text(no_wrap=True)
    if sight.ready is None or sight.desired is None:
        return bar
    ready, desired = (round(count / most * room) for count in (sight.ready, sight.desired))
    mark = None if needed is None else min(room - 1, max(0, round(needed / most * room) - 1))
    cells = ("█" * ready + "▒" * max(0, desired - ready)).ljust((mark or 0) + 1)
    for index, cell in enumerate(cells):
        if index == mark:
            bar.append("│", style=f"bold white on {'green' if cell == '█' else 'red'}")
        else:
            bar.append(cell, style="bright_green" if cell == "█" else "yellow")
    return bar


def _why(frame: Frame, lines: int, width: int) -> list[Text]:
    """The newest turns of the story, newest first, then what is held."""
    doing = frame.doing if _demand(frame) is not None else ""
    told = [Text(f" {doing}", style="italic", no_wrap=True, overflow="ellipsis")] if doing else []
    for turn in reversed(frame.story.turns):
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f" {_relative(frame, turn.at):>8}  ", style="dim")
        text.append(f"{turn.reason}  ", style="bold yellow" if turn.warning else "bold")
        text.append(turn.note.removeprefix(f"{turn.reason}: "))
        told.append(text)
    told += [Text(f" held: {hold}", style="yellow", no_wrap=True, overflow="ellipsis") for hold in frame.story.holds]
    told = told[:lines]
    for text in told:
        text.truncate(width, overflow="ellipsis")
    return told + [Text("")] * (lines - len(told))


def _relative(frame: Frame, at: datetime) -> str:
    if frame.window is None:
        return f"{at:%H:%M:%S}"
    seconds = (at - frame.window.start).total_seconds()
    return f"T{'-' if seconds < 0 else '+'}{abs(seconds):.0f} s"


def _newest(frame: Frame) -> dict[str, TierSight]:
    return dict(frame.moments[-1].tiers) if frame.moments else {}


def _demand(frame: Frame) -> float | None:
    return frame.moments[-1].demand_rps if frame.moments else None


def _shown(count: int | None) -> str:
    return "?" if count is None else str(count)
