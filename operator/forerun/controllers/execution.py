"""Carry out floor decisions: ledger first, then the target, then what was seen of it."""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from forerun.actuators import (
    Standing,
    abandon,
    bounds_for,
    forget,
    lift_from_zero,
    noted_baseline,
    restore,
    standing,
    stands,
    still_written,
    write_floor,
)
from forerun.api.convert import entry_to_annotation
from forerun.controllers.index import Index, version
from forerun.controllers.observation import Observer, bounds_of, floor_of
from forerun.controllers.plan_store import PlanStore
from forerun.controllers.state import StorefrontState
from forerun.domain.campaign import Key
from forerun.domain.capacity import FloorDecision, Step
from forerun.domain.ledger import Bounds, LedgerEntry, Owner
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Storefront, Tier
from forerun.domain.target import TargetSnapshot, Written
from forerun.observe import metrics
from forerun.observe.audit import record_write
from forerun.wiring import Ports

MAX_REVERTS = 3
ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Intent:
    """One write that is about to happen: where it goes and what the ledger says of it."""

    tier: Tier
    decision: FloorDecision
    snapshot: TargetSnapshot
    entry: LedgerEntry
    bounds: Bounds | None  # None: give the baseline back
    at: datetime

    @property
    def annotation(self) -> str:
        """The entry as it is mirrored on the target: where the plan is lost, the next step counts from this write."""
        return entry_to_annotation(replace(self.entry, changed_at=self.at))


