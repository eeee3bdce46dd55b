"""What all plans of a run share: one control plane, the proxy, the observer, demand, the forecast, the zygote."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.cluster.observer import Api, Observer
from tests.faults.clock import SharedClock
from tests.faults.demand import DemandServer
from tests.faults.forecasts import ForecastService
from tests.faults.proxy import FaultProxy

from forerun.sandbox.binaries import Binaries
from forerun.sandbox.control_plane import ControlPlane
from forerun.sandbox.workdir import free_ports

CRDS = Path(__file__).parents[2] / "crds"
SCALED_OBJECTS = Path(__file__).parents[1] / "cluster" / "data" / "scaledobject-crd.yaml"
AHEAD = timedelta(minutes=30)  # from the beginning of a plan to the start of its campaign
LASTS = timedelta(seconds=90)
SETTINGS: Mapping[str, str] = {
    "FORERUN_HEALTH_HOST": "127.0.0.1",
    "FORERUN_HEALTH_PORT": "0",
    "FORERUN_TICK_SECONDS": "0.05",  # the clock jumps: look often
    "FORERUN_METRIC_INTERVAL_SECONDS": "1",
    "FORERUN_FORECAST_REFRESH_SECONDS": "3600",
    "FORERUN_HISTORY_SECONDS": "172800",
    "FORERUN_PREPARE_SECONDS": "30",
    "FORERUN_RESYNC_SECONDS": "5",
    "FORERUN_BACKGROUND_WRITES_PER_SECOND": "200",
}


class Zygote:
    """Forks operators."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._pids: asyncio.Queue[int] = asyncio.Queue()
        self._ended: dict[int, asyncio.Future[int]] = {}
        self._listening: asyncio.Task[None] | None = None

    async def start(self, work_folder: Path) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with (work_folder / "zygote.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.faults.zygote"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=environment,
            )
        self._listening = asyncio.create_task(self._listen())

    async def stop(self) -> None:
        if self._process is None or self._listening is None:
            return
        for pid, ended in self._ended.items():
            if not ended.done():
                self.kill(pid)
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        self._listening.cancel()

    async def fork(self, given: Mapping[str, object]) -> int:
        """The pid of a new operator."""
        assert self._process is not None, "not started"
        assert self._process.stdin is not None
        async with self._turn:
            self._process.stdin.write(json.dumps(given).encode() + b"\n")
            return await self._pids.get()

    def kill(self, pid: int, number: signal.Signals = signal.SIGKILL) -> None:
        """Nothing where it has ended: then its pid may be somebody else's."""
        if not self._ended[pid].done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    async def ended(self, pid: int) -> int:
        """The exit code, once there is one; negative: the signal."""
        return await asyncio.shield(self._ended[pid])

    async def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        loop = asyncio.get_running_loop()
        while line := await self._process.stdout.readline():
            words = line.decode().split()
            if words[0] == "exited":
                self._ended[int(words[1])].set_result(int(words[2]))
            else:
                pid = int(words[0])
                self._ended[pid] = loop.create_future()
                await self._pids.put(pid)


class Bench:
    """One control plane for all plans of a run; each plan has a namespace, a lane and a clock of its own."""

    def __init__(self, plane: ControlPlane, proxy_port: int) -> None:
        self.plane = plane
        self.run = f"faults-{secrets.token_hex(3)}"
        self.api = Api(f"http://127.0.0.1:{proxy_port}")
        self.observer = Observer(self.api, self.run)
        self.source = self.run
        self.zygote = Zygote()
        self.proxy = FaultProxy(plane)
        # every plan begins at this moment of its own clock, so that all ask the forecast the same questions
        self.begins = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        self.opens, self.ends = self.begins + AHEAD, self.begins + AHEAD + LASTS
        self.demand = DemandServer(lambda at: self.opens <= at < self.ends)
        self.forecasts = ForecastService(plane.work_folder / "forecasts.socket")
        self._plans = 0

    def new_plan(self) -> str:
        """A name that no plan had yet; also its namespace's."""
        self._plans += 1
        return f"{self.run}-{self._plans:05}"

    def new_clock(self, plan: str) -> SharedClock:
        clock = SharedClock(self.plane.work_folder / f"clock-{plan}")
        clock.set(self.begins)
        return clock


@contextlib.asynccontextmanager
async def open_bench(programs: Binaries) -> AsyncIterator[Bench]:
    """Everything up; ended in the reverse order."""
    async with contextlib.AsyncExitStack() as stack:
        plane = await stack.enter_async_context(ControlPlane(programs))
        for manifest in (CRDS, SCALED_OBJECTS):
            await plane.kubectl("apply", "--server-side", "-f", str(manifest))
            await plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(manifest))
        await plane.create_nodes(2)
        port = await _kubectl_proxy(plane, stack)
        bench = Bench(plane, port)
        await bench.api.open()
        stack.push_async_callback(bench.api.close)
        await bench.observer.start()
        stack.push_async_callback(bench.observer.stop)
        await bench.zygote.start(plane.work_folder)
        stack.push_async_callback(bench.zygote.stop)
        for part in (bench.demand, bench.forecasts, bench.proxy):
            await part.start()
            stack.push_async_callback(part.stop)
        await _common_objects(bench)
        yield bench


async def _kubectl_proxy(plane: ControlPlane, stack: contextlib.AsyncExitStack) -> int:
    """The observer's own way to the API server."""
    (port,) = free_ports(1)
    command = ("proxy", "--address=127.0.0.1", f"--port={port}", f"--kubeconfig={plane.kubeconfig}")
    process = await asyncio.create_subprocess_exec(
        str(plane.binaries["kubectl"]), *command, stdout=asyncio.subprocess.PIPE, env=plane.environment()
    )
    stack.push_async_callback(process.wait)
    stack.callback(process.terminate)
    assert process.stdout is not None
    assert b"Starting to serve" in await process.stdout.readline()
    return port


async def _common_objects(bench: Bench) -> None:
    """The MetricsSource of all plans, and a policy by which a whole surplus may go in one step."""
    version = "forerun.dev/v1alpha1"
    source = {"url": bench.demand.url, "timeout": "5s"}
    selector = {"matchLabels": {"forerun-test": bench.run}}
    policy = {"namespaceSelector": selector, "maxStepDownPercentPerMinute": 100}
    for kind, spec in (("MetricsSource", source), ("CapacityPolicy", policy)):
        await bench.api.create({"apiVersion": version, "kind": kind, "metadata": {"name": bench.run}, "spec": spec})
