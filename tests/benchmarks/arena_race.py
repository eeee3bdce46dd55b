"""The runs themselves: every arm and setting on a few scenarios at a time, beside the optimum."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from arena_cases import Group
from arena_mean import kept_mean_floors
from arena_store import OURS, RATIOS, Best, Descent, Entry, Row, Store, columns

from forerun.forecast.worker import answer as answered
from forerun.simulate import registry
from forerun.simulate.arena import Entrant, Recorded, Result, Schedule, Setting, compete
from forerun.simulate.oracle import Optimum, optimum
from forerun.simulate.policy import known_of
from forerun.simulate.scenario import Scenario, World, ticks_of, with_lead_time

PEERS = tuple(name for name in registry.NAMES if name not in {OURS, registry.ORACLE})
SERIES = "web"  # the one tier of every scenario here
_FIRST_TARGET = 0.9  # the optimum begins with as many as an autoscaler would that runs hot


def answer(requests: Sequence) -> list:
    """The forecast worker's answers, at the speed of the clock."""
    return answered(requests, 1.0)


@dataclass(frozen=True)
class Job:
    """Some scenarios of one group, with the lead times that each is run at; `entries(lead)` are the places to run."""

    group: Group
    repeat: int
    scenarios: Callable[[], Sequence[Scenario]]
    leads_of: Callable[[int], Sequence[float]]  # by the scenario's place
    entries: Callable[[float], Sequence[int]]
    all_ratios: bool  # else J* at the first of RATIOS only: it is solved anew for each
    label: str


@dataclass(frozen=True)
class _Run:
    """One scenario at one lead time."""

    scenario: Scenario
    lead: float


def race(job: Job, store: Store) -> None:
    """All runs of a job into the store, or none of them where it is interrupted."""
    world = World(seed=job.repeat)
    scenarios = job.scenarios()
    runs = [_Run(with_lead_time(s, lead), lead) for place, s in enumerate(scenarios) for lead in job.leads_of(place)]
    runs.sort(key=lambda run: run.scenario.ticks)  # alike in length, so that few wait for the longest
    began = time.process_time()
    bests = _bests(job, runs, store)
    store.cpu_seconds["optimum"] = store.cpu_seconds.get("optimum", 0.0) + time.process_time() - began
    figures = [np.full((len(store.entries), 5), np.nan) for _ in runs]
    descents: list[Descent] = []
    hours = [run.scenario.ticks * run.scenario.tick_seconds / 3600.0 for run in runs]
    for ours in (False, True):
        began = time.process_time()
        pairs = [
            (number, place)
            for number, run in enumerate(runs)
            for place in job.entries(run.lead)
            if (store.entries[place].policy == OURS) is ours
        ]
        field = Field(world)
        entrants = [field.entrant(store.entries[place], runs[number].scenario) for number, place in pairs]
        watched = ours and job.group.name == "cancelled"
        for (number, place), result in zip(pairs, compete(entrants, world, answer, record=watched), strict=True):
            if result.verdict is not None:
                store.verdicts.append(f"{result.entrant.policy} on {result.entrant.scenario.name}: {result.verdict}")
                continue
            figures[number][place] = columns(result.scores[SERIES])
            if watched:
                descents += descent(result, runs[number].lead)
        if ours:
            store.hours += sum(hours[number] for number, _ in pairs)
        name = "forerun" if ours else "peers"
        store.cpu_seconds[name] = store.cpu_seconds.get(name, 0.0) + time.process_time() - began
    for run, found, best in zip(runs, figures, bests, strict=True):
        store.rows.append(Row(job.group, run.lead, job.repeat, run.scenario.name, found, best))
    store.descents += descents
    store.load.append(os.getloadavg()[0])


def _bests(job: Job, runs: Sequence[_Run], store: Store) -> list[Best]:
    """Of repeats of the same scenario once; the luck of the pods is not the optimum's."""
    wanted = [(job.group, run.scenario.name, run.lead) for run in runs]
    if job.group.trace is None:
        return best_of(runs, RATIOS if job.all_ratios else RATIOS[:1])
    known = {(row.group, row.name, row.lead): row.best for row in store.rows if row.group == job.group}
    new = [number for number, key in enumerate(wanted) if key not in known]
    solved = best_of([runs[number] for number in new], RATIOS)
    known |= {wanted[number]: best for number, best in zip(new, solved, strict=True)}
    return [known[key] for key in wanted]


