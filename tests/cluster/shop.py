"""Manifests of small shops, and what it means that a target is as it was."""

import copy
from datetime import UTC, datetime
from typing import Any

from forerun.sandbox.control_plane import READY_DELAY

Raw = dict[str, Any]
OURS = "forerun.dev/v1alpha1"
MANAGER = "forerun"


def deployment(name: str, replicas: int | None = 2, ready_delay: str = "0s", kind: str = "Deployment") -> Raw:
    """`replicas` None leaves the field to an autoscaler."""
    labels = {"app": name}
    spec: Raw = {
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels, "annotations": {READY_DELAY: ready_delay}},
            "spec": {"containers": [{"name": "main", "image": "example/none"}]},
        },
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def stateful_set(name: str, replicas: int = 2) -> Raw:
    raw = deployment(name, replicas, kind="StatefulSet")
    raw["spec"] |= {"serviceName": name, "podManagementPolicy": "Parallel"}
    return raw


def hpa(target: str, minimum: int | None = 2, maximum: int = 40) -> Raw:
    """On CPU that nobody measures here: its floor works all the same."""
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}},
    }
    spec: Raw = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
        "maxReplicas": maximum,
        "metrics": [metric],
    }
    if minimum is not None:
        spec["minReplicas"] = minimum
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": target},
        "spec": spec,
    }


def scaled_object(target: str, **bounds: int) -> Raw:
    """KEDA's kind; KEDA itself does not run, so nothing scales by it."""
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": target},
        "spec": {
            "scaleTargetRef": {"name": target},
            "triggers": [{"type": "cpu", "metadata": {"value": "60"}}],
            **bounds,
        },
    }


def tier(name: str, target: str, kind: str = "Deployment", **others: Any) -> Raw:
    """One replica serves 100 calls/s, one call for each request at the door."""
    return {
        "name": name,
        "role": "Web",
        "targetRef": {"apiVersion": "apps/v1", "kind": kind, "name": target},
        "capacityPerReplica": "100",
        "maxReplicas": 60,
        "leadTime": "3s",
        **others,
    }


def storefront(name: str, source: str, *tiers: Raw, query: str = "demand") -> Raw:
    demand = {"metricsSourceRef": {"name": source}, "query": query, "unit": "requests"}
    return {
        "apiVersion": OURS,
        "kind": "Storefront",
        "metadata": {"name": name},
        "spec": {"demand": demand, "tiers": list(tiers)},
    }


def campaign(name: str, of: str, start: datetime, end: datetime, **others: Any) -> Raw:
    """Peak 600/s: some ten replicas of a tier. Given back at once when it is over, as far as steps allow."""
    spec = {
        "storefrontRef": {"name": of},
        "type": "FlashSale",
        "schedule": {"start": stamp(start), "end": stamp(end)},
        "expected": {"peak": "600"},
        "release": {"holdFor": "1s", "maxStepPercent": 100},
    }
    return {"apiVersion": OURS, "kind": "Campaign", "metadata": {"name": name}, "spec": spec | others}


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def floor_of(raw: Raw) -> int | None:
    """The floor that stands on a target or its autoscaler; None where the field is absent."""
    name = {"HorizontalPodAutoscaler": "minReplicas", "ScaledObject": "minReplicaCount"}.get(raw["kind"], "replicas")
    floor: int | None = raw["spec"].get(name)
    return floor


def whole(raw: Raw) -> Raw:
    """An object as its owner made it: without what the API server and the controllers count and report.

    Left out: status and those who write it, resourceVersion, generation, the times of managedFields and their
    order. Where an autoscaler owns the number of replicas, `replicas` and who set it are its own business: what is
    compared of such a target is everything else.
    """
    kept = copy.deepcopy(raw)
    kept.pop("status", None)
    metadata = kept["metadata"]
    for name in ("resourceVersion", "generation"):
        metadata.pop(name, None)
    fields = [entry for entry in metadata.get("managedFields", ()) if entry.get("subresource") != "status"]
    for entry in fields:
        entry.pop("time", None)
    metadata["managedFields"] = sorted(fields, key=lambda entry: (entry["manager"], entry.get("subresource", "")))
    return kept


def without_replicas(raw: Raw) -> Raw:
    """`whole` of a target whose replicas an autoscaler owns."""
    kept = whole(raw)
    kept["spec"].pop("replicas", None)
    fields = [entry for entry in kept["metadata"]["managedFields"] if entry.get("subresource") != "scale"]
    for entry in fields:
        entry["fieldsV1"].get("f:spec", {}).pop("f:replicas", None)
    kept["metadata"]["managedFields"] = fields
    return kept


def unequal(before: Any, now: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    """Where two objects differ: path -> both sides."""
    if isinstance(before, dict) and isinstance(now, dict):
        found: dict[str, tuple[Any, Any]] = {}
        for name in sorted({*before, *now}):
            found |= unequal(before.get(name, "(absent)"), now.get(name, "(absent)"), f"{path}.{name}")
        return found
    return {} if before == now else {path: (before, now)}


def traces(raw: Raw) -> list[str]:
    """What of ours stands on an object: annotations, and entries of managedFields."""
    metadata = raw["metadata"]
    found = [name for name in metadata.get("annotations") or () if name.startswith("forerun.dev/")]
    return found + [MANAGER for entry in metadata.get("managedFields") or () if entry.get("manager") == MANAGER]
