"""Bring the programs of the sandbox: `python -m forerun.sandbox.binaries` gets all and prints their folder.

Looked for in this order, each program for itself: the folders named by `FORERUN_ASSETS` and
`KUBEBUILDER_ASSETS`; the user's cache; the release pages, where they are reached; a build
from Go modules. What is fetched or built goes to the cache in one rename, under a lock, so
two runs do not do it twice and an interrupted one leaves nothing half.
"""

import fcntl
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from forerun.sandbox import go_build, releases
from forerun.sandbox.commands import SandboxError
from forerun.sandbox.progress import say
from forerun.sandbox.versions import PROGRAMS, digest_of
from forerun.sandbox.workdir import end_on_signals

Binaries = Mapping[str, Path]
"""Name of a program -> its path."""

_ASSETS = ("FORERUN_ASSETS", "KUBEBUILDER_ASSETS")


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """The user's cache: `$XDG_CACHE_HOME/forerun`, else `~/.cache/forerun`."""
    return Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "forerun"


def present(names: Iterable[str] = PROGRAMS, environment: Mapping[str, str] = os.environ) -> Binaries:
    """Those of `names` that are here already; nothing is fetched or built."""
    folders = [Path(environment[variable]) for variable in _ASSETS if environment.get(variable)]
    cache = cache_folder(environment)
    found: dict[str, Path] = {}
    for name in names:
        places = (folder / name for folder in (*folders, _programs_folder(cache, name)))
        place = next((place for place in places if os.access(place, os.X_OK)), None)
        if place is not None:
            found[name] = place.absolute()
    return MappingProxyType(found)


def require(names: Iterable[str] = PROGRAMS, environment: Mapping[str, str] = os.environ) -> Binaries:
    """`present`, or SandboxError with the remedy where one is missing: for callers that must not take minutes."""
    wanted = tuple(names)
    found = present(wanted, environment)
    if missing := ", ".join(name for name in wanted if name not in found):
        raise SandboxError(f"missing {missing}: run `make binaries` (or `python -m forerun.sandbox.binaries`)")
    return found


def ensure(names: Iterable[str] = PROGRAMS, environment: Mapping[str, str] = os.environ) -> Binaries:
    """Paths of all `names`, fetched or built where they are not here. Raises SandboxError with the remedy."""
    wanted = tuple(names)
    found = present(wanted, environment)
    if len(found) == len(wanted):
        return found
    cache = cache_folder(environment)
    with _locked(cache):
        found = present(wanted, environment)  # the other run may have brought them
        missing = [name for name in wanted if name not in found]
        missing = _download(missing, cache, environment)
        _build(missing, cache)
    return present(wanted, environment)


def _programs_folder(cache: Path, program: str) -> Path:
    return cache / digest_of(program) / "bin"


@contextmanager
def _locked(cache: Path) -> Iterator[None]:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = os.open(cache / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as failed:
        raise SandboxError(f"{cache}: {failed.strerror}: set XDG_CACHE_HOME to a folder that can be written") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("another run prepares the binaries; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        for left_over in cache.glob("tmp-*"):  # of a run that was killed: nobody else holds the lock
            shutil.rmtree(left_over, ignore_errors=True)
        yield
    finally:
        os.close(lock)


@contextmanager
def _scratch(cache: Path) -> Iterator[Path]:
    folder = cache / f"tmp-{os.getpid()}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _keep(program: Path, cache: Path) -> None:
    folder = _programs_folder(cache, program.name)
    folder.mkdir(parents=True, exist_ok=True)
    program.replace(folder / program.name)


def _download(names: list[str], cache: Path, environment: Mapping[str, str]) -> list[str]:
    """Fetch what the release pages serve; the names that are still missing."""
    first = releases.kwokctl_release(environment)
    if not names or not releases.reached(first.url):
        return names
    with _scratch(cache) as scratch:
        try:
            kwokctl = present(("kwokctl",), environment).get("kwokctl") or _fetched("kwokctl", first, scratch, cache)
            sources = {**releases.releases(kwokctl, environment), "kwokctl": first}
        except (OSError, ValueError, SandboxError) as failed:
            say(f"release pages: {failed}; building instead")
            return names
        answers = {releases.host(first): True}
        return [name for name in names if not _served(name, sources.get(name), answers, scratch, cache)]


def _served(name: str, source: releases.Release | None, answers: dict[str, bool], scratch: Path, cache: Path) -> bool:
    """Fetch one program where its host answers; `answers` remembers which do, so that each is asked once."""
    if source is None:
        return False
    try:
        if os.access(_programs_folder(cache, name) / name, os.X_OK):
            return True  # kwokctl, a moment ago
        host = releases.host(source)
        if host not in answers:
            answers[host] = releases.reached(source.url)
        if not answers[host]:
            return False
        _fetched(name, source, scratch, cache)
    except (OSError, ValueError) as failed:
        say(f"{name}: {failed}; building instead")
        return False
    return True


def _fetched(name: str, source: releases.Release, scratch: Path, cache: Path) -> Path:
    _keep(releases.fetch(name, source, scratch), cache)
    return _programs_folder(cache, name) / name


def _build(names: list[str], cache: Path) -> None:
    if not names:
        return
    go = go_build.go_toolchain(cache)
    for what in go_build.builds_of(names):
        with _scratch(cache) as scratch:
            try:
                go_build.build(go, what, scratch)
            except SandboxError as failed:
                programs = ", ".join(what.programs)
                raise SandboxError(f"{programs} cannot be built ({failed}): {go_build.REMEDY}") from None
            for name in what.programs:
                _keep(scratch / name, cache)


def main() -> int:
    """Get all programs and print the folder, or each path where they lie in several."""
    end_on_signals()
    try:
        found = ensure()
    except SandboxError as failed:
        say(f"forerun: {failed}")
        return 1
    folders = {path.parent for path in found.values()}
    lines = [str(folder) for folder in folders] if len(folders) == 1 else [str(path) for path in found.values()]
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
