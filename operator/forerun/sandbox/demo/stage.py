"""Everything that runs in the demo, brought up in parallel where it can be, and ended as one."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from forerun.kube.cluster import Cluster
from forerun.sandbox.binaries import Binaries, ensure
from forerun.sandbox.commands import SandboxError
from forerun.sandbox.control_plane import ControlPlane
from forerun.sandbox.demo import shop
from forerun.sandbox.demo.operator_process import OperatorProcess
from forerun.sandbox.demo.scenario import HISTORY_DAYS, Scenario
from forerun.sandbox.external_metrics import ExternalMetricsApi
from forerun.sandbox.progress import step
from forerun.sandbox.prometheus import CounterHistory, PrometheusServer, ScrapeTarget
from forerun.sandbox.replay import LABELS, METRIC, DemandIntegral, ReplayExporter, place

RELEASE, SYSTEM_NAMESPACE = "forerun", "forerun-system"
_CRDS = ("campaigns", "storefronts", "capacityplans", "capacitypolicies", "metricssources")
_BACKFILL_STEP_SECONDS = 1.25  # a quarter of the query's window
_SCRAPE_SECONDS = 1.0
_HPA_SECONDS = 20.0
_PODS_TIMEOUT = "120s"


class Stage:
    """`async with Stage(...)`: the control plane; then `furnish`, `operate` and `replay`, in this order."""

    def __init__(self, scenario: Scenario, chart: Path, log: Path) -> None:
        self._scenario = scenario
        self._chart = chart
        self._log = log
        self._stack = AsyncExitStack()
        self._binaries: Binaries = {}
        self.plane = ControlPlane()
        self.operator: OperatorProcess | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._raise()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def connect(self) -> Cluster:
        """A client with the administrator's credentials, closed with the stage."""
        cluster = await Cluster.connect(str(self.plane.kubeconfig))
        self._stack.push_async_callback(cluster.close)
        return cluster

    async def furnish(self) -> None:
        """Nodes, the chart by the real helm, and the sample shop, all at once."""
        await asyncio.gather(self._nodes(), self._install(), self.apply(shop.workloads(self._scenario)))

    async def wait_for_pods(self) -> None:
        """Until the shop's first replicas are Ready."""
        for tier in self._scenario.tiers:
            what = f"{tier.kind.workload.lower()}/{tier.kind.target}"
            await self.plane.kubectl("rollout", "status", what, "-n", shop.NAMESPACE, f"--timeout={_PODS_TIMEOUT}")

    async def replay(self, starts_at: datetime) -> PrometheusServer:
        """Prometheus with the days before as history, the replay that it scrapes, and the HPAs' metrics from it."""
        scenario = self._scenario
        integral = DemandIntegral(place(scenario.series, scenario.event.start, starts_at, scenario.speed))
        exporter = ReplayExporter(integral)
        exporter.start()
        self._stack.callback(exporter.stop)
        prometheus = PrometheusServer(
            [ScrapeTarget(exporter.address)], scrape_interval_seconds=_SCRAPE_SECONDS, binaries=self._binaries
        )
        self._stack.push_async_callback(prometheus.stop)
        first = scenario.real(scenario.series.start, starts_at)
        history = integral.history(first, datetime.now(UTC), _BACKFILL_STEP_SECONDS)
        await prometheus.backfill([CounterHistory(METRIC, LABELS, history)])
        await prometheus.start()
        await asyncio.sleep(shop.RATE_SECONDS)  # until the query's window holds live samples only
        metrics = ExternalMetricsApi(self.plane, prometheus, shop.EXTERNAL_METRICS)
        await metrics.start()
        self._stack.push_async_callback(metrics.stop)
        return prometheus

    async def operate(self) -> OperatorProcess:
        """The operator, with the rights of the chart's ServiceAccount."""
        kubeconfig = await self.plane.service_account_kubeconfig(SYSTEM_NAMESPACE, RELEASE)
        operator = OperatorProcess(kubeconfig, self._log, operator_settings(self._scenario))
        self._stack.push_async_callback(operator.stop)
        await operator.start()
        self.operator = operator
        return operator

    async def wait_for_autoscalers(self) -> None:
        """Until every HPA computes replicas from its metric: it is the real one, and it works."""
        names = [f"hpa/{tier.kind.target}" for tier in self._scenario.tiers if tier.kind.autoscaled]
        active = ("--for=condition=ScalingActive", f"--timeout={_HPA_SECONDS:g}s")
        await self.plane.kubectl("wait", "-n", shop.NAMESPACE, *active, *names)

    async def apply(self, manifests: str) -> None:
        """Apply manifests, from text."""
        if manifests.strip():
            await self.plane.kubectl("apply", "-f", "-", text=manifests)

    async def _raise(self) -> None:
        self._binaries = await asyncio.to_thread(ensure)
        with step("control plane: etcd, kube-apiserver, controller manager, scheduler, kwok", 6):
            await self._stack.enter_async_context(self.plane)

    async def _nodes(self) -> None:
        gpus = {shop.GPU_RESOURCE: str(shop.GPUS_PER_NODE)}
        await asyncio.gather(
            self.plane.create_nodes(shop.CPU_NODES, prefix="cpu"),
            self.plane.create_nodes(shop.GPU_NODES, prefix="gpu", labels={"shop/pool": "a10"}, allocatable=gpus),
        )

    async def _install(self) -> None:
        place_of_chart = (RELEASE, str(self._chart), "--namespace", SYSTEM_NAMESPACE, "--create-namespace")
        # the operator runs beside the cluster, as a process with the ServiceAccount's token
        await self.plane.helm("install", *place_of_chart, "--set", "replicaCount=0")
        names = [f"crd/{plural}.forerun.dev" for plural in _CRDS]
        await self.plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)


def operator_settings(scenario: Scenario) -> dict[str, str]:
    """FORERUN_* of a rehearsal: everything that waits, waits `speed` times shorter."""
    return {
        "FORERUN_NAMESPACE": SYSTEM_NAMESPACE,
        "FORERUN_LEASE_NAME": RELEASE,
        "FORERUN_TIME_COMPRESSION": f"{scenario.speed:g}",
        "FORERUN_TICK_SECONDS": "0.5",
        "FORERUN_METRIC_INTERVAL_SECONDS": "1",
        "FORERUN_METRICS_ALLOWED_CIDRS": "127.0.0.0/8,::1",  # Prometheus runs beside it
        "FORERUN_METRIC_MAX_AGE_SECONDS": "30",
        "FORERUN_FORECAST_REFRESH_SECONDS": "3",
        "FORERUN_HISTORY_SECONDS": f"{HISTORY_DAYS * 86400}",
        "FORERUN_PREPARE_SECONDS": "5",
    }


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started


def find_chart(given: Path | None) -> Path:
    """The chart's folder: the one given, else the clone's. Raises SandboxError."""
    for folder in _candidates(given):
        if (folder / "Chart.yaml").is_file():
            return folder
    raise SandboxError("--chart: helm/forerun is not here; run the demo in a clone, or name the chart's folder")


def _candidates(given: Path | None) -> Iterator[Path]:
    if given is not None:
        yield given
        return
    yield Path(__file__).resolve().parents[4] / "helm" / "forerun"
    yield Path("helm") / "forerun"
