"""A thin, typed, asynchronous client: plain dicts in and out, typed errors, guarded writes.

Reads are quorum reads (no resourceVersion is named). A write is guarded where its body
carries `metadata.uid` and `metadata.resourceVersion`: then the server refuses it with a
Conflict if the object is another one or has changed since it was read. Every write names
the field manager, and is fenced: it leaves this process only while `fence()` is true.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Self

from forerun.kube.connection import Connection
from forerun.kube.discovery import Discovery, Resource
from forerun.kube.errors import ApiError, NotFound
from forerun.kube.pace import Pace
from forerun.kube.transport import Call, Object, Objects, Transport, with_items

FIELD_MANAGER = "forerun"
PAGE_SIZE = 500
MERGE_PATCH = "application/merge-patch+json"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_MANAGED: Mapping[str, str] = {"fieldManager": FIELD_MANAGER}
_NOTE_LENGTH = 1000  # of an Event; the server's own limit is 1,024 bytes
GONE = 410


class Cluster:
    """`await Cluster.connect(kubeconfig)`; close it when done. Safe for many tasks of one event loop."""

    def __init__(self, connection: Connection, transport: Transport) -> None:
        self._connection = connection
        self._transport = transport
        self._discovery = Discovery(self._get_path, time.monotonic)

    @classmethod
    async def connect(
        cls,
        kubeconfig: str | None = None,
        context: str | None = None,
        concurrency: int = 32,
        pace: Pace | None = None,
    ) -> Self:
        """Configure from `kubeconfig`, else $KUBECONFIG, else the service account, else ~/.kube/config.

        At most `concurrency` requests are under way at once, and not more in a second than
        `pace` allows. Nothing is sent yet.
        Raises NotConfigured.
        """
        connection = Connection(kubeconfig, context, concurrency)
        await connection.open()
        return cls(connection, Transport(connection, concurrency, pace))

    @property
    def namespace(self) -> str:
        """The namespace that the kubeconfig's context names, else "default"."""
        return self._connection.namespace

    @property
    def fence(self) -> Callable[[], bool] | None:
        """Says whether this process may write; None: always (a command line, a test)."""
        return self._transport.fence

    @fence.setter
    def fence(self, holds: Callable[[], bool] | None) -> None:
        self._transport.fence = holds

    async def close(self) -> None:
        """Close all connections."""
        await self._connection.close()

    async def serves(self, api_version: str, kind: str, subresource: str | None = None) -> bool:
        """Whether the server knows the kind, and its subresource where one is named."""
        try:
            resource = await self._discovery.resource(api_version, kind)
        except NotFound:
            return False
        return subresource is None or subresource in resource.subresources

    async def kinds_with(self, subresource: str) -> tuple[tuple[str, str], ...]:
        """(apiVersion, kind) of every namespaced kind that has this subresource, in each group's preferred version.

        A group whose own server does not answer is left out: it can serve no object either.
        """
        return await self._discovery.kinds_with(subresource)

    async def get(self, api_version: str, kind: str, namespace: str | None, name: str) -> Object:
        """One object as it stands now."""
        resource = await self._discovery.resource(api_version, kind)
        return await self._transport.send(
            Call("GET", resource.path(namespace, name), _action("get", kind, namespace, name))
        )

    async def list(
        self,
        api_version: str,
        kind: str,
        namespace: str | None = None,
        label_selector: str | None = None,
        metadata_only: bool = False,
    ) -> Objects:
        """All objects of a kind, page by page; `namespace` None: of all namespaces.

        With `metadata_only` the items carry apiVersion, kind and metadata, nothing else.
        """
        resource = await self._discovery.resource(api_version, kind)
        try:
            return await self._pages(resource, namespace, label_selector, metadata_only)
        except ApiError as error:
            if error.status != GONE:
                raise
            # the list has outlived its snapshot: once more from the start
            return await self._pages(resource, namespace, label_selector, metadata_only)

    async def create(self, obj: Mapping[str, Any]) -> Object:
        """Create an object; Conflict where the name is taken."""
        api_version, kind, metadata = obj["apiVersion"], obj["kind"], obj["metadata"]
        resource = await self._discovery.resource(api_version, kind)
        namespace, name = metadata.get("namespace"), metadata.get("name") or f"{metadata.get('generateName', '')}*"
        if resource.namespaced and not namespace:
            raise ValueError(f"{kind} {name}: a namespace is needed")
        return await self._transport.send(
            Call("POST", resource.path(namespace), _action("create", kind, namespace, name), _MANAGED, obj, fenced=True)
        )

    async def merge_patch(
        self,
        api_version: str,
        kind: str,
        namespace: str | None,
        name: str,
        body: Mapping[str, Any],
        subresource: str | None = None,
    ) -> Object:
        """RFC 7386 merge patch: null removes a field, a list replaces the list. Returns the object after it."""
        resource = await self._discovery.resource(api_version, kind)
        path = resource.path(namespace, name, subresource)
        action = _action("patch", kind, namespace, name)
        return await self._transport.send(Call("PATCH", path, action, _MANAGED, body, MERGE_PATCH, fenced=True))

    async def get_scale(self, api_version: str, kind: str, namespace: str, name: str) -> Object:
        """The autoscaling/v1 Scale of an object; it carries the object's UID and resourceVersion."""
        resource = await self._discovery.resource(api_version, kind)
        path = resource.path(namespace, name, "scale")
        return await self._transport.send(Call("GET", path, _action("get the scale of", kind, namespace, name)))

    async def put_scale(
        self, api_version: str, kind: str, namespace: str, name: str, replicas: int, *, uid: str, resource_version: str
    ) -> Object:
        """Set `spec.replicas` through the scale subresource, guarded; Conflict where the object has changed."""
        resource = await self._discovery.resource(api_version, kind)
        body = {
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": {"name": name, "namespace": namespace, "uid": uid, "resourceVersion": resource_version},
            "spec": {"replicas": replicas},
        }
        path, action = resource.path(namespace, name, "scale"), _action("scale", kind, namespace, name)
        return await self._transport.send(Call("PUT", path, action, _MANAGED, body, fenced=True))

    async def delete(
        self,
        api_version: str,
        kind: str,
        namespace: str | None,
        name: str,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> None:
        """Delete an object, in the background; with `uid` and `resource_version` only as it was read, else Conflict."""
        resource = await self._discovery.resource(api_version, kind)
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        guarded = {"uid": uid, "resourceVersion": resource_version}
        if any(guarded.values()):
            body["preconditions"] = {name: value for name, value in guarded.items() if value}
        path, action = resource.path(namespace, name), _action("delete", kind, namespace, name)
        await self._transport.send(Call("DELETE", path, action, body=body, fenced=True))

    async def put_lease(self, lease: Mapping[str, Any], *, create: bool) -> Object:
        """Create or replace a Lease: unfenced (it is the fence), ahead of all other requests, never retried."""
        metadata = lease["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases" + ("" if create else f"/{name}")
        action = _action("create" if create else "renew", "Lease", namespace, name)
        method = "POST" if create else "PUT"
        return await self._transport.send(Call(method, path, action, _MANAGED, lease, urgent=True))

    async def get_lease(self, namespace: str, name: str) -> Object:
        """The Lease as it stands, ahead of all other requests."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}"
        return await self._transport.send(Call("GET", path, _action("get", "Lease", namespace, name), urgent=True))

    async def post_event(
        self,
        regarding: Mapping[str, Any],
        reason: str,
        note: str,
        *,
        warning: bool = False,
        action: str = "Reconcile",
        instance: str = FIELD_MANAGER,
    ) -> None:
        """Create an events.k8s.io/v1 Event about `regarding` (a raw object); `instance` is who we are."""
        metadata = regarding["metadata"]
        namespace = metadata.get("namespace") or "default"
        await self.create(
            {
                "apiVersion": "events.k8s.io/v1",
                "kind": "Event",
                "metadata": {"name": f"{metadata['name'][:200]}.{secrets.token_hex(8)}", "namespace": namespace},
                "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
                "type": "Warning" if warning else "Normal",
                "reason": reason,
                "action": action,
                "note": note[:_NOTE_LENGTH],
                "reportingController": "forerun.dev/operator",
                "reportingInstance": instance[:128],
                "regarding": {
                    "apiVersion": regarding["apiVersion"],
                    "kind": regarding["kind"],
                    "namespace": metadata.get("namespace"),
                    "name": metadata["name"],
                    "uid": metadata.get("uid"),
                    "resourceVersion": metadata.get("resourceVersion"),
                },
            }
        )

    async def _pages(
        self, resource: Resource, namespace: str | None, label_selector: str | None, metadata_only: bool
    ) -> Objects:
        query = {"limit": str(PAGE_SIZE)}
        if label_selector:
            query["labelSelector"] = label_selector
        path, action = resource.path(namespace), _action("list", resource.kind, namespace, "*")
        accept = METADATA_LIST if metadata_only else None
        found: Objects = []
        while True:
            page = await self._transport.send(Call("GET", path, action, dict(query), accept=accept))
            found += with_items(page, resource.api_version, resource.kind)
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return found
            query["continue"] = token

    async def _get_path(self, path: str) -> Object:
        return await self._transport.send(Call("GET", path, f"discover {path}"))


def guard(obj: Mapping[str, Any]) -> Object:
    """The metadata that make a patch of `obj` hold only for this incarnation and this version of it."""
    metadata = obj["metadata"]
    return {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}


def _action(verb: str, kind: str, namespace: str | None, name: str) -> str:
    return f"{verb} {kind} {namespace}/{name}" if namespace else f"{verb} {kind} {name}"
