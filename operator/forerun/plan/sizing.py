"""From demand to replicas of one tier: a measured zero is a number, unknown is a `Hold`."""

import math

from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Tier

# Half a replica for small numbers: two replicas at 95 % are one failed pod away from an outage, two hundred are not.
HEADROOM_REPLICAS = 0.5

_ROUNDING = 1e-9  # 2.5000000000000004 replicas are 2.5
_MOST_REPLICAS = 10**9  # any count beyond is the same "more than there is"


def wanted_replicas(tier: Tier, door_rps: float) -> int | Hold:
    """Replicas that serve `door_rps` requests/s at the shop's door, before any bound of the tier.

    `ceil(calls/s / capacity + headroom)`: non-decreasing in demand, 0 for no demand. A capacity that is not known
    (`DEMAND_UNKNOWN`) or a number that is not finite and non-negative (`METRIC_ABSURD`) is a Hold.
    """
    return _with_connections(tier, door_rps, wanted_for_calls(tier, door_rps * tier.demand_per_request))


def wanted_when_cold(tier: Tier, door_rps: float) -> int | Hold:
    """The same while the cache in front of the tier passes on what it should have answered."""
    cold = tier.cold_demand_per_request
    wanted = wanted_replicas(tier, door_rps)
    if cold is None or isinstance(wanted, Hold):
        return wanted
    missed = wanted_for_calls(tier, door_rps * max(cold, tier.demand_per_request))
    return missed if isinstance(missed, Hold) else max(wanted, missed)


def filled_replicas(tier: Tier, door_rps: float) -> int | Hold:
    """Replicas that `door_rps` fills, without headroom: with fewer, demand goes unserved."""
    filled = wanted_for_calls(tier, door_rps * tier.demand_per_request, headroom=0.0)
    return _with_connections(tier, door_rps, filled, headroom=0.0)


def wanted_for_calls(tier: Tier, calls_rps: float, headroom: float = HEADROOM_REPLICAS) -> int | Hold:
    """The same for the tier's own demand, calls/s that arrive at the tier itself."""
    capacity = tier.capacity_per_replica_rps
    if capacity is None or not 0 < capacity < math.inf:
        remedy = f"capacityPerReplica of tier {tier.name} is not known: declare it in the Storefront"
        return Hold(Reason.DEMAND_UNKNOWN, tier.name, detail=remedy)
    if not 0 <= calls_rps < math.inf:
        return Hold(Reason.METRIC_ABSURD, tier.name, detail=f"demand of tier {tier.name} is not a number >= 0")
    return _replicas(calls_rps, capacity, headroom)


def wanted_for_connections(tier: Tier, new_rps: float) -> int:
    """Replicas for so many new connections/s, measured at the tier itself; 0 where nothing is said of them."""
    if tier.connections is None or not 0 <= new_rps < math.inf:
        return 0
    return _replicas(new_rps, tier.connections.per_replica_rps, HEADROOM_REPLICAS)


def _with_connections(
    tier: Tier, door_rps: float, wanted: int | Hold, headroom: float = HEADROOM_REPLICAS
) -> int | Hold:
    """Enough for the new connections as well that come with the requests."""
    asked = tier.connections
    if isinstance(wanted, Hold) or asked is None or asked.per_request is None:
        return wanted
    return max(wanted, _replicas(door_rps * asked.per_request, asked.per_replica_rps, headroom))


def _replicas(rate_rps: float, capacity_rps: float, headroom: float) -> int:
    """`ceil(rate / capacity + headroom)`; 0 for nothing."""
    if rate_rps == 0:
        return 0
    ratio = rate_rps / capacity_rps
    if ratio > _MOST_REPLICAS:
        return _MOST_REPLICAS
    return max(1, math.ceil(ratio + headroom - _ROUNDING))


def size(tier: Tier, door_rps: float) -> int | Hold:
    """`wanted_replicas` within the tier's bounds: what a floor inside a window has to be."""
    wanted = wanted_replicas(tier, door_rps)
    return wanted if isinstance(wanted, Hold) else bounded(tier, wanted)


def bounded(tier: Tier, replicas: int) -> int:
    """`replicas` within [minReplicas or 1, maxReplicas]; the ceiling wins."""
    return max(0, min(at_least(tier, replicas), tier.max_replicas))


def at_least(tier: Tier, replicas: int) -> int:
    """The lower bound alone: inside a window a tier has minReplicas, or one replica."""
    return max(replicas, 1 if tier.min_replicas is None else tier.min_replicas)
