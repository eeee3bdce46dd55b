"""Raise or lower a floor, guarded by UID and resourceVersion."""

from typing import Any

from forerun.actuators.holds import hold_of
from forerun.actuators.owners import FIELDS, bounds_of, points_at
from forerun.actuators.ownership import OWNERS_ANNOTATION, former_owners
from forerun.actuators.reading import LEDGER_ANNOTATION
from forerun.domain.ledger import Bounds, Owner
from forerun.domain.reason import Hold, Reason
from forerun.domain.target import Outcome, TargetSnapshot, Written
from forerun.kube.cluster import Cluster
from forerun.kube.errors import ApiError, Conflict

ATTEMPTS = 4  # status updates of controllers move the resourceVersion

Raw = dict[str, Any]


async def write_floor(
    cluster: Cluster, namespace: str, snapshot: TargetSnapshot, bounds: Bounds, annotation: str, tier: str = ""
) -> Outcome:
    """Make `bounds` stand on the owner of the floor, with our ledger entry mirrored in an annotation.

    HPA and ScaledObject: one merge patch. Plain target: the annotation first, then the
    scale subresource, so that a raise without a mirror cannot be. Nothing is sent where
    all of it stands there already. Holds: Conflict (read it again), TargetNotFound,
    Forbidden, Invalid, NotLeader, ApiUnavailable.
    """
    if snapshot.bounds == bounds and snapshot.annotation == annotation:
        return Written(tier, bounds, bounds, snapshot.owner_resource_version)
    try:
        if snapshot.owner is Owner.SCALE:
            return await _write_scale(cluster, namespace, snapshot, bounds, annotation, tier)
        body = {"metadata": _marks(snapshot, annotation), "spec": spec_of(snapshot.owner, bounds)}
        raw = await patch_floor(cluster, namespace, snapshot, body)
    except ApiError as error:
        return hold_of(error, tier or str(snapshot.target))
    return Written(tier, snapshot.bounds, bounds_of(snapshot.owner, raw), raw["metadata"]["resourceVersion"])


async def mark(cluster: Cluster, namespace: str, snapshot: TargetSnapshot, annotation: str, tier: str = "") -> Outcome:
    """Write the mirror of our ledger entry alone; whoever read the object before can no longer write to it."""
    try:
        raw = await patch_floor(cluster, namespace, snapshot, {"metadata": _marks(snapshot, annotation)})
    except ApiError as error:
        return hold_of(error, tier or str(snapshot.target))
    return Written(tier, snapshot.bounds, snapshot.bounds, raw["metadata"]["resourceVersion"])


async def lift_from_zero(cluster: Cluster, namespace: str, snapshot: TargetSnapshot, tier: str = "") -> Outcome:
    """0 -> 1 replicas: an HPA leaves a target at 0 alone, whatever its minReplicas says.

    Nothing is sent where somebody has lifted it already. `before` and `after` of the
    outcome are replicas.
    """
    target = snapshot.target
    try:
        scale = await cluster.get_scale(target.api_version, target.kind, namespace, target.name)
        if scale["metadata"]["uid"] != snapshot.target_uid:
            return Hold(Reason.TARGET_REPLACED, tier or str(target), detail=f"{target} was made anew; it is read again")
        replicas = replicas_of(scale)
        if replicas == 0:
            scale = await set_replicas(cluster, namespace, snapshot, 1, expected=0, scale=scale)
    except ApiError as error:
        return hold_of(error, tier or str(target))
    return Written(tier, Bounds(replicas, None), Bounds(max(1, replicas), None), scale["metadata"]["resourceVersion"])


