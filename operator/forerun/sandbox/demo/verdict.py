"""What was promised, checked from the recording alone. Pure; a check whose data are missing fails."""

import math
from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True, slots=True)
class _Stand:
    """One tier at one moment, nothing of it unknown but perhaps the need."""

    at: datetime
    floor: int
    ready: int
    need: int


def _stands(rows: Sequence[TimelineRow], tier: DemoTier, before: datetime) -> list[_Stand]:
    return [
        _Stand(row.at, row.floor, row.ready, needed(row, tier))
        for row in rows
        if row.tier == tier.name and row.at < before and row.floor is not None and row.ready is not None
    ]


def _readiness(rows: Sequence[TimelineRow], tier: DemoTier, start: datetime) -> _Readiness:
    """Ready at the floor that stood a lead time before the start, and for the demand that is there.

    A floor that rises later still, because live demand does, cannot be Ready by the start: it is told, not judged.
    A tier that is raised for the first time so late has failed.
    """
    seen = _stands(rows, tier, start)
    if not seen or start - seen[-1].at > _LONGEST_GAP:
        return _Readiness(False, False, f"{tier.name}: not recorded in the {_LONGEST_GAP.seconds} s before the start")
    first, last = seen[0], seen[-1]
    in_time = [stand.floor for stand in seen if start - stand.at >= timedelta(seconds=tier.lead_seconds)]
    set_in_time = in_time[-1] if in_time else first.floor
    owed = min(set_in_time, last.floor)
    late = set_in_time <= first.floor < last.floor
    return _Readiness(
        ready=last.ready >= max(owed, last.need) and not late,
        raised=set_in_time > first.floor,
        evidence=f"{tier.name}: {last.ready} Ready of a floor of {owed} (had {first.floor})"
        f"{_since_when(seen, owed, start)}{_raised_on(seen, set_in_time, start)}",
    )


def _since_when(seen: Sequence[_Stand], owed: int, start: datetime) -> str:
    """Since when, without a break, the tier was Ready at what it owed."""
    since = None
    for stand in reversed(seen):
        if stand.ready < owed:
            break
        since = stand.at
    return "" if since is None else f", since {(start - since).total_seconds():.0f} s before the start"


def _raised_on(seen: Sequence[_Stand], set_in_time: int, start: datetime) -> str:
    if seen[-1].floor <= set_in_time:
        return ""
    since = next(later.at for earlier, later in pairwise(seen) if earlier.floor <= set_in_time < later.floor)
    return f"; raised on to {seen[-1].floor} from {(start - since).total_seconds():.0f} s before it on, as demand grew"


def _cover(rows: Sequence[TimelineRow], tier: DemoTier, window: Occurrence) -> tuple[bool, str]:
    """Whether the tier's floor covered the need throughout, and the moment when it was closest to it."""
    complete = _complete(rows, tier, window)
    gap = longest_gap([row.at for row in complete], window)
    if not complete or gap > _LONGEST_GAP:
        return False, f"{tier.name}: {gap.total_seconds():.0f} s of the window are not recorded"
    needs = [needed(row, tier) for row in complete]
    floors = [row.floor or 0 for row in complete]
    floor, need, at = _closest([row.at for row in complete], floors, needs)
    return floor >= need, (
        f"{tier.name}: {len(complete)} moments; closest {(at - window.start).total_seconds():.0f} s after the start, "
        f"floor {floor}, {need} needed; at most {max(needs)} needed, floor at most {max(floors)}"
    )


def _complete(rows: Sequence[TimelineRow], tier: DemoTier, window: Occurrence) -> list[TimelineRow]:
    """The tier's rows of the window of which both floor and demand are known."""
    inside = (row for row in rows if row.tier == tier.name and window.contains(row.at))
    return [row for row in inside if row.floor is not None and row.demand is not None]


def _closest(times: Sequence[datetime], floors: Sequence[int], needs: Sequence[int]) -> tuple[int, int, datetime]:
    """Floor, lasting need and time of the first moment at which the one was closest to the other."""
    lasting = [_lasting_need(times, needs, index) for index in range(len(times))]
    index = min(range(len(times)), key=lambda index: floors[index] - lasting[index])
    return floors[index], lasting[index], times[index]


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


def _lasting_need(times: Sequence[datetime], needs: Sequence[int], index: int) -> int:
    """What was needed for as long as a floor may take to answer: the least of the last moments."""
    low = index
    while low > 0 and times[index] - times[low - 1] <= GRACE:
        low -= 1
    return min(needs[low : index + 1])


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in _leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in _leaves(inner)]
    return [value]
