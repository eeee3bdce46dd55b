"""The ledger of limits as it is stored: in the CapacityPlan's status, and as an annotation on the object."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from forerun.api.ledgers import stored_time
from forerun.api.models_plan import FieldSpec, LimitEntrySpec
from forerun.api.refusals import parsed
from forerun.domain.limits import FieldPath, Fields, LimitEntry
from forerun.domain.reason import Refusal
from forerun.domain.storefront import TargetRef


def limits_to(entries: Iterable[LimitEntry]) -> list[dict[str, Any]]:
    """The entries as `status.limits`."""
    return [_entry_to(entry) for entry in entries]


def limits_from(status: Mapping[str, Any]) -> tuple[LimitEntry, ...]:
    """The entries that can be read; one that cannot is somebody else's."""
    written = status.get("limits")
    if not isinstance(written, list):
        return ()
    found = (_entry_from(value) for value in written)
    return tuple(entry for entry in found if entry is not None)


def limit_to_annotation(entry: LimitEntry) -> str:
    """The entry as one line of JSON, the same bytes for the same entry."""
    return json.dumps(_entry_to(entry), separators=(",", ":"), sort_keys=True)


def limit_from_annotation(text: str) -> LimitEntry | None:
    """The entry of an annotation; None where it is none of ours."""
    try:
        return _entry_from(json.loads(text))
    except (ValueError, TypeError, RecursionError):
        return None


def _entry_to(entry: LimitEntry) -> dict[str, Any]:
    ref = entry.ref
    return {
        "tier": entry.tier,
        "policyRef": {"apiVersion": ref.api_version, "kind": ref.kind, "name": ref.name},
        "uid": entry.uid,
        "baseline": _fields_to(entry.baseline),
        "written": [{"fields": _fields_to(fields)} for fields in entry.written],
        "pods": entry.pods,
        "campaigns": list(entry.campaigns),
        "epoch": entry.epoch,
        "changedAt": stored_time(entry.changed_at),
        "confirmed": entry.confirmed,
        "drifted": entry.drifted,
    }


def _entry_from(value: object) -> LimitEntry | None:
    found = parsed(LimitEntrySpec, value, "CapacityPlan", "status.limits")
    if isinstance(found, Refusal):
        return None
    ref = found.policy_ref
    return LimitEntry(
        tier=found.tier,
        ref=TargetRef(ref.api_version, ref.kind, ref.name),
        uid=found.uid,
        baseline=_fields_from(found.baseline),
        written=tuple(_fields_from(written.fields) for written in found.written),
        pods=found.pods,
        campaigns=tuple(found.campaigns),
        epoch=found.epoch,
        changed_at=found.changed_at,
        confirmed=found.confirmed,
        drifted=found.drifted,
    )


def _fields_to(fields: Fields) -> list[dict[str, Any]]:
    return [{"path": _pointer(path)} | ({} if value is None else {"value": value}) for path, value in fields]


def _fields_from(fields: Iterable[FieldSpec]) -> Fields:
    return tuple((_path(field.path), field.value) for field in fields)


def _pointer(path: FieldPath) -> str:
    return "".join(f"/{part}" for part in path)


def _path(pointer: str) -> FieldPath:
    return tuple(int(part) if part.isdigit() else part for part in pointer.split("/")[1:])
