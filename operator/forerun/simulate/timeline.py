"""The timeline of a comparison: every judged tick of every arm at its best setting, replayed from its floors."""

import gzip
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TextIO

from forerun.domain.forecast import Forecast, ForecastRequest
from forerun.domain.reason import Hold, Reason
from forerun.report.timeline import TimelineRow, timeline_to_csv
from forerun.simulate.arena import Entrant, Recorded, compete
from forerun.simulate.figures import Comparison
from forerun.simulate.registry import ORACLE
from forerun.simulate.scenario import Scenario
from forerun.simulate.yardstick import optima


def write_timeline(file: Path, comparison: Comparison) -> None:
    """Scenario by scenario, policy by policy, in the order of time; of repeats the first. Needs the kept floors.

    Ticks before a scenario is judged are left out, so that sums over the rows are the figures. Packed where the name
    ends in .gz. Raises OSError.
    """
    with _opened(file) as text:
        text.write(timeline_to_csv(()))
        head = len(timeline_to_csv(()))
        for number in sorted(comparison.oracle):
            text.writelines(timeline_to_csv(rows)[head:] for rows in _rows(comparison, number))


@contextmanager
def _opened(file: Path) -> Iterator[TextIO]:
    if file.suffix == ".gz":
        with gzip.open(file, "wt", encoding="utf-8", newline="") as packed:
            yield packed
    else:
        with file.open("w", encoding="utf-8", newline="") as plain:
            yield plain


def _rows(comparison: Comparison, number: int) -> Iterator[list[TimelineRow]]:
    scenario, world = comparison.scenarios[number], comparison.world
    entrants = []
    for arm in comparison.arms:
        setting = comparison.best(arm.name, scenario.group)
        floors = comparison.floors.get((arm.name, setting, number)) if setting is not None else None
        if setting is not None and floors is not None:
            entrants.append(Entrant(scenario, arm.name, setting, floors))
    for result in compete(entrants, world, _nothing_is_asked, record=True):
        lost = 1.0 - world.retry_share  # the others come again
        yield list(_of_arm(result.entrant.policy, scenario, result.recorded, lost))
    yield list(_of_arm(ORACLE, scenario, _of_oracle(comparison, scenario), 1.0))


def _of_arm(
    policy: str, scenario: Scenario, recorded: Mapping[str, Recorded], lost_share: float
) -> Iterator[TimelineRow]:
    for tick in range(scenario.judged_from, scenario.ticks):
        at = scenario.start + timedelta(seconds=tick * scenario.tick_seconds)
        for tier, seen in recorded.items():
            yield TimelineRow(
                policy=policy,
                at=at,
                tier=tier,
                demand=float(seen.demand_rps[tick]),
                floor=int(seen.floor[tick]),
                desired=int(seen.desired[tick]),
                ready=int(seen.ready[tick]),
                unserved=float(seen.unserved_rps[tick]) * lost_share,
            )


def _of_oracle(comparison: Comparison, scenario: Scenario) -> dict[str, Recorded]:
    best = optima(scenario, comparison.world, comparison.cost_ratio)
    recorded = {}
    for place, tier in enumerate(scenario.storefront.tiers):
        demand = scenario.door_rps * tier.demand_per_request
        missing = (demand - best.ready[place] * (tier.capacity_per_replica_rps or 0.0)).clip(min=0.0)
        desired = best.desired[place]
        recorded[tier.name] = Recorded(demand, desired, desired, best.ready[place], missing)
    return recorded


def _nothing_is_asked(requests: Sequence[ForecastRequest]) -> list[Forecast | Hold]:
    return [Hold(Reason.FORECAST_UNAVAILABLE, request.storefront) for request in requests]
