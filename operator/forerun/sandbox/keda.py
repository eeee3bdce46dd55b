"""The real KEDA beside a control plane: its operator and its metrics adapter as processes on loopback.

For benchmarks only: `binaries.ensure(versions.KEDA_BUILD.programs)` builds both, which takes minutes once. All three
ends (operator, adapter, kube-apiserver) show certificates of the control plane's own authority, so neither KEDA's
rotation of certificates nor flags of the front proxy are needed. The adapter's own `/metrics` knows no address to
bind to: it listens on every interface, at a port that is picked at the start.
"""

import asyncio
import base64
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

from forerun.sandbox import go_build
from forerun.sandbox.binaries import Binaries, cache_folder
from forerun.sandbox.commands import SandboxError
from forerun.sandbox.control_plane import ControlPlane
from forerun.sandbox.external_metrics import GROUP, VERSION, registration
from forerun.sandbox.versions import KEDA_BUILD
from forerun.sandbox.workdir import free_ports

NAMESPACE = "keda"
METRICS_API = f"{VERSION}.{GROUP}"
_MODULE = "github.com/kedacore/keda/v2"
_READY_SECONDS = 60.0
_STOP_SECONDS = 5.0


def crd_folder() -> Path:
    """KEDA's CRDs, in the sources that its programs are built from. Raises SandboxError."""
    go = go_build.go_toolchain(cache_folder())
    with tempfile.TemporaryDirectory(prefix="keda-module-") as scratch:
        return go_build.source_folder(go, KEDA_BUILD, _MODULE, Path(scratch)) / "config" / "crd" / "bases"


