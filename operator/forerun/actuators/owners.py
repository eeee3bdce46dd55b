"""Who owns the floor of a target: pure reading of raw HPA and ScaledObject objects.

ScaledObject before HPA before scale: KEDA writes the HPA that it made, so a floor on that
HPA would be gone with KEDA's next reconciliation.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from forerun.domain.ledger import Bounds, Owner
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import TargetRef

HPA_VERSION, HPA_KIND = "autoscaling/v2", "HorizontalPodAutoscaler"
KEDA_VERSION, KEDA_KIND = "keda.sh/v1alpha1", "ScaledObject"
KEDA_NAME_KEY = "scaledobject.keda.sh/name"  # label (and, in some versions, annotation) of KEDA's HPAs
FIELDS: Mapping[Owner, tuple[str, str]] = {
    Owner.HPA: ("minReplicas", "maxReplicas"),
    Owner.SCALED_OBJECT: ("minReplicaCount", "maxReplicaCount"),
    Owner.SCALE: ("replicas", "replicas"),
}

Raw = Mapping[str, Any]


def find_owner(target: TargetRef, autoscalers: Sequence[Raw]) -> tuple[Owner, TargetRef] | Hold:
    """The one object that carries the target's floor; a Hold where two claim it.

    `autoscalers` are the raw HPAs and ScaledObjects of the target's namespace; those that
    are being deleted no longer count.
    """
    found = sorted({_claim(raw) for raw in autoscalers if points_at(raw, target) and not _deleted(raw)}, key=str)
    if not found:
        return Owner.SCALE, target
    if len(found) == 1:
        return found[0]
    names = ", ".join(str(reference) for _, reference in found)
    numbers = {"autoscalers": float(len(found))}
    return Hold(Reason.AUTOSCALER_AMBIGUOUS, str(target), numbers, f"{names} all scale {target}; keep one of them")


def _claim(autoscaler: Raw) -> tuple[Owner, TargetRef]:
    """What an autoscaler makes the owner of its target: itself, or the ScaledObject that made it."""
    name = str(autoscaler["metadata"]["name"])
    if autoscaler.get("kind") == KEDA_KIND:
        return Owner.SCALED_OBJECT, TargetRef(KEDA_VERSION, KEDA_KIND, name)
    made_by = scaled_object_of(autoscaler)
    if made_by is not None:
        return Owner.SCALED_OBJECT, TargetRef(KEDA_VERSION, KEDA_KIND, made_by)
    return Owner.HPA, TargetRef(HPA_VERSION, HPA_KIND, name)


def points_at(autoscaler: Raw, target: TargetRef) -> bool:
    """Whether its scaleTargetRef means `target`: same group, kind and name; the version does not matter."""
    reference = (autoscaler.get("spec") or {}).get("scaleTargetRef") or {}
    keda = autoscaler.get("kind") == KEDA_KIND
    version = reference.get("apiVersion") or ("apps/v1" if keda else "v1")  # KEDA's defaults are a Deployment's
    kind = reference.get("kind") or ("Deployment" if keda else "")
    return (_group(version), kind, reference.get("name")) == (_group(target.api_version), target.kind, target.name)


def scaled_object_of(hpa: Raw) -> str | None:
    """Name of the ScaledObject that made this HPA, None where a person made it."""
    metadata = hpa["metadata"]
    for reference in metadata.get("ownerReferences") or ():
        if reference.get("kind") == KEDA_KIND and str(reference.get("apiVersion", "")).startswith("keda.sh/"):
            return str(reference["name"])
    for marks in (metadata.get("labels") or {}, metadata.get("annotations") or {}):
        if marks.get(KEDA_NAME_KEY):
            return str(marks[KEDA_NAME_KEY])
    return None


def bounds_of(owner: Owner, raw: Raw) -> Bounds:
    """The bounds on the owner as they stand; None where a field is absent."""
    spec = raw.get("spec") or {}
    minimum, maximum = FIELDS[owner]
    return Bounds(spec.get(minimum), None if owner is Owner.SCALE else spec.get(maximum))


def wants_less(hpa: Raw) -> bool | None:
    """Whether the HPA's own metrics ask for fewer replicas than its minReplicas; None: they say nothing.

    From its conditions: `ScalingLimited` with reason TooFewReplicas means that the metric
    was overruled by minReplicas. Where metrics fail (`ScalingActive` not True) the other
    conditions are of an earlier sync. A rate limit on the way down hides what it wants.
    """
    conditions = active_conditions(hpa)
    limited = conditions.get("ScalingLimited") if conditions else None
    if limited is None:
        return None
    if limited.get("status") != "True":
        return False
    reason = limited.get("reason")
    if reason == "TooFewReplicas":
        return True
    return None if reason == "ScaleDownLimit" else False


def active_conditions(hpa: Raw) -> Mapping[str, Raw] | None:
    """An HPA's conditions by type; None where its metrics fail, and what it says is of an earlier sync."""
    conditions = {condition.get("type"): condition for condition in (hpa.get("status") or {}).get("conditions") or ()}
    return conditions if conditions.get("ScalingActive", {}).get("status") == "True" else None


def desired_of(hpa: Raw, replicas: int | None) -> int | None:
    """The HPA's desiredReplicas; `replicas` (spec.replicas) where it has not computed any yet."""
    desired = (hpa.get("status") or {}).get("desiredReplicas")
    return desired or replicas


def _group(api_version: str) -> str:
    group, slash, _ = api_version.partition("/")
    return group if slash else ""


def _deleted(raw: Raw) -> bool:
    return bool(raw["metadata"].get("deletionTimestamp"))
