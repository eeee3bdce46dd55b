"""What stood in the cluster, twice a second and arm by arm, and what that served and cost.

Demand is the replayed counter itself, so what was not served is counted exactly between two looks; replicas hold from
one look to the next. Unserved calls are lost. A replica is billed from the moment it is asked for.
"""

import asyncio
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from live_arms import ARMS, HPA_NAMES, KEDA_ARMS, TARGET, cron_span, namespace
from live_scenarios import AFTER_SECONDS, BEFORE_SECONDS, MAX_REPLICAS, MIN_REPLICAS, TARGET_SHARE, Event

from forerun.domain.campaign import Occurrence
from forerun.kube.cluster import Cluster
from forerun.kube.errors import ApiError
from forerun.report.timeline import TimelineRow
from forerun.sandbox.replay import DemandIntegral

INTERVAL_SECONDS = 0.5
LONGEST_GAP_SECONDS = 5.0
COST_RATIO = 99.0  # one replica's worth of demand unserved for a second costs as much as so many replica-seconds
VIOLATION_SHARE = 0.01


@dataclass(frozen=True)
class Sight:
    """One arm at one moment, as the API server has it; None: not there yet, or not read."""

    at: datetime
    floor: int | None
    desired: int | None
    ready: int | None


@dataclass(frozen=True)
class Account:
    """One arm over the counted stretch. Seconds are real ones; `unserved` and `demand` in calls."""

    replica_seconds: float
    unserved: float
    demand: float
    violation_seconds: float
    longest_gap_seconds: float
    capacity_rps: float

    @property
    def cost(self) -> float:
        return self.replica_seconds + COST_RATIO * self.unserved / self.capacity_rps

    @property
    def unserved_percent(self) -> float:
        return 100.0 * self.unserved / self.demand if self.demand else 0.0


