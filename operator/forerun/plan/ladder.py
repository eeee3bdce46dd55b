"""The degradation ladder: what a tier may not have, its rungs take, best first. Pure.

A rung is a tier of its own: its own target, lead time, ledger entry and steps. Only its need differs: it is what is
left of its tier's demand. A sink, a rung without a capacity per replica, serves whatever comes and needs nothing.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from forerun.domain.capacity import TierState
from forerun.domain.storefront import Storefront, Tier
from forerun.plan.arbitration import ceiling_at
from forerun.plan.demand import Record
from forerun.plan.lead_time import required
from forerun.plan.raises import Raise, Raises, rising
from forerun.plan.sizing import HEADROOM_REPLICAS, wanted_for_calls, wanted_replicas
from forerun.plan.verdicts import GuardInput, Share


@dataclass(frozen=True, slots=True)
class Present:
    """What a rung's need follows from now: the tiers as they stand, and the place that pools have."""

    storefront: Storefront
    states: Mapping[str, TierState]
    room: Mapping[str, int] = field(default_factory=dict)


def rung_raises(given: GuardInput) -> dict[str, Raises]:
    """When each rung has to have which floor, so that it is Ready for what its tier may not have by then."""
    found: dict[str, Raises] = {}
    for tier in given.storefront.tiers:
        rungs = [rung for rung in given.storefront.rungs(tier.name) if rung.name in given.states and not rung.is_sink]
        if not rungs or tier.name not in given.states:
            continue
        pieces = _left_over(given, tier)
        for rung in rungs:
            needs = [(float(at), _replicas(rung, calls)) for at, calls in pieces]
            pieces = [(at, _passed_on(rung, calls)) for at, calls in pieces]
            ahead, base = float(given.order.ahead.get(rung.name, 0)), given.baseline(rung.name)
            steps = required(needs, float(given.stretch.hold_until), ahead)
            found[rung.name] = rising((Raise(int(at), floor, given.stretch.names) for at, floor in steps), base)
    return {name: raises for name, raises in found.items() if raises}


def rung_need(present: Present, rung: Tier, door_rps: float, *, ready_only: bool, headroom: float) -> int:
    """Replicas of a rung that `door_rps` needs now; 0 where the tiers before it serve all.

    What they serve is what they may have; with `ready_only`, what of it is Ready: before a rung is lowered, the others
    have to be there.
    """
    if rung.is_sink or rung.rung_of is None or not math.isfinite(door_rps):
        return 0
    tier = present.storefront.tier(rung.rung_of)
    calls = max(0.0, door_rps) * tier.demand_per_request
    for before in (tier, *present.storefront.rungs(tier.name)):
        if before.name == rung.name:
            break
        calls = max(0.0, calls - _serves(present, before, ready_only=ready_only))
    return _replicas(rung, calls, headroom)


def _serves(present: Present, tier: Tier, *, ready_only: bool) -> float:
    """Calls/s of a tier or rung: of its Ready replicas, or of those that it may have."""
    state, capacity = present.states.get(tier.name), tier.capacity_per_replica_rps
    if capacity is None:
        return math.inf  # a sink; a tier whose capacity is not known is not sized, and neither are its rungs
    ready = (state.ready or 0) if state else 0
    if ready_only:
        return ready * capacity
    standing = max(ready, state.floor) if state else 0
    return max(standing, min(tier.max_replicas, present.room.get(tier.name, tier.max_replicas))) * capacity


def _left_over(given: GuardInput, tier: Tier) -> list[tuple[int, float]]:
    """Calls/s that the tier may not serve, from each moment on: where demand or its share changes."""
    share = next((share for share in given.shares if share.tier == tier.name), None)
    ahead, capacity = given.order.ahead.get(tier.name, 0), tier.capacity_per_replica_rps
    if capacity is None or not given.records:
        return []
    pieces = []
    for at, door_rps in _moments(given.records, share, ahead, given.stretch.hold_until):
        granted = max(given.baseline(tier.name), min(tier.max_replicas, _granted(share, at - ahead, at)))
        wanted = wanted_replicas(tier, door_rps)
        short = isinstance(wanted, int) and wanted > granted
        pieces.append((at, max(0.0, door_rps * tier.demand_per_request - granted * capacity) if short else 0.0))
    return pieces


def _moments(records: Sequence[Record], share: Share | None, ahead: int, until: int) -> Iterator[tuple[int, float]]:
    """(time, demand at the door), wherever it or what is granted by then changes."""
    first = records[0].at
    changes = {edge for step in (share.ceilings if share else ()) for edge in (step.at, step.at + ahead)}
    for at in sorted({record.at for record in records} | {edge for edge in changes if first < edge < until}):
        yield at, next(record.door_rps for record in reversed(records) if record.at <= at)


def _granted(share: Share | None, since: int, until: int) -> int:
    """The least that the tier may have from its raise to the moment it is needed; what comes later is not Ready."""
    if share is None:
        return 10**9
    inside = [step.fits for step in share.ceilings if since < step.at <= until]
    least = min([ceiling_at(share.ceilings, since), *inside])
    return 10**9 if least >= share.top else least


def _replicas(rung: Tier, calls_rps: float, headroom: float = HEADROOM_REPLICAS) -> int:
    wanted = wanted_for_calls(rung, calls_rps, headroom)
    return min(wanted, rung.max_replicas) if isinstance(wanted, int) else 0


def _passed_on(rung: Tier, calls_rps: float) -> float:
    """What a rung at its most cannot serve either."""
    return max(0.0, calls_rps - _replicas(rung, calls_rps) * (rung.capacity_per_replica_rps or 0.0))
