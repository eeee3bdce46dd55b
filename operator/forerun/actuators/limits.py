"""Limits on other controllers' objects: read, moved, given back; guarded like every write."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from forerun.actuators.holds import hold_of
from forerun.actuators.limit_fields import patch_of, value_at
from forerun.actuators.limit_owners import OWNERS_ANNOTATION, former_owners, without_us
from forerun.domain.limits import Fields, LimitEntry, LimitSnapshot
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import LimitPolicy
from forerun.kube.cluster import Cluster, guard
from forerun.kube.errors import ApiError, Conflict

LIMITS_ANNOTATION = "forerun.dev/limits"
ATTEMPTS = 4  # status updates of its controller move the resourceVersion

Raw = dict[str, Any]


class LimitStanding(StrEnum):
    """Whose the fields on an object are, compared with its entry."""

    OURS = "Ours"
    AT_BASELINE = "AtBaseline"
    FOREIGN = "Foreign"
    REPLACED = "Replaced"


async def read_limit(cluster: Cluster, namespace: str, policy: LimitPolicy, tier: str) -> LimitSnapshot | Hold:
    """A quorum read. Holds: TargetNotFound, Forbidden, ApiUnavailable."""
    ref = policy.ref
    try:
        raw = await cluster.get(ref.api_version, ref.kind, namespace, ref.name)
    except ApiError as error:
        return hold_of(error, tier)
    if raw["metadata"].get("deletionTimestamp"):
        return Hold(Reason.TARGET_NOT_FOUND, tier, detail=f"{ref} is being deleted")
    metadata = raw["metadata"]
    mirror = (metadata.get("annotations") or {}).get(LIMITS_ANNOTATION)
    return LimitSnapshot(policy, metadata["uid"], metadata["resourceVersion"], mirror, raw)


def present_fields(raw: Mapping[str, Any], fields: Fields) -> Fields:
    """What stands at the same paths now."""
    return tuple((path, value_at(raw, path)) for path, _ in fields)


def limit_standing(snapshot: LimitSnapshot, entry: LimitEntry) -> LimitStanding:
    """Only the fields of the entry count; everything else on the object is its owner's."""
    if snapshot.uid != entry.uid:
        return LimitStanding.REPLACED
    now = dict(present_fields(snapshot.raw, entry.baseline))
    if any(all(now.get(path) == value for path, value in written) for written in entry.written):
        return LimitStanding.OURS
    if all(now[path] == value for path, value in entry.baseline):
        return LimitStanding.AT_BASELINE
    return LimitStanding.FOREIGN


async def write_limit(
    cluster: Cluster, namespace: str, snapshot: LimitSnapshot, fields: Fields, annotation: str, tier: str
) -> LimitSnapshot | Hold:
    """One merge patch with all fields and the mirror of the ledger entry; what stands there after it."""
    marks = {LIMITS_ANNOTATION: annotation}
    owners = former_owners(snapshot.raw, [path for path, _ in fields])
    if owners is not None:
        marks[OWNERS_ANNOTATION] = owners
    body = {**patch_of(snapshot.raw, fields), "metadata": {**guard(snapshot.raw), "annotations": marks}}
    return await _sent(cluster, namespace, snapshot.policy, body, tier)


async def restore_limit(
    cluster: Cluster, namespace: str, snapshot: LimitSnapshot, entry: LimitEntry
) -> LimitSnapshot | Hold:
    """The baseline where ours stands, absent fields absent again; then nothing of ours is left on the object.

    What somebody else has changed stays (`Drifted`, told by the caller), without our marks. May be repeated.
    """
    if limit_standing(snapshot, entry) is LimitStanding.OURS:
        body = {**patch_of(snapshot.raw, entry.baseline), "metadata": guard(snapshot.raw)}
        found = await _sent(cluster, namespace, snapshot.policy, body, entry.tier)
        if isinstance(found, Hold):
            return found
        snapshot = found
    return await _leave(cluster, namespace, snapshot, entry.tier)


async def _leave(cluster: Cluster, namespace: str, snapshot: LimitSnapshot, tier: str) -> LimitSnapshot | Hold:
    """Marks and field ownership off: a second patch, for one that changes a field makes us its manager again."""
    for _ in range(ATTEMPTS):
        raw = snapshot.raw
        annotations = raw["metadata"].get("annotations") or {}
        ours: Raw = {name: None for name in (LIMITS_ANNOTATION, OWNERS_ANNOTATION) if name in annotations}
        managed = without_us(raw)
        if not ours and managed is None:
            return snapshot
        metadata = guard(raw) | ({"annotations": ours} if ours else {})
        metadata |= {} if managed is None else {"managedFields": managed}
        found = await _sent(cluster, namespace, snapshot.policy, {"metadata": metadata}, tier)
        if not isinstance(found, Hold) or found.reason is not Reason.CONFLICT:
            return found
        again = await read_limit(cluster, namespace, snapshot.policy, tier)
        if isinstance(again, Hold) or again.uid != snapshot.uid:
            return again
        snapshot = again
    return Hold(Reason.CONFLICT, tier)


async def _sent(cluster: Cluster, namespace: str, policy: LimitPolicy, body: Raw, tier: str) -> LimitSnapshot | Hold:
    ref = policy.ref
    try:
        raw = await cluster.merge_patch(ref.api_version, ref.kind, namespace, ref.name, body)
    except Conflict:
        return Hold(Reason.CONFLICT, tier, detail=f"{ref} changed while it was written")
    except ApiError as error:
        return hold_of(error, tier)
    metadata = raw["metadata"]
    mirror = (metadata.get("annotations") or {}).get(LIMITS_ANNOTATION)
    return LimitSnapshot(policy, metadata["uid"], metadata["resourceVersion"], mirror, raw)
