"""Limits at the door follow Ready capacity: how much the shop serves now, and whose limits are due."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from forerun.domain.capacity import TierState
from forerun.domain.limits import Limit, LimitEntry
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Admission, LimitKind, LimitPolicy, Storefront, Tier
from forerun.plan.inputs import DueInput
from forerun.plan.standing import moment, standing

EDGE_SECONDS = 30.0  # between two writes of one object: each of them reloads its proxy


@dataclass(frozen=True, slots=True)
class LimitDecision:
    """What is to stand at one policy of one tier; `limit` None: what it had before us."""

    tier: str
    policy: LimitPolicy
    limit: Limit | None
    campaigns: tuple[str, ...] = ()


def judge_limits(given: DueInput, entries: Sequence[LimitEntry]) -> tuple[LimitDecision | Hold, ...]:
    """One decision for each policy that is to be written, or a Hold where what is Ready is not known.

    A limit is ours while a window asks, or while the tier's own raise stands; before and after nothing is stricter than
    it was. Unknown capacity changes nothing. No policy is written twice within `EDGE_SECONDS`.
    """
    present = moment(given)
    known = {(entry.tier, entry.ref): entry for entry in entries}
    outcomes: list[LimitDecision | Hold] = []
    for tier in given.storefront.tiers:
        state = present.states.get(tier.name)
        if tier.admission is None or state is None:
            continue
        here = standing(present, tier, state)
        asked = bool(here.asking) or here.entry is not None
        limits = limits_of(given.storefront, tier, tier.admission, present.states) if asked else {}
        for policy in tier.admission.policies:
            entry = known.pop((tier.name, policy.ref), None)
            if entry is not None and not _is_over(entry, given.now):
                continue
            if not asked and entry is not None:
                outcomes.append(LimitDecision(tier.name, policy, None, entry.campaigns))
            elif asked and policy not in limits:
                outcomes.append(Hold(Reason.READY_UNKNOWN, tier.name, detail=f"{policy.ref} stays as it is"))
            elif asked:
                names = here.names or (here.entry.campaigns if here.entry else ())
                outcomes.append(LimitDecision(tier.name, policy, limits[policy], names))
    return (*outcomes, *_left_behind(known.values(), given.now))


def limits_of(
    storefront: Storefront, tier: Tier, asked: Admission, states: Mapping[str, TierState]
) -> dict[LimitPolicy, Limit]:
    """The limits that the Ready replicas of all tiers allow; a policy is left out where that is not known."""
    state = states.get(tier.name)
    pods = state.ready if state is not None else None
    if pods is None or pods < 1:
        return {}  # nobody is there to count, or nobody knows
    values = allowed(storefront, tier, asked, states)
    return {policy: Limit(policy, values[policy.kind], pods) for policy in asked.policies if policy.kind in values}


def allowed(
    storefront: Storefront, tier: Tier, asked: Admission, states: Mapping[str, TierState]
) -> dict[LimitKind, float]:
    """What the shop as a whole may take now, of each kind that is asked for and known."""
    values: dict[LimitKind, float] = {}
    served = served_rps(storefront, states)
    if asked.per_client_rps is not None:
        values[LimitKind.PER_CLIENT] = asked.per_client_rps
    if served is None:
        return values
    values[LimitKind.TOTAL] = served * tier.demand_per_request
    if asked.connections_per_rps is not None:
        values[LimitKind.CONNECTIONS] = values[LimitKind.TOTAL] * asked.connections_per_rps
    if asked.requests_per_visitor_rps is not None:
        values[LimitKind.WAITING_ROOM] = served / asked.requests_per_visitor_rps
    return values


def allowed_by_tier(storefront: Storefront, tiers: Sequence[TierState]) -> list[tuple[str, LimitKind, float]]:
    """The same for every tier with limits, in the Storefront's order."""
    states = {state.tier: state for state in tiers}
    return [
        (tier.name, kind, value)
        for tier in storefront.tiers
        if tier.admission is not None
        for kind, value in allowed(storefront, tier, tier.admission, states).items()
    ]


def served_rps(storefront: Storefront, states: Mapping[str, TierState]) -> float | None:
    """Demand at the door that the scarcest tier's Ready replicas serve.

    None where the Ready replicas of a tier are not known; tiers without a known capacity limit nothing.
    """
    least = math.inf
    for tier in storefront.tiers:
        capacity, state = tier.capacity_per_replica_rps, states.get(tier.name)
        if capacity is None or tier.demand_per_request <= 0:
            continue
        if state is None or state.ready is None:
            return None
        least = min(least, state.ready * capacity / tier.demand_per_request)
    return least if math.isfinite(least) else None


def _is_over(entry: LimitEntry, now: datetime) -> bool:
    """Whether the last write is long enough ago; a clock that went back holds nobody for ever."""
    return abs(now - entry.changed_at) >= timedelta(seconds=EDGE_SECONDS)


def _left_behind(entries: Iterable[LimitEntry], now: datetime) -> tuple[LimitDecision, ...]:
    """Entries of tiers or policies that the Storefront no longer names: given back."""
    return tuple(
        LimitDecision(entry.tier, LimitPolicy(entry.ref, LimitKind.TOTAL), None, entry.campaigns)
        for entry in entries
        if _is_over(entry, now)
    )
