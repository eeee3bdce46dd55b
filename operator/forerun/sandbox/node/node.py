"""Bring a node up beside a control plane, and take everything back."""

import asyncio
import base64
import contextlib
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import yaml

from forerun.sandbox.binaries import Binaries
from forerun.sandbox.commands import CommandError, SandboxError, run, run_async
from forerun.sandbox.control_plane import ControlPlane
from forerun.sandbox.node import cgroups, configuration, host
from forerun.sandbox.node.layout import API_SERVICE, Addresses, Layout, free_block
from forerun.sandbox.node.pause import write_pause
from forerun.sandbox.versions import NODE_BUILDS
from forerun.sandbox.workdir import PREFIX, WorkFolder

NODE_PROGRAMS: tuple[str, ...] = tuple(name for build in NODE_BUILDS for name in build.programs)
_READY_SECONDS = 180.0
_STOP_SECONDS = 20.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def free_addresses() -> Addresses:
    """Addresses that no route of this machine leads to."""
    routes = run(["ip", "-4", "route", "show", "table", "all"], os.environ)
    networks = [word for line in routes.splitlines() for word in line.split()[:2] if word[0].isdigit()]
    return free_block(networks, secrets.randbelow(8192))


def plane_flags(addresses: Addresses) -> dict[str, dict[str, str]]:
    """Flags of a ControlPlane that a node with these addresses can join; kwok keeps to nodes of `type: kwok`."""
    return {
        "kube-apiserver": {
            "bind-address": "0.0.0.0",  # noqa: S104  # the node's side of it does not exist yet
            "advertise-address": addresses.host,
            "kubelet-preferred-address-types": "InternalIP",
        },
        "kwok-controller": {"manage-all-nodes": "false", "manage-nodes-with-label-selector": "type=kwok"},
    }


def plane_names(addresses: Addresses) -> tuple[str, ...]:
    """Under which the API server must be known to pods."""
    return (addresses.host, API_SERVICE)


