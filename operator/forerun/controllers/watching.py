"""kopf, as a watcher only: every event goes into the index; nothing is written from here."""

import asyncio
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import kopf
import structlog

from forerun.controllers.index import Index, Raw, key_of
from forerun.domain.campaign import Key
from forerun.settings import Settings

_log = structlog.get_logger(__name__)
GROUP_VERSION = ("forerun.dev", "v1alpha1")
OURS = ("campaigns", "storefronts", "capacityplans", "capacitypolicies", "metricssources")
TARGETS = (
    ("apps", "v1", "deployments"),
    ("apps", "v1", "statefulsets"),
    ("autoscaling", "v2", "horizontalpodautoscalers"),
    ("keda.sh", "v1alpha1", "scaledobjects"),
)
SWITCH_SECONDS = 0.0005  # the default of 5 ms is how long each answer would wait while kopf works off a burst
RECONNECT_SECONDS = 300
ERROR_BACKOFFS_SECONDS = (1, 1, 2, 3, 5, 5, 5, 5, 5, 5)  # kopf's own go up to 21 s: as long we would be blind


def make_registry(take: Callable[[str | None, Raw], None]) -> kopf.OperatorRegistry:
    """Event handlers for everything that is watched: no finalizers, no annotations, no timers, no daemons."""
    registry = kopf.OperatorRegistry()

    async def on_event(event: Any, **_: Any) -> None:
        take(event["type"], event["object"])

    for plural in OURS:
        kopf.on.event(*GROUP_VERSION, plural, id=plural, registry=registry)(on_event)
    for group, version, plural in TARGETS:
        kopf.on.event(group, version, plural, id=plural, registry=registry)(on_event)
    kopf.on.login(id="kubeconfig", registry=registry)(kopf.login_with_kubeconfig)
    kopf.on.login(id="service-account", registry=registry)(kopf.login_with_service_account)
    return registry


def make_settings() -> kopf.OperatorSettings:
    """Time-outs against watches that fall silent; nothing posted, nothing stored."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.watching.server_timeout = RECONNECT_SECONDS
    settings.watching.client_timeout = RECONNECT_SECONDS + 30
    settings.watching.connect_timeout = 10
    settings.networking.connect_timeout = 10
    settings.networking.error_backoffs = ERROR_BACKOFFS_SECONDS
    settings.queueing.idle_timeout = 1.0
    settings.queueing.exit_timeout = 1.0
    return settings


class Watches:
    """kopf in a thread and an event loop of its own: it takes over signals and cancels foreign tasks in ours."""

    def __init__(self, settings: Settings, index: Index, wake: Callable[[Key | None], None]) -> None:
        self._settings = settings
        self._index = index
        self._wake = wake
        self._stop = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Watch until `stop` is called; RuntimeError where kopf ends by itself."""
        sys.setswitchinterval(SWITCH_SECONDS)
        threading.Thread(target=self._watch, name="kopf", daemon=True).start()
        await self._ended.wait()
        if not self._stop.is_set():
            raise RuntimeError("kopf has ended; its log says why")

    def stop(self) -> None:
        self._stop.set()

    def _watch(self) -> None:
        namespaces = self._settings.watch_namespaces
        try:
            asyncio.run(
                kopf.operator(
                    registry=make_registry(self._take_in_loop),
                    settings=make_settings(),
                    standalone=True,
                    clusterwide=not namespaces,
                    namespaces=namespaces,
                    stop_flag=self._stop,
                )
            )
        except Exception:  # noqa: BLE001  # told by `run` in the operator's own loop
            _log.exception("the watches died")
        finally:
            with suppress(RuntimeError):  # the operator's loop may be closed by now
                self._loop.call_soon_threadsafe(self._ended.set)

    def _take_in_loop(self, kind: str | None, raw: Raw) -> None:
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._take, kind, raw)

    def _take(self, kind: str | None, raw: Raw) -> None:
        """In the operator's loop: the index is touched by one thread only."""
        if kind == "DELETED":
            self._index.remove(raw)
        else:
            self._index.upsert(raw)
        self._wake(key_of(raw) if raw["kind"] == "Storefront" else None)
