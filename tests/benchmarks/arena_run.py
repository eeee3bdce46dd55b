"""One run of the arena from its jobs to table and page; an interrupt keeps what is done."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from arena_cases import DECLARED, GENERATED, TRACES, Group, case, family_groups, scenario_of, trace_groups
from arena_generator import FAMILIES
from arena_goals import Goal, goals, matches
from arena_goals import geometric as geometric_mean
from arena_pick import timelines
from arena_race import PEERS, Job, race, speed
from arena_store import OURS, Store, entries_of
from arena_table import arm_lines, goal_lines, group_lines, lost, show, spreads
from arena_work import MIDDLE, Amount, jobs

from forerun.report.arena_page import ArenaPage, ArenaTimeline, arena_page
from forerun.simulate.registry import missing

CAMPAIGNS = 32  # of each of the thirteen families in each repeat: 2,080 in five
_SPEED_SEED, _SPEED_EACH, _SPEED_TARGET = 4711, 3, 0.8
Told = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Wanted:
    traces: tuple[str, ...] | None  # None: all
    families: tuple[str, ...] | None
    repeats: int
    trace_repeats: int
    share: float
    leads: tuple[float, ...]
    sweep: int
    out: Path


@dataclass(frozen=True)
class Outcome:
    interrupted: bool
    kept: bool


def run(wanted: Wanted, told: Told) -> Outcome:
    torch.set_num_threads(1)
    began, store = time.monotonic(), Store(entries_of([OURS, *(name for name in PEERS if name not in missing())]))
    store.load.append(os.getloadavg()[0])
    interrupted, took = False, None
    try:
        _run_all(_groups(wanted), _amount(wanted), store, told)
        told(1, 1, "how fast ours is simulated")
        took = _speed(_SPEED_EACH if wanted.share == 1.0 else 1)
    except KeyboardInterrupt:
        interrupted = True
    if not store.rows:
        print("bench-arena: nothing was run")
        return Outcome(interrupted, kept=False)
    rows = goals(store, took, whole=wanted.share == 1.0 and not wanted.families and wanted.families != ())
    notes = _notes(wanted, store, time.monotonic() - began, interrupted=interrupted)
    print("\n".join(notes))
    show(store, rows)
    drawn: list[ArenaTimeline] = []
    try:
        drawn = [] if interrupted else _timelines(store, wanted)
    except KeyboardInterrupt:
        interrupted = True
    _write(wanted.out, store, rows, notes, drawn)
    missed = [row.name.strip() for row in rows if row.met is False]
    print(f"bench-arena: {_headline(store)}, {'missed: ' + '; '.join(missed) if missed else 'all goals met'}")
    return Outcome(interrupted, kept=not missed)


def _groups(wanted: Wanted) -> list[Group]:
    if not TRACES.is_dir():
        print(f"bench-arena: without the traces, they are not in {TRACES}")
    unknown = sorted(set(wanted.families or ()) - set(FAMILIES))
    if unknown:
        raise SystemExit(f"bench-arena: no family {', '.join(unknown)}; there are {', '.join(FAMILIES)}")
    traced = trace_groups(wanted.traces) if TRACES.is_dir() and wanted.traces != () else []
    return [*traced, *(family_groups(wanted.families) if wanted.families != () else [])]


def _amount(wanted: Wanted) -> Amount:
    campaigns = max(1, round(wanted.share * CAMPAIGNS))
    return Amount(wanted.repeats, wanted.trace_repeats, campaigns, wanted.share, wanted.leads, wanted.sweep)


def _run_all(groups: Sequence[Group], amount: Amount, store: Store, told: Told) -> None:
    plan: list[Job] = list(jobs(groups, amount, store))
    for done, job in enumerate(plan):
        told(done, len(plan), job.label)
        race(job, store)


def _speed(each: int) -> tuple[float, float, float]:
    """So many campaigns of each family, with a start-up time of three minutes and one target. Hours of whole spans."""
    made = [scenario_of(case(_SPEED_SEED, family, index)) for family in FAMILIES for index in range(each)]
    return speed(made, _SPEED_TARGET, MIDDLE)


def _timelines(store: Store, wanted: Wanted) -> list[ArenaTimeline]:
    return timelines(store, MIDDLE if MIDDLE in wanted.leads else max(wanted.leads))


def _notes(wanted: Wanted, store: Store, seconds: float, *, interrupted: bool) -> tuple[str, ...]:
    campaigns = len({(row.group, row.repeat, row.name) for row in store.rows if row.group.part == GENERATED})
    events = len({(row.group, row.name) for row in store.rows if row.group.part == DECLARED})
    cpu = ", ".join(f"{name} {spent:.0f}" for name, spent in store.cpu_seconds.items())
    notes = [
        (
            f"{events} events of real traces and {campaigns} generated campaigns in {wanted.repeats} repeats; lead times "
            f"{', '.join(f'{lead:g}' for lead in wanted.leads)} s; medians of the repeats, 95 % intervals with campaigns "
            "drawn anew."
        ),
        (
            f"{seconds / 60.0:.1f} min on one thread; CPU seconds: {cpu} ({store.hours:.0f} campaign-hours of forerun at all its settings); load average of the machine {store.load[0]:.1f} at "
            f"the begin, {store.load[-1]:.1f} at the end, {max(store.load):.1f} at most."
        ),
    ]
    if missing():
        notes.append(f"Without {', '.join(missing())}: its library is not installed, so the best peer may be better.")
    if wanted.share < 1.0:
        notes.append(f"A part only: {100 * wanted.share:g} % of the events and campaigns.")
    if interrupted:
        notes.append("INTERRUPTED: what was done so far.")
    return tuple(notes)


def _headline(store: Store) -> str:
    words = []
    for name, wanted in (("real traces", DECLARED), ("sharp drops", "drop")):
        found = matches(store, lambda cell, wanted=wanted: wanted in {cell.group.part, cell.group.name})
        if found:
            ours = geometric_mean([each.ours.relative_at[0] for each in found])
            theirs = geometric_mean([each.theirs.relative_at[0] for each in found])
            words.append(f"J/J* {ours:.3f} on {name} (best-set peers {theirs:.3f})")
    return ", ".join(words) or "no declared event"


def _write(
    out: Path, store: Store, rows: Sequence[Goal], notes: tuple[str, ...], drawn: Sequence[ArenaTimeline]
) -> None:
    page = ArenaPage(
        notes=notes,
        goals=tuple(goal_lines(rows)),
        arms=tuple(arm_lines(store)),
        groups=tuple(group_lines(store)),
        losses=tuple(lost(store)),
        spreads=tuple(spreads(store)),
        timelines=tuple(drawn),
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(arena_page(page))
    print(f"\nplots: {out}")
