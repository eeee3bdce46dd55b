"""What was promised, checked from the recording alone. Pure; a check whose data are missing fails."""

import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from forerun.domain.campaign import Occurrence
from forerun.report.timeline import TimelineRow
from forerun.sandbox.demo.scenario import DemoTier

GRACE = timedelta(seconds=3)
"""A floor answers the demand that the metric showed for so long: one scrape, one sample, one write."""

_LONGEST_GAP = timedelta(seconds=5)  # between complete rows, where the recording counts as whole
_AUTOSCALERS_OWN = "spec.replicas"


@dataclass(frozen=True, slots=True)
class Check:
    """One promise: kept or not, and the numbers that say so."""

    promise: str
    passed: bool
    evidence: tuple[str, ...]


def verdict(
    rows: Sequence[TimelineRow],
    tiers: Sequence[DemoTier],
    window: Occurrence,
    before: Mapping[str, Mapping[str, Any]],
    after: Mapping[str, Mapping[str, Any]],
) -> tuple[Check, ...]:
    """The three promises of the demo. `before` and `after` are raw objects, keyed `Kind/name`."""
    return (
        ready_before_start(rows, tiers, window.start),
        never_below_demand(rows, tiers, window),
        given_back(before, after, tiers),
    )


def ready_before_start(rows: Sequence[TimelineRow], tiers: Sequence[DemoTier], start: datetime) -> Check:
    """Every tier Ready at its floor in the last moment before the start, and something had been raised at all."""
    found = [_readiness(rows, tier, start) for tier in tiers]
    evidence = [readiness.evidence for readiness in found]
    raised = any(readiness.raised for readiness in found)
    if not raised:
        evidence.append("no floor was raised before the start")
    passed = raised and all(readiness.ready for readiness in found)
    return Check("every tier Ready at its floor before the start", passed, tuple(evidence))


def never_below_demand(rows: Sequence[TimelineRow], tiers: Sequence[DemoTier], window: Occurrence) -> Check:
    """No floor below what live demand needed, at any recorded moment of the window."""
    found = [_cover(rows, tier, window) for tier in tiers]
    passed = bool(found) and all(covered for covered, _ in found)
    return Check("no floor below live demand inside the window", passed, tuple(evidence for _, evidence in found))


@dataclass(frozen=True, slots=True)
class _Readiness:
    ready: bool
    raised: bool
    evidence: str


def _readiness(rows: Sequence[TimelineRow], tier: DemoTier, start: datetime) -> _Readiness:
    """Ready at the floor that stood a lead time before the start, and for the demand that is there.

    A floor that rises later still, because live demand does, cannot be Ready by the start: it is told, not judged.
    A tier that is raised for the first time so late has failed.
    """
    seen = [r for r in rows if r.tier == tier.name and r.at < start and r.floor is not None and r.ready is not None]
    if not seen or start - seen[-1].at > _LONGEST_GAP:
        return _Readiness(False, False, f"{tier.name}: not recorded in the {_LONGEST_GAP.seconds} s before the start")
    lead = timedelta(seconds=tier.lead_seconds)
    in_time = [row.floor or 0 for row in seen if row.at <= start - lead] or [seen[0].floor or 0]
    had, floor, last, ready = in_time[0], in_time[-1], seen[-1].floor or 0, seen[-1].ready or 0
    evidence = f"{tier.name}: {ready} Ready of a floor of {min(floor, last)} (had {had})"
    since = _since(seen, lambda row: (row.ready or 0) >= min(floor, last))
    if since is not None:
        evidence += f", since {(start - since).total_seconds():.0f} s before the start"
    if last > floor:
        later = next(row.at for row in seen if (row.floor or 0) > floor and row.at > start - lead)
        evidence += f"; raised on to {last} from {(start - later).total_seconds():.0f} s before it on, as demand grew"
    late = floor <= had < last
    enough = seen[-1].demand is None or ready >= needed(seen[-1], tier)
    return _Readiness(ready >= min(floor, last) and enough and not late, floor > had, evidence)


