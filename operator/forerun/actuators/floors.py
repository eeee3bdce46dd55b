"""Pure arithmetic of floors: which bounds to write, whose the present ones are, what to give back."""

from collections.abc import Iterator
from enum import StrEnum

from forerun.domain.fields import FloorField
from forerun.domain.ledger import Bounds, LedgerEntry, Owner
from forerun.domain.target import TargetSnapshot

KEDA_DEFAULT_MAXIMUM = 100  # KEDA's default for maxReplicaCount

# What an absent field amounts to. An HPA's minReplicas is defaulted by the server; a
# ScaledObject's fields stay absent and KEDA reads them so; a workload's replicas default to 1.
_ABSENT_MINIMUM = {Owner.HPA: 1, Owner.SCALED_OBJECT: 0, Owner.SCALE: 1, Owner.FIELD: 0}


class Standing(StrEnum):
    """Whose bounds stand on a target, compared with a ledger entry."""

    OURS = "Ours"
    AT_BASELINE = "AtBaseline"
    FOREIGN = "Foreign"
    REPLACED = "Replaced"


def bounds_for(snapshot: TargetSnapshot, floor: int, ceiling: int) -> Bounds:
    """The bounds that make `floor` stand, in replicas; both are always written together.

    `ceiling` (the tier's maxReplicas) caps a raise; it never lowers what stands. The
    maximum is lifted where it is below the floor, and comes down with the restore only.
    """
    standing_floor = floor_of(snapshot.owner, snapshot.bounds, snapshot.floor_field)
    minimum = floor if floor <= standing_floor else max(standing_floor, min(floor, ceiling))
    if snapshot.owner is Owner.SCALE or (snapshot.floor_field is not None and snapshot.floor_field.maximum is None):
        return Bounds(minimum, None)
    maximum = _maximum(snapshot.owner, snapshot.bounds)
    if snapshot.floor_field is not None and not maximum:
        return Bounds(minimum, snapshot.bounds.maximum)  # absent and 0 mean: no ceiling
    if maximum is not None and maximum >= minimum:
        return Bounds(minimum, snapshot.bounds.maximum)  # absent stays absent
    return Bounds(minimum, minimum)


def standing(snapshot: TargetSnapshot, entry: LedgerEntry) -> Standing:
    """Whose the bounds on the target are, field by field.

    Only fields that we changed count: an edit of maxReplicas by someone else, while we
    changed minReplicas alone, does not make our raise foreign. A field that is absent and
    one that says what absence amounts to are the same.
    """
    if snapshot.owner_uid != entry.owner_uid:
        return Standing.REPLACED
    if any(_matches(snapshot, entry, written) for written in entry.written):
        return Standing.OURS
    changed = {name for written in entry.written for name in _changed(entry, written)}
    base, now = _effective(entry, entry.baseline), _effective(entry, snapshot.bounds)
    if all(now[name] == base[name] for name in changed):
        return Standing.AT_BASELINE
    return Standing.FOREIGN


def given_back(snapshot: TargetSnapshot, entry: LedgerEntry) -> Bounds:
    """The bounds after a restore: the baseline where the field is ours, what stands there elsewhere."""
    ours = {
        name for written in entry.written if _matches(snapshot, entry, written) for name in _changed(entry, written)
    }
    return Bounds(
        entry.baseline.minimum if "minimum" in ours else snapshot.bounds.minimum,
        entry.baseline.maximum if "maximum" in ours else snapshot.bounds.maximum,
    )


def _matches(snapshot: TargetSnapshot, entry: LedgerEntry, written: Bounds) -> bool:
    """Whether every field that `written` changed stands as it was written; at least one was changed."""
    now, put = _effective(entry, snapshot.bounds), _effective(entry, written)
    changed = tuple(_changed(entry, written))
    return bool(changed) and all(now[name] == put[name] for name in changed)


def _changed(entry: LedgerEntry, written: Bounds) -> Iterator[str]:
    base, put = _effective(entry, entry.baseline), _effective(entry, written)
    return (name for name in ("minimum", "maximum") if base[name] != put[name])


def _effective(entry: LedgerEntry, bounds: Bounds) -> dict[str, int | None]:
    minimum = floor_of(entry.owner, bounds, entry.floor_field)
    return {"minimum": minimum, "maximum": _maximum(entry.owner, bounds)}


def floor_of(owner: Owner, bounds: Bounds, field: FloorField | None = None) -> int:
    """The floor as a number: an absent one is what the owner takes it for."""
    if bounds.minimum is not None:
        return bounds.minimum
    return _ABSENT_MINIMUM[owner] if field is None else field.absent


def _maximum(owner: Owner, bounds: Bounds) -> int | None:
    keda = owner is Owner.SCALED_OBJECT
    return KEDA_DEFAULT_MAXIMUM if keda and bounds.maximum is None else bounds.maximum
