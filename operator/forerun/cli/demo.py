"""`forerun demo`: the main job, on a real control plane, with a verdict of its own."""

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import click
from rich.console import Console

from forerun.cli.failure import BadInput
from forerun.kube.errors import ApiError
from forerun.report.page import Chapter, TierLimits, report_page
from forerun.report.timeline import timeline_to_csv
from forerun.sandbox.commands import SandboxError
from forerun.sandbox.demo.play import Performance, Play
from forerun.sandbox.demo.recording import timeline
from forerun.sandbox.demo.sample import EVENTS_NAME, SAMPLE, TRACE_NAME
from forerun.sandbox.demo.scenario import (
    MATCH,
    SAMPLE_MULTIPLIER,
    SAMPLE_SPEED,
    TRACE_SPEED,
    DeclaredEvent,
    Scenario,
    ScenarioError,
    make_scenario,
)
from forerun.sandbox.demo.screen import Screen
from forerun.sandbox.demo.stage import find_chart
from forerun.signals.trace import TraceError, read_events, read_trace

INTERRUPTED = 130

_EVENTS_ALONE = "--events: belongs to a trace; give --trace too"
_TRACE_ALONE = "--trace: which of its moments is the campaign? give --events, a CSV kind,name,start,end,note"


@click.command()
@click.option("--trace", type=click.Path(path_type=Path), help="CSV or CSV.gz: timestamp,requests. Default: a sample.")
@click.option("--events", type=click.Path(path_type=Path), help="CSV: kind,name,start,end,note. Needed with --trace.")
@click.option("--event", help="Name (or a part of it) or number of the event that becomes the campaign.")
@click.option(
    "--speed",
    type=float,
    help=f"Times as fast as the trace: {SAMPLE_SPEED:g} for the sample (5 minutes in all), {TRACE_SPEED:g} with "
    "--trace (a match of 110 minutes: 8 to 9 minutes in all; at 10 the match alone takes 11).",
)
@click.option(
    "--multiplier",
    type=float,
    help=f"What marketing declares: peak / usual demand. {SAMPLE_MULTIPLIER:g} for the sample, nothing with --trace.",
)
@click.option("--series", help="Which series of a trace that holds several.")
@click.option("--keep", is_flag=True, help="Leave everything running at the end, until Ctrl-C.")
@click.option(
    "--out",
    default="demo-out",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for timeline.csv, report.html, live.svg and operator.log.",
)
@click.option("--chart", type=click.Path(file_okay=False, path_type=Path), help="The Helm chart. Default: the clone's.")
def demo(
    trace: Path | None,
    events: Path | None,
    event: str | None,
    speed: float | None,
    multiplier: float | None,
    series: str | None,
    keep: bool,
    out: Path,
    chart: Path | None,
) -> None:
    """Replay a load trace with a campaign on a real control plane, and check what was promised.

    Exit code 0: every promise was kept. 1: one was not, or the demo could not run. 2: bad input.
    """
    scenario = _scenario(trace, events, event, series, speed, multiplier)
    console = Console(highlight=False)
    try:
        folder = _folder(out)
        screen = Screen(console, folder / "live.svg")
        play = Play(scenario, find_chart(chart), folder / "operator.log", screen, keep=keep)
        performance = asyncio.run(play.run())
    except KeyboardInterrupt:
        console.print("interrupted: everything that was started has been ended")
        sys.exit(INTERRUPTED)
    except (SandboxError, ApiError) as error:
        console.print(f"forerun: {error}", style="bold red", soft_wrap=True)
        sys.exit(1)
    if not keep:
        screen.judge(performance.checks)
    _leave(performance, folder)
    word = "[bold green]PASS[/]" if performance.passed else "[bold red]FAIL[/]"
    console.print(
        f"\n{word}  up in {performance.seconds_to_up:.0f} s; {folder}/report.html, timeline.csv, live.svg, operator.log"
    )
    sys.exit(0 if performance.passed else 1)


def _scenario(
    trace: Path | None,
    events: Path | None,
    event: str | None,
    series: str | None,
    speed: float | None,
    multiplier: float | None,
) -> Scenario:
    if (trace is None) != (events is None):
        raise BadInput(_EVENTS_ALONE if trace is None else _TRACE_ALONE)
    usual_speed, usual_multiplier = (SAMPLE_SPEED, SAMPLE_MULTIPLIER) if trace is None else (TRACE_SPEED, None)
    try:
        return make_scenario(
            read_trace(trace or Path(str(SAMPLE / TRACE_NAME)), series),
            _declared(events or Path(str(SAMPLE / EVENTS_NAME))),
            speed=usual_speed if speed is None else speed,
            wanted=event,
            multiplier=usual_multiplier if multiplier is None else multiplier,
        )
    except (TraceError, ScenarioError) as error:
        raise BadInput(str(error)) from None


def _declared(path: Path) -> Sequence[DeclaredEvent]:
    """The file's events; one without an end is taken to last an hour, a match as long as a match."""
    declared = []
    for found in read_events(path):
        usual = MATCH if found.kind.startswith("match") else timedelta(hours=1)
        declared.append(
            DeclaredEvent(found.kind, found.name or found.kind, found.start, found.end or found.start + usual)
        )
    return declared


def _folder(out: Path) -> Path:
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "operator.log").touch()
    except OSError:
        return Path(tempfile.mkdtemp(prefix="forerun-demo-"))
    return out


def _leave(performance: Performance, folder: Path) -> None:
    scenario = performance.scenario
    rows = timeline(performance.moments, scenario.tiers)
    (folder / "timeline.csv").write_text(timeline_to_csv(rows), encoding="utf-8")
    chapter = Chapter(
        title=scenario.event.name,
        subtitle=f"{scenario.campaign_type.value}, replayed {scenario.speed:g} times as fast as it happened",
        window=performance.window,
        peak=performance.peak_before_start,
        tiers=tuple(
            TierLimits(tier.name, tier.capacity_rps, tier.kind.max_replicas, tier.kind.demand_per_request)
            for tier in scenario.tiers
        ),
        rows=rows,
        verdicts=tuple((check.promise, check.passed, check.evidence) for check in performance.checks),
        turns=tuple((turn.at, turn.reason, turn.note) for turn in performance.story.turns),
    )
    (folder / "report.html").write_text(report_page(chapter), encoding="utf-8")