class Field:
    """Makes entrants; floors that are planned beforehand are planned once per scenario and lead time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sized: dict[tuple[int, str], Callable[[float], Schedule]] = {}
        self._floors: dict[tuple[int, str, float], Schedule] = {}

    def entrant(self, entry: Entry, scenario: Scenario) -> Entrant:
        arm, setting = registry.arm(entry.policy), entry.setting
        if isinstance(arm, registry.Deciding):
            return Entrant(scenario, arm.name, setting, arm.make(known_of(scenario, self._world, setting.hpa_target)))
        key = (id(scenario), arm.name)
        if key not in self._sized:
            known = known_of(scenario, self._world, None)
            self._sized[key] = kept_mean_floors(known) if arm.name == registry.MEAN_FORECAST else arm.plan(known)
        floors = self._floors.get((*key, setting.factor))
        if floors is None:
            floors = self._floors[*key, setting.factor] = self._sized[key](setting.factor)
        return Entrant(scenario, arm.name, setting, floors)


def best_of(runs: Sequence[_Run], ratios: Sequence[float]) -> list[Best]:
    """The optimum of each run at the ratios, the first ones of RATIOS; NaN at the others. Alike ones are solved together, padded with nothing at their ends."""
    found: dict[int, Best] = {}
    left = list(range(len(runs)))
    while left:
        first = runs[left[0]].scenario
        alike = [
            number
            for number in left
            if (runs[number].scenario.tick_seconds, runs[number].scenario.judged_from)
            == (first.tick_seconds, first.judged_from)
            and runs[number].scenario.ticks <= 1.2 * first.ticks
        ][:128]
        found.update(zip(alike, _solved([runs[number] for number in alike], ratios), strict=True))
        left = [number for number in left if number not in found]
    return [found[number] for number in range(len(runs))]


def _solved(runs: Sequence[_Run], ratios: Sequence[float]) -> list[Best]:
    scenarios = [run.scenario for run in runs]
    tiers = [scenario.storefront.tiers[0] for scenario in scenarios]
    tick, judged = scenarios[0].tick_seconds, scenarios[0].judged_from
    demand = np.zeros((len(runs), max(scenario.ticks for scenario in scenarios)))
    for row, scenario in zip(demand, scenarios, strict=True):
        row[: scenario.ticks] = scenario.door_rps
    capacity = np.array([tier.capacity_per_replica_rps for tier in tiers])
    least = np.array([tier.min_replicas for tier in tiers])
    most = np.array([tier.max_replicas for tier in tiers])
    initial = np.clip(np.ceil(demand[:, 0] / capacity / _FIRST_TARGET), least, most).astype(np.int64)
    leads = np.array([ticks_of(tier.lead_time_seconds, tick) for tier in tiers])
    solved = [optimum(demand, capacity, leads, least, most, initial, tick, judged, ratio) for ratio in ratios]
    bests = []
    for lane, scenario in enumerate(scenarios):
        until = slice(judged, scenario.ticks)
        sums = [_summed(one, lane, until, demand, capacity, tick) for one in solved]
        costs = np.full(len(RATIOS), np.nan)
        costs[: len(ratios)] = [each[0] + ratio * each[1] for each, ratio in zip(sums, ratios, strict=True)]
        bests.append(Best(costs, sums[0]))
    return bests


def _summed(
    found: Optimum, lane: int, until: slice, demand: np.ndarray, capacity: np.ndarray, tick: float
) -> np.ndarray:
    """The columns of one lane over its judged ticks."""
    need = demand[lane, until] / capacity[lane]
    lost = np.maximum(need - found.ready[lane, until], 0.0)
    changes = np.abs(np.diff(found.desired[lane, until]))
    violated = tick * np.count_nonzero(lost > 0.01 * need)
    return np.array(
        [tick * found.desired[lane, until].sum(), tick * lost.sum(), tick * need.sum(), violated, changes.sum()]
    )


def descent(result: Result, lead: float) -> list[Descent]:
    """Of a recorded run: seconds from the declared start until the floor first came down; none if it was not raised."""
    scenario = result.entrant.scenario
    seconds = first_lower(scenario, result.recorded[SERIES])
    target = result.entrant.setting.hpa_target
    return [] if seconds is None or target is None else [Descent(lead, target, seconds)]


def first_lower(scenario: Scenario, recorded: Recorded) -> float | None:
    """From the declared start until the floor first came down; None if it stood at its least at the start."""
    start = min(campaign.schedule.start_local.replace(tzinfo=scenario.start.tzinfo) for campaign in scenario.campaigns)
    first = scenario.tick_of(start)
    floor = recorded.floor
    if floor[first] <= (scenario.storefront.tiers[0].min_replicas or 0):
        return None
    down = np.flatnonzero(np.diff(floor[first:]) < 0)
    return float("inf") if down.size == 0 else (float(down[0]) + 1.0) * scenario.tick_seconds


def speed(scenarios: Sequence[Scenario], target: float, lead: float) -> tuple[float, float, float]:
    """(simulated hours, CPU seconds, wall seconds) of the arm `forerun` alone: one lead time, one target."""
    world = World()
    runs = [with_lead_time(scenario, lead) for scenario in sorted(scenarios, key=lambda s: s.ticks)]
    field = Field(world)
    entrants = [field.entrant(Entry(OURS, Setting(target)), scenario) for scenario in runs]
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in compete(entrants, world, answer):
        pass
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return sum(s.ticks * s.tick_seconds for s in runs) / 3600.0, cpu, wall
