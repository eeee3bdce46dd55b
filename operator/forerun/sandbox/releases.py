"""Fetch the programs of the sandbox from their release pages, where those are reached.

kwokctl would download by itself whatever it is given no path for, but only while it
starts a cluster, and without comparing sums. So it is asked what it would download
(`kwokctl get artifacts`), and that is fetched here: sums compared, nothing half. kwokctl's
own variables hold (`KWOK_BINARY_PREFIX`, `KWOK_KUBE_BINARY_PREFIX`,
`KWOK_ETCD_BINARY_PREFIX`, `KWOK_PROMETHEUS_BINARY_PREFIX`), so a mirror serves as well; for
helm, which kwokctl does not know, `FORERUN_HELM_PREFIX`.
"""

import hashlib
import os
import platform
import tarfile
import threading
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

from forerun.sandbox.commands import run
from forerun.sandbox.progress import step
from forerun.sandbox.versions import ETCD, HELM, KUBERNETES, KWOK, PROMETHEUS

REACH_SECONDS = 3.0
_READ_SECONDS = 30.0
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True, slots=True)
class Release:
    """Where one program comes from.

    `member` is its base name inside a .tar.gz, None where the file is the program.
    `sums` is the address of its SHA-256 (one sum, or a list of sums and file names); None
    where the project publishes none, as kwok.
    """

    url: str
    member: str | None = None
    sums: str | None = None


def kwokctl_release(environment: Mapping[str, str]) -> Release:
    """Where kwokctl itself comes from."""
    prefix = environment.get("KWOK_BINARY_PREFIX", f"https://github.com/kubernetes-sigs/kwok/releases/download/{KWOK}")
    return Release(f"{prefix}/kwokctl-{_system()}")


def releases(kwokctl: Path, environment: Mapping[str, str]) -> dict[str, Release]:
    """Where every other program comes from, in our versions, as `kwokctl` and its variables say."""
    versions = {
        "KWOK_KUBE_VERSION": KUBERNETES,
        "KWOK_ETCD_VERSION": ETCD.removeprefix("v"),
        "KWOK_PROMETHEUS_VERSION": PROMETHEUS,
    }
    urls = run([str(kwokctl), "get", "artifacts", "--runtime", "binary"], {**environment, **versions}).split()
    found: dict[str, Release] = {}
    for text in urls:
        url, _, member = text.partition("#")
        name = member or url.rsplit("/", 1)[-1].removesuffix(f"-{_system()}")
        found[name] = Release(url, member or None, _sums(name, url))
    if "kube-apiserver" in found:
        # its own variable has no prefix for kubectl, which lies beside the others
        sibling = found["kube-apiserver"].url.removesuffix("kube-apiserver") + "kubectl"
        found["kubectl"] = Release(sibling, None, _sums("kubectl", sibling))
    if "prometheus" in found:
        archive = found["prometheus"]
        found["promtool"] = Release(archive.url, "promtool", archive.sums)
    prefix = environment.get("FORERUN_HELM_PREFIX", "https://get.helm.sh")
    archive_url = f"{prefix}/helm-{HELM}-{_system()}.tar.gz"
    found["helm"] = Release(archive_url, "helm", f"{archive_url}.sha256sum")
    return found


def reached(url: str, seconds: float = REACH_SECONDS) -> bool:
    """Whether the host of `url` answers within `seconds`, the look-up of its name included."""
    answered = threading.Event()

    def ask() -> None:
        try:
            with _open(url, "HEAD", seconds):
                answered.set()
        except OSError:
            return

    # in a thread, as nothing else bounds the look-up of a name
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds)
    return answered.is_set()


def host(release: Release) -> str:
    """The host that serves it."""
    return urlsplit(release.url).netloc


def fetch(name: str, release: Release, into: Path) -> Path:
    """Write the program `name` into the folder `into`. Raises OSError or ValueError; then it is not there."""
    size_hint = 30 if release.member else 15
    with step(f"{name}: downloading from {host(release)}", size_hint):
        part = into / f"{name}.part"
        _download(release.url, part)
        if release.sums:
            _compare(part, release.url, release.sums)
        program = into / name
        if release.member:
            _extract(part, release.member, program)
            part.unlink()
        else:
            part.replace(program)
        program.chmod(0o755)
    return program


def _open(url: str, method: str = "GET", seconds: float = _READ_SECONDS) -> HTTPResponse:
    # S310 minds other schemes than http; these addresses are ours, or the user's own mirror
    request = urllib.request.Request(url, method=method)  # noqa: S310
    answer: HTTPResponse = urllib.request.urlopen(request, timeout=seconds)  # noqa: S310
    return answer


def _download(url: str, path: Path) -> None:
    with _open(url) as answer, path.open("wb") as file:
        length = answer.headers.get("Content-Length")
        while chunk := answer.read(1 << 20):
            file.write(chunk)
    if length is not None and path.stat().st_size != int(length):
        raise ValueError(f"{url}: {path.stat().st_size} of {length} bytes came")


def _compare(path: Path, url: str, sums: str) -> None:
    with _open(sums) as answer:
        lines = [line.split() for line in answer.read().decode().splitlines() if line.strip()]
    file = url.rsplit("/", 1)[-1]
    wanted = next((words[0] for words in lines if len(words) == 1 or words[-1].lstrip("*") == file), None)
    with path.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != wanted:
        raise ValueError(f"{url}: its SHA-256 is {found}, {sums} says {wanted}")


def _extract(archive: Path, member: str, program: Path) -> None:
    with tarfile.open(archive) as opened:
        for entry in opened:
            content = opened.extractfile(entry) if entry.isfile() and entry.name.rsplit("/", 1)[-1] == member else None
            if content is not None:
                with program.open("wb") as file:
                    while chunk := content.read(1 << 20):
                        file.write(chunk)
                return
    raise ValueError(f"{archive.name}: has no {member}")


def _sums(name: str, url: str) -> str | None:
    """Where each project publishes the sums of its releases."""
    folder = url.rsplit("/", 1)[0]
    if name.startswith("kube"):
        return f"{url}.sha256"
    return {"etcd": f"{folder}/SHA256SUMS", "prometheus": f"{folder}/sha256sums.txt"}.get(name)


def _system() -> str:
    machine = platform.machine().lower()
    return f"{os.uname().sysname.lower()}-{_ARCHITECTURES.get(machine, machine)}"
