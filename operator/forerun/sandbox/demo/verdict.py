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
    evidence, passed, raised = [], True, False
    for tier in tiers:
        seen = [row for row in rows if row.tier == tier.name and row.at < start]
        complete = [row for row in seen if row.floor is not None and row.ready is not None]
        if not complete or start - complete[-1].at > _LONGEST_GAP:
            evidence.append(f"{tier.name}: not recorded in the {_LONGEST_GAP.seconds} s before the start")
            passed = False
            continue
        first, last = complete[0], complete[-1]
        floor, ready = last.floor or 0, last.ready or 0
        raised = raised or floor > (first.floor or 0)
        passed = passed and ready >= floor
        since = _since(complete, lambda row, floor=floor: (row.ready or 0) >= floor)  # type: ignore[misc]
        when = f", since {(start - since).total_seconds():.0f} s before the start" if since and ready >= floor else ""
        evidence.append(f"{tier.name}: {ready} Ready of a floor of {floor} (had {first.floor}){when}")
    if not raised:
        evidence.append("no floor was raised before the start")
    return Check("every tier Ready at its floor before the start", passed and raised, tuple(evidence))


def never_below_demand(rows: Sequence[TimelineRow], tiers: Sequence[DemoTier], window: Occurrence) -> Check:
    """No floor below what live demand needed, at any recorded moment of the window."""
    evidence, passed = [], True
    for tier in tiers:
        inside = [row for row in rows if row.tier == tier.name and window.contains(row.at)]
        complete = [row for row in inside if row.floor is not None and row.demand is not None]
        gap = longest_gap([row.at for row in complete], window)
        if gap > _LONGEST_GAP:
            evidence.append(f"{tier.name}: {gap.total_seconds():.0f} s of the window are not recorded")
            passed = False
            continue
        needs = [needed(row, tier) for row in complete]
        worst: tuple[int, TimelineRow, int] | None = None
        for index, row in enumerate(complete):
            need = _lasting_need(complete, needs, index)
            margin = (row.floor or 0) - need
            if worst is None or margin < worst[0]:
                worst = (margin, row, need)
        if worst is None:
            continue  # a gap as long as the window: refused above
        margin, row, need = worst
        passed = passed and margin >= 0
        at = (row.at - window.start).total_seconds()
        evidence.append(
            f"{tier.name}: {len(complete)} moments; closest {at:.0f} s after the start, floor {row.floor}, "
            f"{need} needed; at most {max(needs)} needed, floor at most {max(r.floor or 0 for r in complete)}"
        )
    return Check("no floor below live demand inside the window", passed, tuple(evidence))


def given_back(
    before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]], tiers: Sequence[DemoTier]
) -> Check:
    """Every target and autoscaler as it was, field for field: all but status and what the API server itself counts."""
    names = [name for tier in tiers for name in _objects_of(tier)]
    evidence, passed = [], True
    for name in names:
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            evidence.append(f"{name}: not recorded {'before' if old is None else 'after'}")
            passed = False
            continue
        changes = differences(comparable(old), comparable(new))
        autoscaled = any(t.kind.autoscaled and name == f"{t.kind.workload}/{t.kind.target}" for t in tiers)
        # where an autoscaler owns the target, its replicas are the autoscaler's: its bounds were ours, and are compared
        ours = [change for change in changes if not (autoscaled and change.startswith(f"{_AUTOSCALERS_OWN}:"))]
        passed = passed and not ours
        same = f"{len(_leaves(comparable(new)))} fields identical"
        evidence.append(f"{name}: {'; '.join(ours) if ours else same}")
    return Check("every target given back byte for byte", passed and bool(names), tuple(evidence))


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
    autoscaled = {name.partition("/")[2] for name in before if name.startswith("HorizontalPodAutoscaler/")}
    for name, old in before.items():
        if name not in now:
            return False
        changes = differences(comparable(old), comparable(now[name]))
        if name.partition("/")[2] in autoscaled:
            changes = [change for change in changes if not change.startswith(f"{_AUTOSCALERS_OWN}:")]
        if changes:
            return False
    return True


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
