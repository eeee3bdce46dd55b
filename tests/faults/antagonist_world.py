"""The operator's own parts on an API server in memory, with one clock that only the test moves.

Everything between the API and the targets is the shipped code, put together as `forerun run` does it: index, observer,
planner, plan store, executor, reporter. Stand-ins: the clock, the metrics source (a number or nothing), the forecast (what
was declared) and the watches, which bring news when the test says so.
"""

import asyncio
import contextlib
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.faults.memory_api import Crashed, MemoryApi, MemoryCluster

from forerun.controllers import forecasting
from forerun.controllers.operator import Operator
from forerun.controllers.plan_store import NotLeaderError
from forerun.controllers.state import StorefrontState
from forerun.domain.campaign import Key
from forerun.domain.forecast import LEVELS, Forecast, ForecastRequest, Peak, Segment
from forerun.domain.observation import Measurement, Sample
from forerun.domain.policy import MetricsSource
from forerun.domain.reason import Hold, Reason
from forerun.kube.errors import ApiError
from forerun.kube.rate import TokenBucket
from forerun.settings import Settings
from forerun.wiring import Ports

NAMESPACE = "shop"
KEY = Key(NAMESPACE, "main")
ORIGIN = datetime(2026, 11, 27, 6, 0, tzinfo=UTC)
OURS = "forerun.dev/v1alpha1"
WATCHED = {"Campaign", "Storefront", "CapacityPlan", "CapacityPolicy", "MetricsSource"}
TARGETS = {"HorizontalPodAutoscaler", "ScaledObject", "Deployment", "StatefulSet"}
LEAST_RPS = 10.0

Raw = dict[str, Any]


class Demand:
    """The metrics source: `rps`, or nothing where it is None."""

    def __init__(self) -> None:
        self.rps: float | None = LEAST_RPS

    async def sample(self, source: MetricsSource, query: str, now: datetime) -> Measurement:
        return Hold(Reason.METRICS_UNREACHABLE) if self.rps is None else Sample(now, self.rps)

    async def series(self, *_: object) -> Hold:
        return Hold(Reason.DEMAND_UNKNOWN)

    async def close(self) -> None:
        """Nothing is open."""


class Declared:
    """The forecast: what was declared, from start to end."""

    async def forecast(self, requests: list[ForecastRequest]) -> list[Forecast | Hold]:
        return [self._one(request) for request in requests]

    def _one(self, request: ForecastRequest) -> Forecast:
        windows = request.upcoming
        if not windows:
            return Forecast(request.storefront, request.now, (), (), "nothing")
        first = min(w.occurrence.start for w in windows)
        last = max(w.occurrence.end for w in windows)
        step = 60.0
        rows = []
        for i in range(int((last - first).total_seconds() / step) + 1):
            at = first + timedelta(seconds=i * step)
            rps = sum(w.expected.peak_rps or 0.0 for w in windows if w.occurrence.contains(at))
            rows.append((LEAST_RPS + rps,) * len(LEVELS))
        peaks = tuple(
            Peak(w.campaign, w.occurrence, rps, rps, rps, w.occurrence.start)
            for w in windows
            for rps in (w.expected.peak_rps or 0.0,)
        )
        return Forecast(request.storefront, request.now, (Segment(first, step, tuple(rows)),), peaks, "declared")

    async def close(self) -> None:
        """Nothing runs."""


