"""Rounds of two leaders on the real API server: one is stopped with a write in its hand, and the other takes over.

The stopped one has looked at its fence already, which is the worst moment there is: nothing in its own process will
hold the write back when it goes on. In each round another kind of write is in its hand, and another one of five
contestants takes over. Their clocks are their own: they differ by up to an hour, and run on where the tests say.
"""

import copy
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.cluster.observer import Raw
from tests.cluster.shop import deployment, hpa
from tests.faults.bench import Bench

from forerun.actuators import forget, restore, standing, write_floor
from forerun.actuators.floors import Standing
from forerun.api.convert import entry_to_annotation, ledger_from
from forerun.controllers.index import Index
from forerun.controllers.observation import Observer
from forerun.controllers.plan_store import NotLeaderError, PlanStore
from forerun.controllers.state import StorefrontState
from forerun.controllers.succession import Succession
from forerun.domain.campaign import Key
from forerun.domain.capacity import CapacityPlan
from forerun.domain.ledger import Bounds, LedgerEntry, Owner
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Role, Storefront, TargetRef, Tier, TierRelease
from forerun.domain.target import TargetSnapshot, Written
from forerun.kube.cluster import Cluster
from forerun.kube.errors import Conflict, Fenced
from forerun.kube.lease import Leadership
from forerun.settings import Settings

CONTESTANTS = 5
DURATION_SECONDS = 15.0
LEASE = "split"
TARGET = TargetRef("apps/v1", "Deployment", "main")
OWNER = TargetRef("autoscaling/v2", "HorizontalPodAutoscaler", "main")
TIER = Tier("web", Role.WEB, TARGET, capacity_per_replica_rps=100.0, max_replicas=40, release=TierRelease.GRADUAL)
BASELINE = Bounds(2, 40)
RAISED = Bounds(8, 40)
LOWERED = Bounds(5, 40)
HANDS = ("raise", "lower", "give back", "forget", "ledger")


@dataclass(slots=True)
class Clock:
    """Monotonic seconds of one contestant."""

    now: float

    def __call__(self) -> float:
        return self.now


@dataclass(slots=True)
class Rounds:
    """What came of all rounds."""

    played: int = 0
    accepted: list[str] = field(default_factory=list)  # writes of a stale epoch that the API server took
    refused: Counter[str] = field(default_factory=Counter)  # by kind of write
    wrong: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Ports:
    """As much of the operator's ports as the lease, the ledger and the targets need."""

    cluster: Cluster
    leadership: Leadership
    settings: Settings
    clock: Callable[[], datetime]


class Contestant:
    """One operator's lease, ledger and hands; nothing of it moves by itself."""

    def __init__(self, cluster: Cluster, namespace: str, identity: str, skew_seconds: float) -> None:
        self.clock = Clock(skew_seconds)
        self.key = Key(namespace, "main")
        self.cluster = cluster
        self.leadership = Leadership(
            cluster, namespace, LEASE, identity, lease_duration_seconds=DURATION_SECONDS, clock=self.clock
        )
        cluster.fence = self.leadership.holds
        skew = timedelta(seconds=skew_seconds)
        ports: Any = Ports(cluster, self.leadership, Settings(), lambda: datetime.now(UTC) + skew)
        self.index = Index()
        self.observer = Observer(ports, self.index, lambda _: None)
        self.store = PlanStore(ports, self.index)
        self.succession = Succession(ports, self.observer, self.store)
        self.storefront = Storefront(self.key, "s", 1, "none", "demand", "requests", (TIER,))
        self.state = StorefrontState()

    async def stand(self) -> bool:
        """One round of the election."""
        return await self.leadership._election.try_acquire_or_renew()

    async def look(self) -> TargetSnapshot:
        """Begin as a new leader does: read everything, and settle what a silent predecessor may have in hand."""
        self.state = StorefrontState()
        for api_version, kind in (("forerun.dev/v1alpha1", "CapacityPlan"), (OWNER.api_version, OWNER.kind)):
            for raw in await self.cluster.list(api_version, kind, self.key.namespace):
                self.index.upsert(raw)
        self.state.ledger = ledger_from(self.index.plans[self.key].get("status") or {})
        await self.observer.refresh_targets(self.key, self.storefront, self.state)
        assert await self.succession.settle(self.key, self.storefront, self.state)
        found = self.state.snapshot("web")
        assert found is not None, self.state.snapshots
        return found

    def entry(self, snapshot: TargetSnapshot, written: Bounds, now: datetime) -> LedgerEntry:
        standing_now = (snapshot.bounds,) if snapshot.bounds != BASELINE else ()
        return LedgerEntry(
            tier="web",
            target=TARGET,
            owner=Owner.HPA,
            owner_ref=OWNER,
            owner_uid=snapshot.owner_uid,
            baseline=BASELINE,
            written=(*standing_now, written),
            campaigns=("sale",),
            epoch=self.leadership.epoch,
            raised_at=now,
            changed_at=now,
            peak=8,
            expires=now + timedelta(days=1),
            confirmed=bool(standing_now),
        )

    async def commit(self, entry: LedgerEntry) -> Hold | None:
        self.state.ledger = (entry,)
        return await self.store.commit_ledger(self.key, self.state)