class Executor:
    """The one hand that touches targets; one task per Storefront at a time calls it."""

    def __init__(self, ports: Ports, index: Index, observer: Observer, store: PlanStore) -> None:
        self._ports = ports
        self._index = index
        self._observer = observer
        self._store = store

    async def carry_out(
        self,
        key: Key,
        storefront: Storefront,
        state: StorefrontState,
        decisions: tuple[FloorDecision, ...],
        now: datetime,
    ) -> list[Hold]:
        """Write what was decided; what could not be written comes back as Holds and is tried again."""
        holds: list[Hold] = []
        left = decisions
        for _ in range(ATTEMPTS):
            if not left:
                break
            conflicts, refused = await self._attempt(key, storefront, state, left, now)
            holds += refused
            left = tuple(decision for decision in left if decision.tier in conflicts)
            for decision in left:
                await self._observer.read_again(key, storefront.tier(decision.tier), state)
        holds += [Hold(Reason.CONFLICT, decision.tier) for decision in left]
        return holds

    async def prepare(self, key: Key, storefront: Storefront, state: StorefrontState, now: datetime) -> None:
        """Commit the ledger of raises that are due soon, so that at the instant only the target is written."""
        if state.plan is None:
            return
        until = now + timedelta(seconds=self._ports.settings.prepare_seconds)
        entries = {entry.tier: entry for entry in state.ledger}
        for step in state.plan.steps:
            if now < step.at <= until:
                entry = self._prepared(
                    storefront.tier(step.tier), step, state.snapshot(step.tier), entries.get(step.tier), now
                )
                if entry is not None:
                    entries[step.tier] = entry
        if tuple(entries.values()) != state.ledger:
            state.ledger = tuple(entries.values())
            await self._store.commit_ledger(key, state)

    def _prepared(
        self, tier: Tier, step: Step, snapshot: TargetSnapshot | None, entry: LedgerEntry | None, now: datetime
    ) -> LedgerEntry | None:
        """The entry that covers a coming raise; None where there is none to come or it is covered."""
        if snapshot is None or step.floor <= floor_of(snapshot.owner, snapshot.bounds):
            return None
        if entry and (entry.drifted or entry.contested):
            return None
        decision = FloorDecision(step.tier, step.floor, step.reason, campaigns=step.campaigns)
        new = self._entry(tier, decision, snapshot, entry, bounds_for(snapshot, step.floor, tier.max_replicas), now)
        return None if entry and set(new.written) <= set(entry.written) else new

    async def notice_foreign_edits(self, key: Key, state: StorefrontState, now: datetime) -> None:
        """An edit of someone else's is left as it is; entries that nobody asks for any more are closed."""
        asking = {
            scheduled.campaign.key.name
            for scheduled in state.campaigns
            if now < scheduled.occurrence.end + timedelta(seconds=scheduled.campaign.release.hold_for_seconds)
        }
        kept: list[LedgerEntry] = []
        for entry in state.ledger:
            snapshot = state.snapshots.get(entry.tier)
            updated = _seen(entry, snapshot)
            if not _is_closed(updated, snapshot, asked=bool(asking.intersection(entry.campaigns))):
                kept.append(updated)
            elif isinstance(snapshot, TargetSnapshot) and await self._let_go(key, state, entry, snapshot) is not None:
                kept.append(updated)  # tried again with the next look
        if tuple(kept) != state.ledger:
            state.ledger = tuple(kept)
            await self._store.commit_ledger(key, state)
        await self._clean_targets(key, state)

    async def _clean_targets(self, key: Key, state: StorefrontState) -> None:
        """The mark of a raise of the target itself, of which no ledger knows any more: an autoscaler came meanwhile."""
        known = {(entry.tier, entry.owner_ref) for entry in state.ledger}
        for tier, found in state.snapshots.items():
            if isinstance(found, TargetSnapshot) and found.is_target_marked and (tier, found.target) not in known:
                await abandon(self._ports.cluster, key.namespace, found.target, found.target_uid, tier)
                state.snapshot_stale.add(tier)

    async def _let_go(
        self, key: Key, state: StorefrontState, entry: LedgerEntry, snapshot: TargetSnapshot
    ) -> Hold | None:
        """Nothing of ours stays on what is somebody else's now."""
        if standing(snapshot, entry) is Standing.REPLACED:
            same = snapshot.owner_ref == entry.owner_ref  # then the one that we wrote to is gone
            if same:
                return None
            return await abandon(self._ports.cluster, key.namespace, entry.owner_ref, entry.owner_uid, entry.tier)
        state.snapshot_stale.add(entry.tier)
        outcome = await forget(self._ports.cluster, key.namespace, snapshot, entry)
        return outcome if isinstance(outcome, Hold) else None

    async def keep(self, key: Key, state: StorefrontState, tiers: set[str]) -> None:
        """Note in the ledger that these tiers keep their raise after the end (`release: Never`)."""
        ledger = tuple(
            replace(entry, kept=True) if entry.tier in tiers and not entry.kept else entry for entry in state.ledger
        )
        if ledger != state.ledger:
            state.ledger = ledger
            await self._store.commit_ledger(key, state)

    async def _attempt(
        self,
        key: Key,
        storefront: Storefront,
        state: StorefrontState,
        decisions: tuple[FloorDecision, ...],
        now: datetime,
    ) -> tuple[set[str], list[Hold]]:
        judged = [self._intent(key, storefront.tier(d.tier), state, d, now) for d in decisions]
        intents = [found for found in judged if isinstance(found, Intent)]
        holds = [found for found in judged if isinstance(found, Hold)]
        refused = await self._write_ledger_first(key, state, intents)
        if refused is not None:
            return set(), [*holds, refused]
        failed = await self._write_all(key, state, intents, now)
        conflicts = {tier for tier, hold in failed.items() if hold.reason is Reason.CONFLICT}
        state.snapshot_stale |= failed.keys() - conflicts
        return conflicts, [*holds, *(replace(failed[tier], subject=tier) for tier in failed.keys() - conflicts)]

    async def _write_all(
        self, key: Key, state: StorefrontState, intents: list[Intent], now: datetime
    ) -> dict[str, Hold]:
        """Write all targets at once; what was not written, by tier."""
        outcomes = await asyncio.gather(*(self._write(key, intent) for intent in intents))
        failed: dict[str, Hold] = {}
        for intent, outcome in zip(intents, outcomes, strict=True):
            if isinstance(outcome, Written):
                self._record(key, state, intent, outcome, now)
            else:
                failed[intent.tier.name] = outcome
        if any(intent.bounds is None for intent in intents):
            await self._store.commit_ledger(key, state)
        return failed

    async def _write_ledger_first(self, key: Key, state: StorefrontState, intents: list[Intent]) -> Hold | None:
        """No target is touched before the ledger covers what will be written there."""
        committed = self._store.committed(key)
        uncovered = any(
            intent.bounds is not None and _must_commit(committed.get(intent.tier.name), intent.entry)
            for intent in intents
        )
        state.ledger = _ledger_of(state, intents)
        return await self._store.commit_ledger(key, state) if uncovered else None

    def _intent(
        self, key: Key, tier: Tier, state: StorefrontState, decision: FloorDecision, now: datetime
    ) -> Intent | Hold | None:
        snapshot = state.snapshots.get(tier.name)
        if not isinstance(snapshot, TargetSnapshot):
            return snapshot or Hold(Reason.TARGET_NOT_FOUND, tier.name)
        snapshot = self._freshest(key, snapshot)
        entry = state.entry(tier.name)
        if decision.release:
            return None if entry is None else Intent(tier, decision, snapshot, entry, None, now)
        bounds = bounds_for(snapshot, decision.floor, tier.max_replicas)
        if entry is not None:
            entry = _judge(entry, snapshot, bounds)
            if entry.drifted or entry.contested:
                state.ledger = _replaced(state.ledger, entry)
                state.ledger_dirty = True
                return Hold(Reason.CONTESTED if entry.contested else Reason.DRIFTED, tier.name)
        if bounds == snapshot.bounds:
            self._renew(state, entry, decision)
            return None
        entry = self._entry(tier, decision, snapshot, entry, bounds, now)
        return Intent(tier, decision, snapshot, entry, bounds, now)

    def _renew(self, state: StorefrontState, entry: LedgerEntry | None, decision: FloorDecision) -> None:
        """The floor stands already; only who asks for it, and until when, may be new."""
        if entry is None:
            return
        expires = max(entry.expires, decision.expires or entry.expires)
        renewed = replace(entry, campaigns=decision.campaigns or entry.campaigns, expires=expires, kept=False)
        if renewed != entry:
            state.ledger = _replaced(state.ledger, renewed)
            state.ledger_dirty = True

    def _entry(
        self,
        tier: Tier,
        decision: FloorDecision,
        snapshot: TargetSnapshot,
        entry: LedgerEntry | None,
        bounds: Bounds,
        now: datetime,
    ) -> LedgerEntry:
        """The ledger entry that must be committed before `bounds` may be written."""
        grace = timedelta(seconds=self._ports.settings.expiry_grace_seconds)
        expires = decision.expires or (entry.expires if entry else now + grace)
        if entry is None or _unstarted(entry, snapshot):
            entry = LedgerEntry(
                tier=tier.name,
                target=tier.target,
                owner=snapshot.owner,
                owner_ref=snapshot.owner_ref,
                owner_uid=snapshot.owner_uid,
                baseline=snapshot.bounds,
                written=(),
                campaigns=(),
                epoch=0,
                raised_at=now,
                changed_at=now,
                peak=decision.floor,
                expires=expires,
            )
        standing_now = still_written(snapshot, entry)
        pending = (bounds,) if bounds not in standing_now else ()
        return replace(
            entry,
            baseline=noted_baseline(snapshot, entry),
            written=(*standing_now, *pending),
            campaigns=decision.campaigns or entry.campaigns,
            epoch=self._ports.leadership.epoch,
            peak=max(entry.peak, decision.floor),
            expires=expires,
            kept=False,
            release=tier.release,
            lifted_from_zero=entry.lifted_from_zero or (snapshot.owner is Owner.HPA and snapshot.replicas == 0),
        )

    async def _write(self, key: Key, intent: Intent) -> Written | Hold:
        cluster, snapshot = self._ports.cluster, intent.snapshot
        if intent.bounds is None:
            return await self._give_back(key, intent)
        outcome = await write_floor(cluster, key.namespace, snapshot, intent.bounds, intent.annotation)
        if isinstance(outcome, Written) and snapshot.owner is Owner.HPA and snapshot.replicas == 0:
            lifted = await lift_from_zero(cluster, key.namespace, snapshot)
            if isinstance(lifted, Hold):
                return lifted
        return outcome

    async def _give_back(self, key: Key, intent: Intent) -> Written | Hold:
        cluster, snapshot, entry = self._ports.cluster, intent.snapshot, intent.entry
        where = standing(snapshot, entry)
        if where in {Standing.OURS, Standing.AT_BASELINE}:  # at the baseline already: a restore that was cut short
            return await restore(cluster, key.namespace, snapshot, entry)
        if where is not Standing.REPLACED:
            return await forget(cluster, key.namespace, snapshot, entry)
        return Written(entry.tier, snapshot.bounds, snapshot.bounds, snapshot.owner_resource_version)

    def _record(self, key: Key, state: StorefrontState, intent: Intent, written: Written, now: datetime) -> None:
        tier, decision = intent.tier.name, intent.decision
        written = replace(written, tier=tier)
        record_write(
            str(key), written, decision.reason, decision.campaigns or intent.entry.campaigns, intent.entry.epoch
        )
        before, after = (floor_of(intent.snapshot.owner, bounds) for bounds in (written.before, written.after))
        metrics.FLOOR_WRITES.labels("up" if after > before else "down").inc()
        if intent.bounds is None:
            state.ledger = tuple(entry for entry in state.ledger if entry.tier != tier)
            state.snapshot_stale.add(tier)
            return
        entry = replace(intent.entry, written=(intent.bounds,), confirmed=True, changed_at=now)
        state.ledger = _replaced(state.ledger, entry)
        state.ledger_dirty = True
        state.snapshots[tier] = replace(
            intent.snapshot,
            bounds=intent.bounds,
            owner_resource_version=written.resource_version,
            annotation=intent.annotation,
            replicas=max(1, intent.snapshot.replicas or 0),
        )
        if after > before:
            self._note_lateness(state, tier, now)

    def _note_lateness(self, state: StorefrontState, tier: str, now: datetime) -> None:
        due = [step.at for step in (state.plan.steps if state.plan else ()) if step.tier == tier and step.at <= now]
        if due:
            metrics.LATENESS.observe(max(0.0, (self._ports.clock() - due[-1]).total_seconds()))

    def _freshest(self, key: Key, snapshot: TargetSnapshot) -> TargetSnapshot:
        """Status updates move the resource version, not the floor: guard with the newest that the watch has shown."""
        scaled = snapshot.owner is Owner.SCALE
        newest = self._seen_target(key, snapshot) if scaled else self._seen_autoscaler(key, snapshot)
        if version(newest) <= version(snapshot.owner_resource_version):
            return snapshot
        return replace(snapshot, owner_resource_version=newest)

    def _seen_target(self, key: Key, snapshot: TargetSnapshot) -> str:
        """The watched version of a plain target, where it is the one that was read, at the same replicas."""
        seen = self._index.workloads.get((snapshot.target.kind, key.namespace, snapshot.target.name))
        if seen is None or (seen.uid, seen.replicas) != (snapshot.owner_uid, snapshot.bounds.minimum):
            return ""
        return seen.resource_version

    def _seen_autoscaler(self, key: Key, snapshot: TargetSnapshot) -> str:
        """The watched version of an autoscaler, where it is the one that was read, with the same bounds."""
        raw = self._index.autoscalers[key.namespace].get((snapshot.owner_ref.kind, snapshot.owner_ref.name))
        if raw is None or (raw["metadata"]["uid"], bounds_of(raw)) != (snapshot.owner_uid, snapshot.bounds):
            return ""
        return str(raw["metadata"]["resourceVersion"])


