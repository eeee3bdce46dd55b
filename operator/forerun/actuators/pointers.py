"""JSON pointers (RFC 6901) with elements of lists by key: find a value, and make the merge patch that sets it. Pure."""

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

_ELEMENT = re.compile(r"\[([^=\]]+)(?:=([^\]]*))?\]")

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pointer leads in one object: `steps` are names and positions; those from `known` on do not exist yet."""

    steps: tuple[str | int, ...]
    known: int
    value: Any = None

    @property
    def is_absent(self) -> bool:
        return self.known < len(self.steps)


@dataclass(frozen=True, slots=True)
class Astray:
    """Why a pointer leads nowhere, with the part of it that still does."""

    at: str
    why: str


def segments(pointer: str) -> list[str]:
    """The unescaped segments of a pointer."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def locate(raw: object, pointer: str) -> Place | Astray:
    """The place that `pointer` means; absent fields of maps are places too, absent elements of lists are not."""
    node, steps, known = raw, list[str | int](), 0
    for position, segment in enumerate(segments(pointer)):
        element = _ELEMENT.fullmatch(segment)
        step: str | int = segment
        if element:
            found = _element(node, element[1], element[2])
            if isinstance(found, str):
                return Astray(_beginning(pointer, position), found)
            step = found
        elif node is not None and not isinstance(node, Mapping):
            return Astray(_beginning(pointer, position), "is no map of fields")
        steps.append(step)
        node = _child(node, step)
        known = known if node is None else position + 1
    return Place(tuple(steps), known, node)


def patch_of(raw: object, place: Place, value: object) -> Any:
    """The RFC 7386 merge patch that puts `value` at the place; None takes it away.

    A list is replaced whole by a merge patch: it comes with all its elements as they stand in `raw`, so the patch has
    to be guarded by the resourceVersion of `raw`.
    """
    return _patch(raw, place.steps, value)


def merged(first: Any, second: Any) -> Any:
    """Two patches of different fields as one."""
    if not isinstance(first, Mapping) or not isinstance(second, Mapping):
        return second
    return {**first, **{name: merged(first.get(name), value) for name, value in second.items()}}


def is_empty(node: object) -> bool:
    """Whether nothing but empty maps is in there."""
    return node is None or (isinstance(node, Mapping) and all(is_empty(child) for child in node.values()))


def _patch(node: object, steps: Sequence[str | int], value: object) -> Any:
    if not steps:
        return value
    head, rest = steps[0], steps[1:]
    if isinstance(head, int) and isinstance(node, Sequence):
        elements = [deepcopy(element) for element in node]
        elements[head] = applied(elements[head], _patch(elements[head], rest, value))
        return elements
    return {head: _patch(_child(node, head), rest, value)}


def applied(node: Any, patch: Any) -> Any:
    """The value after a merge patch of it."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(node) if isinstance(node, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = applied(result.get(name), value)
    return result


def _beginning(pointer: str, count: int) -> str:
    """The first `count` segments of a pointer."""
    return "/".join(pointer.split("/")[: count + 1]) or "/"


def _element(node: object, key: str, value: str | None) -> int | str:
    """Position of the one element with that key; a sentence where there is none or more than one."""
    if not isinstance(node, Sequence) or isinstance(node, str):
        return "is no list" if node is not None else "is not there"
    named = [str(element.get(key)) for element in node if isinstance(element, Mapping) and key in element]
    wanted = [
        position
        for position, element in enumerate(node)
        if isinstance(element, Mapping) and key in element and value in (None, str(element[key]))
    ]
    if len(wanted) == 1:
        return wanted[0]
    names = ", ".join(named) or "none"
    return f"name one of its elements with {key}: {names}" if value is None else f"has no single {key} {value}: {names}"


def _child(node: object, step: str | int) -> Any:
    if isinstance(step, int):
        return node[step] if isinstance(node, Sequence) else None
    return node.get(step) if isinstance(node, Mapping) else None
