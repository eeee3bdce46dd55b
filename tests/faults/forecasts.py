"""One real forecast worker for all operators, asked each question once.

What a crash, a stale read or a second operator changes is to be seen alone: so the same question (the same windows
ahead, the same past ones) gets the same answer in the run without faults and in every other one.
"""

import asyncio
import contextlib
import pickle
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from forerun.domain.forecast import Forecast, ForecastRequest
from forerun.domain.reason import Hold
from forerun.forecast.process import ForecastProcess

_LENGTH = struct.Struct("!I")
Answers = list[Forecast | Hold]


class ForecastService:
    """Answers over a socket; the real worker is behind it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked = 0  # questions that the worker was asked
        self._worker = ForecastProcess()
        self._server: asyncio.Server | None = None
        self._known: dict[str, asyncio.Task[Forecast | Hold]] = {}

    async def start(self) -> None:
        await self._worker.start()
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._worker.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                requests = await _receive(reader)
                await _send(writer, [await self._answer(request) for request in requests])
        writer.close()

    async def _answer(self, request: ForecastRequest) -> Forecast | Hold:
        key = repr((request.upcoming, request.past))
        if key not in self._known:
            self.asked += 1
            self._known[key] = asyncio.create_task(self._ask(request))
        return await asyncio.shield(self._known[key])

    async def _ask(self, request: ForecastRequest) -> Forecast | Hold:
        (answer,) = await self._worker.forecast([request])
        assert not isinstance(answer, Hold), answer
        return replace(answer, learnt=())


class SharedForecasts:
    """The operator's side: what `ForecastProcess` is in production."""

    restarts = 0

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """Nothing to start."""

    async def forecast(self, requests: Sequence[ForecastRequest]) -> Answers:
        async with self._turn:
            if self._connection is None:
                self._connection = await asyncio.open_unix_connection(self._path)
            reader, writer = self._connection
            await _send(writer, list(requests))
            return await _receive(reader)

    async def close(self) -> None:
        if self._connection is not None:
            self._connection[1].close()

    def rss_bytes(self) -> int | None:
        return None


async def _send(writer: asyncio.StreamWriter, value: Any) -> None:
    data = pickle.dumps(value)
    writer.write(_LENGTH.pack(len(data)) + data)
    await writer.drain()


async def _receive(reader: asyncio.StreamReader) -> Any:
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return pickle.loads(await reader.readexactly(length))
