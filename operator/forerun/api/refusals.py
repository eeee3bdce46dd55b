"""Pydantic's errors in the words of a `Refusal`: object, field, remedy, each on one line."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from forerun.api.models import Head, title
from forerun.domain.reason import Refusal

H = TypeVar("H", bound=Head)
M = TypeVar("M", bound=BaseModel)

_PLAIN = {
    "missing": "is required",
    "extra_forbidden": "is not a field that exists here; remove it or correct its spelling",
    "bool_type": "must be true or false, without quotes",
    "list_type": "must be a list",
    "dict_type": "must be a map of names to values",
    "model_type": "must be an object with fields",
    "model_attributes_type": "must be an object with fields",
    "string_type": "must be a string",
    "int_type": "must be a whole number",
}


def checked(model: type[H], obj: object) -> H | Refusal:
    """The object as its model, or one refusal for its first misfit. Never raises, whatever `obj` is."""
    kind = model.__name__
    if not isinstance(obj, Mapping):
        return Refusal(kind, "object", f"must be a {kind} object with apiVersion, kind, metadata and spec")
    head = {"kind": kind, **obj}
    if head["kind"] != kind:
        return Refusal(title(obj, kind), "kind", f"must be {kind}")
    found = parsed(model, head, title(obj, kind))
    if isinstance(found, Refusal):
        return found
    expected = type(found).model_fields["api_version"].default
    if found.api_version != expected:
        return Refusal(title(obj, kind), "apiVersion", f"must be {expected}")
    return found


def parsed(model: type[M], value: object, obj: str, path: str = "") -> M | Refusal:
    """Any JSON-like value as a model, or the refusal of its first misfit, whose field starts with `path`."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(part for part in (path, field_path(first["loc"])) if part)
        return Refusal(obj, field or "object", remedy(first))


def field_path(location: tuple[int | str, ...]) -> str:
    """`("spec", "tiers", 1, "maxReplicas")` as `spec.tiers[1].maxReplicas`, safe to print."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            shown = part if part.isascii() and part.isprintable() else ascii(part)[1:-1]
            path += ("." if path else "") + shown[:80]
    return path[:400]


def remedy(error: ErrorDetails) -> str:
    """What the author should do about it, in one sentence."""
    context: dict[str, Any] = error.get("ctx", {})
    match error["type"]:
        case "enum" | "literal_error":
            return "must be one of " + str(context["expected"]).replace("'", "").replace(" or ", ", ")
        case "too_long":
            return f"must have at most {context['max_length']} entries"
        case "too_short":
            return f"must have at least {context['min_length']} entry"
        case kind if kind in _PLAIN:
            return _PLAIN[kind]
    return " ".join(error["msg"].split())
