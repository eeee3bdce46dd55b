"""Warm-ups: judged with every decision about floors, carried out after it."""

from dataclasses import replace
from datetime import datetime, timedelta

from forerun.actuators import as_lines, delete_job, read_job, start_job
from forerun.controllers.learning import Learner
from forerun.controllers.observation import Observer
from forerun.controllers.plan_store import PlanStore
from forerun.controllers.readings import Readings
from forerun.controllers.state import StorefrontState, hit_ratio_of
from forerun.domain.campaign import Key
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Storefront
from forerun.domain.warm_up import WarmKeys, Warmth, WarmUp, WarmUpRecord
from forerun.plan.inputs import DueInput
from forerun.plan.warm_up import WarmUpSeen, WarmUpVerdict, judge_warm_ups, with_warmth
from forerun.wiring import Ports

_FOR_GOOD = frozenset({Reason.WARM_UP_FAILED, Reason.FORBIDDEN, Reason.INVALID})


class Warmer:
    """Starts each warm-up once, looks how far it is, and tidies up after it."""

    def __init__(
        self, ports: Ports, observer: Observer, readings: Readings, store: PlanStore, learner: Learner
    ) -> None:
        self._ports = ports
        self._observer = observer
        self._readings = readings
        self._store = store
        self._learner = learner

    def judge(self, given: DueInput, state: StorefrontState) -> tuple[WarmUpVerdict, ...]:
        """How warm each tier is, by what is known; nothing is asked or written."""
        seen = {
            tier.name: WarmUpSeen(
                record := state.warm_ups.get(tier.name),
                state.jobs.get(record.job) if record and record.job else None,
                tuple(state.readings.get(hit_ratio_of(tier.name), ())),
            )
            for tier in given.storefront.tiers
            if tier.warm_up is not None
        }
        verdicts = judge_warm_ups(given, seen)
        state.warmth = {verdict.tier: verdict.warmth for verdict in verdicts}
        state.tiers = with_warmth(state.tiers, verdicts)
        return verdicts

    async def carry_out(
        self, storefront: Storefront, state: StorefrontState, verdicts: tuple[WarmUpVerdict, ...], now: datetime
    ) -> list[Hold]:
        """Remember first, then start, look and tidy up; Holds are what is to be told."""
        over = await self._remember(storefront.key, state, verdicts)
        holds = [verdict.hold for verdict in verdicts if verdict.hold is not None]
        if isinstance(over, Hold):
            return [*holds, over]
        for record in over:
            await delete_job(self._ports.cluster, storefront.key.namespace, record)
        for verdict in verdicts:
            asked, record = storefront.tier(verdict.tier).warm_up, verdict.record
            if asked is None or record is None:
                continue
            if asked.hit_ratio_query is not None:
                self._readings.ask(storefront, state, hit_ratio_of(verdict.tier), asked.hit_ratio_query, now)
            if record.job is not None and record.ended_at is None:
                failed = await self._look_after_job(storefront, state, asked, verdict, now)
                holds += [failed] if failed else []
        return holds

    def looks_again(self, state: StorefrontState, now: datetime) -> datetime | None:
        """When a running warm-up is to be looked at again; None where none runs."""
        if Warmth.COLD not in state.warmth.values() or not state.warm_ups:
            return None
        return now + timedelta(seconds=self._ports.settings.metric_interval_seconds)

    async def _remember(
        self, key: Key, state: StorefrontState, verdicts: tuple[WarmUpVerdict, ...]
    ) -> list[WarmUpRecord] | Hold:
        """Commit what was begun before anything is started; the records whose occasion is over."""
        records = {verdict.tier: verdict.record for verdict in verdicts if verdict.record is not None}
        if records == state.warm_ups:
            return []
        before, state.warm_ups = state.warm_ups, records
        refused = await self._store.commit_ledger(key, state)
        if refused is not None:
            state.warm_ups = before
            return refused
        jobs = {record.job for record in records.values()}
        state.jobs = {name: job for name, job in state.jobs.items() if name in jobs}
        return [record for record in before.values() if record.job is not None and record.job not in jobs]

    async def _look_after_job(
        self, storefront: Storefront, state: StorefrontState, asked: WarmUp, verdict: WarmUpVerdict, now: datetime
    ) -> Hold | None:
        record, namespace = verdict.record, storefront.key.namespace
        if record is None or record.job is None or asked.job_template is None:
            return None
        found = await read_job(self._ports.cluster, namespace, record)
        if found is None and verdict.starts_job:
            keys = await self._keys(storefront, state, asked.keys, now)
            template, timeout = asked.job_template, asked.timeout_seconds
            found = await start_job(self._ports.cluster, storefront, template, record, timeout, keys)
        if isinstance(found, Hold):
            if found.reason in _FOR_GOOD:
                # the hit ratio alone decides from here on; the next occurrence tries again
                state.warm_ups[verdict.tier] = replace(record, ended_at=now, failed=True)
                await self._store.commit_ledger(storefront.key, state)
            return found
        if found is not None:
            state.jobs[record.job] = found
        elif record.job in state.jobs:  # somebody deleted it, or its time to live was over
            state.jobs[record.job] = replace(state.jobs[record.job], ended_at=now, failed=True)
        return None

    async def _keys(self, storefront: Storefront, state: StorefrontState, asked: WarmKeys | None, now: datetime) -> str:
        """The keys as lines, as of the end of the last event that was learnt from, else as of now.

        None where the query gives none: a Job without keys warms what its template says.
        """
        source = await self._observer.source_of(storefront) if asked is not None else None
        if asked is None or source is None or isinstance(source, Hold):
            return ""
        lessons = self._learner.experience(storefront.key, state)
        last_end = max((lesson.window.occurrence.end for lesson in lessons), default=now)
        for at in dict.fromkeys((last_end, now)):
            keys = await self._ports.signals.largest(source, asked.query, asked.label, asked.limit, at)
            if keys and not isinstance(keys, Hold):
                return as_lines(keys)
        return ""
