"""Lanes: one tier of one entrant each, side by side as columns of arrays."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from forerun.domain.storefront import Tier
from forerun.simulate.entrant import Entrant
from forerun.simulate.hpa import Hpa, HpaSettings
from forerun.simulate.pods import Pods
from forerun.simulate.scenario import BoolArray, FloatArray, IntArray, Scenario, World, longest, ticks_of
from forerun.simulate.scrape import shown


@dataclass(frozen=True, slots=True, eq=False)
class Lanes:
    """What stays as it is while the clock runs; arrays [lanes], but `door` and `shown`, which are [ticks, scenarios] in
    requests/s at the door: what comes, and what the metrics show. `first` has each entrant's first lane.

    `unit`: the HPA's metric is in so many to the request, that its thousandths are fine enough for a replica's load.
    """

    ticks: int
    tick_seconds: float
    first: tuple[int, ...]
    door: FloatArray
    shown: FloatArray
    place: IntArray  # of the scenario in `door` and `shown`
    share: FloatArray  # calls per request at the door
    capacity_rps: FloatArray
    judged_from: IntArray
    until: IntArray
    least: IntArray
    most: IntArray
    lead_ticks: IntArray
    seed: IntArray
    target: FloatArray  # 1 where there is no autoscaler
    scaled: BoolArray  # there is an autoscaler
    on_cpu: BoolArray
    unit: FloatArray

    @property
    def count(self) -> int:
        return int(self.place.size)

    def demand_rps(self, tick: int) -> FloatArray:
        demand: FloatArray = self.door[tick][self.place] * self.share
        return demand

    def metric_rps(self, tick: int) -> FloatArray:
        metric: FloatArray = self.shown[tick][self.place] * self.share
        return metric

    def autoscalers(self, world: World) -> Hpa:
        settings = HpaSettings(
            target=self.target,
            on_cpu=self.on_cpu,
            capacity_rps=self.capacity_rps * self.unit,
            sync_seconds=world.sync_seconds,
            scale_down_stabilization_seconds=world.stabilization_seconds,
        )
        return Hpa(settings, self.count)

    def initial(self) -> IntArray:
        """What stands before the first tick: what its demand asks of the autoscaler."""
        asked = np.ceil(self.demand_rps(0) / (self.target * self.capacity_rps) - 1e-9).astype(np.int64)
        least = np.where(self.scaled, np.maximum(self.least, 1), self.least)  # an HPA at 0 replicas is switched off
        return np.minimum(np.where(self.scaled, np.maximum(asked, least), least), self.most)

    def pods(self, world: World, initial: IntArray) -> Pods:
        slots = None if world.warm_slots is None else np.full(self.count, world.warm_slots)
        nodes = ticks_of(world.node_seconds, self.tick_seconds)
        return Pods(initial, self.lead_ticks, world.jitter, self.seed, warm_slots=slots, node_ticks=nodes)


def lanes_of(entrants: Sequence[Entrant], world: World) -> Lanes:
    """All of one tick length, and none that `refusal` has anything to say about."""
    pairs = [(entrant, tier) for entrant in entrants for tier in entrant.scenario.storefront.tiers]
    scenarios = {id(entrant.scenario): entrant.scenario for entrant in entrants}
    door, metric = _demand(list(scenarios.values()), world)
    places = {key: number for number, key in enumerate(scenarios)}
    share, capacity, target = np.array([_real(entrant, tier) for entrant, tier in pairs]).T
    scaled, on_cpu = np.array([_flags(entrant) for entrant, _ in pairs]).T
    judged_from, until, least, most, lead, seed = np.array([_whole(entrant, tier, world) for entrant, tier in pairs]).T
    return Lanes(
        ticks=door.shape[0],
        tick_seconds=entrants[0].scenario.tick_seconds,
        first=tuple(accumulate([len(entrant.scenario.storefront.tiers) for entrant in entrants[:-1]], initial=0)),
        door=door,
        shown=metric,
        place=np.array([places[id(entrant.scenario)] for entrant, _ in pairs]),
        share=share,
        capacity_rps=capacity,
        judged_from=judged_from,
        until=until,
        least=least,
        most=most,
        lead_ticks=lead,
        seed=seed,
        target=target,
        scaled=scaled,
        on_cpu=on_cpu,
        unit=10.0 ** np.maximum(0.0, np.ceil(-np.log10(capacity))),
    )


def _real(entrant: Entrant, tier: Tier) -> tuple[float, float, float]:
    """Share, capacity, target."""
    target = entrant.setting.hpa_target
    return tier.demand_per_request, tier.capacity_per_replica_rps or math.nan, 1.0 if target is None else target


def _flags(entrant: Entrant) -> tuple[bool, bool]:
    """Whether there is an autoscaler, and whether it looks at CPU."""
    return entrant.setting.hpa_target is not None, entrant.setting.on_cpu


def _whole(entrant: Entrant, tier: Tier, world: World) -> tuple[int, int, int, int, int, int]:
    """The columns judged_from, until, least, most, lead_ticks, seed."""
    scenario, pool = entrant.scenario, world.pool_replicas
    most = tier.max_replicas if pool is None else min(pool, tier.max_replicas)
    lead = ticks_of(tier.lead_time_seconds, scenario.tick_seconds)
    return scenario.judged_from, scenario.ticks, least_of(tier), most, lead, scenario.seed + world.seed


def least_of(tier: Tier) -> int:
    """minReplicas; 1 where it is not said."""
    return 1 if tier.min_replicas is None else tier.min_replicas


def _demand(scenarios: Sequence[Scenario], world: World) -> tuple[FloatArray, FloatArray]:
    """`door` and `shown`: no demand and no metric beyond a scenario's end."""
    ticks = longest(scenarios)
    door = np.zeros((ticks, len(scenarios)))
    metric = np.full((ticks, len(scenarios)), np.nan)
    for column, scenario in enumerate(scenarios):
        door[: scenario.ticks, column] = scenario.door_rps
        metric[: scenario.ticks, column] = shown(scenario.door_rps, scenario.known, scenario.tick_seconds, world)
    return door, metric
