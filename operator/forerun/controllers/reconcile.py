"""One Storefront, once: observe -> forecast -> plan -> decide -> act. A table of contents."""

import random
from dataclasses import replace
from datetime import datetime, timedelta

from forerun.controllers.execution import Executor
from forerun.controllers.forecasting import Forecaster
from forerun.controllers.index import Index
from forerun.controllers.namespaces import NamespacePolicies
from forerun.controllers.observation import Observer
from forerun.controllers.plan_store import PlanStore
from forerun.controllers.planning import Planner
from forerun.controllers.release import released_tiers, surviving_storefront
from forerun.controllers.reporting import Reporter
from forerun.controllers.schedule import note_occurrences
from forerun.controllers.state import StorefrontState
from forerun.controllers.succession import Succession
from forerun.domain.campaign import Key
from forerun.domain.capacity import FloorDecision
from forerun.domain.policy import Policy
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Storefront, TierRelease
from forerun.kube.pace import pressing
from forerun.observe import metrics
from forerun.observe.gitops import leave_alone
from forerun.plan.cadence import is_near, watched_ahead_seconds
from forerun.plan.due import decide
from forerun.plan.inputs import DueInput
from forerun.plan.standing import owed_step
from forerun.plan.windows import window_of
from forerun.wiring import Ports

JUST = timedelta(seconds=5)
UNSETTLED_RECHECK = timedelta(seconds=1)
IDLE_RECHECK = timedelta(minutes=10)


class Reconciler:
    """Holds the collaborators; all memory is in the StorefrontState."""

    def __init__(
        self,
        ports: Ports,
        index: Index,
        observer: Observer,
        forecaster: Forecaster,
        planner: Planner,
        store: PlanStore,
        executor: Executor,
        policies: NamespacePolicies,
        reporter: Reporter,
    ) -> None:
        self._ports = ports
        self._index = index
        self._observer = observer
        self._forecaster = forecaster
        self._planner = planner
        self._store = store
        self._executor = executor
        self._succession = Succession(ports, observer, store)
        self._policies = policies
        self._reporter = reporter

    async def reconcile(self, key: Key, state: StorefrontState) -> None:
        """Level-triggered: everything is computed anew from the specs, the ledger and what stands there."""
        now = self._ports.clock()
        self._planner.load(key, state)
        with pressing(_is_owed(state, now)):
            await self._reconcile(key, state, now)

    async def _reconcile(self, key: Key, state: StorefrontState, now: datetime) -> None:
        record = self._index.storefronts.get(key)
        storefront = record.value if record else None
        deleted = record is None
        if storefront is None or _left_behind(storefront, state):
            storefront = surviving_storefront(key, storefront, state)
        state.storefront = storefront
        if storefront is None:
            await self._close(key, state, deleted=deleted)
            return
        known = record is not None and record.value is not None
        note_occurrences(self._index.campaigns_of(key) if known else (), state, now)
        await self._observer.refresh_targets(key, storefront, state)
        if not await self._succession.settle(key, storefront, state):
            state.next_due = now + UNSETTLED_RECHECK
            return
        await self._executor.notice_foreign_edits(key, state, now)
        policy = await self._policies.of(key.namespace)
        if _raise_is_due(state, now):
            # to the minute for many at once: the floor first, everything else a moment later
            await self._act(key, storefront, state, policy, now)
            state.next_due = now + timedelta(seconds=1 + 9 * _spread(key))
            return
        active = self._is_active(storefront, state, now)
        await self._look(key, storefront, state, now, active=active and not deleted)
        self._forecaster.refresh(storefront, state, self._planner.approvals(key), now, active=active)
        await self._planner.refresh(storefront, state, policy, now)
        await self._act(key, storefront, state, policy, now)
        if deleted and not state.ledger:
            await self._store.drop(key)
        state.next_due = self._next_due(storefront, state, now, active=active)

    async def _look(
        self, key: Key, storefront: Storefront, state: StorefrontState, now: datetime, *, active: bool
    ) -> None:
        """Live demand and start-up times, while a window is near or something of ours stands."""
        if active:
            self._observer.sample_in_background(key, storefront, state, now)
            await self._observer.refresh_lead_times(key, storefront, state, now)

    async def _act(
        self, key: Key, storefront: Storefront, state: StorefrontState, policy: Policy, now: datetime
    ) -> None:
        decisions = decide(self._due_input(key, storefront, state, policy, now))
        lowered = {
            made.tier for made in decisions if isinstance(made, FloorDecision) and made.reason is Reason.EVIDENCE
        }
        if lowered:
            # what the autoscaler has to say against it is worth something only if it says so now
            state.snapshot_stale |= lowered
            await self._observer.refresh_targets(key, storefront, state)
            decisions = decide(self._due_input(key, storefront, state, policy, now))
        unreadable = {tier: found for tier, found in state.snapshots.items() if isinstance(found, Hold)}
        floors, held = _sorted_out(decisions, {*unreadable, *state.regressed})
        held += await self._mended(key, state)
        await self._executor.keep(key, state, {hold.subject for hold in held if hold.reason is Reason.KEPT})
        failed: list[Hold] = []
        if floors:
            with self._reporter.while_floors_wait(), pressing():
                failed = await self._executor.carry_out(key, storefront, state, floors, now)
            await self._observer.refresh_targets(key, storefront, state)
        await self._executor.prepare(key, storefront, state, now)
        self._note_holds(state, [*unreadable.values(), *held, *failed])

    async def _mended(self, key: Key, state: StorefrontState) -> list[Hold]:
        """Ledgers that were older than what stands there are committed anew before anything of theirs moves."""
        held = [Hold(Reason.LEDGER_REGRESSED, tier) for tier in sorted(state.regressed)]
        if held and await self._store.commit_ledger(key, state) is None:
            state.regressed.clear()
        return held

    def _note_holds(self, state: StorefrontState, holds: list[Hold]) -> None:
        """What is held now, and what the plan says will fall short, each once."""
        planned = (*state.plan.risks, *state.plan.holds) if state.plan and state.campaigns else ()
        known = (_with_remedy(state, hold) for hold in (*holds, *planned))
        state.holds = tuple({(hold.reason, hold.subject): hold for hold in known}.values())
        for hold in state.holds:
            metrics.HOLDS.labels(hold.reason).inc()

    def _due_input(
        self, key: Key, storefront: Storefront, state: StorefrontState, policy: Policy, now: datetime
    ) -> DueInput:
        settings = self._ports.settings
        wished = released_tiers(self._index.campaigns_of(key), state)
        return DueInput(
            now=now,
            storefront=_with_manual_release(storefront, wished),
            plan=state.plan,
            campaigns=(*state.campaigns, *state.suspended),
            tiers=state.tiers,
            live=tuple(state.live),
            policy=policy,
            ledger=state.ledger,
            metric_max_age_seconds=settings.metric_max_age_seconds,
            evidence_samples=settings.evidence_samples,
            expiry_grace_seconds=settings.expiry_grace_seconds,
            approved=self._planner.approvals(key),
        )

    async def _close(self, key: Key, state: StorefrontState, *, deleted: bool) -> None:
        """No Storefront, nothing of ours standing: nothing to do but to tidy up."""
        state.campaigns = ()
        state.next_due = None
        if deleted and not state.ledger:
            await self._store.drop(key)

    def _is_active(self, storefront: Storefront, state: StorefrontState, now: datetime) -> bool:
        """Whether a window is near or open, or something of ours stands."""
        if state.raised:
            return True
        return is_near(state.campaigns, now, watched_ahead_seconds(storefront, self._ports.settings.time_compression))

    def _next_due(self, storefront: Storefront, state: StorefrontState, now: datetime, *, active: bool) -> datetime:
        """When this Storefront is to be looked at again if nothing happens before."""
        settings = self._ports.settings
        interval = self._observer.sample_interval(state, now) if active else IDLE_RECHECK
        moments = [now + interval * (0.9 + 0.2 * random.random())]  # noqa: S311  # spread, no secret
        if state.forecast_hold is not None:
            moments.append(now + timedelta(seconds=10))
        ahead = timedelta(seconds=watched_ahead_seconds(storefront, settings.time_compression))
        for scheduled in state.campaigns:
            start, end = scheduled.occurrence.start, scheduled.occurrence.end
            moments += [start - ahead, start, end, window_of(scheduled).hold_until]
        moments += state.unlearnt.values()
        if state.plan is not None:
            prepare = timedelta(seconds=settings.prepare_seconds)
            # many Storefronts may be due at one instant
            jitter = prepare / 2 * _spread(storefront.key)
            moments += [at for step in state.plan.steps for at in (step.at - prepare + jitter, step.at)]
        return min(moment for moment in moments if moment > now)


