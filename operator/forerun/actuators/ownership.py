"""Field ownership (metadata.managedFields): taken with a raise, handed back with the restore.

A write of ours takes a field from whoever managed it. Were it left with us, the owner's
next server-side apply would conflict with a manager that is long gone; were it merely
dropped, the owner would no longer be known to manage the field. So the former managers
are noted in an annotation when a field is taken, and get it back with the restore.
"""

import itertools
import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from forerun.actuators.owners import FIELDS
from forerun.actuators.pointers import Astray, locate
from forerun.domain.fields import FloorField
from forerun.domain.ledger import Owner
from forerun.kube.cluster import FIELD_MANAGER

OWNERS_ANNOTATION = "forerun.dev/field-owners"

Raw = Mapping[str, Any]
Manager = tuple[str, str, str, str]  # manager, operation, subresource, apiVersion


def former_owners(owner: Owner, raw: Raw, field: FloorField | None = None) -> str | None:
    """The annotation to write with a raise: managers by spec field; None where there is nothing to add.

    A field elsewhere than directly in the spec goes by its path of keys, as managedFields have it, down to where
    somebody's ownership ends: a list may be owned whole.
    """
    fields = raw["metadata"].get("managedFields") or ()
    known = _noted(raw)
    names = FIELDS[owner] if field is None else _paths(fields, raw, field)
    found = {name: managers for name in dict.fromkeys(names) if (managers := _managers(fields, name))}
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
    node = entry.get("fieldsV1")
    for key in _keys(name):
        if not isinstance(node, Mapping) or key not in node:
            return False
        node = node[key]
    return True


def _keys(name: str) -> list[str]:
    """The keys in fieldsV1 of a noted name: of a spec field, or a path of keys as a JSON list."""
    if name.startswith("["):
        try:
            keys = json.loads(name)
        except ValueError:
            return []
        return [str(key) for key in keys]
    return ["f:spec", f"f:{name}"]


def _paths(fields: Sequence[Raw], raw: Raw, field: FloorField) -> list[str]:
    """For each pointer of the field, how far down the managers of others own it."""
    found = []
    for pointer in field.pointers:
        keys = _field_keys(raw, pointer)
        for entry in fields:
            depth = _depth(entry.get("fieldsV1"), keys)
            if entry.get("manager") != FIELD_MANAGER and depth:
                found.append(json.dumps(keys[:depth], separators=(",", ":")))
    return found


def _field_keys(raw: Raw, pointer: str) -> list[str]:
    """The keys of a pointer; below a list nobody can say how its elements are told apart, so it ends there."""
    place = locate(raw, pointer)
    if isinstance(place, Astray):
        return []
    names = list(itertools.takewhile(lambda step: isinstance(step, str), place.steps))
    return [f"f:{name}" for name in names]


def _depth(node: object, keys: Sequence[str]) -> int:
    """How many keys down an entry owns the field itself or a whole around it; 0 where it does not."""
    for depth, key in enumerate(keys):
        if not isinstance(node, Mapping) or key not in node:
            return 0
        node = node[key]
        if node == {}:
            return depth + 1
    return 0


def _give(fields: list[dict[str, Any]], name: str, manager: Manager) -> None:
    for entry in fields:
        if (entry.get("manager"), entry.get("operation"), entry.get("subresource", "")) == manager[:3]:
            _plant(entry.setdefault("fieldsV1", {}), name)
            return
    entry = {
        "manager": manager[0],
        "operation": manager[1],
        "apiVersion": manager[3],
        "fieldsType": "FieldsV1",
        "fieldsV1": _plant({}, name),
    }
    fields.append(entry | ({"subresource": manager[2]} if manager[2] else {}))


def _plant(node: dict[str, Any], name: str) -> dict[str, Any]:
    """`node` with the field of that name in it."""
    below = node
    for key in _keys(name):
        below = below.setdefault(key, {})
    return node


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