def _unstarted(entry: LedgerEntry, snapshot: TargetSnapshot) -> bool:
    """Nothing of ours has stood there yet: the baseline is what stands there now."""
    return not entry.confirmed and not stands(snapshot, entry)


def _judge(entry: LedgerEntry, snapshot: TargetSnapshot, bounds: Bounds) -> LedgerEntry:
    """Who moved the floor since we wrote it: nobody, a reverter, or somebody with a will of their own."""
    if not entry.confirmed or bounds == snapshot.bounds:
        return entry
    where = standing(snapshot, entry)
    if where is Standing.FOREIGN:
        return replace(entry, drifted=True)
    if where is Standing.AT_BASELINE:
        reverts = entry.reverts + 1
        return replace(entry, reverts=reverts, contested=reverts >= MAX_REVERTS)
    return entry


def _seen(entry: LedgerEntry, snapshot: TargetSnapshot | Hold | None) -> LedgerEntry:
    """What a fresh read says of an entry: ours stands (confirmed), or somebody changed it (drifted)."""
    if not isinstance(snapshot, TargetSnapshot) or entry.drifted or entry.contested:
        return entry
    where = standing(snapshot, entry)
    if where is Standing.OURS and not entry.confirmed and snapshot.bounds != entry.baseline:
        return replace(entry, confirmed=True)
    if where is Standing.FOREIGN and entry.confirmed:
        return replace(entry, drifted=True)
    return entry


