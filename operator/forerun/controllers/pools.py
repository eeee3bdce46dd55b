"""Who else is in an accelerator pool: what others ask for, have and are owed; from memory, no I/O."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from forerun.controllers.index import Index
from forerun.controllers.state import StorefrontState
from forerun.controllers.stocks import PoolId, Stocks, accelerators_of, pool_id
from forerun.domain.campaign import Key
from forerun.domain.capacity import FloorDecision, TierState
from forerun.domain.policy import Policy
from forerun.domain.reason import Hold, Reason
from forerun.domain.stock import Ask, Supply
from forerun.domain.storefront import Storefront, Tier
from forerun.plan.arbitration import ask_of
from forerun.plan.standing import owed_step


class Pools:
    """The view that one Storefront has of the pools it shares with others."""

    def __init__(self, stocks: Stocks, index: Index, states: Mapping[Key, StorefrontState]) -> None:
        self._stocks = stocks
        self._index = index
        self._states = states

    def supply(self, storefront: Storefront, policy: Policy) -> Supply:
        """What was read, and the asks of all other Storefronts that share a pool or a quota with this one."""
        if not accelerators_of(storefront):
            return Supply()
        return replace(self._stocks.supply(storefront, policy), rivals=tuple(self._rivals(storefront, policy)))

    def sharing(self, storefront: Storefront, policy: Policy) -> tuple[Key, ...]:
        """The other Storefronts that are to plan again when this one asks for something else."""
        return tuple(dict.fromkeys(ask.storefront for ask in self._rivals(storefront, policy)))

    def room(self, storefront: Storefront, policy: Policy, now: datetime) -> dict[str, int]:
        """Replicas that each tier may stand at now: what the limits leave beside what all others have or are owed."""
        supply = self._stocks.supply(storefront, policy)
        found: dict[str, int] = {}
        for tier in accelerators_of(storefront):
            pool = pool_id(policy, tier)
            others = [other for other in self._others(storefront, tier) if other[1].accelerator]
            limits = []
            for declared in policy.pools:
                if (declared.name, declared.resource) == (pool.name, pool.resource):
                    stock = supply.stock(pool.name, pool.resource)
                    taken = self._taken((o for o in others if pool_id(o[2].policy, o[1]) == pool), now)
                    limits.append(declared.capacity - ((stock.others or 0) if stock else 0) - taken)
            for quota in supply.quotas:
                if quota.resource == pool.resource:
                    here = (o for o in others if o[0].namespace == storefront.key.namespace)
                    same = (o for o in here if pool_id(o[2].policy, o[1]).resource == quota.resource)
                    limits.append(quota.fits - self._taken(same, now))
            if limits and tier.accelerator:
                left = 0 if self._someone_unseen(pool) else max(0, min(limits))
                found[tier.name] = left // max(1, tier.accelerator.per_replica)
        return found

    def reserve(
        self,
        storefront: Storefront,
        state: StorefrontState,
        policy: Policy,
        floors: Iterable[FloorDecision],
        now: datetime,
    ) -> tuple[tuple[FloorDecision, ...], list[Hold]]:
        """Take the place of each floor that is about to be written; a Hold where one before it has just taken it.

        There is no await in it: between looking and taking nobody else can look.
        """
        standing = {tier.tier: tier.floor for tier in state.tiers}
        taken: list[FloorDecision] = []
        holds: list[Hold] = []
        state.reserved = {}
        for decision in floors:
            name, want = decision.tier, decision.floor
            room = self.room(storefront, policy, now).get(name, want)
            if want > max(room, standing.get(name, 0)):
                holds.append(Hold(Reason.WAITING_FOR_DONOR, name, {"want": want, "fits": room}))
                continue
            state.reserved[name] = want
            taken.append(decision)
        return tuple(taken), holds

    def _someone_unseen(self, pool: PoolId) -> bool:
        """Whether targets that may be in the pool have not been read yet, as just after a start: there is no room."""
        for key, record in self._index.storefronts.items():
            tiers = accelerators_of(record.value)
            state = self._states.get(key)
            if (state is None or not state.tiers) and any(_is_named(tier, pool) for tier in tiers):
                return True
        return False

    def _rivals(self, storefront: Storefront, policy: Policy) -> Iterator[Ask]:
        pools = {pool_id(policy, tier) for tier in accelerators_of(storefront)}
        resources = {pool.resource for pool in pools}
        for key, state in sorted(self._states.items()):
            if key == storefront.key:
                continue
            asked = {ask.tier: ask for ask in state.asks}
            for tier in accelerators_of(state.storefront):
                pool = pool_id(state.policy, tier)
                in_quota = key.namespace == storefront.key.namespace and pool.resource in resources
                if pool in pools or in_quota:
                    yield _ask(key, tier, state, asked.get(tier.name), pool, in_pool=pool in pools)

    def _others(self, storefront: Storefront, tier: Tier) -> Iterator[tuple[Key, Tier, StorefrontState]]:
        """Every other tier that takes accelerators, of this Storefront and of all others."""
        for key, state in self._states.items():
            for other in accelerators_of(state.storefront):
                if (key, other.name) != (storefront.key, tier.name):
                    yield key, other, state

    def _taken(self, others: Iterator[tuple[Key, Tier, StorefrontState]], now: datetime) -> int:
        return sum(
            tier.accelerator.per_replica * _occupied(tier.name, state, now)
            for _, tier, state in others
            if tier.accelerator
        )


def _ask(key: Key, tier: Tier, state: StorefrontState, ask: Ask | None, pool: PoolId, *, in_pool: bool) -> Ask:
    """What a rival asks; without a plan, what it has. One of another pool counts for the namespace's quota alone."""
    standing = next((found for found in state.tiers if found.tier == tier.name), None)
    kept = any(entry.tier == tier.name and entry.kept for entry in state.ledger)
    baseline = 0 if standing is None else standing.floor if kept else standing.baseline
    made = ask_of(key, tier, baseline, ask.pieces if ask else ())
    return made if in_pool else replace(made, pool=f"{pool.policy}/{pool.name}")


def _is_named(tier: Tier, pool: PoolId) -> bool:
    taken = tier.accelerator
    return taken is not None and (taken.pool, taken.resource) == (pool.name, pool.resource)


def _occupied(name: str, state: StorefrontState, now: datetime) -> int:
    """Replicas that a tier has, is about to have, or is owed: what is going down counts until it is gone."""
    standing = next((found for found in state.tiers if found.tier == name), None)
    step = owed_step(state.plan, name, now) if state.campaigns else None
    return max(_present(standing), state.reserved.get(name, 0), step.floor if step else 0)


def _present(standing: TierState | None) -> int:
    return max(standing.floor, standing.desired or 0, standing.ready or 0) if standing else 0
