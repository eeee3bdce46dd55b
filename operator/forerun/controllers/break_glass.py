"""Give everything back at once, from the annotations on the targets alone.

For the day on which the plans, our kinds or the operator are gone: nothing is read but the targets.
"""

import asyncio

from forerun.actuators import Mark, Standing, find_marks, forget, kinds_of_owners, read_raised, restore, standing
from forerun.api.convert import entry_from_annotation
from forerun.domain.ledger import Bounds, LedgerEntry
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import TierRelease
from forerun.domain.target import GivenBack, TargetSnapshot
from forerun.kube.cluster import Cluster
from forerun.observe.audit import record_write

ATTEMPTS = 5  # somebody may write in between: then it is read again

_UNKNOWN = Bounds(None, None)


class BreakGlass:
    """One sweep over the targets; whatever is not given back says why."""

    def __init__(self, cluster: Cluster, *, include_kept: bool = False, dry_run: bool = False) -> None:
        """`include_kept`: also what a tier with `release: Never` has, a cache or a database."""
        self._cluster = cluster
        self._include_kept = include_kept
        self._dry_run = dry_run

    async def sweep(self, namespace: str | None) -> tuple[list[GivenBack], list[Hold]]:
        """Every raise in `namespace` (None: in all of them), and a Hold for each kind that could not be looked at."""
        marks, holds = await find_marks(self._cluster, namespace, await kinds_of_owners(self._cluster))
        done = await asyncio.gather(*(self._give_back(mark) for mark in marks))
        return sorted((one for one in done if one), key=lambda one: (one.namespace, str(one.reference))), holds

    async def _give_back(self, mark: Mark) -> GivenBack | None:
        entry = entry_from_annotation(mark.text)
        if entry is None:
            detail = "the annotation forerun.dev/ledger cannot be read; give it back by hand and remove it"
            return GivenBack(mark.namespace, mark.reference, _UNKNOWN, hold=Hold(Reason.INVALID, detail=detail))
        if entry.owner_ref != mark.reference:
            return None  # a copy of the annotation; what was written is another object
        if entry.release is TierRelease.NEVER and not self._include_kept:
            detail = "or add --include-kept"
            return GivenBack(mark.namespace, mark.reference, entry.baseline, hold=Hold(Reason.KEPT, detail=detail))
        outcome = GivenBack(mark.namespace, mark.reference, entry.baseline)
        for _ in range(ATTEMPTS):
            outcome = await self._attempt(mark.namespace, entry)
            if outcome.hold is None or outcome.hold.reason is not Reason.CONFLICT:
                break
        return outcome

    async def _attempt(self, namespace: str, entry: LedgerEntry) -> GivenBack:
        snapshot = await read_raised(self._cluster, namespace, entry)
        if isinstance(snapshot, Hold):
            return GivenBack(namespace, entry.owner_ref, entry.baseline, hold=snapshot)
        return await self._write(namespace, snapshot, entry)

    async def _write(self, namespace: str, snapshot: TargetSnapshot, entry: LedgerEntry) -> GivenBack:
        reference, before = entry.owner_ref, snapshot.bounds
        foreign = _foreign(snapshot, entry)
        if foreign is not None and foreign.reason is Reason.DRIFTED and not self._dry_run:
            # a bound that is still ours goes back with our note
            forgotten = await forget(self._cluster, namespace, snapshot, entry)
            foreign = forgotten if isinstance(forgotten, Hold) else foreign
        if foreign is not None or self._dry_run:
            return GivenBack(namespace, reference, entry.baseline, before, before, foreign)
        outcome = await restore(self._cluster, namespace, snapshot, entry)
        if isinstance(outcome, Hold):
            return GivenBack(namespace, reference, entry.baseline, before, hold=outcome)
        record_write(namespace, outcome, Reason.BREAK_GLASS, entry.campaigns, entry.epoch)
        return GivenBack(namespace, reference, entry.baseline, before, outcome.after)


def _foreign(snapshot: TargetSnapshot, entry: LedgerEntry) -> Hold | None:
    """Why what stands there is not ours to change; None where it is."""
    where = standing(snapshot, entry)
    if where is Standing.REPLACED:
        return Hold(Reason.TARGET_REPLACED, entry.tier)
    return Hold(Reason.DRIFTED, entry.tier) if where is Standing.FOREIGN else None
