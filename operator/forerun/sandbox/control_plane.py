"""A real control plane on loopback: etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok.

Started by `kwokctl create cluster --runtime binary`, with a name, a work folder and ports
of its own, so any number of them run beside each other. Nodes and pods are kwok's: real
objects, scheduled by the real scheduler and scaled by the real HPA, with no container
behind them. About 600 MiB in all.
"""

import asyncio
import base64
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Self

from forerun.sandbox.binaries import Binaries, require
from forerun.sandbox.commands import CommandError, SandboxError, run, run_async
from forerun.sandbox.versions import PROGRAMS
from forerun.sandbox.workdir import WorkFolder, free_ports, sweep

EXTERNAL_METRICS_HOST = "forerun-external-metrics.kube-system.svc"
READY_DELAY = "pod-ready.stage.kwok.x-k8s.io/delay"
"""Annotation of a pod template: how long its pods take from scheduled to Ready ("45s")."""

NODE_ALLOCATABLE: Mapping[str, str] = {"cpu": "64", "memory": "256Gi", "pods": "250"}

_PROGRAMS = tuple(name for name in PROGRAMS if name not in {"prometheus", "promtool"})
_START_SECONDS = 90.0
_ATTEMPTS = 3


class PortTakenError(SandboxError):
    """Somebody took one of the chosen ports before the component could; try again with others."""


