"""Leader election on a Lease, and the fence that comes with it.

The official client's election is the frame; its clock and its record are ours, because
there time is wall time (a clock that is set moves the lease), local instead of UTC, and
leaseTransitions, our epoch, is not counted.

Safety: a holder counts its lease from the moment *before* the renewal that succeeded was
sent, a candidate from the moment *after* it read the last change; so, with clocks that
run at the same speed, `holds()` ends before anybody else may begin.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord
from kubernetes.aio.leaderelection.resourcelock.baselock import BaseLock

from forerun.kube.cluster import Cluster
from forerun.kube.errors import ApiError, Forbidden, NotFound, Unavailable
from forerun.kube.transport import Object

T = TypeVar("T")

_RELEASED_SECONDS = 1  # of a lease that nobody holds: whoever looks next may take it


@dataclass(frozen=True, slots=True)
class Seen:
    """The Lease as it was last read."""

    holder: str
    duration_seconds: float
    transitions: int
    version: str  # resourceVersion: it moves with every renewal
    raw: Object = field(compare=False, repr=False)


class EpochLease(BaseLock):  # type: ignore[misc]  # the official client ships no types
    """The Lease object; its leaseTransitions is the epoch, 1 for the first holder ever."""

    def __init__(self, cluster: Cluster, namespace: str, name: str, identity: str) -> None:
        super().__init__(name, namespace, identity)
        self._cluster = cluster
        self.seen: Seen | None = None
        self.error: ApiError | None = None  # of the last request, None where it went well
        self.held_epoch = 0  # 0: this process does not hold it
        self.predecessor_fell_silent = False  # it did not release the Lease, and may only be stopped
        self._highest_epoch = 0  # survives a Lease that somebody deletes
        self.notes: Callable[[], Mapping[str, str]] = dict  # annotations that are written with each renewal

    def note_epoch(self, epoch: int) -> None:
        self._highest_epoch = max(self._highest_epoch, epoch)

    async def get(self, name: str, namespace: str) -> tuple[bool, Any]:
        """(True, record), or (False, the error)."""
        try:
            raw = await self._cluster.get_lease(namespace, name)
        except ApiError as error:
            self.error = error
            if isinstance(error, NotFound):
                self.seen = None
            return False, error
        self.error = None
        spec = raw.get("spec") or {}
        if self.seen is not None and _runs_back(self.seen.raw, raw):
            self.held_epoch = 0  # etcd was restored: what this process remembers is not so any more
        self.seen = Seen(
            spec.get("holderIdentity") or "",
            float(spec.get("leaseDurationSeconds") or 0),
            int(spec.get("leaseTransitions") or 0),
            raw["metadata"]["resourceVersion"],
            raw,
        )
        self._highest_epoch = max(self._highest_epoch, self.seen.transitions)
        if self.held_epoch and (self.seen.holder, self.seen.transitions) != (self.identity, self.held_epoch):
            self.held_epoch = 0
        return True, LeaderElectionRecord(
            spec.get("holderIdentity"), spec.get("leaseDurationSeconds"), spec.get("acquireTime"), spec.get("renewTime")
        )

    async def create(self, name: str, namespace: str, election_record: LeaderElectionRecord) -> bool:
        """Make the Lease ours where there was none; False where somebody was quicker."""
        epoch = self._highest_epoch + 1
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name, "namespace": namespace},
            "spec": self._spec({}, election_record, epoch),
        }
        return await self._put(body, epoch, create=True)

    async def update(self, name: str, namespace: str, updated_record: LeaderElectionRecord) -> bool:
        """Renew the Lease, or take it over with the next epoch; False where it changed since it was read."""
        if self.seen is None:
            return False
        epoch = self.held_epoch or self._highest_epoch + 1
        if not self.held_epoch:
            self.predecessor_fell_silent = self.seen.holder not in ("", self.identity)
        raw = self.seen.raw
        spec = self._spec(raw.get("spec") or {}, updated_record, epoch)
        return await self._put({**raw, "metadata": self._metadata(raw), "spec": spec}, epoch, create=False)

    async def release(self) -> None:
        """Let a successor take over at once; nothing happens where the Lease is not ours any more."""
        known, _ = await self.get(self.name, self.namespace)
        if not known or self.seen is None or not self.held_epoch:
            return
        now = _microtime()
        spec = {
            **self.seen.raw["spec"],
            "holderIdentity": "",
            "leaseDurationSeconds": _RELEASED_SECONDS,
            "acquireTime": now,
            "renewTime": now,
        }
        body = {**self.seen.raw, "metadata": self._metadata(self.seen.raw), "spec": spec}
        self.held_epoch = 0
        await self._put(body, 0, create=False)

    async def _put(self, body: Object, epoch: int, *, create: bool) -> bool:
        try:
            raw = await self._cluster.put_lease(body, create=create)
        except ApiError as error:
            self.error = error
            return False  # the next round reads it again
        self.error = None
        self.held_epoch = epoch
        self._highest_epoch = max(self._highest_epoch, epoch)
        if self.seen is not None:
            spec = raw["spec"]
            self.seen = Seen(
                spec["holderIdentity"],
                float(spec["leaseDurationSeconds"]),
                spec["leaseTransitions"],
                raw["metadata"]["resourceVersion"],
                raw,
            )
        return True

    def _metadata(self, raw: Object) -> Object:
        """The Lease's metadata with our notes; whoever takes it over leaves those of the holder before it."""
        metadata = raw["metadata"]
        notes = self.notes() if self.held_epoch else {}
        return {**metadata, "annotations": {**(metadata.get("annotations") or {}), **notes}} if notes else metadata

    def _spec(self, current: Object, record: LeaderElectionRecord, epoch: int) -> Object:
        now = _microtime()
        renewal = bool(self.held_epoch)
        return {
            **current,
            "holderIdentity": self.identity,
            "leaseDurationSeconds": int(record.lease_duration),
            "acquireTime": current.get("acquireTime", now) if renewal else now,
            "renewTime": now,
            "leaseTransitions": epoch,
        }


