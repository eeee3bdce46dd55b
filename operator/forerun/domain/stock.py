"""Accelerators: what there is, by nodes, a policy's word and quotas, and what tiers ask of it over time."""

from dataclasses import dataclass, field
from typing import NamedTuple

from forerun.domain.campaign import Key


@dataclass(frozen=True, slots=True)
class Stock:
    """Accelerators of one pool as the cluster shows them. None is unknown: neither zero nor without limit."""

    pool: str
    resource: str
    there: int | None  # on nodes that take Pods
    others: int | None = 0  # of those, held by Pods that no tier is made of
    detail: str = ""  # why it is not known

    @property
    def ours(self) -> int | None:
        """What is there and left to tiers."""
        return None if self.there is None or self.others is None else max(0, self.there - self.others)


@dataclass(frozen=True, slots=True)
class Quota:
    """What a ResourceQuota leaves of one resource to the tiers of its namespace."""

    name: str
    resource: str
    fits: int


class Piece(NamedTuple):
    """From `at` to `until` (seconds since 1970) the tier asks for `replicas` in all."""

    at: int
    until: int
    replicas: int
    priority: int


@dataclass(frozen=True, slots=True)
class Ask:
    """What one tier has without any campaign, and what it asks for over time; pieces ascend and are disjoint."""

    storefront: Key
    tier: str
    pool: str
    resource: str
    per_replica: int
    baseline: int
    pieces: tuple[Piece, ...] = ()

    @property
    def claimant(self) -> tuple[str, str, str]:
        return self.storefront.namespace, self.storefront.name, self.tier


@dataclass(frozen=True, slots=True)
class Supply:
    """What was read for one Storefront, and who else asks; empty where nobody looked, as without a cluster."""

    stocks: tuple[Stock, ...] = field(default=())
    quotas: tuple[Quota, ...] = field(default=())
    rivals: tuple[Ask, ...] = field(default=())  # tiers of other Storefronts that share a pool with one of this one

    def stock(self, pool: str, resource: str) -> Stock | None:
        return next((s for s in self.stocks if (s.pool, s.resource) == (pool, resource)), None)
