"""What outlives its Storefront or its campaign: orphans, and what is released by hand."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from forerun.api.models import RELEASE_ANNOTATION
from forerun.controllers.index import Record
from forerun.controllers.state import StorefrontState
from forerun.domain.campaign import Campaign, Key
from forerun.domain.ledger import LedgerEntry
from forerun.domain.storefront import Role, Storefront, Tier, TierRelease

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def surviving_storefront(
    key: Key, storefront: Storefront | None, state: StorefrontState, *, expire: bool = True
) -> Storefront | None:
    """The Storefront to give back with, where the real one is gone or has lost tiers; None where nothing stands.

    Deleting a Storefront, or a tier of it, is its owner's word: what stood there is given
    back in steps at once, with no demand metric to wait for, so the entries expire now.
    Without `expire` they expire when they would, and what was never to be given back stays.
    """
    tiers = storefront.tiers if storefront else ()
    orphans = _orphans(state, tiers)
    if not orphans:
        return storefront
    left = tuple(_tier_of(entry) for entry in orphans)
    if expire:
        left = tuple(replace(tier, release=TierRelease.GRADUAL) for tier in left)
        state.ledger = tuple(replace(entry, expires=LONG_AGO) if entry in orphans else entry for entry in state.ledger)
    if storefront is None:
        return Storefront(key, uid="", generation=0, metrics_source="", query="", unit="requests", tiers=left)
    names = {tier.name for tier in left}
    return replace(storefront, tiers=(*(tier for tier in tiers if tier.name not in names), *left))


def _orphans(state: StorefrontState, tiers: tuple[Tier, ...]) -> list[LedgerEntry]:
    """Entries of tiers or targets that are not there any more."""
    known = {(tier.name, tier.target) for tier in tiers}
    return [entry for entry in state.ledger if (entry.tier, entry.target) not in known]


def _tier_of(entry: LedgerEntry) -> Tier:
    """The tier that an entry was written for, as far as giving it back needs it."""
    return Tier(
        name=entry.tier,
        role=Role.CUSTOM,
        target=entry.target,
        capacity_per_replica_rps=None,
        max_replicas=max(entry.peak, 1),
        release=entry.release,
    )


def released_tiers(campaigns: Iterable[Record[Campaign]], state: StorefrontState) -> frozenset[str]:
    """Tiers that somebody gives back by hand: annotation `TIER[,TIER]@TIME` (or `*@TIME`) on a Campaign.

    Only raises from before TIME are meant, so that the annotation may stay where it is.
    """
    released: set[str] = set()
    for record in campaigns:
        text = (record.raw["metadata"].get("annotations") or {}).get(RELEASE_ANNOTATION, "")
        names, _, since = text.partition("@")
        try:
            asked_at = datetime.fromisoformat(since)
        except ValueError:
            continue
        if asked_at.tzinfo is None:
            continue
        wanted = {name.strip() for name in names.split(",")}
        released |= {
            entry.tier
            for entry in state.ledger
            if entry.raised_at <= asked_at and ("*" in wanted or entry.tier in wanted)
        }
    return frozenset(released)
