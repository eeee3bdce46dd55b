"""Give back what has expired while no operator leads: in the operator's own steps, by its own rules.

Everything is read anew for each round, and nothing is raised. What a plan's ledger says goes first; where the plan
is gone, the annotation on the target is the ledger. The caller holds the Lease.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from forerun.actuators import AUTOSCALERS, Standing, find_marks, kinds_of_owners, standing
from forerun.actuators.holds import hold_of
from forerun.api.convert import approvals_from, entry_from_annotation
from forerun.api.models import API_VERSION
from forerun.controllers.execution import Executor
from forerun.controllers.index import Index
from forerun.controllers.namespaces import NamespacePolicies
from forerun.controllers.observation import Observer, floor_of
from forerun.controllers.plan_store import PlanStore
from forerun.controllers.planning import Planner
from forerun.controllers.release import surviving_storefront
from forerun.controllers.schedule import note_occurrences
from forerun.controllers.state import StorefrontState
from forerun.domain.campaign import Key
from forerun.domain.capacity import FloorDecision
from forerun.domain.ledger import LedgerEntry
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Storefront
from forerun.domain.target import GivenBack, TargetSnapshot
from forerun.kube.errors import ApiError, Fenced, NotFound
from forerun.plan.due import decide
from forerun.plan.inputs import DueInput
from forerun.plan.release import STEP_SECONDS
from forerun.wiring import Ports

OURS = ("Campaign", "Storefront", "CapacityPlan")
SOON = timedelta(hours=1)  # a window that begins so soon may ask for what stands there


@dataclass(frozen=True, slots=True)
class Round:
    """What one round did. `again_at` is when the next step is due; None where there is nothing more to do now."""

    outcomes: tuple[GivenBack, ...]
    again_at: datetime | None


@dataclass(slots=True)
class _Ledger:
    """Raises that are judged together, and where they are written down."""

    key: Key
    state: StorefrontState
    store: PlanStore


class AnnotationLedger(PlanStore):
    """Where no plan is left: the annotation is written together with the floor, or before it."""

    async def commit_ledger(self, key: Key, state: StorefrontState) -> Hold | None:
        return None


class Expiry:
    """Rounds over all raises in `namespaces`; none: in all."""

    def __init__(self, ports: Ports, namespaces: tuple[str, ...] = ()) -> None:
        self._ports = ports
        self._namespaces: tuple[str | None, ...] = namespaces or (None,)
        self._index = Index()

    async def expired(self) -> tuple[GivenBack, ...]:
        """What is past its expiry, as it is written down; nothing is touched."""
        now = self._ports.clock()
        return tuple(
            GivenBack(ledger.key.namespace, entry.owner_ref, entry.baseline, before=entry.written[-1])
            for ledger in await self._ledgers(now)
            for entry in ledger.state.ledger
            if _is_expired(entry, now)
        )

    async def round(self) -> Round:
        """One step of everything that is due, guarded by the fence of the ports' cluster."""
        now = self._ports.clock()
        outcomes: list[GivenBack] = []
        again: list[datetime] = []
        for ledger in await self._ledgers(now):
            done = await self._attempt(ledger, now)
            outcomes += done
            # what is held, by a rule or an error, is not looked at again for its own sake
            held = {one.reference for one in done if one.hold is not None}
            again += [
                max(now, entry.changed_at + timedelta(seconds=STEP_SECONDS))
                for entry in ledger.state.ledger
                if _is_expired(entry, now) and entry.owner_ref not in held
            ]
        return Round(tuple(outcomes), min(again, default=None))

    async def _ledgers(self, now: datetime) -> list[_Ledger]:
        """Everything that is written down and holds something expired."""
        await self._read()
        store, marks = PlanStore(self._ports, self._index), AnnotationLedger(self._ports, self._index)
        planner = Planner(self._index, store)
        found: dict[Key, _Ledger] = {}
        alone: list[_Ledger] = []
        for key in list(self._index.plans):
            found[key] = _Ledger(key, StorefrontState(), store)
            planner.load(key, found[key].state)
        known = {entry.owner_uid for ledger in found.values() for entry in ledger.state.ledger}
        for namespace, marked in await self._marked():
            if marked.owner_uid in known:
                continue
            owner, entry = self._adopted(namespace, marked)
            state = found.setdefault(owner, _Ledger(owner, StorefrontState(), marks)).state if owner else None
            if state is None or state.entry(entry.tier):
                alone.append(_Ledger(Key(namespace, entry.tier), StorefrontState(ledger=(entry,)), marks))
            else:
                state.ledger = (*state.ledger, entry)
        ledgers = (*found.values(), *alone)
        return [ledger for ledger in ledgers if any(_is_expired(entry, now) for entry in ledger.state.ledger)]

    async def _read(self) -> None:
        self._index = Index()
        kinds = [*((API_VERSION, kind) for kind in OURS), *AUTOSCALERS]
        for namespace in self._namespaces:
            for api_version, kind in kinds:
                with suppress(NotFound):  # a kind that is not installed has no objects
                    for raw in await self._ports.cluster.list(api_version, kind, namespace):
                        self._index.upsert(raw)
        with suppress(NotFound):
            for raw in await self._ports.cluster.list(API_VERSION, "CapacityPolicy"):
                self._index.upsert(raw)
        for plan in self._index.plans.values():
            self._ports.leadership.note_epoch(int((plan.get("status") or {}).get("epoch") or 0))

    async def _marked(self) -> list[tuple[str, LedgerEntry]]:
        """Raises by the annotations on their owners; kinds that we may not list are not ours to write either."""
        kinds = await kinds_of_owners(self._ports.cluster)
        found: list[tuple[str, LedgerEntry]] = []
        for namespace in self._namespaces:
            marks, _ = await find_marks(self._ports.cluster, namespace, kinds)
            for mark in marks:
                entry = entry_from_annotation(mark.text)
                if entry is not None and (entry.owner_ref, entry.owner_uid) == (mark.reference, mark.uid):
                    found.append((mark.namespace, entry))
        return found

    def _adopted(self, namespace: str, entry: LedgerEntry) -> tuple[Key | None, LedgerEntry]:
        """The Storefront that names the target, and the entry under its tier; None where it stands alone."""
        for key, record in self._index.storefronts.items():
            if key.namespace == namespace and record.value is not None:
                for tier in record.value.tiers:
                    if tier.target == entry.target:
                        return key, replace(entry, tier=tier.name)
        return None, entry

    async def _attempt(self, ledger: _Ledger, now: datetime) -> list[GivenBack]:
        """One step; what the API server refuses for one Storefront does not stop the others."""
        expired = [entry for entry in ledger.state.ledger if _is_expired(entry, now)]
        try:
            return await self._step(ledger, now)
        except Fenced:
            raise
        except ApiError as error:
            hold = hold_of(error, str(ledger.key))
            return [GivenBack(ledger.key.namespace, entry.owner_ref, entry.baseline, hold=hold) for entry in expired]

    async def _step(self, ledger: _Ledger, now: datetime) -> list[GivenBack]:
        key, state, index = ledger.key, ledger.state, self._index
        expired = {entry.tier: entry for entry in state.ledger if _is_expired(entry, now)}
        record = index.storefronts.get(key)
        if record is not None and record.value is None:
            hold = Hold(Reason.INVALID, str(key), detail="the Storefront is refused; its floors are held")
            return [GivenBack(key.namespace, entry.owner_ref, entry.baseline, hold=hold) for entry in expired.values()]
        storefront = surviving_storefront(key, record.value if record else None, state, expire=False)
        if storefront is None:
            return []
        observer = Observer(self._ports, index, lambda _: None)
        executor = Executor(self._ports, index, observer, ledger.store)
        self._note_campaigns(key, state, now)
        await observer.refresh_targets(key, storefront, state)
        before = dict(state.snapshots)
        await executor.notice_foreign_edits(key, state, now)
        decisions = await self._decisions(key, storefront, state, now)
        floors = tuple(d for d in decisions if isinstance(d, FloorDecision) and d.tier in expired and _lowers(d, state))
        holds = {d.subject: d for d in decisions if isinstance(d, Hold)}
        holds |= {hold.subject: hold for hold in await executor.carry_out(key, storefront, state, floors, now)}
        if state.ledger_dirty:
            await ledger.store.commit_ledger(key, state)
        return [_outcome(key, state, entry, before.get(name), holds.get(name)) for name, entry in expired.items()]

    def _note_campaigns(self, key: Key, state: StorefrontState, now: datetime) -> None:
        """Who may ask for capacity now; where the Storefront is gone, any campaign of the namespace may."""
        index = self._index
        records = index.campaigns_of(key)
        if key not in index.storefronts:
            records = [record for at, record in index.campaigns.items() if at.namespace == key.namespace]
        note_occurrences(records, state, now)
        if state.plan is None:
            # without a plan a window that comes holds everything; one of next week shall not
            soon = now + SOON
            state.campaigns = tuple(sc for sc in state.campaigns if sc.occurrence.start <= soon)

    async def _decisions(
        self, key: Key, storefront: Storefront, state: StorefrontState, now: datetime
    ) -> tuple[FloorDecision | Hold, ...]:
        """What the operator would decide if it had no metrics: only what has expired may come down."""
        settings = self._ports.settings
        return decide(
            DueInput(
                now=now,
                storefront=storefront,
                plan=state.plan,
                campaigns=(*state.campaigns, *state.suspended),
                tiers=state.tiers,
                policy=await NamespacePolicies(self._ports.cluster, self._index).of(key.namespace),
                ledger=state.ledger,
                metric_max_age_seconds=settings.metric_max_age_seconds,
                expiry_grace_seconds=settings.expiry_grace_seconds,
                approved=approvals_from(plan) if (plan := self._index.plans.get(key)) else frozenset(),
            )
        )


