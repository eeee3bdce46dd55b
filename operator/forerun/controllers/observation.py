"""Read what a decision needs: targets, live demand, start-up times."""

import asyncio
import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from forerun.actuators import read_target, regressed, stands
from forerun.api.convert import auth_secret_of, entry_from_annotation
from forerun.controllers.index import Index, Workload, version
from forerun.controllers.state import StorefrontState, Tally
from forerun.domain.campaign import Key
from forerun.domain.capacity import TierState
from forerun.domain.ledger import Bounds, LedgerEntry, Owner
from forerun.domain.observation import Measurement, Sample
from forerun.domain.policy import MetricsSource
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Storefront, Tier
from forerun.domain.target import TargetSnapshot
from forerun.kube.errors import ApiError
from forerun.observe import metrics
from forerun.plan.cadence import sample_seconds
from forerun.signals.start_up import lead_time
from forerun.wiring import Ports

_log = structlog.get_logger(__name__)
LEAD_TIME_REFRESH = timedelta(minutes=10)
SECOND_LOOK = timedelta(minutes=2)
LEAD_TIME_MEMORY = timedelta(days=30)


class Observer:
    """Fills a StorefrontState with fresh facts; unknown stays unknown."""

    def __init__(self, ports: Ports, index: Index, wake: Callable[[Key], None]) -> None:
        self._ports = ports
        self._index = index
        self._wake = wake
        self._sampling: dict[Key, asyncio.Task[None]] = {}

    async def refresh_targets(self, key: Key, storefront: Storefront, state: StorefrontState) -> None:
        """Read the targets that are not known yet or that the watch has shown to have changed."""
        self._look_again(state)
        known = {tier.name for tier in storefront.tiers}
        state.snapshots = {name: found for name, found in state.snapshots.items() if name in known}
        wanted = [tier for tier in storefront.tiers if self._must_read(key, tier, state)]
        found = await asyncio.gather(*(self._read(key, tier) for tier in wanted))
        for tier, snapshot in zip(wanted, found, strict=True):
            self._take(tier, snapshot, state)
        state.tiers = tuple(self.tier_state(key, tier, state) for tier in storefront.tiers)

    def _look_again(self, state: StorefrontState) -> None:
        """What is raised is read now and then, whatever the watch shows: an event that got lost shows nothing."""
        now = self._ports.clock()
        if not state.ledger or state.looked_at is None:
            state.looked_at = now
        elif now - state.looked_at >= SECOND_LOOK:
            state.looked_at = now
            state.snapshot_stale |= {entry.tier for entry in state.ledger}

    async def read_again(self, key: Key, tier: Tier, state: StorefrontState) -> TargetSnapshot | Hold:
        """A fresh quorum read of one target."""
        snapshot = await self._read(key, tier)
        self._take(tier, snapshot, state)
        return snapshot

    def tier_state(self, key: Key, tier: Tier, state: StorefrontState) -> TierState:
        """What the plan may know of a tier now."""
        snapshot, entry = state.snapshot(tier.name), state.entry(tier.name)
        workload = self._index.workloads.get((tier.target.kind, key.namespace, tier.target.name))
        floor = floor_of(snapshot.owner, snapshot.bounds) if snapshot else (tier.min_replicas or 1)
        measured = state.lead_times.get(tier.name)
        ready = workload.ready if workload else (snapshot.ready if snapshot else None)
        return TierState(
            tier=tier.name,
            baseline=_baseline_of(entry, snapshot, floor),
            floor=floor,
            ready=ready,
            desired=workload.replicas if workload else (snapshot.desired if snapshot else None),
            lead_time_seconds=measured.p95_seconds if measured else tier.lead_time_seconds,
            autoscaler_wants_less=snapshot.wants_less if snapshot else None,
            autoscaler_recommends=snapshot.recommended if snapshot else None,
            raised=entry is not None,
        )

    def sample_in_background(self, key: Key, storefront: Storefront, state: StorefrontState, now: datetime) -> None:
        """Ask for live demand without waiting for the answer; it wakes the Storefront when it is there."""
        interval = self.sample_interval(state, now)
        running = self._sampling.get(key)
        if (running and not running.done()) or (state.live_at and now - state.live_at < interval):
            return
        state.live_at = now
        self._sampling[key] = asyncio.create_task(self._sample(key, storefront, state))

    def sample_interval(self, state: StorefrontState, now: datetime) -> timedelta:
        """How often demand is looked at: seldom until the first window opens, then often until all is given back."""
        often = self._ports.settings.metric_interval_seconds
        return timedelta(seconds=sample_seconds(state.campaigns, now, often))

    async def source_of(self, storefront: Storefront) -> MetricsSource | Hold:
        """The MetricsSource with its token, read from the Secret that it names."""
        record = self._index.sources.get(storefront.metrics_source)
        if record is None or record.value is None:
            return Hold(Reason.METRICS_SOURCE_NOT_FOUND, storefront.metrics_source)
        reference = auth_secret_of(record.raw)
        if reference is None:
            return record.value
        try:
            return replace(record.value, bearer_token=await self._token(reference))
        except ApiError as error:
            return Hold(Reason.FORBIDDEN, storefront.metrics_source, detail=str(error))

    async def refresh_lead_times(self, key: Key, storefront: Storefront, state: StorefrontState, now: datetime) -> None:
        """Measure scale request -> Ready from the pods that the cluster shows."""
        if state.lead_times_at and now - state.lead_times_at < LEAD_TIME_REFRESH:
            return
        state.lead_times_at = now
        for tier in storefront.tiers:
            try:
                measured = lead_time(await self._pods(key, tier), now - LEAD_TIME_MEMORY)
            except ApiError:
                continue  # the declared leadTime holds until it can be measured
            if measured is not None:
                state.lead_times[tier.name] = measured

    async def _pods(self, key: Key, tier: Tier) -> list[dict[str, Any]]:
        target = await self._ports.cluster.get(
            tier.target.api_version, tier.target.kind, key.namespace, tier.target.name
        )
        labels = ((target.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
        if not labels:
            return []
        selector = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
        return await self._ports.cluster.list("v1", "Pod", key.namespace, label_selector=selector)

    async def _sample(self, key: Key, storefront: Storefront, state: StorefrontState) -> None:
        source = await self.source_of(storefront)
        measured: Measurement
        if isinstance(source, Hold):
            measured = source
        else:
            measured = await self._ports.signals.sample(source, storefront.query, self._ports.clock())
        state.live.append(measured)
        if isinstance(measured, Sample):
            metrics.DEMAND.labels(key.namespace, key.name).set(measured.value)
            self._tally(storefront, state, measured)
        self._wake(key)

    def _tally(self, storefront: Storefront, state: StorefrontState, sample: Sample) -> None:
        """Add one sample to the outcome of every campaign that is live."""
        served = served_rps(storefront, state.tiers)
        for scheduled in state.campaigns:
            occurrence, name = scheduled.occurrence, scheduled.campaign.key.name
            if not occurrence.contains(sample.at):
                continue
            tally = state.tallies.get(name)
            if tally is None or tally.occurrence != occurrence:
                interval = self._ports.settings.metric_interval_seconds
                whole = (sample.at - occurrence.start).total_seconds() <= 3 * interval
                tally = state.tallies[name] = Tally(occurrence, since_start=whole)
            tally.demand += sample.value
            tally.unserved += max(0.0, sample.value - served) if served is not None else 0.0
            tally.peak_rps = max(tally.peak_rps, sample.value)
            tally.samples += 1

    async def _token(self, reference: tuple[str | None, str, str]) -> str:
        namespace, name, field = reference
        secret = await self._ports.cluster.get("v1", "Secret", namespace or self._ports.settings.namespace, name)

        return base64.b64decode((secret.get("data") or {}).get(field, "")).decode()

    def _must_read(self, key: Key, tier: Tier, state: StorefrontState) -> bool:
        snapshot = state.snapshots.get(tier.name)
        if snapshot is None or isinstance(snapshot, Hold) or tier.name in state.snapshot_stale:
            return True
        if snapshot.target != tier.target:
            return True
        return self._watch_disagrees(key, tier, snapshot)

    def _watch_disagrees(self, key: Key, tier: Tier, snapshot: TargetSnapshot) -> bool:
        """Whether the watch has shown something later than what we read: another incarnation, owner or floor."""
        workload = self._index.workloads.get((tier.target.kind, key.namespace, tier.target.name))
        if workload and workload.uid != snapshot.target_uid:
            return True
        if snapshot.owner is Owner.SCALE:
            return bool(self._autoscalers(key, tier)) or _is_later(workload, snapshot)
        seen = self._index.autoscalers[key.namespace].get((snapshot.owner_ref.kind, snapshot.owner_ref.name))
        if seen is None or seen["metadata"]["uid"] != snapshot.owner_uid:
            return True
        read = version(snapshot.owner_resource_version)
        return version(seen["metadata"]["resourceVersion"]) > read and bounds_of(seen) != snapshot.bounds

    def _autoscalers(self, key: Key, tier: Tier) -> list[dict[str, Any]]:
        return self._index.autoscalers_of(tier.target.kind, key.namespace, tier.target.name)

    async def _read(self, key: Key, tier: Tier) -> TargetSnapshot | Hold:
        other = self._index.claimed_by_other(key, tier.target.kind, tier.target.name)
        if other is not None:
            return Hold(Reason.TARGET_CLAIMED_TWICE, tier.name, detail=f"{tier.target} belongs to Storefront {other}")
        found = await read_target(self._ports.cluster, key.namespace, tier.target, self._autoscalers(key, tier))
        return replace(found, subject=tier.name) if isinstance(found, Hold) else found

    def _take(self, tier: Tier, snapshot: TargetSnapshot | Hold, state: StorefrontState) -> None:
        state.snapshots[tier.name] = snapshot
        state.snapshot_stale.discard(tier.name)
        mirror = None if isinstance(snapshot, Hold) else _mirror_of(tier, snapshot)
        if isinstance(snapshot, Hold) or mirror is None:
            return
        entry = state.entry(tier.name)
        if entry is not None and not regressed(snapshot, entry, mirror):
            return
        # the plan was lost, or is older than the mirror on the target: take the ledger entry back
        if entry is not None:
            state.regressed.add(tier.name)
            metrics.LEDGER_REGRESSIONS.inc()
            _log.warning("the ledger is older than its mirror", target=str(snapshot.target), tier=tier.name)
        state.ledger = (*(kept for kept in state.ledger if kept is not entry), mirror)
        state.ledger_dirty = True


def _mirror_of(tier: Tier, snapshot: TargetSnapshot) -> LedgerEntry | None:
    """The ledger entry that stands on the target, where it was written for this object."""
    mirror = entry_from_annotation(snapshot.annotation) if snapshot.annotation else None
    return replace(mirror, tier=tier.name) if mirror and mirror.owner_uid == snapshot.owner_uid else None


def _baseline_of(entry: LedgerEntry | None, snapshot: TargetSnapshot | None, floor: int) -> int:
    """What the ledger says the target had; what stands there, where the entry was only written ahead of a raise."""
    if entry is None or (snapshot and not entry.confirmed and not stands(snapshot, entry)):
        return floor
    return floor_of(entry.owner, entry.baseline)


def floor_of(owner: Owner, bounds: Bounds) -> int:
    """The floor as a number; absent is the owner's default (HPA 1, ScaledObject 0)."""
    if bounds.minimum is not None:
        return bounds.minimum
    return 0 if owner is Owner.SCALED_OBJECT else 1


def served_rps(storefront: Storefront, tiers: tuple[TierState, ...]) -> float | None:
    """Door demand that the scarcest tier's Ready replicas serve; None where nothing is known."""
    known = []
    for tier, state in zip(storefront.tiers, tiers, strict=False):
        if tier.capacity_per_replica_rps and state.ready is not None and tier.demand_per_request > 0:
            known.append(state.ready * tier.capacity_per_replica_rps / tier.demand_per_request)
    return min(known, default=None)


def _is_later(workload: Workload | None, snapshot: TargetSnapshot) -> bool:
    """Whether the watch has shown a plain target later than it was read, at other replicas."""
    if workload is None or version(workload.resource_version) <= version(snapshot.owner_resource_version):
        return False
    return workload.replicas != snapshot.bounds.minimum


def bounds_of(autoscaler: dict[str, Any]) -> Bounds:
    """The bounds that a watched autoscaler carries."""
    spec = autoscaler["spec"]
    if autoscaler["kind"] == "ScaledObject":
        return Bounds(spec.get("minReplicaCount"), spec.get("maxReplicaCount"))
    return Bounds(spec.get("minReplicas"), spec.get("maxReplicas"))