class Recorder:
    """`sights` per namespace grow while `watch` runs."""

    def __init__(
        self, cluster: Cluster, events: Sequence[Event], clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._spaces = {namespace(event, arm): arm for event in events for arm in ARMS}
        self.sights: dict[str, list[Sight]] = {space: [] for space in self._spaces}

    async def watch(self) -> None:
        """Look twice a second until cancelled; what does not answer leaves a gap, not a guess."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await self.look()
            due = max(due + INTERVAL_SECONDS, loop.time())
            await asyncio.sleep(due - loop.time())

    async def look(self) -> None:
        at = self._clock()
        try:
            deployments, autoscalers = await asyncio.gather(
                self._cluster.list("apps/v1", "Deployment"),
                self._cluster.list("autoscaling/v2", "HorizontalPodAutoscaler"),
            )
        except ApiError:
            return
        targets, scalers = _by_name(deployments), _by_name(autoscalers)
        for space, arm in self._spaces.items():
            sight = sight_of(at, targets.get((space, TARGET)), scalers.get((space, HPA_NAMES[arm])))
            self.sights[space].append(sight)


def sight_of(at: datetime, target: Mapping[str, Any] | None, autoscaler: Mapping[str, Any] | None) -> Sight:
    """Floor, desired and Ready replicas from raw objects."""
    floor = None if autoscaler is None else autoscaler["spec"].get("minReplicas", 1)
    if target is None:
        return Sight(at, floor, None, None)
    status = target.get("status") or {}
    ready = status.get("readyReplicas", 0) if "observedGeneration" in status else None
    return Sight(at, floor, target["spec"].get("replicas", 1), ready)


def counted(window: Occurrence) -> Occurrence:
    """The stretch that is judged: from before anybody prepares until capacity is given back."""
    return Occurrence(window.start - timedelta(seconds=BEFORE_SECONDS), window.end + timedelta(seconds=AFTER_SECONDS))


def account(sights: Sequence[Sight], demand: DemandIntegral, capacity_rps: float, stretch: Occurrence) -> Account:
    """Sums over the stretch; a look whose numbers are missing is left out, so the one before it holds."""
    whole = [sight for sight in sights if sight.desired is not None and sight.ready is not None]
    inside = [sight for sight in whole if stretch.contains(sight.at)]
    if not inside:
        raise ValueError("nothing was recorded in the stretch that counts: run the benchmark again")
    marks = [stretch.start, *(sight.at for sight in inside), stretch.end]
    before = [sight for sight in whole if sight.at < stretch.start][-1:]
    standing = [*(before or inside[:1]), *inside]  # what holds from each mark to the next
    replica_seconds = unserved = violation_seconds = 0.0
    for (low, high), sight in zip(pairwise(marks), standing, strict=True):
        seconds = (high - low).total_seconds()
        calls = demand.total(high) - demand.total(low)
        lost = max(0.0, calls - (sight.ready or 0) * capacity_rps * seconds)
        replica_seconds += (sight.desired or 0) * seconds
        unserved += lost
        violation_seconds += seconds if lost > VIOLATION_SHARE * calls else 0.0
    return Account(
        replica_seconds=replica_seconds,
        unserved=unserved,
        demand=demand.total(stretch.end) - demand.total(stretch.start),
        violation_seconds=violation_seconds,
        longest_gap_seconds=max((high - low).total_seconds() for low, high in pairwise(marks)),
        capacity_rps=capacity_rps,
    )


def timeline(arm: str, sights: Sequence[Sight], event: Event, window: Occurrence) -> list[TimelineRow]:
    """One row for each look inside the stretch that counts; while KEDA's cron trigger is on, that is the floor."""
    demand, stretch = event.integral(window.start), counted(window)
    first, last = cron_span(window)
    rows = []
    for sight in sights:
        if not stretch.contains(sight.at):
            continue
        rps = demand.rate(sight.at)
        unserved = None if sight.ready is None else max(0.0, rps - sight.ready * event.capacity_rps)
        floor = event.cron_replicas(arm) if arm in KEDA_ARMS and first <= sight.at < last else sight.floor
        rows.append(TimelineRow(arm, sight.at, TARGET, rps, floor, sight.desired, sight.ready, unserved))
    return rows


def recording(
    event: Event,
    window: Occurrence,
    sights: Mapping[str, Sequence[Sight]],
    shown: Sequence[tuple[float, float]],
    sync_seconds: float,
    stabilization_seconds: float,
) -> dict[str, Any]:
    """All that a model of the autoscalers needs, as JSON; times in seconds from the event's start.

    `shown` is (time, requests/s) as Prometheus shows it. `cron` has, by arm, from when until when the trigger is on, and its replicas.
    """
    cron = [(moment - window.start).total_seconds() for moment in cron_span(window)]
    return {
        "scenario": event.name,
        "start": window.start.isoformat(),
        "window_seconds": (window.end - window.start).total_seconds(),
        "capacity_rps": event.capacity_rps,
        "target_share": TARGET_SHARE,
        "sync_seconds": sync_seconds,
        "stabilization_seconds": stabilization_seconds,
        "min_replicas": MIN_REPLICAS,
        "max_replicas": MAX_REPLICAS,
        "cron": {arm: {"from": cron[0], "until": cron[1], "replicas": event.cron_replicas(arm)} for arm in KEDA_ARMS},
        "shown": [[round(at, 3), round(value, 6)] for at, value in shown],
        "arms": {
            arm: [
                [round((sight.at - window.start).total_seconds(), 3), sight.floor, sight.desired, sight.ready]
                for sight in sights[namespace(event, arm)]
            ]
            for arm in ARMS
        },
    }


def save(document: Mapping[str, Any], path: Path) -> None:
    path.write_text(json.dumps(document) + "\n", encoding="utf-8")


def shown_of(result: Sequence[Mapping[str, Any]], start: datetime) -> list[tuple[float, float]]:
    """(seconds from `start`, requests/s) of a range query's one series."""
    values = result[0]["values"] if result else []
    pairs = [(float(at) - start.timestamp(), float(value)) for at, value in values]
    return [pair for pair in pairs if math.isfinite(pair[1])]


def _by_name(objects: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Mapping[str, Any]]:
    return {(raw["metadata"]["namespace"], raw["metadata"]["name"]): raw for raw in objects}