class ControlPlane:
    """`async with ControlPlane() as plane`, or `start()` and `stop()`.

    `binaries` default to those that are here; `binaries.ensure` brings them, which takes
    minutes where they must be built. `downscale_stabilization_seconds` is the HPA's window
    for scaling down (300 s by default in Kubernetes, too long to watch). `flags` are more
    flags of components, without dashes: `{"kube-apiserver": {"v": "4"}}`.
    `names` are more names and addresses of the API server's certificate.
    `unlimited_requests` lifts the limits of requests per second, for benchmarks.
    """

    def __init__(
        self,
        binaries: Binaries | None = None,
        *,
        parent: Path | None = None,
        hpa_sync_seconds: float = 1.0,
        downscale_stabilization_seconds: float = 5.0,
        unlimited_requests: bool = False,
        flags: Mapping[str, Mapping[str, str]] | None = None,
        names: Sequence[str] = (),
    ) -> None:
        self._given = binaries
        self._parent = parent
        self._unlimited = unlimited_requests
        self._names = (EXTERNAL_METRICS_HOST, *names)
        self._flags: dict[str, dict[str, str]] = {
            "kube-controller-manager": {
                "horizontal-pod-autoscaler-sync-period": f"{hpa_sync_seconds:g}s",
                "horizontal-pod-autoscaler-downscale-stabilization": f"{downscale_stabilization_seconds:g}s",
                "leader-elect": "false",  # one of each runs: an election would only cost seconds
            },
            "kube-scheduler": {"leader-elect": "false"},
        }
        for component, more in (flags or {}).items():
            self._flags.setdefault(component, {}).update(more)
        self.name = f"forerun-{secrets.token_hex(4)}"
        self._folder: WorkFolder | None = None
        self._binaries: Binaries | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def work_folder(self) -> Path:
        """The folder of everything that this control plane writes; removed by `stop`."""
        if self._folder is None:
            raise SandboxError("the control plane is not started: call start() first")
        return self._folder.path

    @property
    def kubeconfig(self) -> Path:
        """Path of the administrator's kubeconfig."""
        return self.work_folder / "kubeconfig"

    @property
    def pki(self) -> Path:
        """Folder with `ca.crt`, `admin.crt` and `admin.key`; the last two also serve on `localhost`."""
        return self.work_folder / "clusters" / self.name / "pki"

    @property
    def binaries(self) -> Binaries:
        if self._binaries is None:
            raise SandboxError("the control plane is not started: call start() first")
        return self._binaries

    def pids(self) -> tuple[int, ...]:
        """Process ids of the components that run."""
        return self._folder.running() if self._folder else ()

    async def start(self) -> None:
        """Up and ready for objects, in a few seconds. Raises SandboxError; then nothing is left running."""
        await asyncio.to_thread(sweep, self._parent)
        self._binaries = self._given or require(_PROGRAMS)
        for attempt in range(1, _ATTEMPTS + 1):
            self._folder = WorkFolder(self._parent, "cluster")
            try:
                await asyncio.wait_for(self._create(self._folder), _START_SECONDS)
            except PortTakenError:
                await self.stop()
                if attempt == _ATTEMPTS:
                    raise
            except TimeoutError:
                said = self._last_words("kube-apiserver")
                await self.stop()
                raise SandboxError(f"the control plane was not ready within {_START_SECONDS:g} s: {said}") from None
            except BaseException:
                await self.stop()
                raise
            else:
                return

    async def stop(self) -> None:
        """End every process by its pid and remove the work folder. Any number of times."""
        folder, self._folder = self._folder, None
        if folder is not None:
            # in this thread, as a cancelled task must still wait for it
            folder.close()

    def environment(self) -> dict[str, str]:
        """The variables for programs that are to speak to this control plane; caches stay in the work folder."""
        return {
            **os.environ,
            "PATH": f"{self.binaries['kubectl'].parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "KUBECONFIG": str(self.kubeconfig),
            "KUBECACHEDIR": str(self.work_folder / "kubectl-cache"),
            "HELM_CACHE_HOME": str(self.work_folder / "helm" / "cache"),
            "HELM_CONFIG_HOME": str(self.work_folder / "helm" / "config"),
            "HELM_DATA_HOME": str(self.work_folder / "helm" / "data"),
        }

    async def kubectl(self, *args: str, text: str | None = None) -> str:
        """Run kubectl with `text` on its standard input; its standard output. Raises CommandError."""
        return await run_async([str(self.binaries["kubectl"]), *args], self.environment(), text)

    def kubectl_sync(self, *args: str, text: str | None = None) -> str:
        """`kubectl` for callers without an event loop."""
        return run([str(self.binaries["kubectl"]), *args], self.environment(), text)

    async def helm(self, *args: str) -> str:
        """Run helm; its standard output. Raises CommandError."""
        return await run_async([str(self.binaries["helm"]), *args], self.environment())

    def helm_sync(self, *args: str) -> str:
        """`helm` for callers without an event loop."""
        return run([str(self.binaries["helm"]), *args], self.environment())

    async def create_nodes(
        self,
        count: int,
        *,
        prefix: str = "node",
        labels: Mapping[str, str] | None = None,
        allocatable: Mapping[str, str] | None = None,
    ) -> None:
        """Create `count` Ready nodes `prefix-0`, ...; `allocatable` adds to or replaces NODE_ALLOCATABLE.

        An accelerator is one more resource: `{"nvidia.com/gpu": "8"}`.
        """
        offer = {**NODE_ALLOCATABLE, **(allocatable or {})}
        nodes = [
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {
                    "name": f"{prefix}-{number}",
                    "labels": {**(labels or {}), "kubernetes.io/hostname": f"{prefix}-{number}", "type": "kwok"},
                },
                "status": {"allocatable": offer, "capacity": offer},
            }
            for number in range(count)
        ]
        await self.kubectl("create", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": nodes}))
        names = [f"node/{prefix}-{number}" for number in range(count)]
        await self.kubectl("wait", "--for=condition=Ready", "--timeout=60s", *names)

    async def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """Path of a kubeconfig that speaks as that ServiceAccount, with its rights only, for 24 hours."""
        token = (await self.kubectl("create", "token", name, "--namespace", namespace, "--duration", "24h")).strip()
        view = json.loads(await self.kubectl("config", "view", "--raw", "--output", "json"))
        authority = base64.b64encode((self.pki / "ca.crt").read_bytes()).decode()
        cluster = {"server": view["clusters"][0]["cluster"]["server"], "certificate-authority-data": authority}
        who = f"{namespace}-{name}"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": self.name, "cluster": cluster}],
            "users": [{"name": who, "user": {"token": token}}],
            "contexts": [{"name": who, "context": {"cluster": self.name, "user": who, "namespace": namespace}}],
            "current-context": who,
        }
        path = self.work_folder / f"kubeconfig-{who}"
        path.touch(mode=0o600)
        path.write_text(json.dumps(config))
        return path

    async def _create(self, folder: WorkFolder) -> None:
        command = self._kwokctl_command(folder.path)
        environment = {
            **self.environment(),
            "KWOK_WORKDIR": str(folder.path),
            "KWOK_KUBECTL_BINARY": str(self.binaries["kubectl"]),
        }
        creating = asyncio.create_task(run_async(command, environment))
        try:
            # kwokctl waits two minutes for an API server that may have ended long ago
            while not creating.done():
                self._refuse_dead(folder)
                await asyncio.wait([creating], timeout=0.2)
            await creating
        finally:
            creating.cancel()
            await asyncio.wait([creating])
        await self._ready(folder)

    def _kwokctl_command(self, folder: Path) -> list[str]:
        etcd, peer, api, manager, scheduler, kwok = free_ports(6)
        options = {
            "bindAddress": "127.0.0.1",
            "etcdPeerPort": peer,
            # the aggregated API of sandbox.external_metrics serves with the same certificate
            "kubeApiserverCertSANs": list(self._names),
            "disableQPSLimits": self._unlimited,
        }
        config = {
            "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
            "kind": "KwokctlConfiguration",
            "options": options,
            # Aggregated APIs: kwokctl gives the front proxy its certificate, which is all that ours checks; a
            # server that wants to know the user needs the requestheader flags too (`flags`).
            # Not as --extra-args: kwokctl 0.8.0 mixes up the components where there are several.
            "componentsPatches": [
                {"name": component, "extraArgs": [{"key": key, "value": value} for key, value in more.items()]}
                for component, more in self._flags.items()
            ],
        }
        settings, stages = folder / "kwokctl.yaml", folder / "stages.yaml"
        settings.write_text(json.dumps(config))
        stages.write_text(resources.files("forerun.sandbox").joinpath("stages.yaml").read_text())
        return [
            str(self.binaries["kwokctl"]),
            *("create", "cluster", "--name", self.name, "--runtime", "binary"),
            *("--config", str(settings), "--config", str(stages)),
            *("--kubeconfig", str(folder / "kubeconfig")),
            *("--etcd-binary", str(self.binaries["etcd"]), "--etcd-port", str(etcd)),
            *("--kube-apiserver-binary", str(self.binaries["kube-apiserver"]), "--kube-apiserver-port", str(api)),
            *("--kube-controller-manager-binary", str(self.binaries["kube-controller-manager"])),
            *("--kube-controller-manager-port", str(manager)),
            *("--kube-scheduler-binary", str(self.binaries["kube-scheduler"])),
            *("--kube-scheduler-port", str(scheduler)),
            *("--kwok-controller-binary", str(self.binaries["kwok"]), "--controller-port", str(kwok)),
        ]

    async def _ready(self, folder: WorkFolder) -> None:
        """The API server serves all of its groups, and the controller manager works."""
        for question in (("get", "--raw", "/readyz"), ("get", "serviceaccount", "default", "--namespace", "default")):
            while True:
                try:
                    await self.kubectl(*question)
                except CommandError:
                    self._refuse_dead(folder)
                    await asyncio.sleep(0.1)
                else:
                    break

    def _refuse_dead(self, folder: WorkFolder) -> None:
        dead = folder.dead()
        if not dead:
            return
        said = self._last_words(dead[0])
        if "address already in use" in said:
            raise PortTakenError(f"{dead[0]}: a port that was free is taken now; start again")
        raise SandboxError(f"{dead[0]} ended while the control plane started: {said}")

    def _last_words(self, component: str) -> str:
        log = self.work_folder / "clusters" / self.name / "logs" / f"{component}.log"
        lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        return lines[-1] if lines else "it left no log"
