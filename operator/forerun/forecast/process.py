"""The operator's side of the forecast: a child process that imports torch, asked over pipes."""

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from forerun.domain.forecast import Forecast, ForecastRequest
from forerun.domain.observation import DemandSeries
from forerun.domain.reason import Hold, Reason
from forerun.forecast import wire
from forerun.forecast.sent import SentSeries, digest_of

_BATCH = 48  # requests in one frame: coding one takes a few milliseconds, in which the event loop stands
_READY_SECONDS = 600.0  # importing torch takes seconds, on a starved machine minutes
_ANSWER_SECONDS = 30.0
_CLOSE_SECONDS = 2.0
_FIRST_BACKOFF_SECONDS = 0.5
_LONGEST_BACKOFF_SECONDS = 60.0
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")

Answers = list[Forecast | Hold]


@dataclass(slots=True)
class _Worker:
    """One child process; `opening` ends when it is ready, `watching` when it is gone, `said` is its last line."""

    process: Process
    revived: bool
    sent: SentSeries = field(default_factory=SentSeries)
    said: str = ""
    opening: asyncio.Task[None] | None = None
    watching: asyncio.Task[None] | None = None


class ForecastProcess:
    """Forecasts from a worker process, which is started again when it dies.

    `start` returns at once; the first `forecast` waits until the worker has imported torch. While a dead worker is
    being replaced nobody waits: the answer is Hold(FORECAST_UNAVAILABLE). `restarts` counts the replacements.
    """

    def __init__(
        self, threads: int = 1, time_compression: float = 1.0, answer_seconds: float = _ANSWER_SECONDS
    ) -> None:
        self.restarts = 0
        self._threads = threads
        self._time_compression = time_compression
        self._answer_seconds = answer_seconds
        self._worker: _Worker | None = None
        self._reviving: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()  # one frame on its way at a time
        self._asked: set[asyncio.Task[Answers]] = set()
        self._backoff_seconds = _FIRST_BACKOFF_SECONDS
        self._lost = "the forecast is not started"
        self._frames = 0

    async def start(self) -> None:
        """Start the worker process; does not wait until it is ready."""
        if self._worker is None:
            self._worker = await self._spawn(revived=False)

    async def forecast(self, requests: Sequence[ForecastRequest]) -> Answers:
        """One answer per request, in order; never raises for a worker that is dead, late or mad."""
        answers: Answers = []
        for first in range(0, len(requests), _BATCH):
            # a cancelled caller must not leave half a frame behind: the exchange goes on without it
            asking = asyncio.create_task(self._ask(requests[first : first + _BATCH]))
            self._asked.add(asking)
            asking.add_done_callback(self._asked.discard)
            answers.extend(await asyncio.shield(asking))
        return answers

    async def close(self) -> None:
        """End the worker; every later question is answered with a Hold."""
        worker, self._worker, self._lost = self._worker, None, "the forecast is closed"
        if self._reviving is not None:
            self._reviving.cancel()
        if worker is not None:
            await _end(worker, _CLOSE_SECONDS)

    def rss_bytes(self) -> int | None:
        """The worker's resident memory; None where there is no worker or no /proc."""
        if self._worker is None:
            return None
        try:
            pages = Path(f"/proc/{self._worker.process.pid}/statm").read_text(encoding="ascii").split()[1]
        except (OSError, IndexError):
            return None
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    async def _ask(self, requests: Sequence[ForecastRequest]) -> Answers:
        async with self._turn:
            worker = self._worker
            if worker is None or worker.opening is None:
                return _unavailable(requests, self._lost)
            if worker.revived and not worker.opening.done():
                return _unavailable(requests, "the forecast worker is starting again")
            try:
                await asyncio.shield(worker.opening)
                async with asyncio.timeout(self._answer_seconds):
                    answers = await self._exchange(worker, requests)
            except TimeoutError:
                lost = f"the forecast worker was silent for {self._answer_seconds:g} s"
            except (OSError, EOFError, ValueError, TypeError, LookupError) as error:
                lost = f"the forecast worker was lost: {worker.said or error or type(error).__name__}"
            else:
                self._backoff_seconds = _FIRST_BACKOFF_SECONDS
                return answers
        await self._bury(worker, lost)
        return _unavailable(requests, lost)

    async def _exchange(self, worker: _Worker, requests: Sequence[ForecastRequest]) -> Answers:
        """Send what the worker lacks, then the requests; coding is done in a thread."""
        pipe = worker.process.stdin
        if pipe is None or pipe.is_closing():
            raise BrokenPipeError("its pipe is closed")
        self._frames += 1
        rows = []
        passing: set[str] = set()
        for request in requests:
            history, recent = [await _send_series(worker, series) for series in (request.history, request.recent)]
            passing |= {recent} - {None} if recent else set()
            rows.append(wire.request_to(request, history, recent))
        pipe.write(await asyncio.to_thread(wire.pack, {"id": self._frames, "requests": rows}))
        await pipe.drain()
        frame = await _receive(worker)
        if frame["id"] != self._frames or len(frame["answers"]) != len(requests):
            raise ValueError("its answer belongs to another question")
        # what is recent now is of no use at the next tick
        passing |= worker.sent.surplus()
        worker.sent.drop(passing)
        pipe.write(wire.pack({"forget": sorted(passing)}))
        return await asyncio.to_thread(lambda: [wire.answer_from(answer) for answer in frame["answers"]])

    async def _spawn(self, *, revived: bool) -> _Worker:
        environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(self._threads))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "forerun.forecast.worker",
            f"--threads={self._threads}",
            f"--time-compression={self._time_compression}",
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=environment,
        )
        worker = _Worker(process, revived)
        worker.opening = asyncio.create_task(_open(worker))
        worker.watching = asyncio.create_task(self._watch(worker))
        return worker

    async def _watch(self, worker: _Worker) -> None:
        """Read what the worker says on stderr until it is gone; replace it then."""
        while worker.process.stderr is not None:
            try:
                line = await worker.process.stderr.readline()
            except ValueError:  # longer than the reader's buffer
                continue
            if not line:
                break
            worker.said = line.decode(errors="replace").strip()[:200] or worker.said
        code = await worker.process.wait()
        await self._bury(worker, f"the forecast worker ended with {code}: {worker.said}")

    async def _bury(self, worker: _Worker, lost: str) -> None:
        if self._worker is not worker:
            return
        self._worker, self._lost = None, lost
        self._reviving = asyncio.create_task(self._revive(self._backoff_seconds))
        self._backoff_seconds = min(_LONGEST_BACKOFF_SECONDS, 2.0 * self._backoff_seconds)
        await _end(worker, 0.0)

    async def _revive(self, after_seconds: float) -> None:
        await asyncio.sleep(after_seconds)
        try:
            worker = await self._spawn(revived=True)
        except OSError as error:
            self._lost = f"the forecast worker cannot be started: {error}"
            self._backoff_seconds = min(_LONGEST_BACKOFF_SECONDS, 2.0 * self._backoff_seconds)
            self._reviving = asyncio.create_task(self._revive(self._backoff_seconds))
            return
        self._worker = worker
        self.restarts += 1


