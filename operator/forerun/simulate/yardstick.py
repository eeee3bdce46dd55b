"""The clairvoyant optimum of whole scenarios: what every arm is measured by."""

import math

import numpy as np

from forerun.simulate.figures import Sums
from forerun.simulate.oracle import Optimum, optimum
from forerun.simulate.scenario import Scenario, World, ticks_of
from forerun.simulate.score import COST_RATIO, VIOLATION_SHARE

_FIRST_TARGET = 0.9  # what stood before the scenario began; it settles before anything counts


def optima(scenario: Scenario, world: World, cost_ratio: float = COST_RATIO) -> Optimum:
    """The oracle's schedule; one lane per tier, in the Storefront's order."""
    tiers = scenario.storefront.tiers
    capacity = np.array([tier.capacity_per_replica_rps or math.nan for tier in tiers])
    share = np.array([tier.demand_per_request for tier in tiers])
    most = [min(tier.max_replicas, world.pool_replicas or tier.max_replicas) for tier in tiers]
    maximum = np.array(most, dtype=np.int64)
    least = np.array([1 if tier.min_replicas is None else tier.min_replicas for tier in tiers], dtype=np.int64)
    minimum = np.minimum(least, maximum)
    demand = share[:, None] * scenario.door_rps[None, :]
    first = np.clip(np.ceil(demand[:, 0] / capacity / _FIRST_TARGET), minimum, maximum).astype(np.int64)
    leads = np.array([ticks_of(tier.lead_time_seconds, scenario.tick_seconds) for tier in tiers], dtype=np.int64)
    return optimum(
        demand, capacity, leads, minimum, maximum, first, scenario.tick_seconds, scenario.judged_from, cost_ratio
    )


def oracle_sums(scenario: Scenario, world: World, cost_ratio: float = COST_RATIO) -> Sums:
    """What the optimum costs and misses."""
    best = optima(scenario, world, cost_ratio)
    tiers = scenario.storefront.tiers
    share = np.array([tier.demand_per_request for tier in tiers])
    capacity = np.array([tier.capacity_per_replica_rps or math.nan for tier in tiers])
    demand = (share[:, None] * scenario.door_rps[None, :])[:, scenario.judged_from :]
    lost = np.maximum(demand - best.ready[:, scenario.judged_from :] * capacity[:, None], 0.0)
    return Sums(
        cost=float(best.cost.sum()),
        replica_seconds=float(best.replica_seconds.sum()),
        unserved=float(best.unserved.sum()),
        demand=scenario.tick_seconds * float(demand.sum()),
        violation_seconds=scenario.tick_seconds * float((lost > VIOLATION_SHARE * demand).sum()),
        churn=float(best.churn.sum()),
    )