async def set_replicas(
    cluster: Cluster, namespace: str, snapshot: TargetSnapshot, replicas: int, *, expected: int | None, scale: Raw
) -> Raw:
    """Write spec.replicas where it still is `expected` on the same object; Conflict otherwise. Returns the Scale."""
    target = snapshot.target
    for attempt in range(ATTEMPTS):
        metadata = scale["metadata"]
        if metadata["uid"] != snapshot.target_uid or replicas_of(scale) != expected:
            raise Conflict(f"scale {target}: it was changed by someone else; read it again and decide anew", 409)
        try:
            return await cluster.put_scale(
                target.api_version,
                target.kind,
                namespace,
                target.name,
                replicas,
                uid=metadata["uid"],
                resource_version=metadata["resourceVersion"],
            )
        except Conflict:
            if attempt == ATTEMPTS - 1:
                raise
            scale = await cluster.get_scale(target.api_version, target.kind, namespace, target.name)
    raise AssertionError("unreachable: the last attempt returns or raises")


async def patch_floor(cluster: Cluster, namespace: str, snapshot: TargetSnapshot, body: Raw) -> Raw:
    """Guarded merge patch of the object that carries the floor; Conflict where its floor has changed.

    A status update of its controller moves the resourceVersion too: that is not a
    conflict, and with hundreds of floors due at one instant it is common.
    """
    reference = snapshot.owner_ref
    metadata = {"resourceVersion": snapshot.owner_resource_version, **body["metadata"], "uid": snapshot.owner_uid}
    for attempt in range(ATTEMPTS):
        guarded = {**body, "metadata": metadata}
        try:
            return await cluster.merge_patch(reference.api_version, reference.kind, namespace, reference.name, guarded)
        except Conflict:
            raw = await cluster.get(reference.api_version, reference.kind, namespace, reference.name)
            if attempt == ATTEMPTS - 1 or not _floor_unchanged(raw, snapshot):
                raise
            metadata = {**metadata, "resourceVersion": raw["metadata"]["resourceVersion"]}
    raise AssertionError("unreachable: the last attempt returns or raises")


def _floor_unchanged(raw: Raw, snapshot: TargetSnapshot) -> bool:
    """Whether the object is the one that was read, with the same bounds on the same target."""
    metadata = raw["metadata"]
    if metadata["uid"] != snapshot.owner_uid or metadata.get("deletionTimestamp"):
        return False
    if (metadata.get("annotations") or {}).get(LEDGER_ANNOTATION) != snapshot.annotation:
        return False
    if snapshot.owner is not Owner.SCALE and not points_at(raw, snapshot.target):
        return False
    return bounds_of(snapshot.owner, raw) == snapshot.bounds


def spec_of(owner: Owner, bounds: Bounds) -> Raw:
    """Both bounds as spec fields; None removes the field."""
    minimum, maximum = FIELDS[owner]
    return {minimum: bounds.minimum, maximum: bounds.maximum}


def replicas_of(scale: Raw) -> int:
    """spec.replicas of a Scale; absent is a real zero there."""
    return int((scale.get("spec") or {}).get("replicas", 0))


async def _write_scale(
    cluster: Cluster, namespace: str, snapshot: TargetSnapshot, bounds: Bounds, annotation: str, tier: str
) -> Outcome:
    if bounds.minimum is None:
        return Hold(Reason.INVALID, tier or str(snapshot.target), detail="a plain target needs a number of replicas")
    guard: Raw = {"uid": snapshot.owner_uid, "resourceVersion": snapshot.owner_resource_version}
    if snapshot.annotation != annotation:
        body = {"metadata": _marks(snapshot, annotation)}
        guard = (await patch_floor(cluster, namespace, snapshot, body))["metadata"]
    # the patch was guarded: replicas are still those of the snapshot
    scale = {"metadata": guard, "spec": {"replicas": snapshot.bounds.minimum}}
    if bounds != snapshot.bounds:
        expected = snapshot.bounds.minimum
        scale = await set_replicas(cluster, namespace, snapshot, bounds.minimum, expected=expected, scale=scale)
    return Written(tier, snapshot.bounds, Bounds(replicas_of(scale), None), scale["metadata"]["resourceVersion"])


def _marks(snapshot: TargetSnapshot, annotation: str) -> Raw:
    annotations = {LEDGER_ANNOTATION: annotation}
    owners = former_owners(snapshot.owner, snapshot.raw_owner) if snapshot.raw_owner else None
    if owners is not None:
        annotations[OWNERS_ANNOTATION] = owners
    return {"annotations": annotations}
