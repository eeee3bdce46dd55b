"""What a read of a target says of its ledger entry: pure."""

from dataclasses import replace

from forerun.actuators import Standing, standing, stands
from forerun.domain.ledger import Bounds, LedgerEntry
from forerun.domain.reason import Hold, Reason
from forerun.domain.target import TargetSnapshot

MAX_REVERTS = 3


def unstarted(entry: LedgerEntry, snapshot: TargetSnapshot) -> bool:
    """Nothing of ours has stood there yet: the baseline is what stands there now."""
    return not entry.confirmed and not stands(snapshot, entry)


def judged(entry: LedgerEntry, snapshot: TargetSnapshot, bounds: Bounds) -> LedgerEntry:
    """Who moved the floor since we wrote it: nobody, a reverter, or somebody with a will of their own."""
    if not entry.confirmed or bounds == snapshot.bounds:
        return entry
    where = standing(snapshot, entry)
    if where is Standing.FOREIGN:
        return replace(entry, drifted=True)
    if where is Standing.AT_BASELINE:
        reverts = entry.reverts + 1
        return replace(entry, reverts=reverts, contested=reverts >= MAX_REVERTS)
    return entry


def seen(entry: LedgerEntry, snapshot: TargetSnapshot | Hold | None) -> LedgerEntry:
    """What a fresh read says of an entry: ours stands (confirmed), or somebody changed it (drifted)."""
    if not isinstance(snapshot, TargetSnapshot) or entry.drifted or entry.contested:
        return entry
    where = standing(snapshot, entry)
    if where is Standing.OURS and not entry.confirmed and snapshot.bounds != entry.baseline:
        return replace(entry, confirmed=True)
    if where is Standing.FOREIGN and entry.confirmed:
        return replace(entry, drifted=True)
    return entry


def must_commit(stored: LedgerEntry | None, new: LedgerEntry) -> bool:
    """Whether the write of `new` is not covered by what the ledger says already."""
    if stored is None or not set(new.written) <= set(stored.written):
        return True
    return (stored.baseline, stored.owner_uid, stored.reverts, stored.lifted_from_zero) != (
        new.baseline,
        new.owner_uid,
        new.reverts,
        new.lifted_from_zero,
    )


def is_closed(entry: LedgerEntry, snapshot: TargetSnapshot | Hold | None, *, asked: bool) -> bool:
    """Whether there is nothing left to give back: the target is gone, or its floor is somebody else's for good."""
    if isinstance(snapshot, Hold):
        return snapshot.reason is Reason.TARGET_NOT_FOUND
    if snapshot is not None and standing(snapshot, entry) is Standing.REPLACED:
        return True
    return not asked and (entry.drifted or entry.contested)
