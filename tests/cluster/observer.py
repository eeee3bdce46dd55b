"""An observer that is not the operator: sees every change that the API server makes known."""

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import aiohttp

Raw = dict[str, Any]

GROUPS = {
    "Namespace": ("api/v1", "namespaces"),
    "Lease": ("apis/coordination.k8s.io/v1", "leases"),
    "Event": ("apis/events.k8s.io/v1", "events"),
    "Deployment": ("apis/apps/v1", "deployments"),
    "StatefulSet": ("apis/apps/v1", "statefulsets"),
    "HorizontalPodAutoscaler": ("apis/autoscaling/v2", "horizontalpodautoscalers"),
    "ScaledObject": ("apis/keda.sh/v1alpha1", "scaledobjects"),
    "Campaign": ("apis/forerun.dev/v1alpha1", "campaigns"),
    "Storefront": ("apis/forerun.dev/v1alpha1", "storefronts"),
    "CapacityPlan": ("apis/forerun.dev/v1alpha1", "capacityplans"),
    "CapacityPolicy": ("apis/forerun.dev/v1alpha1", "capacitypolicies"),
    "MetricsSource": ("apis/forerun.dev/v1alpha1", "metricssources"),
}
WATCHED = (
    "Lease",
    "Event",
    "Deployment",
    "StatefulSet",
    "HorizontalPodAutoscaler",
    "ScaledObject",
    "Campaign",
    "Storefront",
    "CapacityPlan",
)


class Refused(Exception):
    """What the API server says to a request that it does not carry out."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    """The API server through `kubectl proxy`: plain requests, under names of their own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        self._session = aiohttp.ClientSession(self._url, timeout=timeout, read_bufsize=8 * 1024 * 1024)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        assert self._session is not None, "not opened"
        return self._session

    async def get(self, kind: str, namespace: str | None = None, name: str | None = None) -> Raw:
        return await self._send("GET", path_of(kind, namespace, name))

    async def create(self, obj: Raw, manager: str = "shop") -> Raw:
        """As kubectl does it: a field that the kind does not have is refused."""
        path = path_of(obj["kind"], obj["metadata"].get("namespace"))
        return await self._send("POST", f"{path}?fieldValidation=Strict", obj, "application/json", manager)

    async def apply(self, obj: Raw, manager: str = "gitops") -> Raw:
        """Server-side apply, as GitOps tools do; a field that somebody else manages is a 409."""
        path = path_of(obj["kind"], obj["metadata"].get("namespace"), obj["metadata"]["name"])
        return await self._send("PATCH", path, obj, "application/apply-patch+yaml", manager)

    async def patch(self, kind: str, namespace: str | None, name: str, body: Raw, manager: str = "somebody") -> Raw:
        path = path_of(kind, namespace, name)
        return await self._send("PATCH", path, body, "application/merge-patch+json", manager)

    async def delete(self, kind: str, namespace: str | None, name: str) -> Raw:
        return await self._send("DELETE", path_of(kind, namespace, name))

    async def _send(self, method: str, path: str, body: Raw | None = None, content: str = "", manager: str = "") -> Raw:
        headers = {"Content-Type": content} if content else {}
        parameters = {"fieldManager": manager} if manager else {}
        data = None if body is None else json.dumps(body)
        while True:
            async with self.session.request(method, path, data=data, headers=headers, params=parameters) as answer:
                found: Raw = await answer.json()
                if answer.status < 400:
                    return found
                if answer.status != 429:  # "later": the storage of a new kind starts, or too much at once
                    raise Refused(answer.status, str(found.get("message")))
                await asyncio.sleep(0.2)


class Observer:
    """Every version of every object of some kinds in the namespaces of this run; None stands for deleted."""

    def __init__(self, api: Api, prefix: str) -> None:
        self._api = api
        self._prefix = prefix
        self._tasks: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()
        self._seen: dict[tuple[str, str, str], list[Raw | None]] = defaultdict(list)
        self._forgotten: set[str] = set()

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(self._watch(kind)) for kind in WATCHED]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def history(self, kind: str, namespace: str, name: str) -> list[Raw | None]:
        """All versions, oldest first."""
        return self._seen.get((kind, namespace, name), [])

    def now(self, kind: str, namespace: str, name: str) -> Raw | None:
        """The newest version; None where there is none (any more)."""
        versions = self.history(kind, namespace, name)
        return versions[-1] if versions else None

    def all(self, kind: str, namespace: str) -> list[Raw]:
        """The newest version of each object of a kind in a namespace."""
        found = (seen[-1] for (k, ns, _), seen in self._seen.items() if (k, ns) == (kind, namespace))
        return [raw for raw in found if raw is not None]

    def names(self, kind: str, namespace: str) -> list[str]:
        """Of all objects of a kind that ever were in a namespace."""
        return sorted(name for k, ns, name in self._seen if (k, ns) == (kind, namespace))

    def forget(self, namespace: str) -> None:
        """Nobody asks for it any more."""
        self._forgotten.add(namespace)
        for key in [key for key in self._seen if key[1] == namespace]:
            del self._seen[key]

    async def until(self, holds: Callable[[], Any], what: Callable[[], str], seconds: float) -> Any:
        """The first true value of `holds`, asked at every change; AssertionError with `what` after `seconds`."""
        for task in self._tasks:
            if task.done():
                task.result()
        try:
            async with asyncio.timeout(seconds):
                while not (found := holds()):
                    # some of what is waited for is time that passes
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._changed.wait(), 1.0)
                return found
        except TimeoutError:
            raise AssertionError(f"not within {seconds:g} s: {what()}") from None

    async def _watch(self, kind: str) -> None:
        while True:
            version = self._take_list(kind, await self._api.get(kind))
            query = f"watch=1&resourceVersion={version}&timeoutSeconds=3600&allowWatchBookmarks=true"
            async with self._api.session.get(f"{path_of(kind)}?{query}") as answer:
                async for line in answer.content:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        break
                    if event["type"] != "BOOKMARK":
                        self._take(kind, event["object"], deleted=event["type"] == "DELETED")

    def _take_list(self, kind: str, listed: Raw) -> str:
        for raw in listed["items"]:
            self._take(kind, raw, deleted=False)
        return str(listed["metadata"]["resourceVersion"])

    def _take(self, kind: str, raw: Raw, *, deleted: bool) -> None:
        metadata = raw["metadata"]
        namespace = metadata.get("namespace") or ""
        if not namespace.startswith(self._prefix) or namespace in self._forgotten:
            return
        versions = self._seen[(kind, namespace, metadata["name"])]
        known = versions[-1] if versions else None
        if known is not None and int(known["metadata"]["resourceVersion"]) >= int(metadata["resourceVersion"]):
            return
        versions.append(None if deleted else {"kind": kind, **raw})
        self._changed.set()
        self._changed = asyncio.Event()


def path_of(kind: str, namespace: str | None = None, name: str | None = None) -> str:
    """The path of an object, of its collection, or of a subresource ("CapacityPlan/status")."""
    kind, _, subresource = kind.partition("/")
    prefix, plural = GROUPS[kind]
    place = ("namespaces", namespace) if namespace else ()
    parts = ["", prefix, *place, plural, *(part for part in (name, subresource) if part)]
    return "/".join(parts)
