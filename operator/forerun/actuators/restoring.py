"""Give a target back as it was, and leave nothing of ours on it."""

import asyncio
from typing import Any

from forerun.actuators.floors import Standing, given_back, standing
from forerun.actuators.holds import hold_of
from forerun.actuators.ownership import OWNERS_ANNOTATION, without_us
from forerun.actuators.reading import LEDGER_ANNOTATION
from forerun.actuators.writing import patch_floor, replicas_of, set_replicas, spec_of
from forerun.domain.ledger import Bounds, LedgerEntry, Owner
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import TargetRef
from forerun.domain.target import Outcome, TargetSnapshot, Written
from forerun.kube.cluster import Cluster, guard
from forerun.kube.errors import ApiError, Conflict, Forbidden, NotFound

ATTEMPTS = 6  # status updates of other controllers move the resourceVersion
PAUSE_SECONDS = 0.05  # after a conflict, doubled each time: nobody waits for this, so let them finish
OUR_ANNOTATIONS = (LEDGER_ANNOTATION, OWNERS_ANNOTATION)

Raw = dict[str, Any]


async def restore(cluster: Cluster, namespace: str, snapshot: TargetSnapshot, entry: LedgerEntry) -> Outcome:
    """Write the baseline back where what stands there is ours; then leave no trace.

    A bound that was absent is absent again. Where the raise had lifted an HPA's target
    from zero, it goes back to zero last. Holds besides those of a write: Drifted,
    TargetReplaced. Every step may be repeated: a restore that was cut short is finished
    by the next one.
    """
    where = standing(snapshot, entry)
    if where is Standing.REPLACED:
        return Hold(Reason.TARGET_REPLACED, entry.tier, detail=f"{entry.owner_ref} is another object than we raised")
    if where is Standing.FOREIGN:
        return Hold(Reason.DRIFTED, entry.tier, detail=f"{entry.owner_ref} was changed by someone else; left as it is")
    after = snapshot.bounds
    try:
        if where is Standing.OURS:
            after = given_back(snapshot, entry)
            await _write_back(cluster, namespace, snapshot, after)
        version = await _leave(cluster, namespace, snapshot.owner_ref, snapshot.owner_uid)
        if entry.lifted_from_zero and snapshot.target_uid and entry.owner is Owner.HPA and entry.baseline.minimum != 0:
            await _back_to_zero(cluster, namespace, snapshot)
    except ApiError as error:
        return hold_of(error, entry.tier)
    return Written(entry.tier, snapshot.bounds, after, version)


async def forget(cluster: Cluster, namespace: str, snapshot: TargetSnapshot, entry: LedgerEntry) -> Outcome:
    """Leave to somebody else what they have changed: a bound that is still ours goes back, then every trace of ours."""
    after = given_back(snapshot, entry)
    try:
        if after != snapshot.bounds:
            await _write_back(cluster, namespace, snapshot, after)
        version = await _leave(cluster, namespace, snapshot.owner_ref, snapshot.owner_uid)
    except ApiError as error:
        return hold_of(error, entry.tier)
    return Written(entry.tier, snapshot.bounds, after, version)


async def abandon(cluster: Cluster, namespace: str, reference: TargetRef, uid: str, tier: str) -> Hold | None:
    """Take our traces off an object that owned a floor and owns it no more: another one has come before it."""
    try:
        await _leave(cluster, namespace, reference, uid)
    except (NotFound, Conflict):
        return None  # it is gone, or another one has its name
    except ApiError as error:
        return hold_of(error, tier)
    return None


async def _write_back(cluster: Cluster, namespace: str, snapshot: TargetSnapshot, bounds: Bounds) -> None:
    if snapshot.owner is not Owner.SCALE:
        # the mark stays until all is done: where the plan is lost, it alone says that there is something to finish
        await patch_floor(cluster, namespace, snapshot, {"metadata": {}, "spec": spec_of(snapshot.owner, bounds)})
        return
    guarded = {"uid": snapshot.owner_uid, "resourceVersion": snapshot.owner_resource_version}
    scale = {"metadata": guarded, "spec": {"replicas": snapshot.bounds.minimum}}
    replicas = 1 if bounds.minimum is None else bounds.minimum
    await set_replicas(cluster, namespace, snapshot, replicas, expected=snapshot.bounds.minimum, scale=scale)


