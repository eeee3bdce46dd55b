"""CapacityPlans in the cluster: the spec is the plan, the status is the ledger; every write is guarded."""

from dataclasses import replace
from typing import Any

from forerun.api.convert import ledger_from, ledger_to, plan_to_spec
from forerun.api.models import API_VERSION
from forerun.controllers.index import Index
from forerun.controllers.state import StorefrontState
from forerun.domain.campaign import Key
from forerun.domain.capacity import CapacityPlan
from forerun.domain.ledger import LedgerEntry
from forerun.domain.reason import Hold, Reason
from forerun.kube.cluster import guard
from forerun.kube.errors import Conflict, NotFound
from forerun.observe.conditions import timestamp
from forerun.wiring import Ports

KIND = "CapacityPlan"
ATTEMPTS = 3
GONE = "the CapacityPlan is gone, or changes faster than it can be written"

Raw = dict[str, Any]


class NotLeaderError(Exception):
    """Somebody with a later epoch has written the ledger: this instance must stop."""


class PlanStore:
    """The only writer of CapacityPlans: spec when the plan changes, status before a target is touched."""

    def __init__(self, ports: Ports, index: Index) -> None:
        self._ports = ports
        self._index = index

    def committed(self, key: Key) -> dict[str, LedgerEntry]:
        """What the cluster's ledger says, by tier: not what a refused write was to say."""
        raw = self._index.plans.get(key) or {}
        return {entry.tier: entry for entry in ledger_from(raw.get("status") or {})}

    async def commit_ledger(self, key: Key, state: StorefrontState) -> Hold | None:
        """Write the ledger, guarded; nothing may be written to a target before this has returned None."""
        for _ in range(ATTEMPTS):
            raw = await self._present(key, state)
            if raw is None:
                break  # nothing to keep it in, or its namespace is gone
            self._refuse_later_epoch(key, raw)
            if await self._write_status(key, raw, state):
                state.ledger_dirty = False
                return None
        return Hold(Reason.CONFLICT, str(key), detail=GONE)

    async def claim(self, key: Key, state: StorefrontState) -> Hold | None:
        """Put our epoch into the ledger as it stands, which from then on no predecessor can write any more."""
        for _ in range(ATTEMPTS):
            raw = self._index.plans.get(key)
            if raw is None:
                return None  # no ledger, nothing that could be overwritten
            self._refuse_later_epoch(key, raw)
            stored = [e for e in ledger_from(raw.get("status") or {}) if e.tier not in state.regressed]
            known = {entry.tier for entry in stored}
            entries = (*stored, *(entry for entry in state.ledger if entry.tier not in known))
            state.ledger = tuple(replace(entry, epoch=self._ports.leadership.epoch) for entry in entries)
            if await self._write_status(key, raw, state):
                return None
        return Hold(Reason.CONFLICT, str(key), detail=GONE)

    async def write_spec(self, key: Key, plan: CapacityPlan) -> None:
        """Create or change the CapacityPlan; given up after some conflicts, until the next change."""
        raw = self._index.plans.get(key)
        for _ in range(ATTEMPTS):
            try:
                stored = await (self._create(key, plan) if raw is None else self._change(key, raw, plan))
            except (Conflict, NotFound):
                raw = await self._reread(key)
            else:
                self._index.plans[key] = stored
                return

    async def drop(self, key: Key) -> None:
        """Delete the CapacityPlan of a Storefront that is gone, once nothing of ours stands."""
        raw = self._index.plans.get(key)
        for _ in range(ATTEMPTS):
            if raw is None:
                return
            self._refuse_later_epoch(key, raw)
            seen = guard(raw)
            try:
                await self._ports.cluster.delete(
                    API_VERSION, KIND, key.namespace, key.name, seen["uid"], seen["resourceVersion"]
                )
            except Conflict:
                raw = await self._reread(key)
            except NotFound:
                break
            else:
                break
        self._index.plans.pop(key, None)

    async def _present(self, key: Key, state: StorefrontState) -> Raw | None:
        """The CapacityPlan; made anew where somebody deleted it, and without steps where a raise needs one sooner."""
        if key not in self._index.plans and (state.plan is not None or state.ledger):
            now = self._ports.clock()
            await self.write_spec(key, state.plan or CapacityPlan(key.name, generated_at=now, horizon=now, steps=()))
        return self._index.plans.get(key)

    def _refuse_later_epoch(self, key: Key, raw: Raw) -> None:
        stored, ours = int((raw.get("status") or {}).get("epoch") or 0), self._ports.leadership.epoch
        if stored > ours:
            raise NotLeaderError(f"CapacityPlan {key}: epoch {stored} is later than ours ({ours})")

    async def _write_status(self, key: Key, raw: Raw, state: StorefrontState) -> bool:
        body = {"metadata": guard(raw), "status": self._status(state)}
        try:
            stored = await self._ports.cluster.merge_patch(
                API_VERSION, KIND, key.namespace, key.name, body, subresource="status"
            )
        except Conflict:
            await self._reread(key)
            return False
        except NotFound:
            self._index.plans.pop(key, None)
            return False
        self._index.upsert(stored)
        return True

    def _status(self, state: StorefrontState) -> Raw:
        standing = [(tier, state.entry(tier.tier)) for tier in state.tiers]
        return {
            "ledger": ledger_to(state.ledger),
            "epoch": self._ports.leadership.epoch,
            "executed": [
                {"tier": tier.tier, "floor": tier.floor, "at": timestamp(entry.changed_at)}
                for tier, entry in standing
                if entry and entry.confirmed
            ],
            "holds": [{"subject": hold.subject, "reason": hold.reason} for hold in state.holds[:50]],
        }

    async def _create(self, key: Key, plan: CapacityPlan) -> Raw:
        metadata = {"name": key.name, "namespace": key.namespace}
        return await self._ports.cluster.create(
            {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": plan_to_spec(plan)}
        )

    async def _change(self, key: Key, raw: Raw, plan: CapacityPlan) -> Raw:
        body = {"metadata": guard(raw), "spec": plan_to_spec(plan)}
        return await self._ports.cluster.merge_patch(API_VERSION, KIND, key.namespace, key.name, body)

    async def _reread(self, key: Key) -> Raw | None:
        try:
            raw = await self._ports.cluster.get(API_VERSION, KIND, key.namespace, key.name)
        except NotFound:
            self._index.plans.pop(key, None)
            return None
        self._index.plans[key] = raw
        return raw
