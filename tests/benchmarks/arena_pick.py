"""Single runs to look at: the best, the median and the worst of each arm, run again and recorded."""

from collections.abc import Sequence
from datetime import UTC

import numpy as np
from arena_cases import GENERATED, generated, of_trace
from arena_goals import is_declared
from arena_race import SERIES, Field, answer
from arena_store import Cell, Row, Store

from forerun.report.arena_page import ArenaTimeline
from forerun.simulate.arena import Result, compete
from forerun.simulate.scenario import Scenario, World, with_lead_time
from forerun.simulate.yardstick import optima

_PLACES = (("best", 0.0), ("median", 0.5), ("worst", 1.0))


def timelines(store: Store, lead: float) -> list[ArenaTimeline]:
    """Of runs that were declared as they came, at one lead time, each arm at its best setting of the group."""
    cells = [cell for cell in store.cells() if is_declared(cell) and cell.lead == lead]
    found = []
    for arm in dict.fromkeys(entry.policy for entry in store.entries):
        runs = _runs(cells, arm)
        for place, share in _PLACES if runs else ():
            relative, cell, entry, number = runs[round(share * (len(runs) - 1))]
            found.append(_timeline(cell, entry, cell.rows[number], place, relative))
    return sorted(found, key=lambda line: line.arm != "forerun")


def _runs(cells: Sequence[Cell], arm: str) -> list[tuple[float, Cell, int, int]]:
    """(J/J*, where) of every run of an arm at its chosen settings, the best first."""
    runs = []
    for cell in cells:
        entry = cell.chosen(arm)
        if entry is not None:
            relative = cell.relative(entry)
            runs += [
                (float(relative[number]), cell, entry, int(number)) for number in np.flatnonzero(np.isfinite(relative))
            ]
    return sorted(runs, key=lambda run: run[0])


def _timeline(cell: Cell, place: int, row: Row, word: str, relative: float) -> ArenaTimeline:
    entry, world = cell.entries[place], World(seed=row.repeat)
    scenario = with_lead_time(_again(row), row.lead)
    (result,) = compete([Field(world).entrant(entry, scenario)], world, answer, record=True)
    return _drawn(result, scenario, entry.policy, entry.words, word, row, relative, world)


def _drawn(
    result: Result, scenario: Scenario, arm: str, words: str, place: str, row: Row, relative: float, world: World
) -> ArenaTimeline:
    recorded, score = result.recorded[SERIES], result.scores[SERIES]
    judged = slice(scenario.judged_from, None)
    schedules = [campaign.schedule for campaign in scenario.campaigns]
    begins = [
        (each.start_local.replace(tzinfo=UTC) - scenario.at(scenario.judged_from)).total_seconds() for each in schedules
    ]
    first = begins.index(min(begins))
    return ArenaTimeline(
        arm=arm,
        setting=words,
        place=place,
        name=f"{scenario.name}, repeat {row.repeat + 1}" if row.group.part == GENERATED else scenario.name,
        lead_seconds=row.lead,
        relative=relative,
        unserved_percent=score.unserved_percent,
        tick_seconds=scenario.tick_seconds,
        start_seconds=begins[first],
        end_seconds=begins[first] + schedules[first].duration_seconds,
        needed=tuple((recorded.demand_rps[judged] / score.capacity_rps).tolist()),
        ready=tuple(recorded.ready[judged].tolist()),
        floor=tuple(recorded.floor[judged].tolist()),
        optimum=tuple(optima(scenario, world).desired[0][judged].tolist()),
    )


def _again(row: Row) -> Scenario:
    """The scenario of a row; it is not kept, its history is large."""
    if row.group.part == GENERATED:
        return generated(row.group, row.repeat, [int(row.name.split("/")[1])], answer)[0]
    return next(scenario for scenario in of_trace(row.group, answer) if scenario.name == row.name)
