"""The first process of a node's namespaces: `python -m forerun.sandbox.node.inside FOLDER`.

Standard library only. It mounts what must not be seen outside, starts the programs of FOLDER/programs.json one after
the other, and takes in every orphan, as the first process of a system does. It ends when one of them ends, or when
nobody holds its standard input any more: with it the kernel ends all that runs here.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

_SOCKET_SECONDS = 120.0
_HIDDEN = ("/run", "/var/log")
"""Places where containerd and kubelet leave files whatever they are told."""


def main(folder: Path) -> int:
    for place in _HIDDEN:
        subprocess.run(["mount", "-t", "tmpfs", "forerun", place], check=True)
    while not (folder / "connected").exists():  # the cable to the machine outside
        time.sleep(0.02)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    programs: list[tuple[str, list[str]]] = json.loads((folder / "programs.json").read_text())["programs"]
    running: dict[int, str] = {}
    for name, command in programs:
        running[_start(name, command, folder)] = name
        if name == "containerd":
            _wait_for(folder / "containerd.sock", running)
    (folder / "started").touch()
    while (ended := _reaped(running)) is None:
        # nothing is ever written to it: readable means that the other end is closed
        if select.select([sys.stdin], [], [], 0.5)[0] and not os.read(0, 1):
            return 0
    (folder / "ended").write_text(ended)
    return 1


def _start(name: str, command: list[str], folder: Path) -> int:
    with (folder / "logs" / f"{name}.log").open("wb") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder).pid


def _reaped(running: dict[int, str]) -> str | None:
    """Take in what has ended; the name of one of ours, if it was one."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return "all of them"
        if pid == 0:
            return None
        if pid in running:
            return running[pid]


def _wait_for(socket: Path, running: dict[int, str]) -> None:
    deadline = time.monotonic() + _SOCKET_SECONDS
    while not socket.exists():
        ended = _reaped(running)
        if ended is not None or time.monotonic() > deadline:
            (socket.parent / "ended").write_text(ended or "containerd did not listen in time")
            sys.exit(1)
        time.sleep(0.05)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(main(Path(sys.argv[1])))