class Keda:
    """`async with Keda(plane, programs, crds)`, or `start` and `stop`; ScaledObjects of every namespace are served.

    It answers `external.metrics.k8s.io` for the whole cluster, so it cannot run beside an ExternalMetricsApi.
    """

    def __init__(self, plane: ControlPlane, programs: Binaries, crds: Path) -> None:
        self._plane = plane
        self._programs = programs
        self._crds = crds
        self._processes: list[asyncio.subprocess.Process] = []
        self._registered = False

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def folder(self) -> Path:
        """Certificates and logs, in the work folder of the control plane."""
        return self._plane.work_folder / "keda"

    def pids(self) -> tuple[int, ...]:
        """Of the operator and of the adapter, while they run."""
        return tuple(process.pid for process in self._processes if process.returncode is None)

    async def start(self) -> None:
        """Both up, and the metrics API Available. Raises SandboxError or CommandError; then nothing is left running."""
        try:
            await self._kinds()
            self._certificates()
            health, metrics, adapter, adapter_metrics = free_ports(4)
            operator = await self._launch("keda-operator", operator_flags(self.folder, health, metrics))
            await self._until_ready("keda-operator", operator, f"http://127.0.0.1:{health}/readyz")
            flags = adapter_flags(self.folder, self._plane.kubeconfig, metrics, adapter, adapter_metrics)
            await self._launch("keda-adapter", flags)
            await self._register(adapter)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Take the registration back, then end both by their pids. Any number of times."""
        if self._registered:
            self._registered = False
            await self._plane.kubectl("delete", "apiservice", METRICS_API, "--ignore-not-found")
        processes, self._processes = self._processes, []
        for process in processes:
            await _ended(process)

    def refuse_dead(self) -> None:
        """Raises SandboxError where one of them has ended by itself."""
        for name, process in zip(KEDA_BUILD.programs, self._processes, strict=False):
            if process.returncode is not None:
                raise SandboxError(f"{name} ended ({process.returncode}): {self._last_words(name)}")

    async def _kinds(self) -> None:
        # too large for the annotation of a client-side apply
        await self._plane.kubectl("apply", "--server-side", "-f", str(self._crds))
        await self._plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", str(self._crds))
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        await self._plane.kubectl("apply", "-f", "-", text=json.dumps(namespace))

    def _certificates(self) -> None:
        """The names that KEDA looks for; `admin.crt` is good for servers on localhost and for clients."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        for theirs, ours in (("ca.crt", "ca.crt"), ("tls.crt", "admin.crt"), ("tls.key", "admin.key")):
            shutil.copyfile(self._plane.pki / ours, self.folder / theirs)
            (self.folder / theirs).chmod(0o600)

    async def _launch(self, name: str, flags: Sequence[str]) -> asyncio.subprocess.Process:
        environment = {
            **os.environ,
            "KUBECONFIG": str(self._plane.kubeconfig),
            "WATCH_NAMESPACE": "",  # all of them; it must be set
            "POD_NAMESPACE": NAMESPACE,
            "KEDA_CLUSTER_OBJECT_NAMESPACE": NAMESPACE,  # else it reads a file that only a container has
        }
        with (self.folder / f"{name}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(str(self._programs[name]), *flags),
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # a Ctrl-C in the terminal is for us, who end it in our own time
                start_new_session=True,
            )
        self._processes.append(process)
        # its command line names the work folder, so it is ended with the control plane in any case
        pids = self._plane.work_folder / "pids"
        pids.mkdir(exist_ok=True)
        (pids / f"{name}.pid").write_text(str(process.pid))
        return process

    async def _until_ready(self, name: str, process: asyncio.subprocess.Process, url: str) -> None:
        try:
            async with asyncio.timeout(_READY_SECONDS), aiohttp.ClientSession() as session:
                while not await _answers(session, url):
                    if process.returncode is not None:
                        raise SandboxError(f"{name} ended ({process.returncode}): {self._last_words(name)}")
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise SandboxError(f"{name} was not ready within {_READY_SECONDS:g} s: {self._last_words(name)}") from None

    async def _register(self, port: int) -> None:
        authority = base64.b64encode((self._plane.pki / "ca.crt").read_bytes()).decode()
        manifests = {"apiVersion": "v1", "kind": "List", "items": registration(port, authority)}
        self._registered = True
        await self._plane.kubectl("apply", "-f", "-", text=json.dumps(manifests))
        available = ("--for=condition=Available", f"--timeout={_READY_SECONDS:g}s")
        await self._plane.kubectl("wait", *available, f"apiservice/{METRICS_API}")

    def _last_words(self, name: str) -> str:
        log = self.folder / f"{name}.log"
        lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        return lines[-1] if lines else "it left no log"


def operator_flags(folder: Path, health: int, metrics: int) -> tuple[str, ...]:
    """Flags of keda-operator; `folder` has the certificates, the ports are on loopback."""
    return (
        f"--cert-dir={folder}",
        f"--ca-dir={folder}",
        f"--health-probe-bind-address=127.0.0.1:{health}",
        f"--metrics-service-bind-address=127.0.0.1:{metrics}",
        "--metrics-bind-address=0",
        "--zap-log-level=info",
    )


def adapter_flags(folder: Path, kubeconfig: Path, metrics: int, port: int, own_metrics: int) -> tuple[str, ...]:
    """Flags of keda-adapter: it asks the operator at `metrics` and serves the API server at `port`.

    The front proxy's own certificate says who asks, so the configuration that the API server publishes for
    extension servers is not looked up.
    """
    return (
        f"--metrics-service-address=127.0.0.1:{metrics}",
        "--metrics-service-grpc-authority=localhost",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--port={own_metrics}",
        f"--cert-dir={folder}",
        f"--tls-cert-file={folder / 'tls.crt'}",
        f"--tls-private-key-file={folder / 'tls.key'}",
        f"--client-ca-file={folder / 'ca.crt'}",
        "--authentication-skip-lookup=true",
        *(f"--{use}-kubeconfig={kubeconfig}" for use in ("lister", "authentication", "authorization")),
        "--zap-log-level=error",
    )


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False  # not listening yet


async def _ended(process: asyncio.subprocess.Process) -> None:
    """By its pid: politely, then not."""
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), _STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
