"""An API server in memory, exact where a controller can be hurt: identity, versions, conflicts, ownership of fields.

What it enforces is meant to be what the real one enforces; no test has compared the two yet. A name is taken once, an
object made anew has another UID, a write that names another UID or an older resourceVersion is a Conflict, a patch
that changes nothing changes no version, generation moves with the spec, absent fields of an HPA and a Deployment are
defaulted, minReplicas above maxReplicas is refused, an Update takes the fields that it changes from whoever managed
them. Only spec fields of the first level have managers; nothing scales by itself.
"""

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from forerun.kube.errors import ApiError, Conflict, Fenced, Invalid, NotFound

Raw = dict[str, Any]
Where = tuple[str, str | None, str]  # kind, namespace, name

SCALABLE = {"Deployment", "StatefulSet"}
DEFAULTS: Mapping[str, Raw] = {
    "HorizontalPodAutoscaler": {"minReplicas": 1},
    "Deployment": {"replicas": 1},
    "StatefulSet": {"replicas": 1},
}


@dataclass(frozen=True)
class Change:
    """One write that was accepted: who made it, and the object before and after it (None: not there)."""

    manager: str
    kind: str
    name: str
    before: Raw | None
    after: Raw | None
    guarded: bool
    subresource: str = ""


@dataclass
class MemoryApi:
    """`create`, `patch`, `scale` and `delete` as `manager`; `watchers` hear of every change."""

    now: Callable[[], datetime]
    objects: dict[Where, Raw] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    watchers: list[Callable[[str, Raw], None]] = field(default_factory=list)
    _version: int = 100
    _uids: int = 0

    def get(self, kind: str, namespace: str | None, name: str) -> Raw:
        found = self.objects.get((kind, namespace, name))
        if found is None:
            raise NotFound(f"get {kind} {namespace}/{name}: not found", 404)
        return copy.deepcopy(found)

    def all(self, kind: str, namespace: str | None = None) -> Iterator[Raw]:
        for (known, place, _), raw in sorted(self.objects.items(), key=lambda item: str(item[0])):
            if known == kind and namespace in (None, place):
                yield copy.deepcopy(raw)

    def create(self, manager: str, obj: Mapping[str, Any]) -> Raw:
        raw = copy.deepcopy(dict(obj))
        metadata = raw["metadata"]
        where = (raw["kind"], metadata.get("namespace"), metadata["name"])
        if where in self.objects:
            raise Conflict(f"create {where}: already exists", 409)
        self._uids += 1
        metadata |= {
            "uid": f"uid-{self._uids}",
            "generation": 1,
            "creationTimestamp": self.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        raw.pop("status", None)
        _default(raw)
        _validate(raw)
        _own(raw, manager, list(raw.get("spec") or {}))
        return self._store(manager, where, None, raw, guarded=True)

    def patch(
        self,
        manager: str,
        kind: str,
        namespace: str | None,
        name: str,
        body: Mapping[str, Any],
        subresource: str | None = None,
    ) -> Raw:
        before = self.get(kind, namespace, name)
        metadata = body.get("metadata") or {}
        _check_guard(before, metadata)
        after = copy.deepcopy(before)
        if subresource == "status":
            _merge(after, {"status": body.get("status")})
        else:
            _merge(after, {key: value for key, value in body.items() if key not in {"status", "metadata"}})
            kept = {key: metadata[key] for key in ("labels", "annotations", "managedFields") if key in metadata}
            _merge(after["metadata"], kept)
            after["metadata"]["managedFields"] = [e for e in after["metadata"].get("managedFields", []) if e]
            _default(after)
            _validate(after)
            changed = _changed(before, after)
            if changed:
                after["metadata"]["generation"] += 1
                _own(after, manager, changed)
        guarded = "uid" in metadata and "resourceVersion" in metadata
        return self._store(manager, (kind, namespace, name), before, after, guarded, subresource or "")

    def scale(
        self, manager: str, kind: str, namespace: str, name: str, replicas: int, guard: Mapping[str, Any] | None = None
    ) -> Raw:
        before = self.get(kind, namespace, name)
        _check_guard(before, guard or {})
        after = copy.deepcopy(before)
        after["spec"]["replicas"] = replicas
        _validate(after)
        if _changed(before, after):
            after["metadata"]["generation"] += 1
            _own(after, manager, ["replicas"], "scale")
        self._store(manager, (kind, namespace, name), before, after, bool(guard), "scale")
        return self.scale_of(kind, namespace, name)

    def scale_of(self, kind: str, namespace: str, name: str) -> Raw:
        raw = self.get(kind, namespace, name)
        metadata = {key: raw["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion")}
        replicas = raw["spec"].get("replicas", 1)
        spec = {"replicas": replicas} if replicas else {}  # a Scale leaves out a zero
        return {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": metadata, "spec": spec}

    def delete(
        self,
        manager: str,
        kind: str,
        namespace: str | None,
        name: str,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> None:
        before = self.get(kind, namespace, name)
        if uid not in (None, before["metadata"]["uid"]):
            raise Conflict(f"delete {kind} {name}: the UID is another one", 409)
        if resource_version not in (None, before["metadata"]["resourceVersion"]):
            raise Conflict(f"delete {kind} {name}: it has been changed", 409)
        del self.objects[(kind, namespace, name)]
        self.changes.append(Change(manager, kind, name, before, None, guarded=uid is not None))
        self._tell("DELETED", before)

    def _store(
        self, manager: str, where: Where, before: Raw | None, after: Raw, guarded: bool, subresource: str = ""
    ) -> Raw:
        if before is not None and before == after:
            return copy.deepcopy(before)  # nothing changes, and no version moves
        self._version += 1
        after["metadata"]["resourceVersion"] = str(self._version)
        self.objects[where] = after
        told = copy.deepcopy(after)
        self.changes.append(Change(manager, where[0], where[2], before, told, guarded, subresource))
        self._tell("ADDED" if before is None else "MODIFIED", told)
        return copy.deepcopy(after)

    def _tell(self, kind: str, raw: Raw) -> None:
        for watcher in self.watchers:
            watcher(kind, copy.deepcopy(raw))


def _check_guard(before: Raw, metadata: Mapping[str, Any]) -> None:
    for name in ("uid", "resourceVersion"):
        if metadata.get(name) not in (None, before["metadata"][name]):
            raise Conflict(f"{before['kind']} {before['metadata']['name']}: {name} is another one", 409)


def _merge(target: Raw, patch: Mapping[str, Any]) -> None:
    """RFC 7386."""
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        elif isinstance(value, Mapping):
            if not isinstance(target.get(name), dict):
                target[name] = {}
            _merge(target[name], value)
        else:
            target[name] = copy.deepcopy(value)


def _default(raw: Raw) -> None:
    for name, value in DEFAULTS.get(raw["kind"], {}).items():
        raw["spec"].setdefault(name, value)


def _validate(raw: Raw) -> None:
    spec = raw.get("spec") or {}
    if raw["kind"] == "HorizontalPodAutoscaler":
        least, most = spec["minReplicas"], spec.get("maxReplicas")
        if most is None or most < 1 or least < 1 or least > most:  # 0 needs a feature gate
            raise Invalid(f"HorizontalPodAutoscaler: minReplicas {least}, maxReplicas {most}", 422)
    if raw["kind"] in SCALABLE and spec["replicas"] < 0:
        raise Invalid(f"{raw['kind']}: replicas {spec['replicas']}", 422)


def _changed(before: Raw, after: Raw) -> list[str]:
    old, new = before.get("spec") or {}, after.get("spec") or {}
    return [name for name in {**old, **new} if old.get(name) != new.get(name)]


def _own(raw: Raw, manager: str, names: list[str], subresource: str = "") -> None:
    """An Update owns what it changes, alone."""
    entries = raw["metadata"].setdefault("managedFields", [])
    for entry in entries:
        for name in names:
            entry["fieldsV1"].get("f:spec", {}).pop(f"f:{name}", None)
    kept = [entry for entry in entries if entry["fieldsV1"].get("f:spec")]
    present = [name for name in names if name in (raw.get("spec") or {})]
    mine = next((e for e in kept if (e["manager"], e.get("subresource", "")) == (manager, subresource)), None)
    if present and mine is None:
        mine = {"manager": manager, "operation": "Update", "apiVersion": raw["apiVersion"], "fieldsType": "FieldsV1"}
        mine |= {"fieldsV1": {"f:spec": {}}} | ({"subresource": subresource} if subresource else {})
        kept.append(mine)
    if mine is not None:
        mine["fieldsV1"]["f:spec"] |= {f"f:{name}": {} for name in present}
    raw["metadata"]["managedFields"] = kept


class Crashed(BaseException):
    """The process is killed here; no handler of the operator's may see it."""


class MemoryCluster:
    """The operator's client on a MemoryApi: every call may be preceded by somebody else's, or be the last."""

    def __init__(self, api: MemoryApi, manager: str = "forerun") -> None:
        self.api = api
        self.manager = manager
        self.fence: Callable[[], bool] | None = None
        self.calls = 0
        self.before: Callable[[int], None] = lambda call: None  # may write, or raise ApiError or Crashed
        self.after: Callable[[int], None] = lambda call: None  # the answer is withheld

    async def serves(self, api_version: str, kind: str, subresource: str | None = None) -> bool:
        return subresource is None or kind in SCALABLE

    async def kinds_with(self, subresource: str) -> tuple[tuple[str, str], ...]:
        return tuple(("apps/v1", kind) for kind in sorted(SCALABLE))

    async def get(self, api_version: str, kind: str, namespace: str | None, name: str) -> Raw:
        return self._call(lambda: self.api.get(kind, namespace, name))

    async def list(
        self,
        api_version: str,
        kind: str,
        namespace: str | None = None,
        label_selector: str | None = None,
        metadata_only: bool = False,
    ) -> list[Raw]:
        return self._call(lambda: list(self.api.all(kind, namespace)))

    async def create(self, obj: Mapping[str, Any]) -> Raw:
        return self._write(lambda: self.api.create(self.manager, obj))

    async def merge_patch(
        self,
        api_version: str,
        kind: str,
        namespace: str | None,
        name: str,
        body: Mapping[str, Any],
        subresource: str | None = None,
    ) -> Raw:
        sent = json.loads(json.dumps(body))  # as it goes over the wire
        return self._write(lambda: self.api.patch(self.manager, kind, namespace, name, sent, subresource))

    async def get_scale(self, api_version: str, kind: str, namespace: str, name: str) -> Raw:
        return self._call(lambda: self.api.scale_of(kind, namespace, name))

    async def put_scale(
        self, api_version: str, kind: str, namespace: str, name: str, replicas: int, *, uid: str, resource_version: str
    ) -> Raw:
        guard = {"uid": uid, "resourceVersion": resource_version}
        return self._write(lambda: self.api.scale(self.manager, kind, namespace, name, replicas, guard))

    async def delete(
        self,
        api_version: str,
        kind: str,
        namespace: str | None,
        name: str,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> None:
        self._write(lambda: self.api.delete(self.manager, kind, namespace, name, uid, resource_version))

    async def get_lease(self, namespace: str, name: str) -> Raw:
        return self._call(lambda: self.api.get("Lease", namespace, name))

    async def put_lease(self, lease: Mapping[str, Any], *, create: bool) -> Raw:
        """Replaces the whole object; Conflict where its version has moved."""
        if create:
            return self._call(lambda: self.api.create(self.manager, lease))
        metadata = lease["metadata"]
        body = {"metadata": metadata, "spec": lease["spec"]}
        return self._call(lambda: self.api.patch(self.manager, "Lease", metadata["namespace"], metadata["name"], body))

    async def close(self) -> None:
        """Nothing is open."""

    def _write(self, write: Callable[[], Any]) -> Any:
        if self.fence is not None and not self.fence():
            raise Fenced("not sent, this process does not hold the Lease")
        return self._call(write)

    def _call(self, call: Callable[[], Any]) -> Any:
        self.calls += 1
        self.before(self.calls)
        answer = call()
        self.after(self.calls)
        return answer


__all__ = ["ApiError", "Change", "Crashed", "MemoryApi", "MemoryCluster"]
