"""The table on the screen, and what the page shows of the same."""

import statistics
from collections.abc import Sequence

import numpy as np
from arena_cases import DECLARED, GENERATED, QUIET
from arena_goals import Goal, Match, is_declared, lost, matches
from arena_store import INTERVAL, OURS, REACTIVE, Cell, Figures, Store

from forerun.report.arena_page import ArmLine, GoalLine, GroupLine, Spread

ORACLE = "oracle"
_KINDS = (
    ("events of real traces", lambda cell: cell.group.part == DECLARED),
    ("generated, declared as they come", lambda cell: cell.group.part == GENERATED and is_declared(cell)),
    ("sharp drops", lambda cell: cell.group.name == "drop"),
    ("declared wrongly or not at all", lambda cell: cell.group.is_wrong),
)
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def arm_lines(store: Store) -> list[ArmLine]:
    """Each arm at its best setting of each group; groups count alike."""
    lines = []
    for kind, wanted in _KINDS:
        cells = [cell for cell in store.cells() if wanted(cell)]
        for lead in sorted({cell.lead for cell in cells}):
            mine = [cell for cell in cells if cell.lead == lead]
            for arm in [*_arms(mine), ORACLE]:
                figures = [figure for cell in mine for figure in _of(cell, arm)]
                if figures:
                    lines.append(_arm_line(kind, lead, arm, figures))
    return lines


def _arms(cells: Sequence[Cell]) -> list[str]:
    found = dict.fromkeys(arm for cell in cells for arm in cell.arms())
    return sorted(found, key=lambda arm: arm != OURS)


def _of(cell: Cell, arm: str) -> list[Figures]:
    if arm == ORACLE:
        return [cell.optimum()]
    place = cell.chosen(arm)
    return [] if place is None else [cell.summed(place, cell.common(place))]


def _arm_line(kind: str, lead: float, arm: str, figures: Sequence[Figures]) -> ArmLine:
    def mean(values: list[float]) -> float:
        return float(np.exp(np.nanmean(np.log(values))))

    low, high = np.exp(np.quantile(np.mean([each.draws for each in figures], axis=0), INTERVAL))
    return ArmLine(
        kind=kind,
        lead_seconds=lead,
        arm=arm,
        relative=mean([each.relative for each in figures]),
        low=float(low),
        high=float(high),
        relative_9=mean([each.relative_at[1] for each in figures]),
        relative_999=mean([each.relative_at[2] for each in figures]),
        unserved_percent=statistics.fmean(each.unserved_percent for each in figures),
        violation_seconds=statistics.fmean(each.violation_seconds for each in figures),
        replicas=mean([each.replicas for each in figures]),
        churn=mean([each.churn for each in figures]),
        runs=sum(each.runs for each in figures),
    )


def group_lines(store: Store) -> list[GroupLine]:
    """Ours beside the best-set peer; beside the autoscaler on requests where the declaration is wrong or missing."""
    plain = matches(store, lambda cell: is_declared(cell))
    other = matches(store, lambda cell: cell.group.is_wrong or cell.group.part == QUIET, REACTIVE)
    return [_group_line(each) for each in [*plain, *other]]


def _group_line(found: Match) -> GroupLine:
    ours, theirs = found.ours, found.theirs
    return GroupLine(
        group=found.cell.group.name,
        part=found.cell.group.part,
        lead_seconds=found.cell.lead,
        runs=ours.runs,
        relative=ours.relative,
        low=ours.low,
        high=ours.high,
        setting=found.ours_words.strip(),
        peer=found.peer,
        peer_setting=found.peer_words.strip(),
        peer_relative=theirs.relative,
        ratio=found.ratio,
        unserved_percent=ours.unserved_percent,
        peer_unserved_percent=theirs.unserved_percent,
        replicas=ours.replicas,
        peer_replicas=theirs.replicas,
        churn=ours.churn,
    )


def spreads(store: Store) -> list[Spread]:
    """How J/J* of single runs lies, by kind, lead time and arm."""
    found = []
    for kind, wanted in _KINDS:
        cells = [cell for cell in store.cells() if wanted(cell)]
        for lead in sorted({cell.lead for cell in cells}):
            mine = [cell for cell in cells if cell.lead == lead]
            for arm in _arms(mine):
                values = np.concatenate([_runs_of(cell, arm) for cell in mine])
                if values.size:
                    quantiles = tuple(float(value) for value in np.quantile(values, _QUANTILES))
                    found.append(Spread(kind, lead, arm, quantiles, int(values.size)))
    return found


def _runs_of(cell: Cell, arm: str) -> np.ndarray:
    place = cell.chosen(arm)
    values = np.array([]) if place is None else cell.relative(place)
    return values[np.isfinite(values)]


def goal_lines(rows: Sequence[Goal]) -> list[GoalLine]:
    return [GoalLine(row.name, row.figure, row.goal, row.met) for row in rows]


def show(store: Store, rows: Sequence[Goal]) -> None:
    """All of it, as text."""
    _show_arms(arm_lines(store))
    _show_groups(group_lines(store))
    losses = lost(store)
    print(f"\nscenarios that we lose to the best-set peer: {len(losses) or 'none'}")
    for line in losses:
        print(f"  {line}")
    print()
    width = max((len(row.name) for row in rows), default=0)
    for row in rows:
        word = "" if row.met is None else f"goal {row.goal:<8}  {'met' if row.met else 'MISSED'}"
        print(f"{row.name:<{width}}  {row.figure:<58}  {word}".rstrip())


def _show_arms(lines: Sequence[ArmLine]) -> None:
    head = ("J/J*", "95 % interval", "at 9", "at 999", "unserved %", "s > 1 %", "replicas", "churn", "runs")
    before = None
    for line in lines:
        if (line.kind, line.lead_seconds) != before:
            before = (line.kind, line.lead_seconds)
            print(f"\n{line.kind}, lead time {line.lead_seconds:g} s")
            print("  {:<15}{:>8}{:>17}{:>8}{:>8}{:>12}{:>9}{:>10}{:>8}{:>7}".format("arm", *head))
        span = f"{line.low:.3f}..{line.high:.3f}"
        print(
            f"  {line.arm:<15}{line.relative:>8.3f}{span:>17}{line.relative_9:>8.2f}{line.relative_999:>8.2f}"
            f"{line.unserved_percent:>12.4f}{line.violation_seconds:>9.0f}{line.replicas:>10.3f}{line.churn:>8.2f}"
            f"{line.runs:>7}"
        )


def _show_groups(lines: Sequence[GroupLine]) -> None:
    print("\nours beside the best-set peer (hpa-rps where the declaration is wrong or missing)")
    head = (
        "lead",
        "runs",
        "ours",
        "at",
        "peer",
        "best peer",
        "at",
        "J/J",
        "unserved %",
        "peer's",
        "replicas",
        "peer's",
    )
    print("  {:<42}{:>6}{:>6}{:>8}{:>6}{:>8}  {:<14}{:<12}{:>6}{:>12}{:>9}{:>10}{:>8}".format("group", *head))
    for line in lines:
        print(
            f"  {line.group:<42}{line.lead_seconds:>6g}{line.runs:>6}{line.relative:>8.3f}{line.setting:>6}"
            f"{line.peer_relative:>8.3f}  {line.peer:<14}{line.peer_setting:<12}{line.ratio:>6.3f}"
            f"{line.unserved_percent:>12.4f}{line.peer_unserved_percent:>9.4f}{line.replicas:>10.3f}"
            f"{line.peer_replicas:>8.3f}"
        )