class RealNode:
    """`async with RealNode(plane, binaries, addresses)`: a Ready node. The plane was started with `plane_flags`."""

    def __init__(self, plane: ControlPlane, binaries: Binaries, addresses: Addresses) -> None:
        self._plane = plane
        self._binaries = binaries
        self._addresses = addresses
        self._process: subprocess.Popen[bytes] | None = None
        self._layout: Layout | None = None
        self._folder: WorkFolder | None = None
        self._link = ""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def layout(self) -> Layout:
        if self._layout is None:
            raise SandboxError("the node is not started: call start() first")
        return self._layout

    @property
    def pid(self) -> int | None:
        """Of the process with which everything of the node ends."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Ready for pods. Raises SandboxError; then nothing is left running."""
        if (why := host.refusal()) is not None:
            raise SandboxError(why)
        try:
            await asyncio.to_thread(self._launch)
            await asyncio.wait_for(self._joined(), _READY_SECONDS)
        except TimeoutError:
            said = self.last_words()
            await self.stop()
            raise SandboxError(f"the node was not Ready within {_READY_SECONDS:g} s: {said}") from None
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End everything with the first process of the node's namespaces, and remove what the kernel keeps."""
        # in this thread, as a cancelled task must still wait for it
        self._close()

    async def load(self, archive: Path) -> None:
        """Make the image of an OCI archive known to the node. Raises CommandError."""
        command = [str(self._binaries["ctr"]), "--address", str(self.layout.socket), "-n", "k8s.io"]
        await run_async([*command, "images", "import", "--local", str(archive)], os.environ)

    def refuse_dead(self) -> None:
        """Raises SandboxError where one of the node's programs has ended by itself."""
        ended = self.layout.folder / "ended"
        if ended.exists():
            raise SandboxError(f"{ended.read_text()} ended: {self.last_words()}")
        if self._process is None or self._process.poll() is not None:
            raise SandboxError(f"the node has ended: {self.last_words()}")

    def last_words(self) -> str:
        """The last line of the program that ended, or of the kubelet."""
        ended = self.layout.folder / "ended"
        name = ended.read_text() if ended.exists() else "kubelet"
        log = self.layout.logs / f"{name}.log"
        lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        return lines[-1] if lines else f"{name} left no log"

    def _close(self) -> None:
        process, self._process = self._process, None
        layout, self._layout = self._layout, None
        folder, self._folder = self._folder, None
        link, self._link = self._link, ""
        if process is not None:
            process.kill()  # and with it, by the kernel, all that runs in its namespaces
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)
        if link:
            # it goes with the namespace of its other end too, in the kernel's own time
            subprocess.run(["ip", "link", "delete", link], capture_output=True, check=False)
        if layout is not None:
            cgroups.remove(layout.group.strip("/"))
        if folder is not None:
            folder.close()

    def _launch(self) -> None:
        self._folder = WorkFolder(None, "node")
        name = self._folder.path.name.removeprefix(PREFIX).replace("_", "-").lower()
        self._layout = Layout(name, self._folder.path, f"/{PREFIX}{name}", self._addresses)
        self._write()
        cgroups.make(self._layout.group.strip("/"))
        separate = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
        inside = [sys.executable, "-m", "forerun.sandbox.node.inside", f"{self._layout.folder}/"]
        environment = {**os.environ, "PATH": f"{self._binaries['containerd'].parent}:{_PATH}"}
        with (self._layout.logs / "inside.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*separate, *inside],
                stdin=subprocess.PIPE,  # closed when we end: the node's first process sees it
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        self._folder.pid_file("node").write_text(str(self._process.pid))
        self._connect(self._process.pid)

    def _write(self) -> None:
        """All that the programs read."""
        layout, folder = self.layout, self.layout.folder
        for name in ("logs", "pod-logs", "cni", "volume-plugins"):
            (folder / name).mkdir()
        config = yaml.safe_load(self._plane.kubeconfig.read_text())
        port = urlsplit(config["clusters"][0]["cluster"]["server"]).port or 443
        pki = [base64.b64encode((self._plane.pki / name).read_bytes()) for name in ("ca.crt", "admin.crt", "admin.key")]
        binaries = {name: str(path) for name, path in self._binaries.items()}
        files = {
            "containerd.toml": configuration.containerd(layout),
            "cni/10-pods.conflist": configuration.document(configuration.cni(layout)),
            "kubelet.json": configuration.document(configuration.kubelet(layout)),
            "kube-proxy.json": configuration.document(configuration.kube_proxy(layout)),
            "kubeconfig": configuration.document(configuration.kubeconfig(layout, pki[0], pki[1], pki[2], port)),
            "programs.json": configuration.document({"programs": configuration.programs(layout, binaries)}),
            "resolv.conf": "",
        }
        (folder / "kubeconfig").touch(mode=0o600)
        for name, text in files.items():
            (folder / name).write_text(text)

    def _connect(self, outer: int) -> None:
        """A cable between this machine and the node: one end here, the other in its network namespace."""
        self._link = f"fr{secrets.token_hex(4)}"
        inner = _child(outer)
        here, there = f"{self._addresses.host}/30", f"{self._addresses.node}/30"
        into = ["nsenter", "--target", str(inner), "--net", "ip"]
        for command in (
            ["ip", "link", "add", self._link, "type", "veth", "peer", "name", "eth0", "netns", str(inner)],
            ["ip", "address", "add", here, "dev", self._link],
            ["ip", "link", "set", self._link, "up"],
            [*into, "link", "set", "lo", "up"],
            [*into, "address", "add", there, "dev", "eth0"],
            [*into, "link", "set", "eth0", "up"],
            [*into, "route", "add", "default", "via", self._addresses.host],
            ["ip", "route", "add", self._addresses.pods, "via", self._addresses.node],
        ):
            run(command, os.environ)
        (self.layout.folder / "connected").touch()

    async def _joined(self) -> None:
        layout = self.layout
        while not (layout.folder / "started").exists():
            self.refuse_dead()
            await asyncio.sleep(0.1)
        archive = layout.folder / "pause.tar"
        await asyncio.to_thread(write_pause, archive)
        await self.load(archive)
        while True:
            self.refuse_dead()
            try:
                await self._plane.kubectl("wait", "--for=condition=Ready", "--timeout=1s", f"node/{layout.name}")
            except CommandError:
                await asyncio.sleep(0.2)
            else:
                return


def _child(outer: int) -> int:
    """The first process of the new pid namespace, as this machine numbers it. Raises SandboxError."""
    children = Path(f"/proc/{outer}/task/{outer}/children")
    deadline = time.monotonic() + 30.0
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if pids := children.read_text().split():
                return int(pids[0])
        time.sleep(0.01)
    raise SandboxError("unshare made no namespaces on this machine")
