"""Storefront objects as the domain's Storefront, with its tiers in dependency order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from forerun.api.models import ObjectRef
from forerun.api.models_storefront import CapacityAheadSpec, ScaleField, TierSpec
from forerun.api.models_storefront import Storefront as StorefrontObject
from forerun.api.refusals import checked
from forerun.domain.campaign import Key
from forerun.domain.fields import FieldTarget, FloorField
from forerun.domain.presets import has_elements, preset_of
from forerun.domain.reason import Refusal
from forerun.domain.storefront import (
    Accelerator,
    CapacityAhead,
    MemoryGrowth,
    Role,
    Storefront,
    TargetRef,
    Tier,
    TierRelease,
)

# kinds of these groups have a scale subresource, are somebody's autoscaler, or are ours
_SCALED_OTHERWISE = ("", "apps", "autoscaling", "keda.sh", "forerun.dev")
_OUR_ANNOTATIONS = "/metadata/annotations/forerun.dev~1"
_USUAL_LEAD_TIME_SECONDS = 300.0
# what these hold is lost when they shrink, so they are not shrunk unless asked
_KEPT_ROLES = (Role.CACHE, Role.DATABASE)


def storefront_from(obj: Mapping[str, Any]) -> Storefront | Refusal:
    """A Storefront object, its tiers ordered so that each stands after all that it depends on."""
    found = checked(StorefrontObject, obj)
    if isinstance(found, Refusal):
        return found
    spec, metadata = found.spec, found.metadata
    key = Key(metadata.namespace, metadata.name)
    for field, remedy in _misfits(spec.tiers):
        return Refusal(f"Storefront {key}", field, remedy)
    ordered = _ordered(_tiers(spec.tiers))
    if isinstance(ordered, str):
        index = next(place for place, tier in enumerate(spec.tiers) if tier.name == ordered)
        return Refusal(
            f"Storefront {key}",
            f"spec.tiers[{index}].dependsOn",
            f"goes in a circle back to {ordered}; take one of its dependencies out "
            "(a tier without dependsOn depends on the one before it)",
        )
    return Storefront(
        key=key,
        uid=metadata.uid,
        generation=metadata.generation,
        metrics_source=spec.demand.metrics_source_ref.name,
        query=spec.demand.query,
        unit=spec.demand.unit or "requests",
        tiers=ordered,
    )


def _misfits(tiers: Sequence[TierSpec]) -> Iterator[tuple[str, str]]:
    """Field and remedy of everything that does not fit together, except circles."""
    seen: set[str] = set()
    for index, tier in enumerate(tiers):
        path = f"spec.tiers[{index}]"
        if tier.name in seen:
            yield f"{path}.name", f"stands twice; give one of the tiers called {tier.name} another name"
        seen.add(tier.name)
        if tier.min_replicas is not None and tier.min_replicas > tier.max_replicas:
            yield f"{path}.maxReplicas", f"must be at least minReplicas, which is {tier.min_replicas}"
        if tier.scale_field is not None:
            yield from _misplaced_field(f"{path}.scaleField", tier.target_ref, tier.scale_field)
            yield from _unfit_field(f"{path}.scaleField", tier.target_ref, tier.scale_field)
    yield from _unknown_dependencies(tiers)
    yield from _shared_targets(tiers)


def _misplaced_field(path: str, target: ObjectRef, field: ScaleField) -> Iterator[tuple[str, str]]:
    """A scaleField that would write what is written in another way, or must not be."""
    if target.api_version.rpartition("/")[0] in _SCALED_OTHERWISE:
        yield path, f"is not for {target.kind}, which is scaled without; leave it out"
    pointers = {"minReplicas": field.min_replicas, "maxReplicas": field.max_replicas, "replicas": field.replicas}
    for name, pointer in pointers.items():
        if pointer is not None and pointer.startswith(_OUR_ANNOTATIONS):
            yield f"{path}.{name}", "must not be an annotation of Forerun"


def _unfit_field(path: str, target: ObjectRef, field: ScaleField) -> Iterator[tuple[str, str]]:
    """What does not fit together in a scaleField, or with the kind of its target."""
    group = target.api_version.rpartition("/")[0]
    if field.min_replicas and field.replicas:
        yield path, "give minReplicas where something else scales above it, else replicas; not both"
    if field.max_replicas and not field.min_replicas:
        yield f"{path}.maxReplicas", "goes with minReplicas"
    declared = field.min_replicas or field.replicas
    if field.element and (declared or not has_elements(group, target.kind)):
        remedy = "is for RayCluster and RayService only; in a path of your own write [key=value]"
        yield f"{path}.element", remedy
    if not declared and preset_of(group, target.kind) is None:
        yield path, f"{target.kind} is no known kind: name the field in minReplicas or replicas"


def _unknown_dependencies(tiers: Sequence[TierSpec]) -> Iterator[tuple[str, str]]:
    names = {tier.name for tier in tiers}
    for index, tier in enumerate(tiers):
        for name in tier.depends_on or ():
            if name not in names:
                yield f"spec.tiers[{index}].dependsOn", f"names {name}, which is no tier of this Storefront"


def _shared_targets(tiers: Sequence[TierSpec]) -> Iterator[tuple[str, str]]:
    claimed: set[tuple[str, str, str]] = set()
    for index, tier in enumerate(tiers):
        for field, target in _targets(tier):
            identity = _identity(target)
            if identity in claimed:
                remedy = f"stands twice; {target.kind} {target.name} can serve in one place only"
                yield f"spec.tiers[{index}].{field}", remedy
            claimed.add(identity)


def _targets(tier: TierSpec) -> Iterator[tuple[str, ObjectRef]]:
    yield "targetRef", tier.target_ref
    for rung, fallback in enumerate(tier.fallback or ()):
        yield f"fallback[{rung}].targetRef", fallback.target_ref


def _identity(target: ObjectRef) -> tuple[str, str, str]:
    """Group, kind and name: versions of one group are one object."""
    group = target.api_version.rpartition("/")[0]
    return group, target.kind, target.name


def _tiers(specs: Sequence[TierSpec]) -> tuple[Tier, ...]:
    """The tiers as written, each with what it depends on: where it does not say, the one before it."""
    before: tuple[str, ...] = ()
    tiers = []
    for spec in specs:
        tiers.append(_tier(spec, before if spec.depends_on is None else tuple(spec.depends_on)))
        before = (spec.name,)
    return tuple(tiers)


def _tier(spec: TierSpec, depends_on: tuple[str, ...]) -> Tier:
    target = spec.target_ref
    field_target = _field_target(spec)
    kept = spec.role in _KEPT_ROLES or (field_target is not None and field_target.is_stateful)
    usual = TierRelease.NEVER if kept else TierRelease.GRADUAL
    return Tier(
        name=spec.name,
        role=spec.role,
        target=TargetRef(target.api_version, target.kind, target.name),
        capacity_per_replica_rps=spec.capacity_per_replica,
        max_replicas=spec.max_replicas,
        min_replicas=spec.min_replicas,
        demand_per_request=spec.demand_per_request or 1.0,
        query=spec.query,
        lead_time_seconds=spec.lead_time or _USUAL_LEAD_TIME_SECONDS,
        depends_on=tuple(dict.fromkeys(depends_on)),
        release=spec.release or usual,
        accelerator=_accelerator(spec),
        ahead=_ahead(spec.capacity_ahead),
        memory_growth=MemoryGrowth(spec.memory_growth.container, spec.memory_growth.request)
        if spec.memory_growth
        else None,
        field_target=field_target,
    )


def _ahead(spec: CapacityAheadSpec | None) -> CapacityAhead | None:
    if spec is None:
        return None
    usual = CapacityAhead()
    return CapacityAhead(
        spec.provision or usual.provision, spec.lead_time or usual.lead_seconds, spec.pull_images or usual.pulls_images
    )


def _field_target(spec: TierSpec) -> FieldTarget | None:
    """Where the floor of the target is a field: as declared, else as the table of presets knows the kind."""
    group, written = spec.target_ref.api_version.rpartition("/")[0], spec.scale_field
    preset = preset_of(group, spec.target_ref.kind, written.element if written else None)
    if written is None:
        return preset
    labels = tuple(sorted((written.pod_labels or {}).items()))
    pointer = written.min_replicas or written.replicas
    if pointer is None:  # a known kind, with something else said of it
        if preset is None:
            return None
        return replace(preset, ready=written.ready or preset.ready, pod_labels=labels or preset.pod_labels)
    floor = FloorField(pointer, written.max_replicas, is_count=written.replicas is not None)
    stateful = preset is not None and preset.is_stateful
    return FieldTarget(floor, written.ready, labels, is_stateful=stateful, is_declared=True)


def _accelerator(spec: TierSpec) -> Accelerator | None:
    if spec.accelerator is None:
        return None
    return Accelerator(spec.accelerator.resource, spec.accelerator.per_replica, spec.accelerator.pool)


def _ordered(tiers: Sequence[Tier]) -> tuple[Tier, ...] | str:
    """The tiers in dependency order, otherwise as written; the name of one in a circle where there is one."""
    ordered: list[Tier] = []
    waiting = list(tiers)
    while waiting:
        placed = {tier.name for tier in ordered}
        ready = next((tier for tier in waiting if placed.issuperset(tier.depends_on)), None)
        if ready is None:
            return _in_circle(waiting)
        ordered.append(ready)
        waiting.remove(ready)
    return tuple(ordered)


def _in_circle(waiting: Sequence[Tier]) -> str:
    """A tier that can be reached from itself: every waiting tier waits for another one, so a walk meets one twice."""
    tiers = {tier.name: tier for tier in waiting}
    walked: list[str] = []
    name = waiting[0].name
    while name not in walked:
        walked.append(name)
        name = next(before for before in tiers[name].depends_on if before in tiers)
    return min(walked[walked.index(name) :], key=list(tiers).index)
