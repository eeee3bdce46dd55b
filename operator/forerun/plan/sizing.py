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
    return wanted_for_calls(tier, door_rps * tier.demand_per_request)


def filled_replicas(tier: Tier, door_rps: float) -> int | Hold:
    """Replicas that `door_rps` fills, without headroom: with fewer, demand goes unserved."""
    return wanted_for_calls(tier, door_rps * tier.demand_per_request, headroom=0.0)


def wanted_for_calls(tier: Tier, calls_rps: float, headroom: float = HEADROOM_REPLICAS) -> int | Hold:
    """The same for the tier's own demand, calls/s that arrive at the tier itself."""
    capacity = tier.capacity_per_replica_rps
    if capacity is None or not 0 < capacity < math.inf:
        remedy = f"capacityPerReplica of tier {tier.name} is not known: declare it in the Storefront"
        return Hold(Reason.DEMAND_UNKNOWN, tier.name, detail=remedy)
    if not 0 <= calls_rps < math.inf:
        return Hold(Reason.METRIC_ABSURD, tier.name, detail=f"demand of tier {tier.name} is not a number >= 0")
    if calls_rps == 0:
        return 0
    ratio = calls_rps / capacity
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
