"""Make room for pods before they come, and take it away again: objects of our own, made, changed and deleted."""

from collections.abc import Sequence
from typing import Any

from forerun.actuators.ahead_objects import (
    DIGEST_ANNOTATION,
    EXPIRES_ANNOTATION,
    KINDS,
    STOREFRONT_LABEL,
    TIER_LABEL,
    storefront_label,
)
from forerun.actuators.holds import hold_of
from forerun.domain.reason import Hold, Reason
from forerun.kube.cluster import Cluster, guard
from forerun.kube.errors import ApiError, Conflict, NotFound

Raw = dict[str, Any]


async def settle_room(cluster: Cluster, namespace: str, name: str, wanted: Sequence[Raw], tier: str) -> Hold | None:
    """Have exactly the `wanted` objects of this name, of the kinds that room is made of; None when it is so.

    An object of that name that is not ours stays as it is, and is told. Holds: Invalid (it is somebody else's, or the
    server refuses what we make), Forbidden, Conflict (try again), ApiUnavailable.
    """
    by_kind = {(raw["apiVersion"], raw["kind"]): raw for raw in wanted}
    try:
        for kind in KINDS:
            standing = await _standing(cluster, namespace, name, kind)
            if standing is not None and not _is_ours(standing):
                if kind in by_kind:
                    detail = f"{kind[1]} {namespace}/{name} is not Forerun's; rename it, or leave capacityAhead out"
                    return Hold(Reason.INVALID, tier, detail=detail)
                continue
            await _settle(cluster, namespace, name, kind, standing, by_kind.get(kind))
    except ApiError as error:
        return hold_of(error, tier)
    return None


async def rooms(cluster: Cluster, namespace: str, storefront: str) -> set[str]:
    """The names of all room that was made for a Storefront, whichever tier it was for. Raises ApiError."""
    names: set[str] = set()
    selector = f"{TIER_LABEL},{STOREFRONT_LABEL}={storefront_label(storefront)}"
    for api_version, kind in KINDS:
        if await cluster.serves(api_version, kind):
            found = await cluster.list(api_version, kind, namespace, label_selector=selector, metadata_only=True)
            names |= {str(raw["metadata"]["name"]) for raw in found if _is_ours(raw)}
    return names


async def _standing(cluster: Cluster, namespace: str, name: str, kind: tuple[str, str]) -> Raw | None:
    try:
        return await cluster.get(*kind, namespace, name)
    except NotFound:
        return None  # neither the object nor, with CapacityBuffer, perhaps its kind


async def _settle(
    cluster: Cluster, namespace: str, name: str, kind: tuple[str, str], standing: Raw | None, wanted: Raw | None
) -> None:
    if wanted is None:
        if standing is not None and not standing["metadata"].get("deletionTimestamp"):
            await cluster.delete(*kind, namespace, name, uid=standing["metadata"]["uid"])
        return
    if standing is None:
        await cluster.create(wanted)
        return
    if standing["metadata"].get("deletionTimestamp"):
        raise Conflict(f"{kind[1]} {namespace}/{name} is being deleted; it is made anew after that", 409)
    if _said(standing) != _said(wanted):
        said = {field: value for field, value in wanted.items() if field not in ("apiVersion", "kind", "metadata")}
        metadata = {**guard(standing), "annotations": wanted["metadata"]["annotations"]}
        await cluster.merge_patch(*kind, namespace, name, {"metadata": metadata, **said})


def _said(raw: Raw) -> tuple[str | None, str | None]:
    annotations = raw["metadata"].get("annotations") or {}
    return annotations.get(DIGEST_ANNOTATION), annotations.get(EXPIRES_ANNOTATION)


def _is_ours(raw: Raw) -> bool:
    labels = raw["metadata"].get("labels") or {}
    return TIER_LABEL in labels and labels.get("app.kubernetes.io/managed-by") == "forerun"