class Leader:
    """The Lease, held; each start of the operator has the next epoch, and each other one follows a silent leader."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.predecessor_fell_silent = epoch % 2 == 0
        self.held = True

    def holds(self) -> bool:
        return self.held

    def note_epoch(self, epoch: int) -> None:
        """The test counts them."""


class World:
    """One Storefront, the operator that works for it, and everybody else, who use `api` directly."""

    def __init__(self) -> None:
        self.now = ORIGIN
        self.api = MemoryApi(lambda: self.now)
        self.api.watchers.append(self._heard)
        self.demand = Demand()
        self.loop = asyncio.new_event_loop()
        self.epoch = 0
        self.news: deque[tuple[str, Raw]] = deque()
        self.lagging = False
        self.stumbled: list[str] = []  # exceptions that nobody reckoned with
        self.cluster = MemoryCluster(self.api)
        self.operator: Operator | None = None
        forecasting.GATHER_SECONDS = 0.0

    def start(self) -> None:
        """A new process: nothing is remembered but what stands in the API."""
        self.news.clear()
        self.loop.run_until_complete(self._begin(self.make_ports()))

    def make_ports(self) -> Ports:
        """Of a process that has taken the Lease."""
        self.epoch += 1
        self.cluster = MemoryCluster(self.api)
        leader = Leader(self.epoch)
        self.cluster.fence = leader.holds
        return Ports(
            settings=Settings(identity=f"operator-{self.epoch}"),
            identity=f"operator-{self.epoch}",
            clock=lambda: self.now,
            cluster=self.cluster,  # type: ignore[arg-type]
            signals=self.demand,  # type: ignore[arg-type]
            forecast=Declared(),  # type: ignore[arg-type]
            leadership=leader,  # type: ignore[arg-type]
            background=TokenBucket(1e9),
        )

    async def _begin(self, ports: Ports) -> None:
        self.operator = Operator(ports)
        for kind in (*sorted(WATCHED), *sorted(TARGETS)):
            for raw in self.api.all(kind):
                self.operator.index.upsert(raw)

    def stop(self) -> None:
        """Dead without a word; what it had begun is not carried on."""
        self.operator = None
        self.loop.run_until_complete(self._cancel())

    def close(self) -> None:
        self.stop()
        self.loop.close()

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def work(self, rounds: int = 3) -> None:
        """The operator looks at its Storefront, as often as it wakes itself, and tells what it has to tell."""
        if self.operator is None:
            return
        try:
            for _ in range(rounds):
                self.deliver()
                self.loop.run_until_complete(self._reconcile())
                self.deliver()
                if not self.operator.index.dirty:
                    break
            self.loop.run_until_complete(self._report())
        except Crashed:
            self.stop()

    def deliver(self) -> None:
        """What the watches have to say; nothing while they lag."""
        while self.news and not self.lagging and self.operator is not None:
            kind, raw = self.news.popleft()
            (self.operator.index.remove if kind == "DELETED" else self.operator.index.upsert)(raw)

    @property
    def state(self) -> StorefrontState | None:
        return self.operator.states.get(KEY) if self.operator else None

    def get(self, kind: str, name: str) -> Raw | None:
        return self.api.objects.get((kind, NAMESPACE, name))

    async def _reconcile(self) -> None:
        operator = self.operator
        assert operator is not None
        operator.index.dirty.clear()
        state = operator.states.setdefault(KEY, StorefrontState())
        try:
            await operator.ticker._reconciler.reconcile(KEY, state)
        except NotLeaderError as error:
            self.stumbled.append(f"not the leader: {error}")
        except ApiError:
            pass  # tried again with the next look
        except Exception as error:  # noqa: BLE001
            self.stumbled.append(repr(error))
        await self._quiet()

    async def _report(self) -> None:
        operator = self.operator
        assert operator is not None
        try:
            await operator.reporter._report(KEY)
        except ApiError:
            pass
        except Exception as error:  # noqa: BLE001
            self.stumbled.append(repr(error))

    async def _quiet(self) -> None:
        """Until samples and forecasts that were asked for are there."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        done, _ = await asyncio.wait(others) if others else (set(), set())
        for task in done:
            error = None if task.cancelled() else task.exception()
            if isinstance(error, Crashed):
                raise error
            if error is not None and not isinstance(error, ApiError):
                self.stumbled.append(repr(error))

    async def _cancel(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        with contextlib.suppress(Crashed):
            await asyncio.gather(*others, return_exceptions=True)

    def _heard(self, kind: str, raw: Raw) -> None:
        if raw["kind"] in WATCHED | TARGETS:
            self.news.append((kind, raw))


# what people apply


def metadata(name: str) -> Raw:
    return {"name": name, "namespace": NAMESPACE}


def namespace() -> Raw:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": {"shop": "yes"}}}


def source() -> Raw:
    spec = {"url": "http://prometheus.invalid"}
    return {"apiVersion": OURS, "kind": "MetricsSource", "metadata": {"name": "default"}, "spec": spec}


def policy(percent: str = "100") -> Raw:
    spec = {"namespaceSelector": {"matchLabels": {"shop": "yes"}}, "maxStepDownPercentPerMinute": percent}
    return {"apiVersion": OURS, "kind": "CapacityPolicy", "metadata": {"name": "quick"}, "spec": spec}


def workload(name: str, kind: str = "Deployment", replicas: int = 2) -> Raw:
    labels = {"app": name}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata(name), "spec": spec}


def hpa(name: str, least: int | None, most: int) -> Raw:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    spec: Raw = {"scaleTargetRef": reference, "maxReplicas": most}
    spec |= {} if least is None else {"minReplicas": least}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(name),
        "spec": spec,
    }


def scaled_object(name: str, **bounds: int) -> Raw:
    spec = {"scaleTargetRef": {"name": name}, "triggers": [], **bounds}
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": metadata(name), "spec": spec}


def storefront(tiers: list[tuple[str, str]], **fields: object) -> Raw:
    """Tiers by name and kind of target; one replica serves 100 calls/s."""
    made = [
        {
            "name": name,
            "role": "Web",
            "targetRef": {"apiVersion": "apps/v1", "kind": kind, "name": name},
            "capacityPerReplica": "100",
            "maxReplicas": 30,
            "leadTime": "30s",
            "dependsOn": [],
            **fields,
        }
        for name, kind in tiers
    ]
    demand = {"metricsSourceRef": {"name": "default"}, "query": "demand", "unit": "requests"}
    return {
        "apiVersion": OURS,
        "kind": "Storefront",
        "metadata": metadata("main"),
        "spec": {"demand": demand, "tiers": made},
    }


def campaign(name: str, start: datetime, end: datetime, peak: int, **fields: object) -> Raw:
    spec = {
        "storefrontRef": {"name": "main"},
        "type": "FlashSale",
        "schedule": {"start": stamp(start), "end": stamp(end)},
        "expected": {"peak": str(peak)},
        "release": {"holdFor": "1s", "maxStepPercent": 100},
        **fields,
    }
    return {"apiVersion": OURS, "kind": "Campaign", "metadata": metadata(name), "spec": spec}


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
