"""What Prometheus would answer in the tests' own time: little demand, and more of it in the window."""

from collections.abc import Callable
from datetime import UTC, datetime

from aiohttp import web

QUIET_RPS = 40.0  # less than one replica serves
SPIKE_RPS = 150.0  # less than any floor that a campaign is given


class DemandServer:
    """The HTTP API of Prometheus, as far as the operator asks it."""

    def __init__(self, open_at: Callable[[datetime], bool]) -> None:
        self._open_at = open_at
        self._clocks: dict[str, Callable[[], datetime]] = {}
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/api/v1/query", self._instant)
        app.router.add_route("*", "/api/v1/query_range", self._range)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = "http://{}:{}".format(*self._runner.addresses[0][:2])

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def query(self, plan: str, clock: Callable[[], datetime]) -> str:
        """The query of a plan's Storefronts: "now" is what its clock says."""
        self._clocks[plan] = clock
        return f'sum(demand{{plan="{plan}"}})'

    def forget(self, plan: str) -> None:
        self._clocks.pop(plan, None)

    async def _instant(self, request: web.Request) -> web.Response:
        given = request.query or await request.post()
        at = self._now(str(given["query"]))
        return _answer("vector", [{"metric": {}, "value": [at, str(self._demand(at))]}])

    async def _range(self, request: web.Request) -> web.Response:
        given = request.query or await request.post()
        start, end, step = (float(given[name]) for name in ("start", "end", "step"))
        moments = [start + number * step for number in range(int((end - start) / step) + 1)]
        values = [[at, str(self._demand(at))] for at in moments]
        return _answer("matrix", [{"metric": {}, "values": values}])

    def _demand(self, at: float) -> float:
        return SPIKE_RPS if self._open_at(datetime.fromtimestamp(at, UTC)) else QUIET_RPS

    def _now(self, query: str) -> float:
        plan = query.split('"')[1]
        if plan not in self._clocks:
            raise web.HTTPBadRequest(text=f"no clock of {plan}")
        return self._clocks[plan]().timestamp()


def _answer(kind: str, result: list) -> web.Response:
    return web.json_response({"status": "success", "data": {"resultType": kind, "result": result}})
