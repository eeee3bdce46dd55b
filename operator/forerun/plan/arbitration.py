"""One pool, many tiers that ask for it over time: how many replicas each may have, and from when on. Pure.

The answer depends on the asks alone, not on who asks for it or when: every Storefront computes the same division.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from forerun.domain.campaign import Key
from forerun.domain.stock import Ask, Piece
from forerun.domain.storefront import Tier
from forerun.plan.sharing import Want, shared

CONFIRM_SECONDS = 60  # a donor is down this long before the receiver is raised, so that its Pods are gone by then
_UNLIMITED = 10**9

Claimant = tuple[str, str, str]


class Ceiling(NamedTuple):
    """From `at` (seconds since 1970) on the tier may have `fits` replicas."""

    at: int
    fits: int


Ceilings = tuple[Ceiling, ...]


def ask_of(storefront: Key, tier: Tier, baseline: int, pieces: tuple[Piece, ...] = ()) -> Ask:
    """What a tier asks of its pool; ValueError where it has none."""
    if tier.accelerator is None:
        raise ValueError(f"tier {tier.name} takes no accelerators")
    accelerator = tier.accelerator
    each = max(0, accelerator.per_replica)
    return Ask(storefront, tier.name, accelerator.pool, accelerator.resource, each, max(0, baseline), pieces)


def joined(asks: Sequence[Ask]) -> tuple[Ask, ...]:
    """One ask per claimant: where several overlap in time, the most replicas at the highest priority."""
    grouped: dict[Claimant, list[Ask]] = {}
    for ask in asks:
        grouped.setdefault(ask.claimant, []).append(ask)
    return tuple(found[0] if len(found) == 1 else _overlaid(found) for found in grouped.values())


def _overlaid(asks: Sequence[Ask]) -> Ask:
    edges = sorted({edge for ask in asks for piece in ask.pieces for edge in (piece.at, piece.until)})
    pieces = []
    for at, until in pairwise(edges):
        there = [piece for ask in asks if (piece := piece_at(ask.pieces, at))]
        if there:
            pieces.append(Piece(at, until, max(p.replicas for p in there), max(p.priority for p in there)))
    return replace(asks[0], pieces=tuple(pieces))


def divided(asks: Sequence[Ask], limit: int, mine: set[Claimant]) -> dict[Claimant, Ceilings]:
    """What each of `mine` may have of `limit` accelerators while it asks for any.

    Baselines are never taken away. What they leave goes to the surplus of the asks: by priority, then max-min fair, in
    whole replicas, anew wherever one of the asks changes.
    """
    free = limit - sum(ask.per_replica * ask.baseline for ask in asks)
    own = [piece for ask in asks if ask.claimant in mine for piece in ask.pieces]
    if not own:
        return {}
    first, last = min(piece.at for piece in own), max(piece.until for piece in own)
    edges = {edge for ask in asks for piece in ask.pieces for edge in (piece.at, piece.until)}
    found: dict[Claimant, list[Ceiling]] = {claimant: [] for claimant in mine}
    for at in sorted(edge for edge in edges if first <= edge < last):
        asking = [(ask, piece) for ask in asks if (piece := piece_at(ask.pieces, at))]
        wants = [Want(a.claimant, p.priority, a.per_replica, max(0, p.replicas - a.baseline)) for a, p in asking]
        granted = shared(free, wants)
        for ask, piece in asking:
            if ask.claimant in mine:
                fits = ask.baseline + granted[ask.claimant]
                # one that gets all it asks for is not limited: it may ask for more before this is computed anew
                _append(found[ask.claimant], Ceiling(at, _UNLIMITED if fits >= piece.replicas else fits))
    return {claimant: tuple(steps) for claimant, steps in found.items()}


def piece_at(pieces: Sequence[Piece], at: int) -> Piece | None:
    """The piece that holds at `at`."""
    place = bisect_right(pieces, at, key=lambda piece: piece.at) - 1
    return pieces[place] if place >= 0 and at < pieces[place].until else None


def ceiling_at(ceilings: Sequence[Ceiling], at: int) -> int:
    place = bisect_right(ceilings, at, key=lambda step: step.at) - 1
    return ceilings[place].fits if place >= 0 else _UNLIMITED


def lowest(first: Ceilings, second: Ceilings) -> Ceilings:
    """The lower of both at each time."""
    merged: list[Ceiling] = []
    for at in sorted({step.at for step in (*first, *second)}):
        _append(merged, Ceiling(at, min(ceiling_at(first, at), ceiling_at(second, at))))
    return tuple(merged)


def eased(ceilings: Ceilings, top: int, worth: int) -> Ceilings:
    """The same with every fall begun so early that it is over, in steps of `worth` a minute, before it is needed.

    A receiver is raised where a donor's ceiling falls: the donor's floor is there `CONFIRM_SECONDS` earlier.
    """
    worth = max(1, worth)
    bounded = [step._replace(fits=min(step.fits, top)) for step in ceilings]
    moments = {step.at for step in bounded}
    falls = []
    before = bounded[0].fits if bounded else top  # before it asked, it stood nowhere that it had to leave
    for step in bounded:
        if step.fits < before:
            falls.append(step)
            steps = math.ceil((before - step.fits) / worth)
            moments.update(step.at - CONFIRM_SECONDS - 60 * k for k in range(steps))
        before = step.fits
    result: list[Ceiling] = []
    for at in sorted(moments):
        slopes = [fall.fits + worth * _minutes(fall.at - CONFIRM_SECONDS - at) for fall in falls if at < fall.at]
        _append(result, Ceiling(at, min([min(ceiling_at(bounded, at), top), *slopes])))
    return tuple(result)


def clipped(pieces: Sequence[Piece], ceilings: Ceilings) -> tuple[Piece, ...]:
    """The asks of a tier that may not have more than its ceilings anyway."""
    cut: list[Piece] = []
    for piece in pieces:
        edges = [piece.at, *(step.at for step in ceilings if piece.at < step.at < piece.until), piece.until]
        for at, until in pairwise(edges):
            cut.append(Piece(at, until, min(piece.replicas, ceiling_at(ceilings, at)), piece.priority))
    return tuple(cut)


def _minutes(seconds: int) -> int:
    return max(0, math.ceil(seconds / 60))


def _append(steps: list[Ceiling], step: Ceiling) -> None:
    """Only where it changes something."""
    if not steps or steps[-1].fits != step.fits:
        steps.append(step)
