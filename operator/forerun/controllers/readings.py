"""Readings beside demand, asked for in the background: hit ratios and the like, each by a name of its own."""

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

from forerun.controllers.observation import Observer
from forerun.controllers.state import ANOMALY, StorefrontState, connections_of
from forerun.domain.campaign import Key
from forerun.domain.reason import Hold
from forerun.domain.storefront import Storefront
from forerun.wiring import Ports

KEPT = 16


class Readings:
    """Asks no oftener than the metric interval, and never twice at a time; the answer wakes the Storefront."""

    def __init__(self, ports: Ports, observer: Observer, wake: Callable[[Key], None]) -> None:
        self._ports = ports
        self._observer = observer
        self._wake = wake
        self._asking: dict[tuple[Key, str], asyncio.Task[None]] = {}

    def ask(self, storefront: Storefront, state: StorefrontState, name: str, query: str, now: datetime) -> None:
        """Ask for `query` where the last reading is old enough."""
        key = (storefront.key, name)
        interval = timedelta(seconds=self._ports.settings.metric_interval_seconds)
        asked_at = state.readings_at.get(name)
        if key in self._asking or (asked_at is not None and now - asked_at < interval):
            return
        state.readings_at[name] = now
        task = self._asking[key] = asyncio.create_task(self._read(storefront, state, name, query))
        task.add_done_callback(lambda _: self._asking.pop(key, None))

    def ask_all(self, storefront: Storefront, state: StorefrontState, now: datetime) -> None:
        """What decisions about floors look at beside demand: the anomaly signal, and new connections."""
        if storefront.anomaly is not None:
            self.ask(storefront, state, ANOMALY, storefront.anomaly.query, now)
        for tier in storefront.tiers:
            if tier.connections is not None and tier.connections.query is not None:
                self.ask(storefront, state, connections_of(tier.name), tier.connections.query, now)

    async def _read(self, storefront: Storefront, state: StorefrontState, name: str, query: str) -> None:
        source = await self._observer.source_of(storefront)
        if isinstance(source, Hold):
            measured = source
        else:
            measured = await self._ports.signals.sample(source, query, self._ports.clock())
        state.readings.setdefault(name, deque(maxlen=KEPT)).append(measured)
        self._wake(storefront.key)