class MonotonicElection(LeaderElection):  # type: ignore[misc]
    """The official election with a clock that only runs forward."""

    def __init__(self, config: Config, lock: EpochLease, clock: Callable[[], float]) -> None:
        super().__init__(config)
        self._lock = lock
        self._clock = clock
        self._observed_version = ""
        self._observed_at = 0.0
        self.renewed_at = float("-inf")  # when the last renewal that succeeded was sent
        self.alive = False  # somebody else has renewed it while we looked

    async def try_acquire_or_renew(self) -> bool:
        """One round: read, and write where the Lease is ours or free. False, never an exception, on failure."""
        config = self.election_config
        started = self._clock()
        try:
            async with asyncio.timeout(config.renew_deadline / 2):
                taken = await self._round(config.lease_duration)
        except TimeoutError:
            return False
        if taken:
            self.renewed_at = started
        return taken

    async def renew_loop(self) -> None:
        """Renew until the Lease is lost: taken by another, or not renewed within the deadline."""
        config = self.election_config
        while True:
            await asyncio.sleep(config.retry_period)
            if await self.try_acquire_or_renew():
                continue
            if not self._lock.held_epoch or self._clock() - self.renewed_at >= config.renew_deadline:
                return

    async def _round(self, duration_seconds: float) -> bool:
        lock = self._lock
        held = bool(lock.held_epoch)
        known, error = await lock.get(lock.name, lock.namespace)
        record = LeaderElectionRecord(lock.identity, str(int(duration_seconds)), None, None)
        if not known:
            # a holder whose Lease was deleted has lost it: its successor must see a higher epoch
            absent = isinstance(error, NotFound)
            if held and absent:
                lock.held_epoch = 0
            return absent and not held and await lock.create(lock.name, lock.namespace, record)
        if held:
            return bool(lock.held_epoch) and await lock.update(lock.name, lock.namespace, record)
        return self._is_free() and await lock.update(lock.name, lock.namespace, record)

    def _is_free(self) -> bool:
        """Whether nobody holds it: released, or not renewed for its whole duration while we watched."""
        seen = self._lock.seen
        if seen is None:
            return False
        if seen.version != self._observed_version:
            self.alive = bool(self._observed_version) and seen.holder != ""
            self._observed_version, self._observed_at = seen.version, self._clock()
        return seen.holder in ("", self._lock.identity) or self._clock() - self._observed_at > seen.duration_seconds


