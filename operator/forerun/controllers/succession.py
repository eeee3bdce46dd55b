"""What a leader does first where its predecessor fell silent: a write that is still in that one's hand must not count.

A process that is stopped between the look at its fence and the sending of a write sends it when it goes on, however
late. Only the API server can refuse it then, and it does so where the object has changed since it was read. So the
new leader changes what its predecessor may have read, before it reads and decides: the ledger, which gets the new
epoch, and the mirror of it on every target with an entry. After a crash or a release there is nothing to be refused,
and nothing is written.
"""

import asyncio

from forerun.actuators import Standing, mark, standing
from forerun.api.convert import entry_to_annotation
from forerun.controllers.observation import Observer
from forerun.controllers.plan_store import PlanStore
from forerun.controllers.state import StorefrontState
from forerun.domain.campaign import Key
from forerun.domain.ledger import LedgerEntry
from forerun.domain.storefront import Storefront
from forerun.domain.target import TargetSnapshot, Written
from forerun.wiring import Ports


class Succession:
    """`settle` once for each Storefront, before anything is decided for it."""

    def __init__(self, ports: Ports, observer: Observer, store: PlanStore) -> None:
        self._ports = ports
        self._observer = observer
        self._store = store

    async def settle(self, key: Key, storefront: Storefront, state: StorefrontState) -> bool:
        """Whether it is settled; if not, nothing may be decided yet: come back soon."""
        if state.settled or not self._ports.leadership.predecessor_fell_silent:
            state.settled = True
            return True
        if await self._store.claim(key, state) is not None:
            return False
        marked = await asyncio.gather(*(self._mark(key, state, entry) for entry in state.ledger))
        for entry in state.ledger:
            await self._observer.read_again(key, storefront.tier(entry.tier), state)
        state.settled = all(marked)
        return state.settled

    async def _mark(self, key: Key, state: StorefrontState, entry: LedgerEntry) -> bool:
        snapshot = state.snapshots.get(entry.tier)
        if not isinstance(snapshot, TargetSnapshot) or standing(snapshot, entry) is Standing.REPLACED:
            return True  # there is nothing that could still be written by what was read
        outcome = await mark(self._ports.cluster, key.namespace, snapshot, entry_to_annotation(entry))
        return isinstance(outcome, Written)
