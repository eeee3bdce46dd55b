"""Read a target whose floor is a field of its own."""

from typing import Any

from forerun.actuators.fields import bounds_at, change_of, ready_at, usable
from forerun.actuators.rollouts import rollout_of
from forerun.domain.fields import FieldTarget
from forerun.domain.ledger import Owner
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import TargetRef
from forerun.domain.target import TargetSnapshot
from forerun.kube.cluster import Cluster
from forerun.kube.errors import Forbidden

LEDGER_ANNOTATION = "forerun.dev/ledger"

Raw = dict[str, Any]


async def read_field_target(
    cluster: Cluster, namespace: str, target: TargetRef, kind: FieldTarget
) -> TargetSnapshot | Hold:
    """One quorum read, and one of its Pods where only they say how many are Ready. Raises ApiError.

    Holds: TargetNotFound (it is being deleted), TargetNotScalable (the field cannot be used, and why).
    """
    raw = await cluster.get(target.api_version, target.kind, namespace, target.name)
    metadata = raw["metadata"]
    if metadata.get("deletionTimestamp"):
        return Hold(Reason.TARGET_NOT_FOUND, str(target), detail=f"{target} is being deleted")
    annotation = (metadata.get("annotations") or {}).get(LEDGER_ANNOTATION)
    field = usable(raw, kind, str(target), raised=annotation is not None)
    if isinstance(field, Hold):
        return field
    bounds = bounds_at(raw, field)
    ready = ready_at(raw, kind) if kind.ready else await _ready_pods(cluster, namespace, target, kind)
    return TargetSnapshot(
        target=target,
        target_uid=metadata["uid"],
        replicas=bounds.minimum,
        ready=ready,
        owner=Owner.FIELD,
        owner_ref=target,
        owner_uid=metadata["uid"],
        owner_resource_version=metadata["resourceVersion"],
        bounds=bounds,
        annotation=annotation,
        desired=field.absent if bounds.minimum is None else bounds.minimum,
        rollout=rollout_of(raw) or change_of(raw, kind),
        floor_field=field,
        raw_owner=raw,
    )


async def _ready_pods(cluster: Cluster, namespace: str, target: TargetRef, kind: FieldTarget) -> int | None:
    """How many Pods of the target are Ready; None where no labels are known, or Pods may not be listed."""
    selector = pod_selector(kind, target)
    if not selector:
        return None
    try:
        pods = await cluster.list("v1", "Pod", namespace, label_selector=selector)
    except Forbidden:
        return None
    return sum(1 for pod in pods if _is_ready(pod))


def pod_selector(kind: FieldTarget, target: TargetRef) -> str:
    """The labels of the target's Pods; empty where they are not known."""
    return ",".join(f"{name}={value.replace('{name}', target.name)}" for name, value in kind.pod_labels)


def _is_ready(pod: Raw) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(found.get("type") == "Ready" and found.get("status") == "True" for found in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")