def _cover(rows: Sequence[TimelineRow], tier: DemoTier, window: Occurrence) -> tuple[bool, str]:
    """Whether the tier's floor covered the need throughout, and the moment when it was closest to it."""
    inside = [row for row in rows if row.tier == tier.name and window.contains(row.at)]
    complete = [row for row in inside if row.floor is not None and row.demand is not None]
    gap = longest_gap([row.at for row in complete], window)
    if not complete or gap > _LONGEST_GAP:
        return False, f"{tier.name}: {gap.total_seconds():.0f} s of the window are not recorded"
    needs = [needed(row, tier) for row in complete]
    lasting = [_lasting_need(complete, needs, index) for index in range(len(complete))]
    floors = [row.floor or 0 for row in complete]
    closest = min(range(len(complete)), key=lambda index: floors[index] - lasting[index])
    at = (complete[closest].at - window.start).total_seconds()
    return floors[closest] >= lasting[closest], (
        f"{tier.name}: {len(complete)} moments; closest {at:.0f} s after the start, floor {floors[closest]}, "
        f"{lasting[closest]} needed; at most {max(needs)} needed, floor at most {max(floors)}"
    )


def given_back(
    before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]], tiers: Sequence[DemoTier]
) -> Check:
    """Every target and autoscaler as it was, field for field: all but status and what the API server itself counts."""
    found = [_returned(name, before.get(name), after.get(name), tiers) for tier in tiers for name in _objects_of(tier)]
    passed = bool(found) and all(same for same, _ in found)
    return Check("every target given back byte for byte", passed, tuple(evidence for _, evidence in found))


def _returned(
    name: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, tiers: Sequence[DemoTier]
) -> tuple[bool, str]:
    if old is None or new is None:
        return False, f"{name}: not recorded {'before' if old is None else 'after'}"
    autoscaled = {f"{tier.kind.workload}/{tier.kind.target}" for tier in tiers if tier.kind.autoscaled}
    changes = _ours(old, new, autoscaled=name in autoscaled)
    if changes:
        return False, f"{name}: {'; '.join(changes)}"
    return True, f"{name}: {len(_leaves(comparable(new)))} fields identical"


def _ours(old: Mapping[str, Any], new: Mapping[str, Any], *, autoscaled: bool) -> list[str]:
    """What differs; where an autoscaler owns the target, replicas are its own: its bounds were ours."""
    changes = differences(comparable(old), comparable(new))
    return [change for change in changes if not (autoscaled and change.startswith(f"{_AUTOSCALERS_OWN}:"))]


def needed(row: TimelineRow, tier: DemoTier) -> int:
    """Replicas that the row's demand (calls/s of the tier) needs, at most maxReplicas."""
    return min(tier.kind.max_replicas, math.ceil((row.demand or 0.0) / tier.capacity_rps - 1e-9))


def longest_gap(moments: Sequence[datetime], window: Occurrence) -> timedelta:
    """The longest stretch of the window without a moment."""
    marks = [window.start, *moments, window.end]
    return max(after - before for before, after in pairwise(marks))


def comparable(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The object without status, and without what changes with every write, whoever writes."""
    kept = {name: deepcopy(value) for name, value in raw.items() if name != "status"}
    for name in ("resourceVersion", "generation", "managedFields"):
        kept["metadata"].pop(name, None)
    return kept


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """`path: old -> new` for every field that differs; nothing where both are equal."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for name in sorted({*old, *new}):
            place = f"{path}.{name}" if path else str(name)
            if name not in old:
                found.append(f"{place}: absent -> {new[name]!r}")
            elif name not in new:
                found.append(f"{place}: {old[name]!r} -> absent")
            else:
                found += differences(old[name], new[name], place)
        return found
    if type(old) is type(new) and old == new:
        return []
    return [f"{path}: {old!r} -> {new!r}"]


def floors_are_back(before: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether every object stands as it did, replicas that an autoscaler owns set aside."""
    scaled = {name.partition("/")[2] for name in before if name.startswith("HorizontalPodAutoscaler/")}
    return all(
        name in now and not _ours(old, now[name], autoscaled=name.partition("/")[2] in scaled)
        for name, old in before.items()
    )


def _objects_of(tier: DemoTier) -> tuple[str, ...]:
    target = f"{tier.kind.workload}/{tier.kind.target}"
    return (target, f"HorizontalPodAutoscaler/{tier.kind.target}") if tier.kind.autoscaled else (target,)


def _lasting_need(rows: Sequence[TimelineRow], needs: Sequence[int], index: int) -> int:
    """What was needed for as long as a floor may take to answer: the least of the last moments."""
    low = index
    while low > 0 and rows[index].at - rows[low - 1].at <= GRACE:
        low -= 1
    return min(needs[low : index + 1])


def _since(rows: Sequence[TimelineRow], holds: Callable[[TimelineRow], bool]) -> datetime | None:
    """Since when `holds` has been true without a break, up to the last row."""
    since = None
    for row in reversed(rows):
        if not holds(row):
            break
        since = row.at
    return since


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in _leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in _leaves(inner)]
    return [value]
