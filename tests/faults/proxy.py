"""A TLS proxy between operators and the API server, in which everything can go wrong on demand."""

import asyncio
import contextlib
import json
import ssl
import time
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from tests.faults.certificates import make_certificates, write_kubeconfig
from tests.faults.guarding import Guard, guard_of
from tests.faults.lane import Lane
from tests.faults.paths import About, about
from tests.faults.writes import Position, Write
from yarl import URL

from forerun.sandbox.control_plane import ControlPlane
from forerun.sandbox.workdir import free_ports

LARGEST_BODY = 16 * 1024 * 1024
REASONS = {
    403: "Forbidden",
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    504: "Timeout",
}
HOP_BY_HOP = frozenset(
    {
        "connection",
        "transfer-encoding",
        "content-encoding",
        "content-length",
        "host",
        "authorization",
        "accept-encoding",
    }
)


class FaultProxy:
    """One server for all operators; each has a lane of its own, which is the first part of its path."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._lanes: dict[str, Lane] = {}
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None
        self._certificates = make_certificates(plane.work_folder)
        self._port = 0
        self._server = ""

    async def start(self) -> None:
        view = json.loads(await self._plane.kubectl("config", "view", "--raw", "--output", "json"))
        self._server = view["clusters"][0]["cluster"]["server"]
        trust = ssl.create_default_context(cafile=str(self._plane.pki / "ca.crt"))
        trust.load_cert_chain(self._plane.pki / "admin.crt", self._plane.pki / "admin.key")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust, limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            read_bufsize=8 * 1024 * 1024,
            headers={"Accept-Encoding": "identity"},
        )
        app = web.Application(client_max_size=LARGEST_BODY)
        app.router.add_route("*", "/{lane}/{rest:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
        await self._runner.setup()
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        serving.load_cert_chain(self._certificates.certificate, self._certificates.key)
        (self._port,) = free_ports(1)
        await web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=serving).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    def open_lane(self, lane: Lane) -> Path:
        """The kubeconfig of a new lane."""
        self._lanes[lane.name] = lane
        server = f"https://localhost:{self._port}/{lane.name}"
        return write_kubeconfig(self._plane.work_folder / f"lane-{lane.name}", server, self._certificates.authority)

    def close_lane(self, lane: Lane) -> None:
        del self._lanes[lane.name]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        lane = self._lanes.get(request.match_info["lane"])
        if lane is None:
            return _status(403, "no such lane")
        lane.requests.append(time.monotonic())
        if lane.down:
            raise _gone(request)
        path = request.raw_path.removeprefix(f"/{lane.name}")
        target = about(path.partition("?")[0])
        if request.method != "GET":
            return await self._write(request, lane, path, target)
        if request.query.get("watch") in {"1", "true"}:
            return await self._watch(request, lane, path, target)
        return await self._read(request, lane, path, target)

    async def _read(self, request: web.Request, lane: Lane, path: str, target: About) -> web.StreamResponse:
        answer, content = await self._pass_on(request, path)
        if answer.status == 200 and target.plural:
            content = lane.answer_to(path, target, content)
        return web.Response(status=answer.status, body=content, headers=_headers(answer.headers))

    async def _write(self, request: web.Request, lane: Lane, path: str, target: About) -> web.StreamResponse:
        data = await request.read()
        body = _decoded(data)
        guard = guard_of(request.method, target, request.content_type, body)
        write = lane.take_write(request.method, target, body, guard)
        if guard is Guard.NONE:
            return _status(403, f"{write.name}: no UID and resourceVersion, no server-side apply")
        position = lane.crash_at(write)
        if position is Position.BEFORE:
            lane.kill()
            raise _gone(request)
        status = lane.refusal_of(write)
        if status is not None:
            return _status(status, "refused by the fault proxy")
        # a commit that has begun is not taken back because the one who asked for it is gone
        passing = asyncio.shield(asyncio.create_task(self._pass_on(request, path, data)))
        answer, content = await passing
        if position is Position.COMMITTED:
            lane.kill()
            raise _gone(request)
        await self._lose_answer(request, lane, write)
        response = web.Response(status=answer.status, body=content, headers=_headers(answer.headers))
        if position is Position.ANSWERED:
            with contextlib.suppress(ConnectionError):
                await response.prepare(request)
                await response.write_eof()
            lane.kill()
        return response

    async def _lose_answer(self, request: web.Request, lane: Lane, write: Write) -> None:
        lost = lane.answer_lost(write)
        if lost is None:
            return
        if lost.silent:
            await asyncio.Event().wait()  # the client gives up, which cancels this handler
        raise _gone(request)

    async def _watch(self, request: web.Request, lane: Lane, path: str, target: About) -> web.StreamResponse:
        session = self._opened()
        async with session.get(self._url(path), headers=_headers(request.headers)) as answer:
            response = web.StreamResponse(status=answer.status, headers=_headers(answer.headers))
            await response.prepare(request)
            if answer.status != 200:
                await response.write(await answer.read())
                return response
            if request.transport is not None:
                lane.open.add(request.transport)
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                await self._relay(answer, response, lane, target)
            lane.open.discard(request.transport)
            return response

    async def _relay(
        self, answer: aiohttp.ClientResponse, response: web.StreamResponse, lane: Lane, target: About
    ) -> None:
        watch = lane.begin_watch()
        async for line in answer.content:
            status = lane.break_of(target.plural)
            if status is not None:
                event = {"type": "ERROR", "object": _status_body(status, "the watch is broken")}
                await response.write(json.dumps(event).encode() + b"\n")
                return
            for event in lane.events_for(target, watch, line):
                await response.write(event)
            if lane.down:
                return
        while lane.is_silent(target.plural, watch):  # the server has closed it; the client is not told
            await asyncio.sleep(0.1)

    async def _pass_on(
        self, request: web.Request, path: str, data: bytes | None = None
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        session = self._opened()
        headers = _headers(request.headers)
        async with session.request(request.method, self._url(path), data=data, headers=headers) as answer:
            return answer, await answer.read()

    def _url(self, path: str) -> URL:
        return URL(f"{self._server}{path}", encoded=True)

    def _opened(self) -> aiohttp.ClientSession:
        assert self._session is not None, "not started"
        return self._session


def _headers(found: Any) -> dict[str, str]:
    return {name: value for name, value in found.items() if name.lower() not in HOP_BY_HOP}


def _decoded(data: bytes) -> Any:
    try:
        return json.loads(data) if data else None
    except ValueError:
        return None


def _gone(request: web.Request) -> Exception:
    """Close the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return asyncio.CancelledError()


def _status_body(code: int, message: str) -> dict[str, Any]:
    reason = REASONS.get(code, "Unknown")
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }


def _status(code: int, message: str) -> web.Response:
    headers = {"Retry-After": "1"} if code == 429 else {}
    return web.json_response(_status_body(code, message), status=code, headers=headers)
