"""The operator process: watches from the start, acts while it leads, exits when it no longer does."""

import asyncio
import random
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
from forerun.controllers.reconcile import Reconciler
from forerun.controllers.reporting import Reporter
from forerun.controllers.resync import Resync
from forerun.controllers.state import StorefrontState
from forerun.controllers.ticker import Ticker
from forerun.controllers.watchdog import LoopWatchdog
from forerun.controllers.watching import Watches
from forerun.domain.campaign import Key
from forerun.kube.errors import Unavailable
from forerun.observe import metrics
from forerun.observe.audit import CHAIN, HEAD_ANNOTATION
from forerun.settings import Settings
from forerun.wiring import Ports, connect

_log = structlog.get_logger(__name__)
CLOSING_SECONDS = 5.0  # kopf is given this long to end its watches by itself
UNREACHED_SECONDS = 1.0  # between two tries to reach the API server, and up to as much again


class Operator:
    """All collaborators of one process, put together once."""

    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        self.index = Index()
        self.states: dict[Key, StorefrontState] = {}
        self.stop = asyncio.Event()
        self.reached = asyncio.Event()  # the API server has answered
        self.exit_code = 0
        observer = Observer(ports, self.index, self._wake)
        store = PlanStore(ports, self.index)
        planner = Planner(self.index, store)
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
            NamespacePolicies(ports.cluster, self.index),
            self.reporter,
        )
        self.ticker = Ticker(ports, self.index, reconciler, self.reporter, self.states)
        self.ticker.lost = self._lost
        self.watches = Watches(ports.settings, self.index, self._wake)
        self.resync = Resync(ports, self.index, self._wake)
        self.watchdog = LoopWatchdog()
        settings = ports.settings
        self.health = Health(
            settings.health_host,
            settings.health_port,
            lambda: self.resync.silent_for_seconds,
            settings.silent_watch_seconds,
            lambda: self.watchdog.lagging_for_seconds,
        )

    async def run(self) -> int:
        """Run until stopped; 0 after a clean stop, 1 where leadership was lost or a part died."""
        await self.health.start()
        watching = self._part("watches", self._watch())
        writing = self._part("leadership", self._stand_for_election())
        lag = self._part("watchdog", self.watchdog.run())
        await self.stop.wait()
        writing.cancel()
        await asyncio.wait([writing])
        # nothing writes any more: a successor may start while our watches close
        await self.ports.leadership.release()
        self.watches.stop()
        await asyncio.wait([watching], timeout=CLOSING_SECONDS if self.reached.is_set() else 0.0)
        for task in (watching, lag):
            task.cancel()
        await asyncio.wait([watching, lag])
        await self.health.stop()
        return self.exit_code

    async def _watch(self) -> None:
        await self.reached.wait()
        await self.watches.run()

    async def _reach(self) -> None:
        """List everything, as soon as the API server answers: who ended instead would be started ever more seldom."""
        while True:
            try:
                await self.resync.list_all()
            except Unavailable as error:
                _log.warning("waiting for the API server", error=str(error))
                await asyncio.sleep(UNREACHED_SECONDS * (1.0 + random.random()))  # noqa: S311  # spread, no secret
            else:
                self.reached.set()
                return

    async def _stand_for_election(self) -> None:
        leadership = self.ports.leadership
        await self._reach()
        self.health.ready = True
        for plan in self.index.plans.values():
            leadership.note_epoch(int((plan.get("status") or {}).get("epoch") or 0))
        await leadership.run(self._lead, self._lost)

    async def _lead(self) -> None:
        """Everything that writes; runs from the moment the Lease is ours."""
        leadership = self.ports.leadership
        _log.info("leading", identity=self.ports.identity, epoch=leadership.epoch)
        CHAIN.begin(f"{self.ports.identity}/{leadership.epoch}", leadership.noted(HEAD_ANNOTATION))
        leadership.keep_notes(lambda: {HEAD_ANNOTATION: CHAIN.head})
        metrics.LEADER.set(1)
        self.states.clear()
        await self._reach()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.ticker.run())
            group.create_task(self.reporter.run())
            group.create_task(self.resync.run())

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