async def play(bench: Bench, kubeconfig: Path, rounds: int, seed: int) -> Rounds:
    """So many rounds in a namespace of their own; the seed makes them the same again."""
    chance = random.Random(seed)
    namespace = bench.new_plan()
    await bench.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    for raw in (deployment("main"), hpa("main")):
        await bench.api.create({**raw, "metadata": {**raw["metadata"], "namespace": namespace}})
    clusters = [await Cluster.connect(str(kubeconfig)) for _ in range(CONTESTANTS)]
    found = Rounds()
    try:
        contestants = [
            Contestant(cluster, namespace, f"c{number}", chance.uniform(-3600, 3600))
            for number, cluster in enumerate(clusters)
        ]
        assert await contestants[0].stand()
        await contestants[0].store.write_spec(contestants[0].key, _plan(datetime.now(UTC)))
        leader = contestants[0]
        for number in range(rounds):
            hand = HANDS[number % len(HANDS)]
            others = [one for one in contestants if one is not leader]
            leader = await _round(leader, others, hand, chance, found)
            found.played += 1
    finally:
        for cluster in clusters:
            await cluster.close()
        await bench.api.delete("Namespace", None, namespace)
    return found


async def _round(
    old: Contestant, others: list[Contestant], hand: str, chance: random.Random, found: Rounds
) -> Contestant:
    """`old` leads and is stopped with a write in its hand; one of the others takes over, acts or not; then `old` goes on."""
    send = await _write_in_hand(old, hand)
    for one in others:
        await one.stand()  # they watch the Lease, each by a clock of its own
    for one in (old, *others):
        one.clock.now += DURATION_SECONDS + chance.uniform(0.1, 5.0)
    new = chance.choice(others)
    if not await new.stand():
        found.wrong.append(f"{hand}: nobody could take over")
        return old
    snapshot = await new.look()
    acted = chance.random() < 0.5
    if acted:
        await _act(new, snapshot)
    before = await _target(new)
    epoch = new.leadership.epoch
    if await _goes_through(send):
        found.accepted.append(f"{hand} in hand, epoch {epoch - 1}, accepted under {epoch}")
    else:
        found.refused[hand] += 1
    if await _target(new) != before:
        found.wrong.append(f"{hand}: the target has changed under the new leader")
    await _is_fenced(old, found)
    await _clean(new)
    return new


