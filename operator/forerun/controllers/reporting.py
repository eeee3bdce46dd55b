"""Statuses, Events and gauges: after the floors, in the background, and only where something changed."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import structlog

from forerun.api.convert import learnt_with
from forerun.api.models import API_VERSION
from forerun.api.windows import current_or_next, latest_before
from forerun.controllers.index import Index, Raw, Record
from forerun.controllers.learning import Learner
from forerun.controllers.plan_store import PlanStore
from forerun.controllers.planning import Planner
from forerun.controllers.state import StorefrontState
from forerun.controllers.views import make_view, tier_statuses
from forerun.domain.campaign import Campaign, Key
from forerun.domain.reason import Hold, Reason, Refusal
from forerun.kube.errors import ApiError, Conflict, NotFound
from forerun.observe import metrics
from forerun.observe.campaign_status import CampaignView, accepted_status, campaign_status, refused_status
from forerun.observe.events import Event, event_body, transitions
from forerun.observe.storefront_status import storefront_status
from forerun.plan.phase import PhaseInput, phase_of
from forerun.wiring import Ports

_log = structlog.get_logger(__name__)
EVENT_QUEUE = 10_000
WRITERS = 6


class Reporter:
    """Collects what is to be told, and tells it when no floor is waiting."""

    def __init__(
        self,
        ports: Ports,
        index: Index,
        planner: Planner,
        store: PlanStore,
        learner: Learner,
        states: dict[Key, StorefrontState],
    ) -> None:
        self._ports = ports
        self._index = index
        self._planner = planner
        self._store = store
        self._learner = learner
        self._states = states
        self._due: dict[tuple[str, Key], None] = {}  # in order; no kind: a Storefront with its campaigns
        self._in_hand: set[tuple[str, Key]] = set()
        self._events: asyncio.Queue[tuple[Event, Raw]] = asyncio.Queue(EVENT_QUEUE)
        self._something = asyncio.Event()
        self._floors_waiting = 0

    @contextmanager
    def while_floors_wait(self) -> Iterator[None]:
        """Statuses and Events stand back while a floor is to be written."""
        self._floors_waiting += 1
        try:
            yield
        finally:
            self._floors_waiting -= 1
            if not self._floors_waiting:
                self._something.set()

    def mark(self, key: Key) -> None:
        """The statuses of this Storefront and its campaigns are to be looked at."""
        self._due[("", key)] = None
        self._something.set()

    def mark_acceptance(self, kind: str, key: Key) -> None:
        """Whether this object is accepted is to be told."""
        self._due[(kind, key)] = None
        self._something.set()

    async def run(self) -> None:
        """Write for ever; the callers' lifetime ends it."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._write_events())
            for _ in range(WRITERS):
                group.create_task(self._write_statuses())

    async def _write_statuses(self) -> None:
        while True:
            work = self._next()
            if work is None:
                self._something.clear()
                await self._something.wait()
                continue
            kind, key = work
            self._in_hand.add(work)
            try:
                await (self._report_acceptance(kind, key) if kind else self._report(key))
            except ApiError as error:
                _log.warning("status not written", object=str(key), error=str(error))
                await asyncio.sleep(1.0)
            except Exception:  # noqa: BLE001  # whatever a user can write must not stop the others
                _log.exception("status not written", object=str(key))
                await asyncio.sleep(1.0)
            finally:
                self._in_hand.discard(work)
                self._something.set()

    def _next(self) -> tuple[str, Key] | None:
        """What to tell next; None while floors wait, and where nothing is left that is not in hand already."""
        if self._floors_waiting:
            return None
        work = next((work for work in self._due if work not in self._in_hand), None)
        if work is not None:
            del self._due[work]
        return work

    async def _report_acceptance(self, kind: str, key: Key) -> None:
        """Tell of an object whether it is accepted; Campaigns and Storefronts that are get more, in `_report`."""
        record = self._index.record(kind, key)
        if record is None:
            return
        generation = record.raw["metadata"].get("generation", 0)
        existing = record.raw.get("status") or {}
        now = self._ports.clock()
        if isinstance(record.parsed, Refusal):
            phase = "Rejected" if kind == "Campaign" else None
            refused = refused_status(record.parsed, existing, generation, now, phase)
            if "learnt" in existing:  # it outlives a spec that is mended
                refused["learnt"] = existing["learnt"]
            await self._patch(kind, record.raw, refused)
        elif kind in {"CapacityPolicy", "MetricsSource"}:
            await self._patch(kind, record.raw, accepted_status(existing, generation, now))

    async def _report(self, key: Key) -> None:
        state = self._states.get(key)
        record = self._index.storefronts.get(key)
        now = self._ports.clock()
        campaigns = self._index.campaigns_of(key)
        if record is None or record.value is None or state is None:
            for campaign in campaigns:
                await self._report_homeless(campaign, key, now)
            return
        if state.ledger_dirty:
            await self._store.commit_ledger(key, state)
        storefront = record.value
        existing = record.raw.get("status") or {}
        learnt = learnt_with(existing.get("learnt"), state.learnt)
        status = storefront_status(storefront, state.holds, tier_statuses(storefront, state), learnt, existing, now)
        await self._patch("Storefront", record.raw, status)
        self._learner.written(key, state)
        for tier in state.tiers:
            metrics.FLOOR.labels(key.namespace, key.name, tier.tier).set(tier.floor)
            if tier.ready is not None:
                metrics.READY.labels(key.namespace, key.name, tier.tier).set(tier.ready)
        for campaign in campaigns:
            await self._report_campaign(state, campaign, now)

    async def _report_campaign(self, state: StorefrontState, record: Record[Campaign], now: datetime) -> None:
        if record.value is not None:
            approved = self._planner.approvals(Key(record.value.key.namespace, record.value.storefront))
            view = make_view(state, record.value, approved, now)
            await self._patch("Campaign", record.raw, campaign_status(view, record.raw.get("status") or {}, now))

    async def _report_homeless(self, record: Record[Campaign], storefront: Key, now: datetime) -> None:
        """A campaign whose Storefront is missing or refused: accepted, waiting for it."""
        campaign = record.value
        if campaign is None:
            return
        hold = Hold(
            Reason.STOREFRONT_NOT_FOUND,
            detail=f"spec.storefrontRef.name: create Storefront {storefront}, or mend it so that it is accepted",
        )
        occurrence = current_or_next(campaign.schedule, now) or latest_before(campaign.schedule, now)
        phase = phase_of(PhaseInput(now, campaign, occurrence, storefront=None, plan=None))
        view = CampaignView(campaign, phase, occurrence, holds=(hold,))
        await self._patch("Campaign", record.raw, campaign_status(view, record.raw.get("status") or {}, now))

    async def _patch(self, kind: str, raw: Raw, status: dict[str, Any]) -> None:
        existing: Mapping[str, Any] = raw.get("status") or {}
        body = _difference(existing, status)
        if not body:
            return
        metadata = raw["metadata"]
        try:
            stored = await self._ports.cluster.merge_patch(
                API_VERSION,
                kind,
                metadata.get("namespace"),
                metadata["name"],
                {"metadata": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}, "status": body},
                subresource="status",
            )
        except (Conflict, NotFound):
            self._mark_later(kind, Key(metadata.get("namespace") or "", metadata["name"]))
            return
        self._index.upsert(stored)
        if kind == "Campaign":
            for event in transitions(existing, status):
                self._post(event, stored)

    def _mark_later(self, kind: str, key: Key) -> None:
        """Come back to an object of which a newer one is on its way through the watch."""
        record = self._index.campaigns.get(key) if kind == "Campaign" else None
        storefront = Key(key.namespace, record.value.storefront) if record and record.value else key
        if kind in {"Campaign", "Storefront"} and storefront in self._states:
            asyncio.get_running_loop().call_later(0.5, self.mark, storefront)

    def _post(self, event: Event, regarding: Raw) -> None:
        try:
            self._events.put_nowait((event, regarding))
        except asyncio.QueueFull:
            metrics.EVENTS_DROPPED.inc()

    async def _write_events(self) -> None:
        while True:
            event, regarding = await self._events.get()
            await self._ports.background.take()
            if self._floors_waiting:
                await asyncio.sleep(1.0)  # Events are the last to be told
            try:
                await self._ports.cluster.create(
                    event_body(event, regarding, self._ports.identity, self._ports.clock())
                )
            except ApiError as error:
                _log.warning("Event not posted", reason=event.reason, error=str(error))


def _difference(existing: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch from one status to the other; empty where they are equal."""
    patch: dict[str, Any] = {name: value for name, value in wanted.items() if existing.get(name) != value}
    patch.update({name: None for name in existing if name not in wanted})
    return patch
