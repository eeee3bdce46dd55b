"""Folders of running sandboxes: what was started in one is ended with it, even after a crash.

A work folder holds a lock for as long as its owner lives (the kernel gives it back when
the owner dies, however that happens), and the pid files of what was started in it. A
process is ours only where its pid stands in such a file *and* its command line names the
folder: a pid that the system has given to somebody else since is never touched.
"""

import atexit
import contextlib
import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

PREFIX = "forerun-"
_LOCK = "owner.lock"
_PID_FILES = "**/pids/*.pid"
_FIRST_PORT, _LAST_PORT = 20000, 29999  # below every system's ephemeral range, so no client takes one meanwhile


class WorkFolder:
    """A locked folder `forerun-...` under `parent` (default: the system's temporary folder)."""

    def __init__(self, parent: Path | None = None, name: str = "") -> None:
        root = parent or Path(tempfile.gettempdir())
        root.mkdir(parents=True, exist_ok=True)
        # the resolved path, as that is what stands in the command lines of what runs here
        self.path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{name}-" if name else PREFIX, dir=root)).resolve()
        # locked before it has its name: a sweep must not find it in between
        unnamed = self.path / f"{_LOCK}.new"
        self._lock = os.open(unnamed, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        unnamed.rename(self.path / _LOCK)
        self._owner = os.getpid()
        self._closed = False
        end_on_signals()
        atexit.register(self.close)

    def pid_file(self, name: str) -> Path:
        """Where the pid of the process `name` is to be written, in decimal."""
        folder = self.path / "pids"
        folder.mkdir(exist_ok=True)
        return folder / f"{name}.pid"

    def dead(self) -> tuple[str, ...]:
        """Names of those that were started here and do not run any more."""
        return tuple(file.stem for file, pid in _recorded(self.path) if not _is_ours(pid, self.path))

    def running(self) -> tuple[int, ...]:
        """Pids of what was started here and still runs."""
        return tuple(pid for _, pid in _recorded(self.path) if _is_ours(pid, self.path))

    def end_processes(self) -> None:
        """End every process that was started here, by its pid."""
        _end(self.path)

    def close(self) -> None:
        """End every process and remove the folder. Any number of times, from any thread, never raises."""
        if self._closed or os.getpid() != self._owner:  # a forked child must not end its parent's sandbox
            return
        self._closed = True
        atexit.unregister(self.close)
        _end(self.path)
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def sweep(parent: Path | None = None) -> tuple[Path, ...]:
    """End and remove the sandboxes under `parent` whose owner is dead; the folders removed."""
    root = (parent or Path(tempfile.gettempdir())).resolve()
    removed = []
    for folder in root.glob(f"{PREFIX}*"):
        try:
            lock = os.open(folder / _LOCK, os.O_RDWR)
        except OSError:
            continue  # not a sandbox, somebody else's, or just being removed
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue  # its owner lives
        else:
            _end(folder)
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(folder)
        finally:
            os.close(lock)
    return tuple(removed)


def free_ports(count: int) -> tuple[int, ...]:
    """`count` different loopback ports that nobody listens on and that no closed connection still holds."""
    found: list[int] = []
    for port in random.sample(range(_FIRST_PORT, _LAST_PORT + 1), k=_LAST_PORT - _FIRST_PORT + 1):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return tuple(found)
    raise OSError(f"no {count} free ports between {_FIRST_PORT} and {_LAST_PORT} on 127.0.0.1")


def end_on_signals() -> None:
    """Make SIGTERM and SIGHUP end this process by `sys.exit`, so that work folders are closed.

    Handlers that somebody has set already are left as they are, and so are other threads.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        try:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _leave)
        except ValueError:  # not the main thread: its owner decides about signals
            return


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _recorded(folder: Path) -> list[tuple[Path, int]]:
    records = []
    for file in folder.glob(_PID_FILES):
        try:
            records.append((file, int(file.read_text())))
        except (OSError, ValueError):
            continue  # being written
    return records


def _is_ours(pid: int, folder: Path) -> bool:
    return f"{folder}/" in _command_line(pid)


def _command_line(pid: int) -> str:
    """Empty where the process has ended."""
    if not Path("/proc/self/cmdline").exists():
        show = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
        return subprocess.run(show, capture_output=True, text=True, check=False).stdout
    deadline = time.monotonic() + 1.0
    try:
        # for a moment while a program is loaded its command line is empty; a zombie's stays so
        while not (line := Path(f"/proc/{pid}/cmdline").read_bytes()) and time.monotonic() < deadline:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in {"Z", "X"}:
                return ""
            time.sleep(0.001)
    except OSError:
        return ""
    return line.replace(b"\0", b" ").decode(errors="replace")


def _end(folder: Path) -> None:
    """All that they hold is thrown away with the folder, so there is nothing to end gracefully."""
    deadline = time.monotonic() + 5.0
    while time.monotonic() < deadline:
        # read anew each time: a starter may have recorded another one just before it ended itself
        pids = [pid for _, pid in _recorded(folder) if _is_ours(pid, folder)]
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
