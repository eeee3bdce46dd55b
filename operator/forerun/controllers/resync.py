"""A second look beside the watches: lists our kinds now and then, and notices a watch that has fallen silent."""

import asyncio
import time
from collections.abc import Callable

import structlog

from forerun.api.models import API_VERSION
from forerun.controllers.index import Index, Raw, key_of, version
from forerun.domain.campaign import Key
from forerun.kube.errors import ApiError
from forerun.observe import metrics
from forerun.wiring import Ports

_log = structlog.get_logger(__name__)
KINDS = ("Campaign", "Storefront", "CapacityPlan", "CapacityPolicy", "MetricsSource")
GRACE_SECONDS = 5.0  # the watch may be this much behind the list


class Resync:
    """Objects that the watch has not brought are fetched; a watch that stays behind makes us unhealthy."""

    def __init__(self, ports: Ports, index: Index, wake: Callable[[Key | None], None]) -> None:
        self._ports = ports
        self._index = index
        self._wake = wake
        self._behind_since: dict[str, float] = {}

    @property
    def silent_for_seconds(self) -> float:
        """How long the watch of some kind has been behind; 0.0 where none is."""
        return max((time.monotonic() - since for since in self._behind_since.values()), default=0.0)

    async def run(self) -> None:
        """Look every `resync_seconds` until cancelled."""
        while True:
            await asyncio.sleep(self._ports.settings.resync_seconds)
            for kind in KINDS:
                try:
                    await self._look(kind)
                except ApiError as error:
                    _log.warning("resync failed", kind=kind, error=str(error))

    async def list_all(self) -> None:
        """Fill the index from lists, so that the first decisions do not wait for the watches."""
        for kind in KINDS:
            for raw in await self._list(kind):
                self._index.upsert(raw)

    async def _look(self, kind: str) -> None:
        listed = await self._list(kind, metadata_only=True)
        missed, gone = self._missed(kind, listed), self._gone(kind, listed)
        if missed or gone:
            await asyncio.sleep(GRACE_SECONDS)
            missed = self._missed(kind, missed)
        if gone:
            await self._forget(kind, gone)
        if not missed:
            self._behind_since.pop(kind, None)
            return
        self._behind_since.setdefault(kind, time.monotonic())
        metrics.SILENT_WATCHES.labels(kind).inc(len(missed))
        _log.warning("the watch is behind", kind=kind, objects=len(missed))
        for raw in await self._list(kind):
            self._index.upsert(raw)
        self._wake(None)

    async def _forget(self, kind: str, gone: dict[Key, Raw]) -> None:
        """Remove what is gone for good: the watch of a namespace ends with it, and the last deletions are not told."""
        still = self._gone(kind, await self._list(kind, metadata_only=True))
        for key, raw in gone.items():
            if key in still and still[key]["metadata"]["uid"] == raw["metadata"]["uid"]:
                _log.warning("deleted unseen", kind=kind, object=str(key))
                self._index.remove(raw)
        self._wake(None)

    def _gone(self, kind: str, listed: list[Raw]) -> dict[Key, Raw]:
        """What the index has and the list has not; a newly created object may be among them."""
        there = {key_of(raw) for raw in listed}
        return {key: raw for name, key, raw in self._known(kind) if name == kind and key not in there}

    def _missed(self, kind: str, listed: list[Raw]) -> list[Raw]:
        known = {key: raw for name, key, raw in self._known(kind) if name == kind}
        return [raw for raw in listed if _is_behind(known.get(key_of(raw)), raw)]

    def _known(self, kind: str) -> list[tuple[str, Key, Raw]]:
        if kind == "CapacityPolicy":
            return [(kind, Key("", name), record.raw) for name, record in self._index.policies.items()]
        if kind == "MetricsSource":
            return [(kind, Key("", name), record.raw) for name, record in self._index.sources.items()]
        return list(self._index.all_objects())

    async def _list(self, kind: str, *, metadata_only: bool = False) -> list[Raw]:
        namespaces = self._ports.settings.watch_namespaces
        if not namespaces or kind in {"CapacityPolicy", "MetricsSource"}:
            return await self._ports.cluster.list(API_VERSION, kind, metadata_only=metadata_only)
        found: list[Raw] = []
        for namespace in namespaces:
            found += await self._ports.cluster.list(API_VERSION, kind, namespace, metadata_only=metadata_only)
        return found


def _is_behind(known: Raw | None, listed: Raw) -> bool:
    """Whether the list shows another incarnation, or a later version, than the index has."""
    if known is None or known["metadata"]["uid"] != listed["metadata"]["uid"]:
        return True
    return version(known["metadata"]["resourceVersion"]) < version(listed["metadata"]["resourceVersion"])