def _is_expired(entry: LedgerEntry, now: datetime) -> bool:
    return entry.expires <= now


def _lowers(decision: FloorDecision, state: StorefrontState) -> bool:
    snapshot = state.snapshot(decision.tier)
    return decision.release or (snapshot is not None and decision.floor < floor_of(snapshot.owner, snapshot.bounds))


def _outcome(
    key: Key, state: StorefrontState, entry: LedgerEntry, read: TargetSnapshot | Hold | None, hold: Hold | None
) -> GivenBack:
    """What became of an entry: gone from the ledger, a step lower, or held."""
    told = GivenBack(key.namespace, entry.owner_ref, entry.baseline)
    if not isinstance(read, TargetSnapshot):
        return replace(told, hold=read or hold)
    told = replace(told, before=read.bounds, after=read.bounds)
    where = standing(read, entry)
    if where is Standing.REPLACED:
        return replace(told, hold=Hold(Reason.TARGET_REPLACED, entry.tier))
    if where is Standing.FOREIGN and entry.confirmed:
        return replace(told, hold=Hold(Reason.DRIFTED, entry.tier))
    left = state.entry(entry.tier)
    if left is None:
        return replace(told, after=entry.baseline)
    now = state.snapshot(entry.tier)
    return replace(told, after=now.bounds if now else read.bounds, hold=hold)
