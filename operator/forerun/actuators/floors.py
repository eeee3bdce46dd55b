"""Pure arithmetic of floors: which bounds to write, whose the present ones are, what to give back."""

from collections.abc import Iterator
from enum import StrEnum

from forerun.domain.ledger import Bounds, LedgerEntry, Owner
from forerun.domain.target import TargetSnapshot

KEDA_DEFAULT_MAXIMUM = 100  # KEDA's default for maxReplicaCount

# What an absent field amounts to. An HPA's minReplicas is defaulted by the server; a
# ScaledObject's fields stay absent and KEDA reads them so; a workload's replicas default to 1.
_ABSENT_MINIMUM = {Owner.HPA: 1, Owner.SCALED_OBJECT: 0, Owner.SCALE: 1}
_ABSENT_MAXIMUM = {Owner.HPA: None, Owner.SCALED_OBJECT: KEDA_DEFAULT_MAXIMUM, Owner.SCALE: None}


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
    standing_floor = _minimum(snapshot.owner, snapshot.bounds) or 0
    minimum = floor if floor <= standing_floor else max(standing_floor, min(floor, ceiling))
    if snapshot.owner is Owner.SCALE:
        return Bounds(minimum, None)
    maximum = _maximum(snapshot.owner, snapshot.bounds)
    if maximum is not None and maximum >= minimum:
        return Bounds(minimum, snapshot.bounds.maximum)  # absent stays absent
    return Bounds(minimum, minimum)


def standing(snapshot: TargetSnapshot, entry: LedgerEntry) -> Standing:
    """Whose the bounds on the target are, field by field.

    Only fields that we changed count: an edit of maxReplicas by someone else, while we
    changed minReplicas alone, does not make our raise foreign. A field that is absent and
    one that says what absence amounts to are the same. Where no value of ours was seen to
    stand yet and our mirror is not there, what equals ours was written by somebody else.
    """
    if snapshot.owner_uid != entry.owner_uid:
        return Standing.REPLACED
    if _is_unwritten(snapshot, entry):
        return Standing.AT_BASELINE
    if any(_matches(snapshot, entry, written) for written in entry.written):
        return Standing.OURS
    base, now = _effective(entry.owner, entry.baseline), _effective(entry.owner, snapshot.bounds)
    if all(now[name] == base[name] for name in _ever_changed(entry)):
        return Standing.AT_BASELINE
    return Standing.FOREIGN


def regressed(snapshot: TargetSnapshot, entry: LedgerEntry, mirror: LedgerEntry) -> bool:
    """Whether the ledger is older than its mirror on the target: a CapacityPlan that came back from a backup.

    The ledger is committed before a target is written, so it always covers what stands there by the mirror.
    """
    same = snapshot.owner_uid == entry.owner_uid == mirror.owner_uid
    later = (mirror.epoch, mirror.changed_at) >= (entry.epoch, entry.changed_at)
    if not (same and later):
        return False
    return standing(snapshot, mirror) is Standing.OURS and standing(snapshot, entry) is not Standing.OURS


def given_back(snapshot: TargetSnapshot, entry: LedgerEntry) -> Bounds:
    """The bounds after a restore: the baseline where the field is ours, what stands there elsewhere.

    Where somebody has set a floor above the baseline's maximum, the maximum stays as high as that floor.
    """
    ours = _ours(snapshot, entry)
    after = Bounds(
        entry.baseline.minimum if "minimum" in ours else snapshot.bounds.minimum,
        entry.baseline.maximum if "maximum" in ours else snapshot.bounds.maximum,
    )
    least, most = _minimum(entry.owner, after), _maximum(entry.owner, after)
    return after if most is None or least <= most else Bounds(after.minimum, least)


def stands(snapshot: TargetSnapshot, entry: LedgerEntry) -> bool:
    """Whether any bound on the target is still ours, whatever somebody did to the other one."""
    return snapshot.owner_uid == entry.owner_uid and bool(_ours(snapshot, entry))


def still_written(snapshot: TargetSnapshot, entry: LedgerEntry) -> tuple[Bounds, ...]:
    """What of ours may stand there until the next write is confirmed."""
    if standing(snapshot, entry) is Standing.OURS:
        return (snapshot.bounds,)
    return entry.written if stands(snapshot, entry) else ()


def noted_baseline(snapshot: TargetSnapshot, entry: LedgerEntry) -> Bounds:
    """The baseline, with a maximum that somebody has set since, where we never changed that."""
    if "maximum" in _ever_changed(entry) or entry.owner is Owner.SCALE:
        return entry.baseline
    return Bounds(entry.baseline.minimum, snapshot.bounds.maximum)


def _ours(snapshot: TargetSnapshot, entry: LedgerEntry) -> set[str]:
    """The bounds that stand as we wrote them."""
    if _is_unwritten(snapshot, entry):
        return set()
    now = _effective(entry.owner, snapshot.bounds)
    return {
        name
        for written in entry.written
        for name in _changed(entry, written)
        if now[name] == _effective(entry.owner, written)[name]
    }


def _is_unwritten(snapshot: TargetSnapshot, entry: LedgerEntry) -> bool:
    """Whether the entry was only written ahead: no value of ours was seen to stand, and our mirror is not there."""
    return not entry.confirmed and snapshot.annotation is None


def _ever_changed(entry: LedgerEntry) -> set[str]:
    return {name for written in entry.written for name in _changed(entry, written)}


def _matches(snapshot: TargetSnapshot, entry: LedgerEntry, written: Bounds) -> bool:
    """Whether every field that `written` changed stands as it was written; at least one was changed."""
    now, put = _effective(entry.owner, snapshot.bounds), _effective(entry.owner, written)
    changed = tuple(_changed(entry, written))
    return bool(changed) and all(now[name] == put[name] for name in changed)


def _changed(entry: LedgerEntry, written: Bounds) -> Iterator[str]:
    base, put = _effective(entry.owner, entry.baseline), _effective(entry.owner, written)
    return (name for name in ("minimum", "maximum") if base[name] != put[name])


def _effective(owner: Owner, bounds: Bounds) -> dict[str, int | None]:
    return {"minimum": _minimum(owner, bounds), "maximum": _maximum(owner, bounds)}


def _minimum(owner: Owner, bounds: Bounds) -> int:
    return _ABSENT_MINIMUM[owner] if bounds.minimum is None else bounds.minimum


def _maximum(owner: Owner, bounds: Bounds) -> int | None:
    return _ABSENT_MAXIMUM[owner] if bounds.maximum is None else bounds.maximum
