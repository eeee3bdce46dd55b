"""Open-loop load on one address: requests leave when they are due, whether or not others were answered.

A closed loop waits for a slow server and so never shows how slow it is. Arrivals are random (exponential gaps from a
seed), as those of many shoppers are. Everything is bounded: the rate, the length of a step, the requests in flight,
the wait for an answer, and how much of an answer is read.
"""

import asyncio
import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp

from forerun.calibrate.search import Measurement, Objective

_RANGE = re.compile(r"\{(\d{1,18})\.\.(\d{1,18})\}")
_MOST_IN_FLIGHT = 2000
_LEAST_REQUESTS = 120  # of a step: a quantile of fewer says little
_LONGEST_STEP_SECONDS = 60.0
_LEAST_TIMEOUT_SECONDS, _MOST_TIMEOUT_SECONDS = 2.0, 30.0


class TargetError(Exception):
    """The address does not answer as it must; one line."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked. `{1..500}` in the URL or the body becomes a number of that range, anew for each request."""

    url: str
    body: str | None = None
    headers: Mapping[str, str] | None = None


class LoadGenerator:
    """`async with LoadGenerator(...)`; `check` once, then `measure` any number of times, one after the other."""

    def __init__(self, target: Target, objective: Objective, step_seconds: float, seed: int = 1) -> None:
        self._target = target
        self._objective = objective
        self._step_seconds = step_seconds
        self._random = random.Random(seed)  # noqa: S311  # arrivals, not secrets
        patience = 20.0 * objective.latency_seconds
        self._timeout_seconds = min(max(patience, _LEAST_TIMEOUT_SECONDS), _MOST_TIMEOUT_SECONDS)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._timeout_seconds),
            connector=aiohttp.TCPConnector(limit=0),
            headers={"Content-Type": "application/json"} if self._target.body is not None else None,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def check(self) -> None:
        """One request. Raises TargetError where it is not answered with 2xx."""
        try:
            status = await self._ask()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as failed:
            said = str(failed) or f"no answer within {self._timeout_seconds:g} s"
            raise TargetError(f"{said}; give the address of a replica that is Ready") from None
        if not 200 <= status < 300:
            raise TargetError(f"it answers with status {status}; give an address that answers with 2xx")

    async def measure(self, rate_rps: float) -> Measurement:
        """Offer `rate_rps` for one step. It ends early once more has failed than the objective allows."""
        planned = self._arrivals(rate_rps)
        step = _Step(self._objective, len(planned))
        loop = asyncio.get_running_loop()
        begun = loop.time()
        tasks: set[asyncio.Task[None]] = set()
        for due in planned:
            await asyncio.sleep(max(0.0, begun + due - loop.time()))
            if step.lost or len(tasks) >= _MOST_IN_FLIGHT:
                break
            task = asyncio.create_task(self._one(begun + due, step))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        if step.lost or len(tasks) >= _MOST_IN_FLIGHT:
            for task in tasks:
                task.cancel()
                step.give_up()
        await asyncio.gather(*tasks, return_exceptions=True)
        return step.result(rate_rps, loop.time() - begun)

    def _arrivals(self, rate_rps: float) -> list[float]:
        """When requests are due, in seconds from the start of the step."""
        seconds = min(max(self._step_seconds, _LEAST_REQUESTS / rate_rps), _LONGEST_STEP_SECONDS)
        planned = [self._random.expovariate(rate_rps)]
        while planned[-1] < seconds:
            planned.append(planned[-1] + self._random.expovariate(rate_rps))
        return planned[:-1] or planned

    async def _one(self, due: float, step: "_Step") -> None:
        loop = asyncio.get_running_loop()
        sent = loop.time()
        try:
            ok = 200 <= await self._ask() < 300
        except (aiohttp.ClientError, TimeoutError, OSError):
            ok = False
        step.add(sent - due, loop.time() - due, ok=ok)

    async def _ask(self) -> int:
        """The status of one answer, which is read to its end."""
        if self._session is None:
            raise RuntimeError("use it with `async with`")
        url, body = self._filled(self._target.url), self._target.body
        method = "GET" if body is None else "POST"
        data = None if body is None else self._filled(body).encode()
        # a redirect would lead to an address that nobody named
        async with self._session.request(
            method, url, data=data, headers=self._target.headers, allow_redirects=False
        ) as answer:
            async for _ in answer.content.iter_chunked(65536):
                pass
            return answer.status

    def _filled(self, text: str) -> str:
        return _RANGE.sub(lambda found: str(self._random.randint(*sorted((int(found[1]), int(found[2]))))), text)


class _Step:
    """What came back so far."""

    def __init__(self, objective: Objective, planned: int) -> None:
        self._objective = objective
        self._planned = planned
        self._delays: list[float] = []
        self._latencies: list[float] = []
        self._errors = 0
        self._slow = 0

    @property
    def lost(self) -> bool:
        """Whether this step cannot meet the objective any more, by a clear margin."""
        return self._errors > 5 or self._slow > 2 * self._objective.slow_allowed(self._planned) + 20

    def add(self, send_delay_seconds: float, latency_seconds: float, *, ok: bool) -> None:
        self._delays.append(send_delay_seconds)
        if ok:
            self._latencies.append(latency_seconds)
            self._slow += latency_seconds > self._objective.latency_seconds
        else:
            self._errors += 1

    def give_up(self) -> None:
        """One request is not waited for any more: it counts as slow, as it was not answered in its time."""
        self._slow += 1

    def result(self, rate_rps: float, seconds: float) -> Measurement:
        quantile = self._objective.quantile
        return Measurement(
            rate_rps=rate_rps,
            seconds=seconds,
            requests=len(self._delays),
            slow=self._slow,
            errors=self._errors,
            latency_seconds=at_quantile(self._latencies, quantile),
            send_delay_seconds=at_quantile(self._delays, quantile) or 0.0,
        )


def at_quantile(values: Sequence[float], quantile: float) -> float | None:
    """The smallest value that at least `quantile` of all do not exceed; None of no values."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(quantile * len(values) - 1e-9) - 1)]
