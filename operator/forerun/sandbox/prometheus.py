"""A real Prometheus on a free loopback port, with history written before it starts."""

import asyncio
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from forerun.sandbox.binaries import Binaries, require
from forerun.sandbox.commands import SandboxError, run_async
from forerun.sandbox.workdir import WorkFolder, free_ports, sweep

_START_SECONDS = 30.0
_QUERY_SECONDS = 10.0
_RETENTION = "10y"  # replays may lie far back; the folder is removed at the end anyway


@dataclass(frozen=True, slots=True)
class ScrapeTarget:
    """What Prometheus scrapes: `address` is host:port; its series carry `job` and `instance`."""

    address: str
    job: str = "shop"
    instance: str = "shop"


@dataclass(frozen=True, slots=True)
class CounterHistory:
    """Past samples (aware UTC, counter value) of one counter, ascending; `metric` ends in `_total`.

    With the `job` and `instance` of a ScrapeTarget that serves the same metric and labels,
    history and live samples are one series.
    """

    metric: str
    labels: Mapping[str, str]
    samples: Iterable[tuple[datetime, float]]
    job: str = "shop"
    instance: str = "shop"


class PrometheusServer:
    """`backfill` any number of times, then `start`; or `async with` for both ends."""

    def __init__(
        self,
        targets: Sequence[ScrapeTarget] = (),
        *,
        scrape_interval_seconds: float = 1.0,
        binaries: Binaries | None = None,
        parent: Path | None = None,
    ) -> None:
        self._targets = tuple(targets)
        self._interval_seconds = scrape_interval_seconds
        self._binaries = binaries
        self._parent = parent
        self._folder: WorkFolder | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._port = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """`http://127.0.0.1:<port>`, once it is started."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def backfill(self, history: Iterable[CounterHistory]) -> None:
        """Write past samples into the storage, before the start. Raises SandboxError."""
        if self._process is not None:
            raise SandboxError("backfill() comes before start(): a running Prometheus does not read new blocks")
        folder = self._work_folder()
        text = folder / "history.txt"
        text.write_text("".join([*_openmetrics(history), "# EOF\n"]))
        promtool = self._programs()["promtool"]
        # promtool reads the whole text once per block: months in one block, not one per two hours
        import_blocks = ["tsdb", "create-blocks-from", "--max-block-duration=1000h", "openmetrics", "--quiet"]
        await run_async([str(promtool), *import_blocks, str(text), str(folder / "data")], os.environ)
        text.unlink()

    async def start(self) -> None:
        """Up and ready for queries. Raises SandboxError; then nothing is left running."""
        folder = self._work_folder()
        try:
            await self._launch(folder)
            await asyncio.wait_for(self._ready(), _START_SECONDS)
        except TimeoutError:
            await self.stop()
            raise SandboxError(f"Prometheus was not ready within {_START_SECONDS:g} s") from None
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End it by its pid and remove its folder. Any number of times."""
        folder, self._folder = self._folder, None
        process, self._process = self._process, None
        if folder is not None:
            folder.close()
        if process is not None:
            await process.wait()

    async def query(self, promql: str, at: datetime | None = None) -> list[dict[str, Any]]:
        """The result of an instant query as the API gives it. Raises SandboxError with Prometheus' words."""
        moment = {} if at is None else {"time": f"{at.timestamp():.3f}"}
        return await self._ask("query", {"query": promql, **moment})

    async def query_range(
        self, promql: str, start: datetime, end: datetime, step_seconds: float
    ) -> list[dict[str, Any]]:
        """The result of a range query as the API gives it. Raises SandboxError with Prometheus' words."""
        span = {"start": f"{start.timestamp():.3f}", "end": f"{end.timestamp():.3f}", "step": f"{step_seconds:g}"}
        return await self._ask("query_range", {"query": promql, **span})

    async def value(self, promql: str) -> float | None:
        """The one number that `promql` gives now; None where it gives none."""
        result = await self.query(promql)
        return float(result[0]["value"][1]) if result else None

    def _work_folder(self) -> Path:
        if self._folder is None:
            sweep(self._parent)
            self._folder = WorkFolder(self._parent, "prometheus")
        return self._folder.path

    def _programs(self) -> Binaries:
        return self._binaries or require(("prometheus", "promtool"))

    async def _launch(self, folder: Path) -> None:
        program = self._programs()["prometheus"]
        (self._port,) = free_ports(1)
        config = folder / "prometheus.yaml"
        config.write_text(json.dumps(_config(self._targets, self._interval_seconds)))
        with (folder / "prometheus.log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                str(program),
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--storage.tsdb.retention.time={_RETENTION}",
                f"--web.listen-address=127.0.0.1:{self._port}",
                "--log.level=warn",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # a Ctrl-C in the terminal is for us, who end it in our own time
                start_new_session=True,
            )
        if self._folder is not None:
            self._folder.pid_file("prometheus").write_text(str(self._process.pid))

    async def _ready(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                if self._process is None or self._process.returncode is not None:
                    raise SandboxError(f"Prometheus ended while it started: {self._last_words()}")
                try:
                    async with session.get(f"{self.url}/-/ready") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass  # not listening yet
                await asyncio.sleep(0.05)

    def _last_words(self) -> str:
        log = self._work_folder() / "prometheus.log"
        lines = log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it left no log"

    async def _ask(self, what: str, parameters: Mapping[str, str]) -> list[dict[str, Any]]:
        timeout = aiohttp.ClientTimeout(total=_QUERY_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"{self.url}/api/v1/{what}", params=dict(parameters)) as answer,
            ):
                body = await answer.json()
        except (aiohttp.ClientError, TimeoutError, ValueError) as failed:
            raise SandboxError(f"Prometheus does not answer: {failed!r}") from failed
        if body.get("status") != "success":
            raise SandboxError(f"Prometheus refuses {parameters['query']!r}: {body.get('error')}")
        result: list[dict[str, Any]] = body["data"]["result"]
        return result


def _config(targets: Sequence[ScrapeTarget], interval_seconds: float) -> dict[str, Any]:
    interval = f"{round(interval_seconds * 1000)}ms"
    return {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "scrape_configs": [
            {
                "job_name": job,
                "static_configs": [
                    {"targets": [target.address], "labels": {"instance": target.instance}}
                    for target in targets
                    if target.job == job
                ],
            }
            for job in dict.fromkeys(target.job for target in targets)
        ],
    }


def _openmetrics(history: Iterable[CounterHistory]) -> Iterable[str]:
    for series in history:
        labels = {**series.labels, "job": series.job, "instance": series.instance}
        inside = ",".join(f"{name}={json.dumps(value)}" for name, value in sorted(labels.items()))
        yield f"# TYPE {series.metric.removesuffix('_total')} counter\n"
        for at, value in series.samples:
            yield f"{series.metric}{{{inside}}} {value!r} {at.astimezone(UTC).timestamp():.3f}\n"
