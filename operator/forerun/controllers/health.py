"""/healthz, /readyz and /metrics."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from forerun.observe import metrics

LAGGING_SECONDS = 30.0  # late for so long without a break: it will not come round by itself


class Health:
    """Answers probes: alive while watches are not silent and the loop is not late, ready once the index is filled.

    While the loop is blocked nobody answers at all, which a probe counts as a failure as well.
    """

    def __init__(
        self,
        host: str,
        port: int,
        silent_for_seconds: Callable[[], float],
        limit_seconds: float,
        lagging_for_seconds: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._host = host
        self._port = port
        self._silent_for_seconds = silent_for_seconds
        self._limit_seconds = limit_seconds
        self._lagging_for_seconds = lagging_for_seconds
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

    async def _healthz(self, _: web.Request) -> web.Response:
        silent = self._silent_for_seconds()
        if silent > self._limit_seconds:
            return web.Response(status=503, text=f"a watch has been silent for {silent:.0f} s\n")
        lagging = self._lagging_for_seconds()
        if lagging > LAGGING_SECONDS:
            return web.Response(status=503, text=f"the event loop has been late for {lagging:.0f} s\n")
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n") if self.ready else web.Response(status=503, text="starting\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})
