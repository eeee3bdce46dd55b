"""The arena: many arms on many scenarios in one pass of the virtual clock, tick by tick.

What policies decide is put into the lanes at the ticks at which they are asked. So a thousand lanes cost little more
than one, and all arms see the same demand and the same luck.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from forerun.domain.storefront import Tier
from forerun.simulate.asking import Answer, Asking
from forerun.simulate.entrant import Entrant, Recorded, Result, Schedule, Setting, refusal
from forerun.simulate.hpa import HpaSeen
from forerun.simulate.lanes import lanes_of
from forerun.simulate.policy import TierView, View
from forerun.simulate.scenario import BoolArray, FloatArray, IntArray, World, ticks_of
from forerun.simulate.score import Tally, scores

__all__ = ["Answer", "Entrant", "Recorded", "Result", "Schedule", "Setting", "Told", "compete"]

Told = Callable[[str], None]

_LANES_TOGETHER = 4096
_RECORDED_TOGETHER = 256  # every tick of them is kept


def compete(
    entrants: Sequence[Entrant],
    world: World,
    answer: Answer,
    *,
    record: bool = False,
    told: Told = lambda _: None,
) -> Iterator[Result]:
    """Results in the order of the entrants, as they are there. Entrants of one scenario share their forecasts."""
    done = 0
    for chunk in _chunks(entrants, _RECORDED_TOGETHER if record else _LANES_TOGETHER):
        refused = [refusal(entrant) for entrant in chunk]
        admitted = [entrant for entrant, why in zip(chunk, refused, strict=True) if why is None]
        results = iter(_Round(admitted, world, answer, record=record).run() if admitted else ())
        for entrant, why in zip(chunk, refused, strict=True):
            yield next(results) if why is None else Result(entrant, {}, why)
        done += len(chunk)
        told(f"{done} of {len(entrants)} runs")


def _chunks(entrants: Sequence[Entrant], most_lanes: int) -> Iterator[list[Entrant]]:
    """Alike in tick length, of bounded size."""
    chunk: list[Entrant] = []
    lanes = 0
    for entrant in entrants:
        more = len(entrant.scenario.storefront.tiers)
        other = bool(chunk) and chunk[0].scenario.tick_seconds != entrant.scenario.tick_seconds
        if chunk and (other or lanes + more > most_lanes):
            yield chunk
            chunk, lanes = [], 0
        chunk.append(entrant)
        lanes += more
    if chunk:
        yield chunk


class _Round:
    """One pass of the clock over some entrants."""

    def __init__(self, entrants: Sequence[Entrant], world: World, answer: Answer, *, record: bool) -> None:
        self._entrants = entrants
        self._world = world
        self._lanes = lanes_of(entrants, world)
        self._hpa = self._lanes.autoscalers(world)
        self._floor = self._lanes.least.copy()
        self._replicas = self._lanes.initial()
        self._pods = self._lanes.pods(world, self._replicas)
        self._tally = Tally.of(self._lanes.count)
        self._planned = _planned(entrants, self._lanes.first)
        self._asking = Asking(entrants, answer)
        self._recorder = _Recorder(self._lanes.ticks, self._lanes.count) if record else None

    def run(self) -> list[Result]:
        lanes, sync = self._lanes, max(1, ticks_of(self._world.sync_seconds, self._lanes.tick_seconds))
        again = np.zeros(lanes.count)  # calls/s that come once more
        for tick in range(lanes.ticks):
            self._pods.arrive(tick)
            moved = self._plan(tick)
            if tick % sync == 0 or (moved and not lanes.scaled.all()):
                self._scale(tick, look=tick % sync == 0)
            demand = lanes.demand_rps(tick)
            missing = np.maximum(demand + again - self._pods.ready * lanes.capacity_rps, 0.0)
            again = missing * self._world.retry_share
            judged = (tick >= lanes.judged_from) & (tick < lanes.until)
            self._tally.count(lanes.tick_seconds, demand, missing - again, self._replicas, judged)
            if self._recorder:
                self._recorder.note(tick, demand, self._floor, self._replicas, self._pods.ready, missing)
        return self._results()

    def _plan(self, tick: int) -> bool:
        """The floors that change at this tick; whether any does. None falls below minReplicas."""
        changes = self._planned.pop(tick, [])
        due = self._asking.due(tick)
        if due:
            less, known = self._hpa.wants_less, self._hpa.wants_known & self._lanes.scaled
            views = {number: self._view(number, tick, less, known) for number in due}
            for number, floors in self._asking.floors(views).items():
                names = [tier.name for tier in views[number].tiers]
                changes += [(self._lanes.first[number] + names.index(name), floor) for name, floor in floors.items()]
        for lane, floor in changes:
            self._floor[lane] = max(floor, int(self._lanes.least[lane]))
        return bool(changes)

    def _scale(self, tick: int, *, look: bool) -> None:
        """The autoscalers look, when it is time; where there is none, the floor is what stands at once."""
        lanes, wanted = self._lanes, self._replicas
        if look:
            seen = HpaSeen(
                replicas=self._replicas,
                ready=self._pods.ready,
                unready=self._pods.starting,
                metric_rps=lanes.metric_rps(tick) * lanes.unit,
                min_replicas=np.minimum(self._floor, lanes.most),
                max_replicas=lanes.most,
            )
            wanted = self._hpa.sync(tick * lanes.tick_seconds, seen)
        self._replicas = np.clip(np.where(lanes.scaled, wanted, self._floor), 0, lanes.most)
        self._pods.scale(tick, self._replicas)

    def _view(self, number: int, tick: int, less: BoolArray, known: BoolArray) -> View:
        scenario, first = self._entrants[number].scenario, self._lanes.first[number]
        tiers = []
        for place, tier in enumerate(scenario.storefront.tiers):
            lane = first + place
            floor, ready, desired = int(self._floor[lane]), int(self._pods.ready[lane]), int(self._replicas[lane])
            tiers.append(TierView(tier.name, floor, desired, ready, bool(less[lane]) if known[lane] else None))
        # a copy: it is the policy's own, and there is nothing behind its end
        seen = self._lanes.shown[: tick + 1, self._lanes.place[first]].copy()
        return View(tick, self._lanes.tick_seconds, scenario.start, seen, tuple(tiers))

    def _results(self) -> list[Result]:
        found = scores(self._tally, self._lanes.capacity_rps)
        results = []
        for number, entrant in enumerate(self._entrants):
            first, tiers = self._lanes.first[number], entrant.scenario.storefront.tiers
            recorded = self._recorder.of(first, tiers, entrant.scenario.ticks) if self._recorder else {}
            named = {tier.name: found[first + place] for place, tier in enumerate(tiers)}
            results.append(Result(entrant, named, self._asking.verdicts.get(number), recorded))
        return results


def _planned(entrants: Sequence[Entrant], first: Sequence[int]) -> dict[int, list[tuple[int, int]]]:
    """Where schedules change: (lane, floor) by tick."""
    planned: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, entrant in enumerate(entrants):
        if not isinstance(entrant.floors, Mapping):
            continue
        for place, tier in enumerate(entrant.scenario.storefront.tiers):
            floors = entrant.floors.get(tier.name)
            if floors is None:
                continue
            whole = np.ceil(floors).astype(np.int64)
            for tick in np.flatnonzero(np.diff(whole, prepend=whole[0] - 1)):
                planned[int(tick)].append((first[number] + place, int(whole[tick])))
    return planned


class _Recorder:
    """Every tick of every lane: for plots and timelines, not for thousands of runs."""

    def __init__(self, ticks: int, lanes: int) -> None:
        self._real = np.zeros((2, ticks, lanes))
        self._whole = np.zeros((3, ticks, lanes), dtype=np.int64)

    def note(
        self, tick: int, demand: FloatArray, floor: IntArray, desired: IntArray, ready: IntArray, missing: FloatArray
    ) -> None:
        self._real[:, tick] = demand, missing
        self._whole[:, tick] = floor, desired, ready

    def of(self, first: int, tiers: Sequence[Tier], ticks: int) -> dict[str, Recorded]:
        recorded = {}
        for lane, tier in enumerate(tiers, start=first):
            demand, missing = self._real[:, :ticks, lane].copy()
            floor, desired, ready = self._whole[:, :ticks, lane].copy()
            recorded[tier.name] = Recorded(demand, floor, desired, ready, missing)
        return recorded
