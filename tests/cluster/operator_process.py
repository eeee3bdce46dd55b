"""The real operator as a process of its own: started, killed without a word, started again."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import aiohttp

from forerun.sandbox.workdir import free_ports

READY_SECONDS = 120.0
SETTINGS: Mapping[str, str] = {
    "FORERUN_HEALTH_HOST": "127.0.0.1",
    "FORERUN_METRIC_INTERVAL_SECONDS": "1",
    "FORERUN_METRICS_ALLOWED_CIDRS": "127.0.0.0/8,::1",
    "FORERUN_METRIC_MAX_AGE_SECONDS": "20",
    "FORERUN_FORECAST_REFRESH_SECONDS": "15",
    "FORERUN_PREPARE_SECONDS": "5",
    "FORERUN_RESYNC_SECONDS": "5",
    "FORERUN_BACKGROUND_WRITES_PER_SECOND": "200",
    "FORERUN_RECOVERY_REQUESTS_PER_SECOND": "500",  # many scenarios begin at once
}


class OperatorProcess:
    """`python -m forerun.cli.main run` for some namespaces, with a Lease of its own in `system`.

    `work_folder` is the control plane's: with a file of it on the command line and the pid
    recorded there, the process ends with the control plane, whatever happens to the tests.
    """

    def __init__(
        self, work_folder: Path, identity: str, system: str, namespaces: Sequence[str], **settings: str
    ) -> None:
        self.identity = identity
        self.log = work_folder / f"operator-{identity}.log"
        self._work_folder = work_folder
        self._settings = {
            **SETTINGS,
            "FORERUN_NAMESPACE": system,
            "FORERUN_WATCH_NAMESPACES": ",".join(namespaces),
            "FORERUN_IDENTITY": identity,
            **settings,
        }
        self._process: asyncio.subprocess.Process | None = None
        self._port = 0

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.returncode if self._process else None

    async def start(self, *, wait: bool = True) -> None:
        """Start it; with `wait`, until it leads and has seen everything."""
        (self._port,) = free_ports(1)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("FORERUN_")}
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "forerun.cli.main", "run"),
                *("--kubeconfig", str(self._work_folder / "kubeconfig")),
                env={**clean, **self._settings, "FORERUN_HEALTH_PORT": str(self._port)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        pids = self._work_folder / "pids"
        pids.mkdir(exist_ok=True)
        (pids / f"operator-{self.identity}.pid").write_text(str(self.pid))
        if wait:
            await self.until_ready()

    async def until_ready(self) -> None:
        """It answers /readyz: it leads, and its index is filled."""
        async with asyncio.timeout(READY_SECONDS):
            while await self.answer("readyz") != 200:
                assert self.runs, f"operator {self.identity} ended with {self.code}: {self.last_words()}"
                await asyncio.sleep(0.1)

    async def answer(self, path: str) -> int:
        """The HTTP status of a probe; 0 where nobody answers."""
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
                session.get(f"http://127.0.0.1:{self._port}/{path}") as response,
            ):
                return response.status
        except (aiohttp.ClientError, TimeoutError):
            return 0

    async def kill(self) -> None:
        """SIGKILL, by its own pid: no time for a last word."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int | None:
        """SIGTERM; its exit code. SIGKILL where it does not end."""
        try:
            async with asyncio.timeout(20):
                return await self._end(signal.SIGTERM)
        except TimeoutError:
            await self.kill()
            return None

    def last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines() if self.log.exists() else []
        return "\n".join(lines[-5:])

    async def _end(self, number: signal.Signals) -> int | None:
        if self._process is None:
            return None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        return await self._process.wait()