async def _write_in_hand(old: Contestant, hand: str) -> Callable[[], Awaitable[Any]]:
    """What the leader would send next: decided, covered by the ledger, past its fence."""
    now = datetime.now(UTC)
    snapshot = await old.look()
    if hand == "raise":
        entry = old.entry(snapshot, RAISED, now)
        await old.commit(entry)
        return _past_the_fence(old, lambda: _write(old, snapshot, RAISED, entry))
    entry = old.entry(snapshot, RAISED, now)
    await old.commit(entry)
    await _write(old, snapshot, RAISED, entry)
    snapshot = await old.look()
    entry = old.entry(snapshot, LOWERED, now)
    if hand == "ledger":
        state = old.state
        state.ledger = (entry,)
        raw = copy.deepcopy(old.index.plans[old.key])
        return _past_the_fence(old, lambda: _commit_as_read(old, raw, state))
    if hand == "lower":
        await old.commit(entry)
        return _past_the_fence(old, lambda: _write(old, snapshot, LOWERED, entry))
    standing_now = replace(entry, written=(RAISED,))
    if hand == "give back":
        return _past_the_fence(old, lambda: restore(old.cluster, old.key.namespace, snapshot, standing_now))
    guarded = {"uid": snapshot.owner_uid, "resourceVersion": snapshot.owner_resource_version}
    marks = {"metadata": {**guarded, "annotations": {"forerun.dev/ledger": None}}}
    return _past_the_fence(old, lambda: _patch(old, marks))


def _past_the_fence(old: Contestant, send: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
    """It has looked at its fence before it was stopped; the next look, for another write, is a new one."""

    async def go_on() -> Any:
        fence, old.cluster.fence = old.cluster.fence, None
        try:
            return await send()
        finally:
            old.cluster.fence = fence

    return go_on


async def _goes_through(send: Callable[[], Awaitable[Any]]) -> bool:
    try:
        outcome = await send()
    except (Conflict, NotLeaderError):
        return False
    return not isinstance(outcome, Hold)


async def _write(one: Contestant, snapshot: TargetSnapshot, bounds: Bounds, entry: LedgerEntry) -> Written | Hold:
    return await write_floor(one.cluster, one.key.namespace, snapshot, bounds, entry_to_annotation(entry))


async def _commit_as_read(one: Contestant, raw: Raw, state: StorefrontState) -> bool:
    """The one request that was in hand: what comes after a refusal would be fenced."""
    return await one.store._write_status(one.key, raw, state) or Hold(Reason.CONFLICT)


async def _patch(one: Contestant, body: Raw) -> Raw:
    return await one.cluster.merge_patch(OWNER.api_version, OWNER.kind, one.key.namespace, OWNER.name, body)


async def _act(new: Contestant, snapshot: TargetSnapshot) -> None:
    """The new leader has a will of its own: it raises what is not raised, and gives back what is."""
    entry = new.state.entry("web")
    if entry is not None and standing(snapshot, entry) is Standing.OURS:
        await restore(new.cluster, new.key.namespace, snapshot, entry)
        return
    entry = new.entry(snapshot, RAISED, datetime.now(UTC))
    if await new.commit(entry) is None:
        await _write(new, snapshot, RAISED, entry)


async def _target(one: Contestant) -> Raw:
    """The target as it is, but for what its own controller reports."""
    raw = await one.cluster.get(OWNER.api_version, OWNER.kind, one.key.namespace, OWNER.name)
    return {"spec": raw["spec"], "annotations": raw["metadata"].get("annotations") or {}}


async def _is_fenced(old: Contestant, found: Rounds) -> None:
    """A write that it decides on now does not even leave it."""
    try:
        await _patch(old, {"metadata": {"annotations": {"forerun.dev/ledger": "stale"}}})
    except Fenced:
        return
    found.wrong.append("the old leader's fence is open")


async def _clean(new: Contestant) -> None:
    """As it was before the round: the baseline, no marks, an empty ledger."""
    snapshot = await new.look()
    entry = new.state.entry("web")
    if entry is not None and standing(snapshot, entry) in {Standing.OURS, Standing.AT_BASELINE}:
        await restore(new.cluster, new.key.namespace, snapshot, entry)
    else:
        await forget(new.cluster, new.key.namespace, snapshot)
    new.state.ledger = ()
    await new.store.commit_ledger(new.key, new.state)


def _plan(now: datetime) -> CapacityPlan:
    return CapacityPlan("main", now, now + timedelta(days=1), steps=())
