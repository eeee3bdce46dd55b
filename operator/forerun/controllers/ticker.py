"""The one global tick: which Storefronts are due now, and never two tasks for one of them."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import structlog

from forerun.controllers.index import Index
from forerun.controllers.plan_store import NotLeaderError
from forerun.controllers.reconcile import Reconciler
from forerun.controllers.reporting import Reporter
from forerun.controllers.state import StorefrontState
from forerun.domain.campaign import Key
from forerun.kube.errors import ApiError, Fenced
from forerun.wiring import Ports

_log = structlog.get_logger(__name__)
GATHER_SECONDS = 0.01  # news come in bursts; one look at all Storefronts serves many
BACKOFF_SECONDS = (0.2, 1.0, 2.0, 5.0, 15.0)


class Ticker:
    """Runs due Storefronts concurrently, bounded; sleeps until the next is due."""

    def __init__(
        self, ports: Ports, index: Index, reconciler: Reconciler, reporter: Reporter, states: dict[Key, StorefrontState]
    ) -> None:
        self._ports = ports
        self._index = index
        self._reconciler = reconciler
        self._reporter = reporter
        self._states = states
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._punctual: set[Key] = set()  # running because their time had come
        self._slots = asyncio.Semaphore(ports.settings.api_concurrency)
        self._woken = asyncio.Event()
        self.lost: Callable[[], None] = lambda: None

    def wake(self, key: Key | None = None) -> None:
        """Something happened: look now instead of at the next tick."""
        if key is not None:
            self._index.dirty.add(key)
        self._woken.set()

    async def run(self) -> None:
        """Tick until cancelled."""
        for kind, key, _ in self._index.all_objects():
            if kind != "Campaign":
                self._index.dirty.add(key)
        try:
            while True:
                self._start_due()
                self._woken.clear()
                with suppress(TimeoutError):
                    # not wait_for: in Python 3.11 it can swallow a cancellation
                    async with asyncio.timeout(self._pause_seconds()):
                        await self._woken.wait()
                        await asyncio.sleep(GATHER_SECONDS)
        finally:
            running = list(self._running.values())
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _start_due(self) -> None:
        now = self._ports.clock()
        while self._index.unreported:
            self._reporter.mark_acceptance(*self._index.unreported.pop())
        due = {key for key, state in self._states.items() if state.next_due and state.next_due <= now}
        self._punctual = {key for key in self._punctual if key in self._running} | due
        # what the watch brings waits behind what is due by the clock: most of it is the echo of our own writes
        news = set() if self._punctual else set(self._index.dirty)
        for key in due | news:
            if key in self._running:
                continue  # it is dirty still, and looked at again when it is done
            self._index.dirty.discard(key)
            self._running[key] = asyncio.create_task(self._reconcile(key))

    async def _reconcile(self, key: Key) -> None:
        state = self._states.setdefault(key, StorefrontState())
        state.next_due = None
        try:
            async with self._slots:
                await self._reconciler.reconcile(key, state)
            state.failures = 0
        except (NotLeaderError, Fenced) as error:
            _log.error("leadership lost", storefront=str(key), error=str(error))
            self.lost()
        except ApiError as error:
            self._retry(key, state, str(error))
        except Exception:  # noqa: BLE001  # whatever a user can write must not stop the others
            # whatever a user can write must not stop the others
            _log.exception("reconcile failed", storefront=str(key))
            self._retry(key, state, "unexpected error")
        finally:
            del self._running[key]
            self._reporter.mark(key)
            self._punctual.discard(key)
            if self._index.dirty and not self._punctual:
                self._woken.set()
        if state.next_due is None and not state.ledger and key not in self._index.storefronts:
            self._states.pop(key, None)

    def _retry(self, key: Key, state: StorefrontState, error: str) -> None:
        pause = BACKOFF_SECONDS[min(state.failures, len(BACKOFF_SECONDS) - 1)]
        state.failures += 1
        state.next_due = self._ports.clock() + timedelta(seconds=pause)
        _log.warning("tried again later", storefront=str(key), error=error, pause_seconds=pause)

    def _pause_seconds(self) -> float:
        """Until the next Storefront is due, at most one tick."""
        now = self._ports.clock()
        moments = [state.next_due for state in self._states.values() if state.next_due]
        soonest = min(moments, default=now + timedelta(seconds=self._ports.settings.tick_seconds))
        return min(self._ports.settings.tick_seconds, max(0.001, (soonest - now).total_seconds()))
