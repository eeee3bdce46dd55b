"""Make the plan of one Storefront, when something that it is made from has changed."""

from dataclasses import replace
from datetime import datetime

from forerun.api.convert import approvals_from, ledger_from, plan_from
from forerun.controllers.index import Index
from forerun.controllers.plan_store import PlanStore
from forerun.controllers.state import StorefrontState
from forerun.domain.campaign import Key
from forerun.domain.capacity import CapacityPlan
from forerun.domain.policy import Policy
from forerun.domain.reason import Hold
from forerun.domain.storefront import Storefront
from forerun.plan.inputs import PlanInput
from forerun.plan.planner import make_plan


class Planner:
    """Calls `plan` with what the state holds, and keeps the result in the CapacityPlan."""

    def __init__(self, index: Index, store: PlanStore) -> None:
        self._index = index
        self._store = store

    def load(self, key: Key, state: StorefrontState) -> None:
        """Take plan and ledger from the cluster once, after a start or a change of leader."""
        if state.plan_loaded:
            return
        state.plan_loaded = True
        raw = self._index.plans.get(key)
        if raw is None:
            return
        plan = plan_from(raw)
        # one that was made for no campaign, perhaps only to keep a ledger, says nothing of those that there are now
        state.plan = plan if isinstance(plan, CapacityPlan) and plan.generations else None
        state.ledger = ledger_from(raw.get("status") or {})

    def approvals(self, key: Key) -> frozenset[tuple[str, int]]:
        """(campaign, generation) pairs that somebody has approved."""
        raw = self._index.plans.get(key)
        return approvals_from(raw) if raw else frozenset()

    async def refresh(self, storefront: Storefront, state: StorefrontState, policy: Policy, now: datetime) -> None:
        """Plan anew where an input changed; write it where the plan changed, or somebody deleted it."""
        if state.forecast_pending or (not state.campaigns and state.plan is None):
            return
        lost = storefront.key not in self._index.plans
        inputs = self._inputs(storefront, state, policy)
        if state.plan is not None and inputs == state.plan_inputs and not lost:
            return
        await self._keep(storefront.key, state, self._make(storefront, state, policy, now), lost=lost)
        state.plan_inputs = inputs

    async def _keep(self, key: Key, state: StorefrontState, made: CapacityPlan, *, lost: bool) -> None:
        if lost or state.plan is None or not same_plan(made, state.plan):
            await self._store.write_spec(key, made)
            state.plan = made
        if lost and state.ledger:
            # somebody deleted it: what we remember of the ledger is all there is
            await self._store.commit_ledger(key, state)

    def _inputs(self, storefront: Storefront, state: StorefrontState, policy: Policy) -> tuple[object, ...]:
        tiers = tuple((tier.tier, tier.baseline, tier.lead_time_seconds) for tier in state.tiers)
        forecasts = (state.forecast, state.proposed_forecast, state.forecast_hold)
        return (storefront.generation, state.campaigns, forecasts, policy, self.approvals(storefront.key), tiers)

    def _make(self, storefront: Storefront, state: StorefrontState, policy: Policy, now: datetime) -> CapacityPlan:
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
                approved=self.approvals(storefront.key),
            )
        )
        return replace(made, holds=(*made.holds, state.forecast_hold)) if state.forecast_hold else made


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
