"""Field ownership (metadata.managedFields): taken with a raise, handed back with the restore.

A write of ours takes a field from whoever managed it. Were it left with us, the owner's
next server-side apply would conflict with a manager that is long gone; were it merely
dropped, the owner would no longer be known to manage the field. So the former managers
are noted in an annotation when a field is taken, and get it back with the restore.
"""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from forerun.actuators.owners import FIELDS
from forerun.domain.ledger import Owner
from forerun.kube.cluster import FIELD_MANAGER

OWNERS_ANNOTATION = "forerun.dev/field-owners"

Raw = Mapping[str, Any]
Manager = tuple[str, str, str, str]  # manager, operation, subresource, apiVersion


def former_owners(owner: Owner, raw: Raw) -> str | None:
    """The annotation to write with a raise: managers by spec field; None where there is nothing to add."""
    fields = raw["metadata"].get("managedFields") or ()
    known = _noted(raw)
    found = {name: managers for name in dict.fromkeys(FIELDS[owner]) if (managers := _managers(fields, name))}
    if not found or {**known, **found} == known:
        return None
    return json.dumps({**known, **found}, separators=(",", ":"))


def without_us(raw: Raw) -> list[dict[str, Any]] | None:
    """ManagedFields with our entries gone and the noted managers put back; None where nothing changes.

    A field goes back only where nobody but us manages it now. That we manage it is not
    asked: a Scale leaves out its replicas when they are 0, and then nobody does.
    """
    fields = raw["metadata"].get("managedFields") or []
    kept = [deepcopy(entry) for entry in fields if entry.get("manager") != FIELD_MANAGER]
    for name, managers in _noted(raw).items():
        if not _managers(kept, name):
            for manager in managers:
                _give(kept, name, manager)
    if kept == fields:
        return None
    # an empty list would mean "as before"; one empty entry means "none"
    return kept or [{}]


def _managers(fields: Sequence[Raw], name: str) -> list[Manager]:
    return [
        (entry["manager"], entry["operation"], entry.get("subresource", ""), entry["apiVersion"])
        for entry in fields
        if entry.get("manager") != FIELD_MANAGER and _owns(entry, name)
    ]


def _owns(entry: Raw, name: str) -> bool:
    return f"f:{name}" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})


def _give(fields: list[dict[str, Any]], name: str, manager: Manager) -> None:
    for entry in fields:
        if (entry.get("manager"), entry.get("operation"), entry.get("subresource", "")) == manager[:3]:
            entry.setdefault("fieldsV1", {}).setdefault("f:spec", {})[f"f:{name}"] = {}
            return
    entry = {
        "manager": manager[0],
        "operation": manager[1],
        "apiVersion": manager[3],
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {f"f:{name}": {}}},
    }
    fields.append(entry | ({"subresource": manager[2]} if manager[2] else {}))


def _noted(raw: Raw) -> dict[str, list[Manager]]:
    """What the annotation says; nothing where somebody has garbled it."""
    text = (raw["metadata"].get("annotations") or {}).get(OWNERS_ANNOTATION)
    try:
        noted = json.loads(text) if text else {}
        return {
            str(name): [(str(a), str(b), str(c), str(d)) for a, b, c, d in managers] for name, managers in noted.items()
        }
    except (ValueError, TypeError, AttributeError):
        return {}
