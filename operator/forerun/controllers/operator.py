"""The operator process: watches from the start, acts while it leads, exits when it no longer does."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

import structlog

from forerun.controllers.execution import Executor
from forerun.controllers.forecasting import Forecaster
from forerun.controllers.health import Health
from forerun.controllers.index import Index
from forerun.controllers.learning import Learner
from forerun.controllers.namespaces import NamespacePolicies
from forerun.controllers.observation import Observer
from forerun.controllers.plan_store import PlanStore
from forerun.controllers.planning import Planner
from forerun.controllers.pools import Pools
from forerun.controllers.reconcile import Reconciler
from forerun.controllers.reporting import Reporter
from forerun.controllers.resync import Resync
from forerun.controllers.state import StorefrontState
from forerun.controllers.stocks import Stocks
from forerun.controllers.ticker import Ticker
from forerun.controllers.watching import Watches
from forerun.domain.campaign import Key
from forerun.observe import metrics
from forerun.settings import Settings
from forerun.wiring import Ports, connect

_log = structlog.get_logger(__name__)
CLOSING_SECONDS = 5.0  # kopf is given this long to end its watches by itself


class Operator:
    """All collaborators of one process, put together once."""

    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        self.index = Index()
        self.states: dict[Key, StorefrontState] = {}
        self.stop = asyncio.Event()
        self.exit_code = 0
        observer = Observer(ports, self.index, self._wake)
        store = PlanStore(ports, self.index)
        policies = NamespacePolicies(ports.cluster, self.index)
        self.stocks = Stocks(ports, self.index, policies, self.states, self._wake)
        pools = Pools(self.stocks, self.index, self.states)
        planner = Planner(self.index, store, pools)
        learner = Learner(ports.settings, self.index)
        self.reporter = Reporter(ports, self.index, planner, store, learner, self.states)
        reconciler = Reconciler(
            ports,
            self.index,
            observer,
            Forecaster(ports, observer, learner, self._wake),
            planner,
            store,
            Executor(ports, self.index, observer, store),
            policies,
            pools,
            self.reporter,
        )
        self.ticker = Ticker(ports, self.index, reconciler, self.reporter, self.states)
        self.ticker.lost = self._lost
        self.watches = Watches(ports.settings, self.index, self._wake)
        self.resync = Resync(ports, self.index, self._wake)
        settings = ports.settings
        self.health = Health(
            settings.health_host,
            settings.health_port,
            lambda: self.resync.silent_for_seconds,
            settings.silent_watch_seconds,
        )

    async def run(self) -> int:
        """Run until stopped; 0 after a clean stop, 1 where leadership was lost or a part died."""
        await self.health.start()
        watching = self._part("watches", self.watches.run())
        writing = self._part("leadership", self._stand_for_election())
        lag = self._part("lag", self.health.watch_loop_lag())
        await self.stop.wait()
        writing.cancel()
        await asyncio.wait([writing])
        # nothing writes any more: a successor may start while our watches close
        await self.ports.leadership.release()
        self.watches.stop()
        await asyncio.wait([watching], timeout=CLOSING_SECONDS)
        for task in (watching, lag):
            task.cancel()
        await asyncio.wait([watching, lag])
        await self.health.stop()
        return self.exit_code

    async def _stand_for_election(self) -> None:
        leadership = self.ports.leadership
        await self.resync.list_all()
        self.health.ready = True
        for plan in self.index.plans.values():
            leadership.note_epoch(int((plan.get("status") or {}).get("epoch") or 0))
        await leadership.run(self._lead, self._lost)

    async def _lead(self) -> None:
        """Everything that writes; runs from the moment the Lease is ours."""
        _log.info("leading", identity=self.ports.identity, epoch=self.ports.leadership.epoch)
        metrics.LEADER.set(1)
        self.states.clear()
        await self.resync.list_all()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.ticker.run())
            group.create_task(self.reporter.run())
            group.create_task(self.resync.run())
            group.create_task(self.stocks.run())

    def _lost(self) -> None:
        """Crash-only: a process that has lost the Lease starts anew."""
        metrics.LEADER.set(0)
        self.exit_code = 1
        self.stop.set()

    def _wake(self, key: Key | None = None) -> None:
        self.ticker.wake(key)

    def _part(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        async def guarded() -> None:
            try:
                await work
            except asyncio.CancelledError:
                raise
            except BaseException:  # noqa: BLE001  # whichever part dies, the process starts anew
                _log.exception("a part of the operator died", part=name)
                self._lost()

        return asyncio.create_task(guarded())


async def run(settings: Settings, kubeconfig: str | None = None) -> int:
    """Connect, run, close; the exit code of `forerun run`."""
    ports = await connect(settings, kubeconfig)
    try:
        operator = Operator(ports)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, operator.stop.set)
        return await operator.run()
    finally:
        await ports.close()