class Leadership:
    """`run` until the Lease is lost; `holds()` is the fence, `epoch` its number.

    Fail-over after a holder that died takes at most its duration, one retry period and
    one request; after a `release` at most one retry period.
    """

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        name: str,
        identity: str,
        *,
        lease_duration_seconds: float = 15.0,
        renew_deadline_seconds: float | None = None,
        retry_seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`identity` must be this process's alone, or that of one that is certainly dead: it takes over at once.

        Deadline and retry are 2/3 and 2/15 of the duration.
        """
        self._duration_seconds = lease_duration_seconds
        self._retry_seconds = retry_seconds or max(1.0, lease_duration_seconds * 2 / 15)
        self._clock = clock
        self._lock = EpochLease(cluster, namespace, name, identity)
        config = Config(
            self._lock,
            lease_duration=lease_duration_seconds,
            renew_deadline=renew_deadline_seconds or lease_duration_seconds * 2 / 3,
            retry_period=self._retry_seconds,
            onstarted_leading=_nothing,
            onstopped_leading=_nothing,
        )
        self._election = MonotonicElection(config, self._lock, clock)

    @property
    def epoch(self) -> int:
        """How many holders there have been, this one included; 0 before this process has led."""
        return self._lock.held_epoch

    @property
    def predecessor_fell_silent(self) -> bool:
        """Whether the Lease was taken from another holder that had not released it.

        It may be stopped with a write in its hand, which no fence of its own will hold back when it goes on.
        """
        return self._lock.predecessor_fell_silent

    def note_epoch(self, epoch: int) -> None:
        """An epoch that was seen in a ledger: ours will be later, even where the Lease itself was lost."""
        self._lock.note_epoch(epoch)

    def keep_notes(self, notes: Callable[[], Mapping[str, str]]) -> None:
        """Annotations to write with each renewal and the release, asked for at that moment."""
        self._lock.notes = notes

    def noted(self, annotation: str) -> str:
        """What the Lease had in an annotation when it was last read or written; empty: nothing."""
        raw = self._lock.seen.raw if self._lock.seen else {}
        return str(((raw.get("metadata") or {}).get("annotations") or {}).get(annotation) or "")

    def holds(self) -> bool:
        """Whether this process may write now."""
        renewed_ago = self._clock() - self._election.renewed_at
        return self._lock.held_epoch > 0 and renewed_ago < self._duration_seconds

    async def seize(self) -> str:
        """Take the Lease if nobody lives behind it; "" where it is ours now, else the name of the holder who lives.

        A holder lives where the Lease moves while we look; it is dead where it does not move for its whole
        duration. Takes one request where the Lease is free, at most that duration and some retries where it is
        not. For those who act once; the operator waits in `run`. Raises ApiError where it cannot be told.
        """
        began = self._clock()
        while not await self._election.try_acquire_or_renew():
            seen = self._lock.seen
            if self._election.alive and seen is not None:
                return seen.holder
            duration = max(self._duration_seconds, seen.duration_seconds if seen else 0.0)
            hopeless = isinstance(self._lock.error, Forbidden | NotFound)  # no right to it, or no namespace for it
            if hopeless or self._clock() - began > 2 * duration:
                raise self._lock.error or Unavailable(f"Lease {self._lock.namespace}/{self._lock.name}: not to be had")
            await asyncio.sleep(self._retry_seconds)
        return ""

    async def keep(self, work: Awaitable[T]) -> T:
        """After `seize`: renew until `work` is done, then release. Where a renewal fails the fence closes by itself."""
        renewing = asyncio.ensure_future(self._election.renew_loop())
        try:
            return await work
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            await self._lock.release()

    async def run(self, on_lead: Callable[[], Awaitable[None]], on_lost: Callable[[], None]) -> None:
        """Wait for the Lease, run `on_lead` while it is ours, call `on_lost` once it is not.

        `on_lead` is cancelled before `on_lost` is called; what it raises ends the run.
        Cancelling the run does neither release the Lease nor call `on_lost`.
        """
        await self._election.acquire()
        leading = asyncio.ensure_future(on_lead())
        renewing = asyncio.ensure_future(self._election.renew_loop())
        try:
            await asyncio.wait((leading, renewing), return_when=asyncio.FIRST_COMPLETED)
            if leading.done():
                leading.result()
                await renewing
            self._lock.held_epoch = 0
        finally:
            for task in (leading, renewing):
                task.cancel()
            await asyncio.gather(leading, renewing, return_exceptions=True)
        on_lost()

    async def release(self) -> None:
        """Give the Lease up after everything that writes has ended."""
        await self._lock.release()


def _runs_back(known: Object, raw: Object) -> bool:
    """Whether the same Lease is older than it was: only a restored etcd shows that."""
    before, now = known["metadata"], raw["metadata"]
    return bool(before["uid"] == now["uid"] and int(now["resourceVersion"]) < int(before["resourceVersion"]))


async def _nothing() -> None:
    """The official Config insists on callbacks; `Leadership.run` has its own."""


def _microtime() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
