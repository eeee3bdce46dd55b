"""Read a target and the owner of its floor afresh."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from forerun.actuators.holds import hold_of
from forerun.actuators.owners import HPA_KIND, HPA_VERSION, bounds_of, desired_of, find_owner, points_at, wants_less
from forerun.actuators.recommendation import recommended
from forerun.domain.ledger import Bounds, LedgerEntry, Owner
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import TargetRef
from forerun.domain.target import TargetSnapshot
from forerun.kube.cluster import Cluster
from forerun.kube.errors import ApiError, Forbidden, NotFound

LEDGER_ANNOTATION = "forerun.dev/ledger"

Raw = dict[str, Any]


async def read_target(
    cluster: Cluster, namespace: str, target: TargetRef, autoscalers: Sequence[Mapping[str, Any]]
) -> TargetSnapshot | Hold:
    """Two or three quorum reads: the target, the owner of its floor, and KEDA's HPA where it has one.

    `autoscalers` are the HPAs and ScaledObjects of the namespace as a watch has shown
    them; only their names and references are believed. Holds: AutoscalerAmbiguous,
    TargetNotFound, TargetNotScalable, Forbidden, Conflict (the owner now means another
    target), ApiUnavailable.
    """
    found = find_owner(target, autoscalers)
    if isinstance(found, Hold):
        return found
    owner, reference = found
    try:
        if owner is Owner.SCALE and await _unscalable(cluster, target):
            detail = f"{target.kind} has no scale subresource and no autoscaler scales it; name a workload"
            return Hold(Reason.TARGET_NOT_SCALABLE, str(target), detail=detail)
        return await _snapshot(cluster, namespace, target, owner, reference)
    except ApiError as error:
        return hold_of(error, str(target))


async def read_raised(cluster: Cluster, namespace: str, entry: LedgerEntry) -> TargetSnapshot | Hold:
    """What stands on the object that `entry` says was written: enough to give it back, and no more.

    No autoscaler is looked up, and the target need not be there any more: a floor that was raised is
    given back where it was raised. Holds: TargetNotFound, Forbidden, ApiUnavailable.
    """
    reference, target = entry.owner_ref, entry.target
    try:
        raw = await cluster.get(reference.api_version, reference.kind, namespace, reference.name)
        scaled = entry.owner is Owner.SCALE
        replicas = await _replicas(cluster, namespace, target, raw) if scaled else None
        lifted = entry.lifted_from_zero and not scaled
        target_uid = await _uid_of(cluster, namespace, target) if lifted else raw["metadata"]["uid"] if scaled else ""
    except ApiError as error:
        return hold_of(error, str(reference))
    metadata = raw["metadata"]
    return TargetSnapshot(
        target=target,
        target_uid=target_uid,
        replicas=replicas,
        ready=None,
        owner=entry.owner,
        owner_ref=reference,
        owner_uid=metadata["uid"],
        owner_resource_version=metadata["resourceVersion"],
        bounds=Bounds(replicas, None) if scaled else bounds_of(entry.owner, raw),
        annotation=(metadata.get("annotations") or {}).get(LEDGER_ANNOTATION),
        raw_owner=raw,
    )


async def _uid_of(cluster: Cluster, namespace: str, target: TargetRef) -> str:
    """UID of a target; empty where it is gone, or is going."""
    try:
        metadata = (await cluster.get(target.api_version, target.kind, namespace, target.name))["metadata"]
    except NotFound:
        return ""
    return "" if metadata.get("deletionTimestamp") else str(metadata["uid"])


async def _snapshot(
    cluster: Cluster, namespace: str, target: TargetRef, owner: Owner, reference: TargetRef
) -> TargetSnapshot | Hold:
    read = cluster.get(target.api_version, target.kind, namespace, target.name)
    if owner is Owner.SCALE:
        raw_owner = raw_target = await read
    else:
        raw_target, raw_owner = await asyncio.gather(
            read, cluster.get(reference.api_version, reference.kind, namespace, reference.name)
        )
        if not points_at(raw_owner, target):
            detail = f"{reference} no longer scales {target}; it is read again"
            return Hold(Reason.CONFLICT, str(target), detail=detail)
    if raw_target["metadata"].get("deletionTimestamp"):
        return Hold(Reason.TARGET_NOT_FOUND, str(target), detail=f"{target} is being deleted")
    replicas = await _replicas(cluster, namespace, target, raw_target)
    hpa = await _hpa(cluster, namespace, owner, raw_owner)
    bounds = bounds_of(owner, raw_owner)
    metadata = raw_owner["metadata"]
    return TargetSnapshot(
        target=target,
        target_uid=raw_target["metadata"]["uid"],
        replicas=replicas,
        ready=ready_of(raw_target),
        owner=owner,
        owner_ref=reference,
        owner_uid=metadata["uid"],
        owner_resource_version=metadata["resourceVersion"],
        bounds=type(bounds)(replicas, None) if owner is Owner.SCALE else bounds,
        annotation=(metadata.get("annotations") or {}).get(LEDGER_ANNOTATION),
        is_target_marked=owner is not Owner.SCALE
        and LEDGER_ANNOTATION in (raw_target["metadata"].get("annotations") or {}),
        wants_less=wants_less(hpa) if hpa else None,
        recommended=recommended(hpa) if hpa else None,
        desired=desired_of(hpa, replicas) if hpa else replicas,
        raw_owner=raw_owner,
    )


def ready_of(raw_target: Mapping[str, Any]) -> int | None:
    """Ready replicas. None is unknown: no status yet, or a kind that does not report readiness.

    The workload controllers leave `readyReplicas` out when it is 0, so an absent field in
    a filled status of theirs is a real zero; of another kind it is unknown. A status of
    an earlier generation still counts: pods that are Ready serve, whichever spec made
    them, and a floor that has just been written must not turn them into nothing.
    """
    status = raw_target.get("status") or {}
    ready = status.get("readyReplicas")
    if ready is not None:
        return int(ready)
    built_in = str(raw_target.get("apiVersion")) in ("apps/v1", "v1")
    return 0 if built_in and status else None


async def _unscalable(cluster: Cluster, target: TargetRef) -> bool:
    served = await cluster.serves(target.api_version, target.kind)
    return served and not await cluster.serves(target.api_version, target.kind, "scale")


async def _replicas(cluster: Cluster, namespace: str, target: TargetRef, raw_target: Raw) -> int | None:
    """spec.replicas; of kinds that are not Kubernetes' own, through scale: they may keep it elsewhere."""
    if target.api_version == "apps/v1":
        return int((raw_target.get("spec") or {}).get("replicas", 1))
    if not await cluster.serves(target.api_version, target.kind, "scale"):
        return None
    scale = await cluster.get_scale(target.api_version, target.kind, namespace, target.name)
    return int((scale.get("spec") or {}).get("replicas", 0))


async def _hpa(cluster: Cluster, namespace: str, owner: Owner, raw_owner: Raw) -> Raw | None:
    """The HPA whose conditions are a second signal: the owner itself, or the one that KEDA made of it."""
    if owner is Owner.HPA:
        return raw_owner
    if owner is Owner.SCALE:
        return None
    name = (raw_owner.get("status") or {}).get("hpaName")
    if not name:
        return None
    try:
        return await cluster.get(HPA_VERSION, HPA_KIND, namespace, name)
    except (NotFound, Forbidden):
        return None  # no second signal; the floor itself does not depend on it
