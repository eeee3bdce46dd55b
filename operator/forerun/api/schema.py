"""Structural schemas (Kubernetes) out of pydantic models.

A structural schema knows no references, no `null` and no `additionalProperties: false`
beside `properties`; unknown fields are pruned by the API server instead, and refused by
kubectl and by `api.convert`.
"""

from typing import Any

from pydantic import BaseModel

_DROPPED = ("title", "default", "propertyNames", "$defs")


def structural(model: type[BaseModel]) -> dict[str, Any]:
    """The structural schema of a model: wire names, references resolved, order of the fields kept."""
    raw = model.model_json_schema(by_alias=True, mode="validation")
    schema = _inlined(raw, raw.get("$defs", {}))
    if not isinstance(schema, dict):
        raise TypeError(f"{model.__name__} has no object schema")
    return schema


def _inlined(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inlined(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    node = _resolved(node, definitions)
    result = {key: _inlined(value, definitions) for key, value in node.items() if key not in _DROPPED}
    if "properties" in node:
        # the names in here are fields, not keywords: a field may be called `title`
        result["properties"] = {name: _inlined(field, definitions) for name, field in node["properties"].items()}
    return _structural(result)


def _structural(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema in the keywords that a structural schema has."""
    result = dict(schema)
    if "patternProperties" in result:
        # of keys a structural schema says nothing; where it matters a CEL rule does
        (result["additionalProperties"],) = result.pop("patternProperties").values()
    if result.get("additionalProperties") is False:
        del result["additionalProperties"]
    if isinstance(result.get("description"), str):
        result["description"] = " ".join(result["description"].split())
    return result


def _resolved(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """The node with its reference, and an optional field's `null`, taken out; what stands beside them wins."""
    while "$ref" in node or _options(node):
        beside = {key: value for key, value in node.items() if key not in ("$ref", "anyOf")}
        inner = definitions[node["$ref"].rsplit("/", 1)[1]] if "$ref" in node else _options(node)[0]
        rules = [*inner.get("x-kubernetes-validations", []), *beside.get("x-kubernetes-validations", [])]
        node = {**inner, **beside, **({"x-kubernetes-validations": rules} if rules else {})}
    return node


def _options(node: dict[str, Any]) -> list[dict[str, Any]]:
    """The one schema beside `null` of an optional field; empty where the node is none."""
    options = node.get("anyOf", [])
    others = [option for option in options if option != {"type": "null"}]
    return others if len(others) == 1 and len(options) == 2 else []