def _unavailable(requests: Sequence[ForecastRequest], detail: str) -> Answers:
    return [Hold(Reason.FORECAST_UNAVAILABLE, request.storefront, {}, detail) for request in requests]


async def _open(worker: _Worker) -> None:
    async with asyncio.timeout(_READY_SECONDS):
        frame = await _receive(worker)
    if frame.get("ready") is not True:
        raise ValueError("its first word is not that it is ready")


async def _receive(worker: _Worker) -> wire.Frame:
    stdout = worker.process.stdout
    if stdout is None:
        raise BrokenPipeError("it has no output")
    length = wire.length_of(await stdout.readexactly(wire.LENGTH_BYTES))
    return await asyncio.to_thread(wire.unpack, await stdout.readexactly(length))


async def _send_series(worker: _Worker, series: DemandSeries | None) -> str | None:
    """The name of the series, which the worker holds from now on."""
    if series is None or worker.process.stdin is None:
        return None
    name = await asyncio.to_thread(digest_of, series)
    if worker.sent.is_new(name):
        frame = await asyncio.to_thread(lambda: wire.pack({"keep": name, "series": wire.series_to(series)}))
        worker.process.stdin.write(frame)
        await worker.process.stdin.drain()
    return name


async def _end(worker: _Worker, patience_seconds: float) -> None:
    """Close the worker's stdin, at which it ends; kill it where it does not."""
    process = worker.process
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(patience_seconds):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    for task in (worker.opening, worker.watching):
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
