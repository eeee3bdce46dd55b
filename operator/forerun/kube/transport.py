"""One request to the API server: bounded in time and number, retried where the server asks for it."""

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from forerun.kube.connection import TIMEOUT_SECONDS, Connection
from forerun.kube.errors import Fenced, Unavailable, error_of
from forerun.kube.pace import Pace

ATTEMPTS = 4  # in all, for 429 and 503
BACKOFF_SECONDS = 0.25  # where the server names no Retry-After; doubles
LONGEST_WAIT_SECONDS = 5.0  # whatever Retry-After says: the caller decides anew sooner than that
JITTER = 0.25

Object = dict[str, Any]
Objects = list[Object]


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked: `action` is verb and object in words, for messages."""

    method: str
    path: str
    action: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    content_type: str = "application/json"
    accept: str | None = None
    urgent: bool = False  # takes no slot and is not retried: the Lease
    fenced: bool = False  # only while we lead


class Transport:
    """Sends calls over a pooled session. The official client's own path costs a third of the throughput:

    it walks every body and header through its model serialiser; credentials, certificates
    and configuration are still the official client's.
    """

    def __init__(self, connection: Connection, concurrency: int, pace: Pace | None = None) -> None:
        self._connection = connection
        self._pace = pace
        self._slots = asyncio.Semaphore(concurrency)
        self._renewing = asyncio.Lock()
        self.fence: Callable[[], bool] | None = None

    async def send(self, call: Call) -> Object:
        """The decoded answer; an ApiError otherwise."""
        answer, wait = _Answer(0, {}, b""), 0.0
        for attempt in range(1 if call.urgent else ATTEMPTS):
            if wait:
                await asyncio.sleep(wait)
            answer = await self._attempt(call)
            if answer.status == 401 and attempt == 0:
                await self._renew()
                continue
            if answer.status not in (429, 503):
                break
            self._stumbled()
            wait = _wait_seconds(answer.headers, attempt)
        return _decoded(call, answer)

    async def _attempt(self, call: Call) -> "_Answer":
        """Send it once, in a slot; twice where a kept-alive connection turned out to be closed."""
        try:
            if call.urgent:
                return await self._exchange(call)
            if self._pace is not None:
                await self._pace.take()
            async with self._slots:
                try:
                    return await self._exchange(call)
                except aiohttp.ServerDisconnectedError:
                    if call.method == "POST":
                        raise
                    # PUT, PATCH and DELETE may have been carried out: then their guard makes this a Conflict
                    return await self._exchange(call)
        except TimeoutError:
            self._stumbled()
            raise Unavailable(f"{call.action}: no answer within {TIMEOUT_SECONDS:g} s; it is tried again") from None
        except (aiohttp.ClientError, OSError) as error:
            self._stumbled()
            cause = " ".join(str(error).split()) or type(error).__name__
            raise Unavailable(f"{call.action}: {cause}; is the API server up?") from None

    async def _exchange(self, call: Call) -> "_Answer":
        # checked at the last moment, after every wait: what is fenced off never leaves the process
        if call.fenced and self.fence is not None and not self.fence():
            raise Fenced(f"{call.action}: not sent, this process does not hold the Lease")
        connection = self._connection
        headers: dict[str, str] = {}
        token = await connection.authorization()
        if token:
            headers["Authorization"] = token
        if call.accept:
            headers["Accept"] = call.accept
        data: bytes | None = None
        if call.body is not None:
            headers["Content-Type"] = call.content_type
            data = json.dumps(call.body, separators=(",", ":")).encode()
        query = f"?{urlencode(call.query)}" if call.query else ""
        # encoded already: yarl would take it apart and put it together again for every request
        url = URL(f"{connection.host}{call.path}{query}", encoded=True)
        async with connection.session.request(
            call.method,
            url,
            data=data,
            headers=headers,
            proxy=connection.proxy,
            server_hostname=connection.server_hostname,
            allow_redirects=False,
        ) as response:
            return _Answer(response.status, response.headers, await response.read())

    def _stumbled(self) -> None:
        if self._pace is not None:
            self._pace.stumbled()

    async def _renew(self) -> None:
        if self._renewing.locked():
            async with self._renewing:
                return  # somebody else has just done it
        async with self._renewing:
            await self._connection.renew()


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    content: bytes


def _wait_seconds(headers: Mapping[str, str], attempt: int) -> float:
    """Seconds before the next attempt: what the server asks for, bounded, and jittered upwards."""
    try:
        asked = float(headers.get("Retry-After", ""))
    except ValueError:
        asked = BACKOFF_SECONDS * 2**attempt
    # Not for secrets: it only keeps callers from coming back in step.
    return min(max(asked, 0.0), LONGEST_WAIT_SECONDS) * (1.0 + JITTER * random.random())  # noqa: S311


def _decoded(call: Call, answer: _Answer) -> Object:
    body: Any = None
    try:
        body = json.loads(answer.content) if answer.content else None
    except ValueError:
        if 200 <= answer.status <= 299:
            raise Unavailable(f"{call.action}: the answer is not JSON; is this an API server?", answer.status) from None
    if 200 <= answer.status <= 299 and isinstance(body, dict):
        return body
    if 200 <= answer.status <= 399:
        raise Unavailable(
            f"{call.action}: HTTP {answer.status} without an object; is this an API server?", answer.status
        )
    raise error_of(call.action, answer.status, body if isinstance(body, dict) else None)


def with_items(answer: Object, api_version: str, kind: str) -> Objects:
    """Items of a list; each says what it is, as single objects do."""
    items: Objects = answer.get("items") or []
    for item in items:
        item["apiVersion"], item["kind"] = api_version, kind
    return items
