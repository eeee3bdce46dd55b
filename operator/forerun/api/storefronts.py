"""Storefront objects as the domain's Storefront, with its tiers in dependency order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import Any

from forerun.api.models import ObjectRef
from forerun.api.models_storefront import Fallback, TierSpec
from forerun.api.models_storefront import Storefront as StorefrontObject
from forerun.api.refusals import checked
from forerun.domain.campaign import Key
from forerun.domain.reason import Refusal
from forerun.domain.storefront import Accelerator, Role, Storefront, TargetRef, Tier, TierRelease, rung_name

_USUAL_LEAD_TIME_SECONDS = 300.0
LONGEST_NAME = 63
MOST_REPLICAS = 100_000
MOST_TIERS_AND_RUNGS = 32  # as many as statuses and plans have rows for
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
    yield from _misnamed_rungs(tiers, seen)
    yield from _unknown_dependencies(tiers)
    yield from _shared_targets(tiers)


def _misnamed_rungs(tiers: Sequence[TierSpec], names: set[str]) -> Iterator[tuple[str, str]]:
    """A rung is a tier called TIER-RUNG: that must be a name, and nobody else's; and there must not be too many."""
    taken = set(names)
    for index, tier in enumerate(tiers):
        for place, rung in enumerate(tier.fallback or ()):
            name, path = rung_name(tier.name, rung.name), f"spec.tiers[{index}].fallback[{place}].name"
            if name in taken:
                yield path, f"makes {name}, which is taken; give the rung another name"
            if len(name) > LONGEST_NAME:
                yield path, f"makes {name}, longer than {LONGEST_NAME} characters; give the rung a shorter name"
            taken.add(name)
    if len(taken) > MOST_TIERS_AND_RUNGS:
        yield "spec.tiers", f"has {len(taken)} tiers and rungs; {MOST_TIERS_AND_RUNGS} are the most"


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
    tiers: list[Tier] = []
    for spec in specs:
        tier = _tier(spec, before if spec.depends_on is None else tuple(spec.depends_on))
        tiers += [tier, *(_rung(tier, fallback) for fallback in spec.fallback or ())]
        before = (spec.name,)
    return tuple(_after_rungs(tier, tiers) for tier in tiers)


def _rung(tier: Tier, fallback: Fallback) -> Tier:
    """A rung as a tier: where its tier stands in the order, and as many replicas as may replace it whole."""
    capacity, most = fallback.capacity_per_replica, fallback.max_replicas or tier.max_replicas
    if fallback.max_replicas is None and capacity and tier.capacity_per_replica_rps:
        most = min(MOST_REPLICAS, max(1, ceil(tier.max_replicas * tier.capacity_per_replica_rps / capacity)))
    target = fallback.target_ref
    return Tier(
        name=rung_name(tier.name, fallback.name),
        role=tier.role,
        target=TargetRef(target.api_version, target.kind, target.name),
        capacity_per_replica_rps=capacity,
        max_replicas=most,
        demand_per_request=tier.demand_per_request,
        lead_time_seconds=fallback.lead_time or tier.lead_time_seconds,
        depends_on=tier.depends_on,
        release=tier.release,
        rung_of=tier.name,
    )


def _after_rungs(tier: Tier, tiers: Sequence[Tier]) -> Tier:
    """What depends on a tier depends on its rungs: together they serve it."""
    rungs = [rung.name for rung in tiers if rung.rung_of in tier.depends_on]
    return replace(tier, depends_on=(*tier.depends_on, *rungs)) if rungs else tier


def _tier(spec: TierSpec, depends_on: tuple[str, ...]) -> Tier:
    target = spec.target_ref
    usual = TierRelease.NEVER if spec.role in _KEPT_ROLES else TierRelease.GRADUAL
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
    )


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
