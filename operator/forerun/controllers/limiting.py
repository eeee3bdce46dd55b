"""Limits at the door: judged with every decision about floors, written after it, ledger first."""

from dataclasses import replace
from datetime import datetime, timedelta

from forerun.actuators import (
    LimitStanding,
    fields_of,
    limit_standing,
    present_fields,
    read_limit,
    restore_limit,
    write_limit,
)
from forerun.api.convert import limit_from_annotation, limit_to_annotation
from forerun.controllers.plan_store import PlanStore
from forerun.controllers.state import StorefrontState
from forerun.domain.campaign import Key
from forerun.domain.limits import Fields, Limit, LimitEntry, LimitSnapshot
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import TargetRef
from forerun.observe.audit import record_limit
from forerun.plan.inputs import DueInput
from forerun.plan.limits import EDGE_SECONDS, LimitDecision, judge_limits
from forerun.wiring import Ports


class Limiter:
    """Moves limits and gives them back; one task per Storefront at a time calls it."""

    def __init__(self, ports: Ports, store: PlanStore) -> None:
        self._ports = ports
        self._store = store

    async def carry_out(self, key: Key, state: StorefrontState, given: DueInput) -> list[Hold]:
        """Write what is due; Holds are what is to be told, and are tried again."""
        holds: list[Hold] = []
        for decision in judge_limits(given, state.limits):
            held = decision if isinstance(decision, Hold) else await self._carry_out(key, state, decision, given.now)
            holds += [held] if held is not None else []
        return holds

    async def _carry_out(self, key: Key, state: StorefrontState, decision: LimitDecision, now: datetime) -> Hold | None:
        entry = _entry(state, decision.tier, decision.policy.ref)
        snapshot = await read_limit(self._ports.cluster, key.namespace, decision.policy, decision.tier)
        if isinstance(snapshot, Hold):
            if entry is not None and snapshot.reason is Reason.TARGET_NOT_FOUND:
                await self._forget(key, state, entry)  # with it went what we had changed
            return snapshot
        if entry is None and (found := _remembered(snapshot, decision.tier)) is not None:
            entry = found
            state.limits, state.ledger_dirty = (*state.limits, found), True
        if decision.limit is None:
            return await self._give_back(key, state, snapshot, entry)
        if entry is not None and limit_standing(snapshot, entry) is LimitStanding.REPLACED:
            entry = None
        return await self._move(key, state, snapshot, decision, decision.limit, entry, now)

    async def _move(
        self,
        key: Key,
        state: StorefrontState,
        snapshot: LimitSnapshot,
        decision: LimitDecision,
        limit: Limit,
        entry: LimitEntry | None,
        now: datetime,
    ) -> Hold | None:
        where = limit_standing(snapshot, entry) if entry is not None else LimitStanding.AT_BASELINE
        if entry is not None and (entry.drifted or (entry.confirmed and where is not LimitStanding.OURS)):
            return await self._drifted(key, state, entry)
        if entry is not None and where is not LimitStanding.OURS:
            entry = None  # nothing of ours has stood there yet: the baseline is what stands there now
        pods = entry.pods if entry is not None else limit.pods
        fields = fields_of(snapshot.raw, limit, entry.baseline if entry is not None else None, pods)
        if isinstance(fields, Hold):
            return replace(fields, subject=decision.tier)
        new = self._entry(snapshot, decision, fields, entry, pods, now)
        if present_fields(snapshot.raw, new.written[-1]) == new.written[-1]:
            return None  # it stands there already
        return await self._write(key, state, snapshot, new, now)

    async def _write(
        self, key: Key, state: StorefrontState, snapshot: LimitSnapshot, new: LimitEntry, now: datetime
    ) -> Hold | None:
        pending = new.written[-1]
        state.limits = (*_without(state, new), new)
        refused = await self._store.commit_ledger(key, state)
        if refused is not None:
            return refused
        text = limit_to_annotation(new)
        written = await write_limit(self._ports.cluster, key.namespace, snapshot, pending, text, new.tier)
        if isinstance(written, Hold):
            return written
        record_limit(str(key), new.tier, str(new.ref), pending, self._ports.leadership.epoch)
        state.limits = (*_without(state, new), replace(new, written=(pending,), confirmed=True, changed_at=now))
        state.ledger_dirty = True
        return None

    def _entry(
        self,
        snapshot: LimitSnapshot,
        decision: LimitDecision,
        fields: Fields,
        entry: LimitEntry | None,
        pods: int,
        now: datetime,
    ) -> LimitEntry:
        """The entry that must be committed before the last of its `written` may be written."""
        known = dict(entry.baseline) if entry is not None else {}
        baseline = {**dict(present_fields(snapshot.raw, fields)), **known}
        pending = tuple({**baseline, **dict(fields)}.items())  # what is no longer asked for goes back
        standing_now = tuple(present_fields(snapshot.raw, pending)) if entry is not None else None
        return LimitEntry(
            tier=decision.tier,
            ref=decision.policy.ref,
            uid=snapshot.uid,
            baseline=tuple(baseline.items()),
            written=(pending,) if standing_now is None else (standing_now, pending),
            pods=pods,
            campaigns=decision.campaigns or (entry.campaigns if entry is not None else ()),
            epoch=self._ports.leadership.epoch,
            # a first write that fails is tried again at once
            changed_at=entry.changed_at if entry is not None else now - timedelta(seconds=EDGE_SECONDS),
            confirmed=entry is not None and entry.confirmed,
        )

    async def _give_back(
        self, key: Key, state: StorefrontState, snapshot: LimitSnapshot, entry: LimitEntry | None
    ) -> Hold | None:
        if entry is None:
            return None
        where = limit_standing(snapshot, entry)
        if where is not LimitStanding.REPLACED:
            restored = await restore_limit(self._ports.cluster, key.namespace, snapshot, entry)
            if isinstance(restored, Hold):
                return restored
            record_limit(str(key), entry.tier, str(entry.ref), entry.baseline, self._ports.leadership.epoch)
        await self._forget(key, state, entry)
        return Hold(Reason.DRIFTED, entry.tier, detail=str(entry.ref)) if where is LimitStanding.FOREIGN else None

    async def _drifted(self, key: Key, state: StorefrontState, entry: LimitEntry) -> Hold:
        """Somebody else has moved the limit: it is theirs, until the campaign is over."""
        if not entry.drifted:
            state.limits = (*_without(state, entry), replace(entry, drifted=True))
            await self._store.commit_ledger(key, state)
        return Hold(Reason.DRIFTED, entry.tier, detail=f"{entry.ref} is left as somebody set it")

    async def _forget(self, key: Key, state: StorefrontState, entry: LimitEntry) -> None:
        state.limits = _without(state, entry)
        await self._store.commit_ledger(key, state)


def _entry(state: StorefrontState, tier: str, ref: TargetRef) -> LimitEntry | None:
    return next((entry for entry in state.limits if (entry.tier, entry.ref) == (tier, ref)), None)


def _without(state: StorefrontState, entry: LimitEntry) -> tuple[LimitEntry, ...]:
    return tuple(other for other in state.limits if (other.tier, other.ref) != (entry.tier, entry.ref))


def _remembered(snapshot: LimitSnapshot, tier: str) -> LimitEntry | None:
    """The plan was lost, the mirror on the object was not: believed together with the right UID."""
    found = limit_from_annotation(snapshot.annotation or "")
    return replace(found, tier=tier) if found is not None and found.uid == snapshot.uid else None
