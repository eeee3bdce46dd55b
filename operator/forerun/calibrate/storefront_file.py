"""Write `capacityPerReplica` of one tier into a Storefront's file, and leave everything else as it stands. Pure."""

import json
from typing import Any

import yaml


class EditError(ValueError):
    """The text has no such place; the message names the field."""


def with_capacity(text: str, tier: str, capacity: str, storefront: str | None = None) -> str:
    """`text` with the tier's `capacityPerReplica` set; comments and layout stay. Raises EditError.

    `storefront` is needed where the text holds several.
    """
    found = _tier(text, tier, storefront)
    written = json.dumps(capacity)
    for key, value in found.value:
        if key.value == "capacityPerReplica":
            if not isinstance(value, yaml.ScalarNode):
                raise EditError(f"tiers[{tier}].capacityPerReplica: it is not a number")
            return text[: value.start_mark.index] + written + text[value.end_mark.index :]
    key, name = next((key, value) for key, value in found.value if key.value == "name")
    if found.flow_style:
        end = name.end_mark.index
        return f"{text[:end]}, capacityPerReplica: {written}{text[end:]}"
    # on a line of its own below the name, and below the comment behind it
    end = text.find("\n", name.end_mark.index)
    end = len(text) if end < 0 else end
    return f"{text[:end]}\n{' ' * key.start_mark.column}capacityPerReplica: {written}{text[end:]}"


def _tier(text: str, tier: str, storefront: str | None) -> Any:
    """The mapping of the tier. Raises EditError."""
    try:
        documents = [node for node in yaml.compose_all(text, Loader=yaml.SafeLoader) if node is not None]
    except yaml.YAMLError as failed:
        raise EditError(f"not YAML: {str(failed).replace(chr(10), ' ')}") from None
    storefronts = [node for node in documents if _text_at(node, "kind") == "Storefront"]
    if storefront is not None:
        storefronts = [node for node in storefronts if _text_at(_child(node, "metadata"), "name") == storefront]
    if not storefronts:
        named = f" called {storefront}" if storefront else ""
        raise EditError(f"kind: there is no Storefront{named} in it")
    if len(storefronts) > 1:
        raise EditError("kind: it holds several Storefronts; name one with --name")
    tiers = _child(_child(storefronts[0], "spec"), "tiers")
    nodes = tiers.value if isinstance(tiers, yaml.SequenceNode) else []
    names = [_text_at(node, "name") for node in nodes]
    if tier not in names:
        known = ", ".join(name for name in names if name) or "none"
        raise EditError(f"spec.tiers: there is no tier {tier!r}; it has {known}")
    return nodes[names.index(tier)]


def _child(node: Any, key: str) -> Any:
    """The value of a key; None where the node is no mapping or has no such key."""
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def _text_at(node: Any, key: str) -> str | None:
    value = _child(node, key)
    return str(value.value) if isinstance(value, yaml.ScalarNode) else None
