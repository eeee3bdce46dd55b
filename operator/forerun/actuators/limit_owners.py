"""Who managed the fields of a limit before us, noted with the first write and handed back with the last.

As `ownership` does for floors, for fields at any depth. A list counts as one field: a CRD's lists are atomic unless
they say otherwise, and where they do, their items keep their managers.
"""

import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from forerun.actuators.ownership import OWNERS_ANNOTATION
from forerun.domain.limits import FieldPath
from forerun.kube.cluster import FIELD_MANAGER

__all__ = ["OWNERS_ANNOTATION", "former_owners", "without_us"]

Raw = Mapping[str, Any]


def former_owners(raw: Raw, paths: Iterable[FieldPath]) -> str | None:
    """The annotation to write along: managers by field; None where there is nothing to add."""
    known = _noted(raw)
    found = {
        name: managers
        for name in dict.fromkeys(_name(path) for path in paths)
        if name not in known and (managers := _managers(raw["metadata"].get("managedFields") or (), name))
    }
    return json.dumps({**known, **found}, separators=(",", ":")) if found else None


def without_us(raw: Raw) -> list[dict[str, Any]] | None:
    """ManagedFields with ours gone and the noted managers put back; None where nothing changes."""
    fields = raw["metadata"].get("managedFields") or []
    kept = [deepcopy(entry) for entry in fields if entry.get("manager") != FIELD_MANAGER]
    for name, managers in _noted(raw).items():
        if not _managers(kept, name):
            for manager in managers:
                _give(kept, name, manager)
    return None if kept == fields else kept or [{}]


def _name(path: FieldPath) -> str:
    """The field that a path lies in, as one text: everything before the first place in a list."""
    parts: list[str] = []
    for part in path:
        if isinstance(part, int):
            break
        parts.append(part)
    return "/".join(parts)


def _managers(fields: Iterable[Raw], name: str) -> list[list[str]]:
    return [
        [entry["manager"], entry["operation"], entry.get("subresource", ""), entry["apiVersion"]]
        for entry in fields
        if entry.get("manager") != FIELD_MANAGER and _owns(entry.get("fieldsV1") or {}, name)
    ]


def _owns(node: Any, name: str) -> bool:
    for part in name.split("/"):
        if not isinstance(node, Mapping) or f"f:{part}" not in node:
            return False
        node = node[f"f:{part}"]
    return True


def _give(fields: list[dict[str, Any]], name: str, manager: list[str]) -> None:
    entry = next(
        (e for e in fields if [e.get("manager"), e.get("operation"), e.get("subresource", "")] == manager[:3]), None
    )
    if entry is None:
        entry = {"manager": manager[0], "operation": manager[1], "apiVersion": manager[3], "fieldsType": "FieldsV1"}
        fields.append(entry | ({"subresource": manager[2]} if manager[2] else {}))
        entry = fields[-1]
    node = entry.setdefault("fieldsV1", {})
    for part in name.split("/"):
        node = node.setdefault(f"f:{part}", {})


def _noted(raw: Raw) -> dict[str, list[list[str]]]:
    """What the annotation says; nothing where somebody has garbled it."""
    text = (raw["metadata"].get("annotations") or {}).get(OWNERS_ANNOTATION)
    try:
        noted = json.loads(text) if text else {}
        return {str(name): [[str(a), str(b), str(c), str(d)] for a, b, c, d in those] for name, those in noted.items()}
    except (ValueError, TypeError, AttributeError):
        return {}