def _must_commit(stored: LedgerEntry | None, new: LedgerEntry) -> bool:
    """Whether the write of `new` is not covered by what the ledger says already."""
    if stored is None or not set(new.written) <= set(stored.written):
        return True
    return (stored.baseline, stored.owner_uid, stored.reverts, stored.lifted_from_zero) != (
        new.baseline,
        new.owner_uid,
        new.reverts,
        new.lifted_from_zero,
    )


def _is_closed(entry: LedgerEntry, snapshot: TargetSnapshot | Hold | None, *, asked: bool) -> bool:
    """Whether there is nothing left to give back: the target is gone, or its floor is somebody else's for good."""
    if isinstance(snapshot, Hold):
        return snapshot.reason is Reason.TARGET_NOT_FOUND
    if snapshot is not None and standing(snapshot, entry) is Standing.REPLACED:
        return True
    return not asked and (entry.drifted or entry.contested)


def _replaced(ledger: tuple[LedgerEntry, ...], entry: LedgerEntry) -> tuple[LedgerEntry, ...]:
    return tuple(entry if old.tier == entry.tier else old for old in ledger)


def _ledger_of(state: StorefrontState, intents: list[Intent]) -> tuple[LedgerEntry, ...]:
    new = {intent.tier.name: intent.entry for intent in intents if intent.bounds is not None}
    kept = tuple(new.pop(entry.tier, entry) for entry in state.ledger)
    return (*kept, *new.values())