async def _leave(cluster: Cluster, namespace: str, reference: TargetRef, uid: str) -> str:
    """Remove annotations and field ownership; returns the resourceVersion. Conflict where it is another object.

    A second patch, for one that changes a field makes us its manager again.
    """
    for attempt in range(ATTEMPTS):
        raw = await cluster.get(reference.api_version, reference.kind, namespace, reference.name)
        if raw["metadata"]["uid"] != uid:
            raise Conflict(f"{reference} is another object than we raised", 409)
        traces = _traces(raw)
        if traces is None:
            break
        body = {"metadata": {**guard(raw), **traces}}
        try:
            raw = await cluster.merge_patch(reference.api_version, reference.kind, namespace, reference.name, body)
            break
        except Conflict:
            if attempt == ATTEMPTS - 1:
                raise
            await asyncio.sleep(PAUSE_SECONDS * 2**attempt)
    if reference.kind == "Deployment":
        await _leave_replica_sets(cluster, namespace, raw)
    return str(raw["metadata"]["resourceVersion"])


def _traces(raw: Raw) -> Raw | None:
    """Metadata of the patch that takes everything of ours off; None where there is nothing."""
    ours = _our_annotations(raw)
    managed = without_us(raw)
    if not ours and managed is None:
        return None
    return ({"annotations": ours} if ours else {}) | ({"managedFields": managed} if managed is not None else {})


async def _leave_replica_sets(cluster: Cluster, namespace: str, deployment: Raw) -> None:
    """Kubernetes copies a Deployment's annotations to its ReplicaSets, and never takes them off again.

    There a `kubectl rollout undo` would bring our mirror back to life. Where we may not
    read or patch ReplicaSets it stays; it is believed only together with the right UID.
    """
    labels = ((deployment["spec"].get("selector") or {}).get("matchLabels") or {}).items()
    selector = ",".join(f"{name}={value}" for name, value in sorted(labels)) or None
    try:
        for attempt in range(ATTEMPTS):
            found = await cluster.list("apps/v1", "ReplicaSet", namespace, label_selector=selector, metadata_only=True)
            owned = [raw for raw in found if _is_owned_by(raw, deployment["metadata"]["uid"])]
            if await _unmark(cluster, namespace, owned):
                return
            await asyncio.sleep(PAUSE_SECONDS * 2**attempt)
    except (Forbidden, NotFound):
        return


async def _unmark(cluster: Cluster, namespace: str, replica_sets: list[Raw]) -> bool:
    """Whether none of them carries a mark of ours any more; False where their controller was quicker."""
    clean = True
    for raw in replica_sets:
        marks = _our_annotations(raw)
        if marks:
            body = {"metadata": {**guard(raw), "annotations": marks}}
            try:
                await cluster.merge_patch("apps/v1", "ReplicaSet", namespace, raw["metadata"]["name"], body)
            except Conflict:
                clean = False
    return clean


def _our_annotations(raw: Raw) -> Raw:
    annotations = raw["metadata"].get("annotations") or {}
    return {name: None for name in OUR_ANNOTATIONS if name in annotations}


def _is_owned_by(raw: Raw, uid: str) -> bool:
    return any(reference.get("uid") == uid for reference in raw["metadata"].get("ownerReferences") or ())


async def _back_to_zero(cluster: Cluster, namespace: str, snapshot: TargetSnapshot) -> None:
    target = snapshot.target
    scale = await cluster.get_scale(target.api_version, target.kind, namespace, target.name)
    replicas = replicas_of(scale)
    if scale["metadata"]["uid"] == snapshot.target_uid and replicas > 0:
        await set_replicas(cluster, namespace, snapshot, 0, expected=replicas, scale=scale)
    await _leave(cluster, namespace, target, snapshot.target_uid)
