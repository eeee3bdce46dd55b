"""The operator as a process of its own, with the chart's ServiceAccount and nothing else."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import aiohttp

from forerun.sandbox.commands import SandboxError
from forerun.sandbox.workdir import free_ports

_READY_SECONDS = 60.0
_STOP_SECONDS = 10.0


class OperatorProcess:
    """`start` until it is ready, `stop` at any time; its log is a file.

    `kubeconfig` lies in the control plane's work folder: with its path on the command line
    and the pid recorded there, the operator is ended with the control plane in any case.
    """

    def __init__(self, kubeconfig: Path, log: Path, settings: dict[str, str]) -> None:
        self._kubeconfig = kubeconfig
        self._log = log
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Up and leading. Raises SandboxError with the operator's last words."""
        (port,) = free_ports(1)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FORERUN_")}
        environment |= {**self._settings, "FORERUN_HEALTH_HOST": "127.0.0.1", "FORERUN_HEALTH_PORT": str(port)}
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "forerun.cli.main", "run", "--kubeconfig", str(self._kubeconfig)),
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # a Ctrl-C in the terminal is for us, who end it in our own time
                start_new_session=True,
            )
        pids = self._kubeconfig.parent / "pids"
        pids.mkdir(exist_ok=True)
        (pids / "operator.pid").write_text(str(self._process.pid))
        try:
            await asyncio.wait_for(self._ready(f"http://127.0.0.1:{port}/readyz"), _READY_SECONDS)
        except TimeoutError:
            raise SandboxError(f"the operator was not ready within {_READY_SECONDS:g} s: {self.last_words()}") from None

    def refuse_dead(self) -> None:
        """Raises SandboxError where it has ended."""
        if self._process is not None and self._process.returncode is not None:
            raise SandboxError(f"the operator ended ({self._process.returncode}): {self.last_words()}; see {self._log}")

    async def stop(self) -> None:
        """End it by its pid: politely, then not. Any number of times."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()

    def last_words(self) -> str:
        """The last line of its log, the exception's where there is one."""
        lines = self._log.read_text(errors="replace").strip().splitlines() if self._log.exists() else []
        if not lines:
            return "it left no log"
        try:
            entry = json.loads(lines[-1])
        except ValueError:
            return lines[-1]
        told = str(entry.get("exception") or entry.get("event", "")).strip().splitlines()
        return told[-1] if told else lines[-1]

    async def _ready(self, url: str) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                self.refuse_dead()
                try:
                    async with session.get(url) as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass  # not listening yet
                await asyncio.sleep(0.1)
