"""kopf, as a watcher only: every event goes into the index; nothing is written from here."""

import asyncio
from collections.abc import Callable
from typing import Any

import kopf

from forerun.controllers.index import Index, key_of
from forerun.domain.campaign import Key
from forerun.settings import Settings

GROUP_VERSION = ("forerun.dev", "v1alpha1")
OURS = ("campaigns", "storefronts", "capacityplans", "capacitypolicies", "metricssources")
TARGETS = (
    ("apps", "v1", "deployments"),
    ("apps", "v1", "statefulsets"),
    ("autoscaling", "v2", "horizontalpodautoscalers"),
    ("keda.sh", "v1alpha1", "scaledobjects"),
)
RECONNECT_SECONDS = 300


def make_registry(index: Index, wake: Callable[[Key | None], None]) -> kopf.OperatorRegistry:
    """Event handlers for everything that is watched: no finalizers, no annotations, no timers, no daemons."""
    registry = kopf.OperatorRegistry()

    async def on_event(event: Any, **_: Any) -> None:
        raw = event["object"]
        if event["type"] == "DELETED":
            index.remove(raw)
        else:
            index.upsert(raw)
        wake(key_of(raw) if raw["kind"] == "Storefront" else None)

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
    settings.queueing.idle_timeout = 1.0
    settings.queueing.exit_timeout = 1.0
    return settings


async def watch(
    settings: Settings, index: Index, wake: Callable[[Key | None], None], ready: asyncio.Event, stop: asyncio.Event
) -> None:
    """Watch until `stop` is set."""
    await kopf.operator(
        registry=make_registry(index, wake),
        settings=make_settings(),
        standalone=True,
        clusterwide=not settings.watch_namespaces,
        namespaces=settings.watch_namespaces,
        ready_flag=ready,
        stop_flag=stop,
    )
