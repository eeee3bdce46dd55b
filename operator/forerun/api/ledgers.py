"""The ledger as it is stored: in the CapacityPlan's status, and as an annotation on the target."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from forerun.api.models import ObjectRef
from forerun.api.models_plan import BoundsSpec, LedgerEntrySpec
from forerun.api.refusals import parsed
from forerun.domain.ledger import ABSENT, Bounds, LedgerEntry
from forerun.domain.reason import Refusal
from forerun.domain.storefront import TargetRef

ANNOTATION = "forerun.dev/ledger"


def stored_time(at: datetime) -> str:
    """RFC 3339 in UTC with the shortest fraction that loses nothing: 2026-11-27T07:00:00Z."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def ledger_to(entries: Iterable[LedgerEntry]) -> list[dict[str, Any]]:
    """The entries as `status.ledger`; a bound that was absent is written as "absent"."""
    return [_entry_to(entry) for entry in entries]


def ledger_from(status: Mapping[str, Any]) -> tuple[LedgerEntry, ...]:
    """The entries that can be read in a CapacityPlan's status; `ledger_faults` names the others."""
    return tuple(entry for entry in _read(status) if isinstance(entry, LedgerEntry))


def ledger_faults(status: Mapping[str, Any]) -> tuple[Refusal, ...]:
    """What stands in `status.ledger` and cannot be read: somebody else wrote it."""
    return tuple(fault for fault in _read(status) if isinstance(fault, Refusal))


def entry_to_annotation(entry: LedgerEntry) -> str:
    """The entry as one line of JSON, the same bytes for the same entry."""
    return json.dumps(_entry_to(entry), separators=(",", ":"), sort_keys=True)


def entry_from_annotation(text: str) -> LedgerEntry | None:
    """The entry of an annotation; None where it is none of ours."""
    try:
        value = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None
    entry = _entry_from(value, ANNOTATION)
    return entry if isinstance(entry, LedgerEntry) else None


def _read(status: object) -> list[LedgerEntry | Refusal]:
    written = status.get("ledger") if isinstance(status, Mapping) else None
    if not isinstance(written, list):
        return []
    return [_entry_from(value, f"status.ledger[{index}]") for index, value in enumerate(written)]


def _entry_from(value: object, path: str) -> LedgerEntry | Refusal:
    found = parsed(LedgerEntrySpec, value, "CapacityPlan", path)
    if isinstance(found, Refusal):
        return found
    return LedgerEntry(
        tier=found.tier,
        target=_target(found.target_ref),
        owner=found.owner,
        owner_ref=_target(found.owner_ref),
        owner_uid=found.owner_uid,
        baseline=_bounds(found.baseline),
        written=tuple(_bounds(bounds) for bounds in found.written),
        campaigns=tuple(found.campaigns),
        epoch=found.epoch,
        raised_at=found.raised_at,
        changed_at=found.changed_at,
        peak=found.peak,
        expires=found.expires,
        confirmed=found.confirmed,
        lifted_from_zero=found.lifted_from_zero,
        reverts=found.reverts,
        contested=found.contested,
        drifted=found.drifted,
        kept=found.kept,
        release=found.release,
    )


def _entry_to(entry: LedgerEntry) -> dict[str, Any]:
    return {
        "tier": entry.tier,
        "targetRef": _ref(entry.target),
        "owner": entry.owner.value,
        "ownerRef": _ref(entry.owner_ref),
        "ownerUid": entry.owner_uid,
        "baseline": _bounds_to(entry.baseline),
        "written": [_bounds_to(bounds) for bounds in entry.written],
        "campaigns": list(entry.campaigns),
        "epoch": entry.epoch,
        "raisedAt": stored_time(entry.raised_at),
        "changedAt": stored_time(entry.changed_at),
        "peak": entry.peak,
        "expires": stored_time(entry.expires),
        "confirmed": entry.confirmed,
        "liftedFromZero": entry.lifted_from_zero,
        "reverts": entry.reverts,
        "contested": entry.contested,
        "drifted": entry.drifted,
        "kept": entry.kept,
        "release": entry.release.value,
    }


def _target(ref: ObjectRef) -> TargetRef:
    return TargetRef(ref.api_version, ref.kind, ref.name)


def _ref(target: TargetRef) -> dict[str, str]:
    return {"apiVersion": target.api_version, "kind": target.kind, "name": target.name}


def _bounds(written: BoundsSpec) -> Bounds:
    return Bounds(written.min_replicas, written.max_replicas)


def _bounds_to(bounds: Bounds) -> dict[str, int | str]:
    return {
        "minReplicas": ABSENT if bounds.minimum is None else bounds.minimum,
        "maxReplicas": ABSENT if bounds.maximum is None else bounds.maximum,
    }
