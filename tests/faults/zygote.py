"""A process that has imported the operator and forks one for each line on its standard input.

A start takes some tens of milliseconds instead of seconds, and what is killed is a real process of the real
operator. Two ports are others than in production: the clock is the tests' (`clock.py`), and forecasts are asked
of one worker for all (`forecasts.py`). Answers on standard output: the pid, then `exited PID STATUS` when it ends.
"""

import asyncio
import ctypes
import gc
import json
import os
import select
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from tests.faults.clock import SharedClock
from tests.faults.forecasts import SharedForecasts

import forerun.controllers.operator as operator_of
import forerun.wiring as wiring
from forerun.cli.run import configure_logging
from forerun.settings import Settings

PARENT_DEATH = 1  # PR_SET_PDEATHSIG


def main() -> None:
    gc.collect()
    gc.freeze()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writing)
    buffered = b""
    while True:
        ready, _, _ = select.select([0, reading], [], [])
        if reading in ready:
            os.read(reading, 4096)
            _reap()
        if 0 in ready:
            data = os.read(0, 65536)
            if not data:
                return
            *lines, buffered = (buffered + data).split(b"\n")
            for line in lines:
                _fork(json.loads(line))


def _reap() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _say(f"exited {pid} {os.waitstatus_to_exitcode(status)}")


def _fork(given: dict[str, Any]) -> None:
    pid = os.fork()
    if pid:
        _say(str(pid))
        return
    code = 70
    try:
        code = _operate(given)
    except BaseException:  # into the operator's log: nobody else reads it
        traceback.print_exc()
    finally:
        os._exit(code)


def _operate(given: dict[str, Any]) -> int:
    ctypes.CDLL(None).prctl(PARENT_DEATH, signal.SIGKILL)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(given["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, number in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, number)
    os.environ |= {**given["environment"], "KUBECONFIG": given["kubeconfig"]}
    configure_logging("json")
    return asyncio.run(_run(given))


async def _run(given: dict[str, Any]) -> int:
    clock = SharedClock(Path(given["clock"]))
    ports = await wiring.connect(
        Settings.from_environment(os.environ),
        given["kubeconfig"],
        clock=clock.now,
        forecast=SharedForecasts(given["forecasts"]),
    )
    return await operator_of.serve(ports)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
