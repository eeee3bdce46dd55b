"""A floor that is a field of the target itself: where it stands, what it is, and the patch that changes it. Pure.

Used for kinds without a scale subresource (a table of presets says where) and where a Storefront names the field.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from forerun.actuators.pointers import Astray, Place, applied, is_empty, locate, merged, patch_of, segments
from forerun.domain.fields import FieldTarget, FloorField, Obstacle, Unlike
from forerun.domain.ledger import Bounds
from forerun.domain.reason import Hold, Reason
from forerun.domain.target import Rollout

# parents that may be made where they are not there: everywhere else an absent parent is a wrong path
_MAY_BE_MADE = ("metadata", "annotations")
_LARGEST = 2**31 - 1

Raw = Mapping[str, Any]


def usable(raw: Raw, kind: FieldTarget, subject: str, *, raised: bool = False) -> FloorField | Hold:
    """The floor's field as it is to be used on this object; a Hold with object, field and remedy where it cannot be.

    Where something of ours stands (`raised`), an obstacle that has come since does not keep it from being given back.
    """
    for obstacle in kind.obstacles:
        if not raised and _stands(raw, obstacle):
            return _hold(subject, obstacle.pointer, obstacle.remedy)
    field = kind.floor
    for pointer in field.pointers:
        place = locate(raw, pointer)
        if isinstance(place, Astray):
            return _hold(subject, f"{pointer}: {place.at}", place.why)
        wrong = _wrong(place)
        if wrong is not None:
            return _hold(subject, pointer, wrong)
    return replace(field, created=_created(raw, field.minimum))


def bounds_at(raw: Raw, field: FloorField) -> Bounds:
    """The bounds as they stand; None where a field is absent, or is not a number any more."""
    return Bounds(_number_at(raw, field.minimum), _number_at(raw, field.maximum) if field.maximum else None)


def patch_for(raw: Raw, field: FloorField, bounds: Bounds) -> Any:
    """The merge patch that makes `bounds` stand, in the form (number or text) that stands there; None removes."""
    patch = _patch_one(raw, field.minimum, bounds.minimum)
    if field.maximum is not None and (bounds.maximum, _number_at(raw, field.maximum)) != (None, None):
        # after the first one: both may lie in one list, which a patch holds whole
        patch = merged(patch, _patch_one(applied(raw, patch), field.maximum, bounds.maximum))
    return patch


def removal_for(raw: Raw, field: FloorField, bounds: Bounds) -> Any:
    """The same for a restore: parents that were made for the raise go with it, where nobody has put anything there."""
    patch = patch_for(raw, field, bounds)
    if field.created is None or bounds.minimum is not None:
        return patch
    top = locate(raw, field.created)
    if isinstance(top, Astray) or not is_empty(_without(top.value, field)):
        return patch
    return patch_of(raw, top, None)


def ready_at(raw: Raw, kind: FieldTarget) -> int | None:
    """Ready replicas as the target's status says; None where no field is named, or it says nothing."""
    return _number_at(raw, kind.ready) if kind.ready else None


def change_of(raw: Raw, kind: FieldTarget) -> Rollout | None:
    """A change of its own that the target is in, by its status: pods of a new kind, or data that moves."""
    if not raw.get("status") or not any(_differs(raw, unlike) for unlike in kind.changing):
        return None
    return Rollout()


def _differs(raw: Raw, unlike: Unlike) -> bool:
    value = _value_at(raw, unlike.pointer)
    if unlike.other is not None:
        return value is not None and value != _value_at(raw, unlike.other)
    if unlike.value is None:
        return value not in (None, "")
    return value is not None and str(value) != unlike.value


def _stands(raw: Raw, obstacle: Obstacle) -> bool:
    return any(
        value is not None and obstacle.value in (None, str(value)) for value in _values(raw, segments(obstacle.pointer))
    )


def _values(node: object, steps: Sequence[str]) -> list[Any]:
    """All values at a path in which `*` is any element of a list."""
    if not steps:
        return [node]
    if steps[0] == "*":
        elements = node if isinstance(node, Sequence) and not isinstance(node, str) else ()
        return [value for element in elements for value in _values(element, steps[1:])]
    return _values(node.get(steps[0]), steps[1:]) if isinstance(node, Mapping) else []


def _wrong(place: Place) -> str | None:
    """What is wrong with a place that a floor is to stand at, with the remedy."""
    if not place.is_absent:
        if _number(place.value) is None:
            return "holds no whole number; name the field that holds the replicas"
        return None
    missing = place.steps[place.known : -1]
    if any(step not in _MAY_BE_MADE for step in missing):
        return f"its parent {missing[0]} is not there; correct the path, or set it in the target"
    return None


def _created(raw: Raw, pointer: str) -> str | None:
    """The topmost parent of the field that is not there."""
    place = locate(raw, pointer)
    # annotations of the object itself are there in any case: our mirror is one
    if isinstance(place, Astray) or place.known >= len(place.steps) - 1 or place.steps[0] == "metadata":
        return None
    return "/".join(pointer.split("/")[: place.known + 2])


def _without(node: object, field: FloorField) -> object:
    """What is left below the created parent once the floor is taken away."""
    below = segments(field.minimum)[len(segments(field.created or "")) :]
    return _cut(node, below)


def _cut(node: object, steps: Sequence[str]) -> object:
    if not isinstance(node, Mapping) or not steps:
        return None if not steps else node
    return {name: _cut(child, steps[1:]) if name == steps[0] else child for name, child in node.items()}


def _patch_one(raw: Raw, pointer: str, number: int | None) -> Any:
    place = locate(raw, pointer)
    if isinstance(place, Astray):
        return {}
    value = None if number is None else (str(number) if _is_text(place) else number)
    return patch_of(raw, place, value)


def _is_text(place: Place) -> bool:
    """Annotations are strings; elsewhere it is as it stands there, and a number where nothing does."""
    return isinstance(place.value, str) or "annotations" in place.steps


def _number_at(raw: Raw, pointer: str) -> int | None:
    return _number(_value_at(raw, pointer))


def _value_at(raw: Raw, pointer: str) -> Any:
    place = locate(raw, pointer)
    return None if isinstance(place, Astray) else place.value


def _number(value: object) -> int | None:
    """A whole number, or a string of decimal digits, within what replicas may be."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(_LARGEST)):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST else None


def _hold(subject: str, pointer: str, remedy: str) -> Hold:
    return Hold(Reason.TARGET_NOT_SCALABLE, subject, detail=f"{subject}: {pointer}: {remedy}")
