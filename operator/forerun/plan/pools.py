"""The guard of accelerator pools: what a pool may have, what is there, and who gets less than it wants."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from forerun.domain.reason import Hold, Reason
from forerun.domain.stock import Ask, Piece
from forerun.domain.storefront import Tier
from forerun.plan.arbitration import Ceilings, ask_of, ceiling_at, clipped, divided, eased, lowest
from forerun.plan.raises import Raises
from forerun.plan.release import STEP_SECONDS, minute_worth
from forerun.plan.verdicts import GuardInput, Note, Share, Verdict
from forerun.plan.windows import after_freeze, before_freeze, second_after, second_of, window_of


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many accelerators for all of these asks together."""

    fits: int
    asks: tuple[Ask, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class Bound:
    """What one tier may have by a limit, and which limit that is."""

    ceilings: Ceilings
    detail: str


def pools(given: GuardInput) -> tuple[Verdict, ...]:
    """A share where a pool or a quota cannot serve all; a note where it is not there yet, or not known."""
    asks = {tier.name: _ask(given, tier) for tier in given.storefront.tiers if _takes(given, tier)}
    if not asks:
        return ()
    by_quota = _divided(_quotas(given, tuple(asks.values())), asks)
    # what a quota does not let a namespace have, no pool needs to give
    asked = {name: _within(ask, by_quota.get(name)) for name, ask in asks.items()}
    by_pool = _divided(_pools(given, tuple(asked.values())), asked)
    shares = [_share(given, ask, by_quota.get(name), by_pool.get(name)) for name, ask in asks.items()]
    found = {share.tier: share for share in shares if share is not None}
    return (*found.values(), *_notes(given, asks, found), *asked.values())


def _takes(given: GuardInput, tier: Tier) -> bool:
    return tier.accelerator is not None and tier.name in given.states


def _ask(given: GuardInput, tier: Tier) -> Ask:
    """What the raises of a tier ask of its pool."""
    pieces = _pieces(given, tier, given.raises.get(tier.name, ()))
    return ask_of(given.storefront.key, tier, given.baseline(tier.name), pieces)


def _pieces(given: GuardInput, tier: Tier, raises: Raises) -> tuple[Piece, ...]:
    """The raises with the priority of those that are open then, and at the end what is still being given back."""
    if not raises:
        return ()
    until, ahead = given.stretch.hold_until, given.order.ahead.get(tier.name, 0)
    spans = [
        (second_of(sc.occurrence.start) - ahead, second_after(window_of(sc).hold_until), sc.campaign.priority)
        for sc in given.stretch.campaigns
    ]
    first = raises[0].at
    edges = {step.at for step in raises} | {edge for start, end, _ in spans for edge in (start, end)}
    times = [first, *sorted(edge for edge in edges if first < edge < until), until]
    pieces = []
    for at, end in pairwise(times):
        floor = next(step.floor for step in reversed(raises) if step.at <= at)
        if end > at:
            pieces.append(Piece(at, end, floor, _priority(spans, at)))
    return (*pieces, *_given_back(given, tier, raises[-1].floor, _priority(spans, until - 1)))


def _given_back(given: GuardInput, tier: Tier, top: int, priority: int) -> Iterator[Piece]:
    """What is still there after the hold, minute by minute, until the Pods of each step are gone."""
    surplus, until = top - given.baseline(tier.name), given.stretch.hold_until
    worth = minute_worth(surplus, given.percent_down)
    for step in range(math.ceil(surplus / worth)):
        at = until + step * STEP_SECONDS
        yield Piece(at, at + STEP_SECONDS, top - step * worth, priority)


def _priority(spans: Sequence[tuple[int, int, int]], at: int) -> int:
    """The highest of the campaigns that are open or due by then; before that, of the first to come."""
    is_open = [priority for start, end, priority in spans if start <= at < end]
    return max(is_open) if is_open else min(spans)[2]


def _quotas(given: GuardInput, asks: tuple[Ask, ...]) -> Iterator[Limit]:
    here = tuple(r for r in given.supply.rivals if r.storefront.namespace == given.storefront.key.namespace)
    for quota in given.supply.quotas:
        users = tuple(ask for ask in (*asks, *here) if ask.resource == quota.resource)
        yield Limit(max(0, quota.fits), users, f"ResourceQuota {quota.name}")


def _pools(given: GuardInput, asks: tuple[Ask, ...]) -> Iterator[Limit]:
    for pool in given.policy.pools:
        stock = given.supply.stock(pool.name, pool.resource)
        others = (stock.others or 0) if stock else 0
        everybody = (*asks, *given.supply.rivals)
        users = tuple(ask for ask in everybody if (ask.pool, ask.resource) == (pool.name, pool.resource))
        yield Limit(max(0, pool.capacity - others), users, f"pool {pool.name}")


def _divided(limits: Iterator[Limit], asks: dict[str, Ask]) -> dict[str, Bound]:
    """By tier, where one of the limits leaves it less than it asks for."""
    found: dict[str, Bound] = {}
    for limit in limits:
        mine = {ask.claimant for ask in asks.values()} & {ask.claimant for ask in limit.asks}
        for (_, _, tier), ceilings in divided(limit.asks, limit.fits, mine).items():
            if any(_gap(ceilings, piece) > 0 for piece in asks[tier].pieces):
                before = found.get(tier)
                merged = lowest(before.ceilings, ceilings) if before else ceilings
                found[tier] = Bound(merged, before.detail if before else limit.detail)
    return found


def _within(ask: Ask, bound: Bound | None) -> Ask:
    return replace(ask, pieces=clipped(ask.pieces, bound.ceilings)) if bound else ask


def _share(given: GuardInput, ask: Ask, *bounds: Bound | None) -> Share | None:
    """What one tier may have over time, told by the moment at which most is missing; None: all it asks for."""
    binding = [bound for bound in bounds if bound is not None]
    if not binding:
        return None
    ceilings = binding[0].ceilings if len(binding) == 1 else lowest(binding[0].ceilings, binding[1].ceilings)
    asking = [piece for piece in ask.pieces if piece.at < given.stretch.hold_until]
    missing, want = max(((max(0, _gap(ceilings, piece)), piece.replicas) for piece in asking), default=(0, 0))
    top = max(piece.replicas for piece in ask.pieces)
    easy = eased(ceilings, top, minute_worth(top - ask.baseline, given.percent_down))
    return Share(ask.tier, _thawed(easy, given.frozen), top, want, want - missing, binding[-1].detail)


def _thawed(ceilings: Ceilings, frozen: Sequence[tuple[int, int]]) -> Ceilings:
    """No change inside a freeze: falls come before it, rises after."""
    moved = []
    before = ceilings[0].fits
    for step in ceilings:
        at = before_freeze(step.at, frozen) if step.fits <= before else after_freeze(step.at, frozen)
        moved.append(step._replace(at=at))
        before = step.fits
    return tuple(sorted(moved, key=lambda step: step.at))


def _gap(ceilings: Ceilings, piece: Piece) -> int:
    """How many replicas of a piece are missing where most are."""
    return piece.replicas - min(ceiling_at(ceilings, at) for at in _moments(ceilings, piece))


def _moments(ceilings: Ceilings, piece: Piece) -> list[int]:
    return [piece.at, *(step.at for step in ceilings if piece.at < step.at < piece.until)]


def _notes(given: GuardInput, asks: dict[str, Ask], shares: dict[str, Share]) -> Iterator[Note]:
    """What the raised tiers of each pool get together, beside what is there now."""
    declared = {(pool.name, pool.resource) for pool in given.policy.pools}
    for stock in given.supply.stocks:
        users = [ask for ask in asks.values() if (ask.pool, ask.resource) == (stock.pool, stock.resource)]
        want = sum(ask.per_replica * _most(ask, shares.get(ask.tier)) for ask in users)
        risk = _risk(stock.ours, want, stock.detail, stock.pool, is_declared=(stock.pool, stock.resource) in declared)
        if risk is not None:
            yield from (Note(replace(risk, subject=ask.tier)) for ask in users if ask.pieces)


def _most(ask: Ask, share: Share | None) -> int:
    ceilings = share.ceilings if share else ()
    tops = [min(p.replicas, ceiling_at(ceilings, at)) for p in ask.pieces for at in _moments(ceilings, p)]
    return max(tops, default=ask.baseline)


def _risk(ours: int | None, want: int, detail: str, pool: str, *, is_declared: bool) -> Hold | None:
    """Where what is wanted is not there now: it may come, or nobody knows."""
    if ours is not None and want <= ours:
        return None
    if ours is not None and is_declared:
        return Hold(Reason.STOCK_TO_COME, numbers={"want": want, "there": ours})
    known = {} if ours is None else {"there": float(ours)}
    remedy = detail or f"{ours} are there, and how many may come nobody says: declare pool {pool} in a CapacityPolicy"
    return Hold(Reason.STOCK_UNKNOWN, numbers={"want": want, **known}, detail=remedy)
