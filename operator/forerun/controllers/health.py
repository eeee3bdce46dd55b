"""/healthz, /readyz and /metrics; and a watchdog on the event loop's lag."""

import asyncio
from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from forerun.observe import metrics

LAG_INTERVAL_SECONDS = 0.5


class Health:
    """Answers probes: alive while watches are not silent, ready once the index is filled."""

    def __init__(self, host: str, port: int, silent_for_seconds: Callable[[], float], limit_seconds: float) -> None:
        self._host = host
        self._port = port
        self._silent_for_seconds = silent_for_seconds
        self._limit_seconds = limit_seconds
        self.ready = False
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen; OSError where the port is taken."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host or None, self._port).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def watch_loop_lag(self) -> None:
        """Measure how late the loop wakes us, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            wanted = loop.time() + LAG_INTERVAL_SECONDS
            await asyncio.sleep(LAG_INTERVAL_SECONDS)
            metrics.LOOP_LAG.observe(max(0.0, loop.time() - wanted))

    async def _healthz(self, _: web.Request) -> web.Response:
        silent = self._silent_for_seconds()
        if silent > self._limit_seconds:
            return web.Response(status=503, text=f"a watch has been silent for {silent:.0f} s\n")
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n") if self.ready else web.Response(status=503, text="starting\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})
