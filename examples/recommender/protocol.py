"""Requests and answers of the Open Inference Protocol, version 2, as far as this model needs them. Pure."""

import math
from dataclasses import dataclass
from typing import Any

MOST_USERS, MOST_SEEN, MOST_ITEMS = 64, 100, 100
DEFAULT_ITEMS = 10


class RefusedError(ValueError):
    """The request is not one that the model can answer; the message names the field."""


@dataclass(frozen=True, slots=True)
class Question:
    """Whose best `count` items are asked for; `seen` has one row per user, all of one length."""

    users: list[int]
    seen: list[list[int]]
    count: int
    request_id: str | None = None


def read(body: Any, users: int, items: int) -> Question:
    """A body of `POST /v2/models/NAME/infer`; `users` and `items` are known. Raises RefusedError."""
    if not isinstance(body, dict) or not isinstance(body.get("inputs"), list):
        raise RefusedError("inputs: a list of tensors is needed")
    tensors = {tensor.get("name"): tensor for tensor in body["inputs"] if isinstance(tensor, dict)}
    if unknown := ", ".join(str(name) for name in tensors if name not in {"user", "seen"}):
        raise RefusedError(f"inputs: {unknown}: this model reads `user` and `seen`")
    if "user" not in tensors:
        raise RefusedError("inputs: `user` is missing")
    shape, who = _integers(tensors["user"], users)
    if len(shape) != 1 or not 1 <= len(who) <= MOST_USERS:
        raise RefusedError(f"user: the shape must be [n], n from 1 to {MOST_USERS}")
    rows: list[list[int]] = [[] for _ in who]
    if "seen" in tensors:
        shape, flat = _integers(tensors["seen"], items)
        if len(shape) != 2 or shape[0] != len(who) or shape[1] > MOST_SEEN:
            raise RefusedError(f"seen: the shape must be [{len(who)}, h], h at most {MOST_SEEN}")
        rows = [flat[row * shape[1] : (row + 1) * shape[1]] for row in range(len(who))]
    parameters = body.get("parameters")
    asked = parameters.get("k", DEFAULT_ITEMS) if isinstance(parameters, dict) else DEFAULT_ITEMS
    name = body.get("id")
    return Question(who, rows, item_count(asked), name if isinstance(name, str) else None)


def item_count(asked: Any) -> int:
    """How many items are asked for. Raises RefusedError."""
    if isinstance(asked, bool) or not isinstance(asked, int) or not 1 <= asked <= MOST_ITEMS:
        raise RefusedError(f"k: a number from 1 to {MOST_ITEMS} is needed")
    return asked


def answer(
    model: str, version: str, question: Question, items: list[list[int]], scores: list[list[float]]
) -> dict[str, Any]:
    """The body of the answer: tensors `item` and `score`, both [n, k]."""
    shape = [len(items), len(items[0])]
    outputs = [
        {"name": "item", "datatype": "INT64", "shape": shape, "data": [item for row in items for item in row]},
        {"name": "score", "datatype": "FP32", "shape": shape, "data": [score for row in scores for score in row]},
    ]
    named = {} if question.request_id is None else {"id": question.request_id}
    return {"model_name": model, "model_version": version, **named, "outputs": outputs}


def metadata(model: str, version: str) -> dict[str, Any]:
    """The body of `GET /v2/models/NAME`."""
    return {
        "name": model,
        "versions": [version],
        "platform": "pytorch",
        "inputs": [
            {"name": "user", "datatype": "INT64", "shape": [-1]},
            {"name": "seen", "datatype": "INT64", "shape": [-1, -1]},
        ],
        "outputs": [
            {"name": "item", "datatype": "INT64", "shape": [-1, -1]},
            {"name": "score", "datatype": "FP32", "shape": [-1, -1]},
        ],
    }


def _integers(tensor: dict[str, Any], limit: int) -> tuple[list[int], list[int]]:
    """Shape and data of an INT64 tensor whose numbers lie in [0, limit)."""
    name, shape, data = tensor["name"], tensor.get("shape"), tensor.get("data")
    if tensor.get("datatype") != "INT64":
        raise RefusedError(f"{name}: the datatype must be INT64")
    if not _naturals(shape) or not isinstance(data, list):
        raise RefusedError(f"{name}: `shape` and `data` must be lists of integers")
    flat = [number for row in data for number in (row if isinstance(row, list) else [row])]
    if len(flat) != math.prod(shape):
        raise RefusedError(f"{name}: the shape {shape} does not fit {len(flat)} numbers")
    if not _naturals(flat) or any(number >= limit for number in flat):
        raise RefusedError(f"{name}: the numbers must lie from 0 to {limit - 1}")
    return shape, flat


def _naturals(numbers: Any) -> bool:
    return isinstance(numbers, list) and all(
        isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in numbers
    )
