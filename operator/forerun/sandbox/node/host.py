"""Whether a real node can run on this machine, and what has to be installed for it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from forerun.sandbox.commands import SandboxError
from forerun.sandbox.node.configuration import CNI_PLUGINS
from forerun.sandbox.progress import step

PROGRAMS = {
    "runc": "runc",
    "nft": "nftables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
    "gcc": "gcc",
}
"""Program -> the Debian package that brings it."""

_PLUGINS = ("bridge", "host-local", "loopback", "portmap")


def refusal() -> str | None:
    """Why no node can run here at all, in one line; None where one can."""
    if sys.platform != "linux":
        return "a real node needs Linux"
    if os.geteuid() != 0:
        return "a real node needs root (namespaces, mounts, control groups)"
    if not Path("/proc/self/ns/net").exists() or "overlay" not in Path("/proc/filesystems").read_text():
        return "a real node needs a kernel with namespaces and overlayfs"
    return None


def missing_packages() -> tuple[str, ...]:
    """The Debian packages whose programs are not here."""
    missing = {package for program, package in PROGRAMS.items() if shutil.which(program, path=_path()) is None}
    if not all((Path(CNI_PLUGINS) / plugin).exists() for plugin in _PLUGINS):
        missing.add("containernetworking-plugins")
    return tuple(sorted(missing))


def install(packages: tuple[str, ...]) -> None:
    """Install packages with apt-get, and say which. Raises SandboxError with the remedy."""
    if not packages:
        return
    names = " ".join(packages)
    remedy = f"install {names} by hand (the names are Debian's)"
    if shutil.which("apt-get") is None:
        raise SandboxError(f"a real node needs {names}, and there is no apt-get: {remedy}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with step(f"apt-get: installing {names}", 30):
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
            done = subprocess.run(
                ["apt-get", "--quiet", *command], env=quiet, capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                said = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
                raise SandboxError(f"apt-get {command[0]} failed ({said}): {remedy}")


def _path() -> str:
    """Where the programs of the system's administrator lie too."""
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