def _sorted_out(
    decisions: tuple[FloorDecision | Hold, ...], unreadable: set[str]
) -> tuple[tuple[FloorDecision, ...], list[Hold]]:
    """Floors to write and Holds to tell; nothing of tiers whose target cannot be read."""
    floors = tuple(d for d in decisions if isinstance(d, FloorDecision) and d.tier not in unreadable)
    return floors, [d for d in decisions if isinstance(d, Hold) and d.subject not in unreadable]


def _with_remedy(state: StorefrontState, hold: Hold) -> Hold:
    """Whoever reverts a floor is told how to leave it alone."""
    entry = state.entry(hold.subject)
    if hold.reason is not Reason.CONTESTED or hold.detail or entry is None:
        return hold
    return replace(hold, detail=leave_alone(entry.owner_ref))


def _raise_is_due(state: StorefrontState, now: datetime) -> bool:
    """Whether a step of the plan has just come due and is not carried out yet."""
    floors = {tier.tier: tier.floor for tier in state.tiers}
    return any(
        now - JUST <= step.at <= now and step.floor > floors.get(step.tier, step.floor)
        for step in (state.plan.steps if state.plan else ())
    )


def _is_owed(state: StorefrontState, now: datetime) -> bool:
    """Whether the plan owes a floor now that is not known to stand: nothing may keep it waiting."""
    stands = {tier.tier: tier.floor for tier in state.tiers}
    for entry in state.ledger:
        if entry.confirmed:
            written = max((bounds.minimum or 0 for bounds in entry.written), default=0)
            stands[entry.tier] = max(written, stands.get(entry.tier, 0))
    steps = [
        owed_step(state.plan, tier, now) for tier in {step.tier for step in (state.plan.steps if state.plan else ())}
    ]
    return any(step is not None and step.floor > stands.get(step.tier, 0) for step in steps)


def _spread(key: Key) -> float:
    """A number in [0, 1) that differs between Storefronts."""
    return hash(str(key)) % 1000 / 1000


def _left_behind(storefront: Storefront, state: StorefrontState) -> bool:
    """Whether the ledger names a tier or target that the Storefront no longer has."""
    current = {(tier.name, tier.target) for tier in storefront.tiers}
    return any((entry.tier, entry.target) not in current for entry in state.ledger)


def _with_manual_release(storefront: Storefront, wished: frozenset[str]) -> Storefront:
    if not wished:
        return storefront
    tiers = tuple(
        replace(tier, release=TierRelease.GRADUAL) if tier.name in wished else tier for tier in storefront.tiers
    )
    return replace(storefront, tiers=tiers)
