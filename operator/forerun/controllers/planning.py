"""Make the plan of one Storefront and keep it in its CapacityPlan."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from forerun.api.convert import approvals_from, ledger_from, ledger_to, plan_from, plan_to_spec
from forerun.controllers.index import Index
from forerun.controllers.state import StorefrontState
from forerun.domain.campaign import Key
from forerun.domain.capacity import CapacityPlan
from forerun.domain.policy import Policy
from forerun.domain.reason import Hold, Reason, Refusal
from forerun.domain.storefront import Storefront
from forerun.kube.errors import Conflict, NotFound
from forerun.observe.conditions import timestamp
from forerun.plan.inputs import PlanInput
from forerun.plan.planner import make_plan
from forerun.wiring import Ports

API_VERSION = "forerun.dev/v1alpha1"
KIND = "CapacityPlan"
ATTEMPTS = 3


class NotLeaderError(Exception):
    """Somebody with a later epoch has written the ledger: this instance must stop."""


class Planner:
    """The only writer of CapacityPlans: spec when the plan changes, status before a target is touched."""

    def __init__(self, ports: Ports, index: Index) -> None:
        self._ports = ports
        self._index = index

    def load(self, key: Key, state: StorefrontState) -> None:
        """Take plan and ledger from the cluster once, after a start or a change of leader."""
        if state.plan_loaded:
            return
        state.plan_loaded = True
        raw = self._index.plans.get(key)
        if raw is None:
            return
        plan = plan_from(raw)
        state.plan = None if isinstance(plan, Refusal) else plan
        state.ledger = ledger_from(raw.get("status") or {})

    def approvals(self, key: Key) -> frozenset[tuple[str, int]]:
        raw = self._index.plans.get(key)
        return approvals_from(raw) if raw else frozenset()

    async def refresh(self, storefront: Storefront, state: StorefrontState, policy: Policy, now: datetime) -> None:
        """Plan anew where an input changed; write it where the plan changed."""
        if state.forecast_pending or (not state.campaigns and state.plan is None):
            return
        approved = self.approvals(storefront.key)
        inputs = (state.campaigns, state.forecast, state.proposed_forecast, state.forecast_hold, policy, approved)
        shape = tuple((tier.tier, tier.baseline, tier.lead_time_seconds) for tier in state.tiers)
        lost = storefront.key not in self._index.plans
        if state.plan_inputs == (storefront.generation, inputs, shape) and state.plan is not None and not lost:
            return
        made = make_plan(
            PlanInput(
                now=now,
                storefront=storefront,
                campaigns=state.campaigns,
                forecast=state.forecast,
                proposed_forecast=state.proposed_forecast,
                tiers=state.tiers,
                policy=policy,
                previous=state.plan,
                approved=approved,
            )
        )
        if state.forecast_hold:
            made = replace(made, holds=(*made.holds, state.forecast_hold))
        if state.plan is None or not same_plan(made, state.plan) or lost:
            await self._write_spec(storefront.key, made)
            state.plan = made
        if lost and state.ledger:
            # somebody deleted it: what we remember of the ledger is all there is
            await self.commit_ledger(storefront.key, state)
        state.plan_inputs = (storefront.generation, inputs, shape)

    async def commit_ledger(self, key: Key, state: StorefrontState) -> Hold | None:
        """Write the ledger, guarded; nothing may be written to a target before this has returned None."""
        epoch = self._ports.leadership.epoch
        body = {
            "status": {
                "ledger": ledger_to(state.ledger),
                "epoch": epoch,
                "executed": [
                    {"tier": tier.tier, "floor": tier.floor, "at": timestamp(entry.changed_at)}
                    for tier in state.tiers
                    if (entry := state.entry(tier.tier)) and entry.confirmed
                ],
                "holds": [{"subject": hold.subject, "reason": hold.reason} for hold in state.holds[:50]],
            }
        }
        for _ in range(ATTEMPTS):
            raw = self._index.plans.get(key)
            if raw is None:
                if state.plan is None:
                    return Hold(Reason.CONFLICT, str(key), detail="there is no CapacityPlan to keep the ledger in")
                await self._write_spec(key, state.plan)
                raw = self._index.plans.get(key)
            if raw is None:
                break  # it cannot be written: its namespace is gone
            if int((raw.get("status") or {}).get("epoch") or 0) > epoch:
                raise NotLeaderError(f"CapacityPlan {key}: epoch {raw['status']['epoch']} is later than ours ({epoch})")
            try:
                stored = await self._ports.cluster.merge_patch(
                    API_VERSION, KIND, key.namespace, key.name, {**body, "metadata": _guard(raw)}, subresource="status"
                )
            except Conflict:
                await self._reread(key)
            except NotFound:
                self._index.plans.pop(key, None)
            else:
                self._index.upsert(stored)
                state.ledger_dirty = False
                return None
        return Hold(
            Reason.CONFLICT, str(key), detail="the CapacityPlan is gone, or changes faster than it can be written"
        )

    async def drop_plan(self, key: Key) -> None:
        """Delete the CapacityPlan of a Storefront that is gone, once nothing of ours stands."""
        raw = self._index.plans.get(key)
        if raw is None:
            return
        with suppress(NotFound):
            await self._ports.cluster.delete(API_VERSION, KIND, key.namespace, key.name, uid=raw["metadata"]["uid"])
        self._index.plans.pop(key, None)

    async def _write_spec(self, key: Key, plan: CapacityPlan) -> None:
        raw = self._index.plans.get(key)
        spec = plan_to_spec(plan)
        for _ in range(ATTEMPTS):
            try:
                if raw is None:
                    stored = await self._ports.cluster.create(
                        {
                            "apiVersion": API_VERSION,
                            "kind": KIND,
                            "metadata": {"name": key.name, "namespace": key.namespace},
                            "spec": spec,
                        }
                    )
                else:
                    body = {"metadata": _guard(raw), "spec": spec}
                    stored = await self._ports.cluster.merge_patch(API_VERSION, KIND, key.namespace, key.name, body)
            except (Conflict, NotFound):
                raw = await self._reread(key)
            else:
                self._index.plans[key] = stored
                return

    async def _reread(self, key: Key) -> dict[str, Any] | None:
        try:
            raw = await self._ports.cluster.get(API_VERSION, KIND, key.namespace, key.name)
        except NotFound:
            self._index.plans.pop(key, None)
            return None
        self._index.plans[key] = raw
        return raw


def same_plan(made: CapacityPlan, stored: CapacityPlan) -> bool:
    """Equal but for when it was made; a wobble of cost or peak alone is not worth a write."""
    return (made.steps, made.proposed, made.generations, _kinds(made.risks), _kinds(made.holds)) == (
        stored.steps,
        stored.proposed,
        stored.generations,
        _kinds(stored.risks),
        _kinds(stored.holds),
    )


def _kinds(holds: tuple[Hold, ...]) -> frozenset[tuple[str, str]]:
    return frozenset((hold.reason, hold.subject) for hold in holds)


def _guard(raw: dict[str, Any]) -> dict[str, str]:
    return {"uid": raw["metadata"]["uid"], "resourceVersion": raw["metadata"]["resourceVersion"]}
