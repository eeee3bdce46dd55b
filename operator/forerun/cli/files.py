"""Objects from YAML files, read as the API server would read them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from forerun.api.convert import campaign_from, lessons_from, policy_from, storefront_from
from forerun.cli.failure import BadInput
from forerun.domain.campaign import Campaign, Key
from forerun.domain.forecast import Lesson
from forerun.domain.policy import Policy
from forerun.domain.reason import Refusal
from forerun.domain.storefront import Storefront

MAX_BYTES = 8 * 1024 * 1024


@dataclass(slots=True)
class Objects:
    """What the files hold; `others` are raw objects of kinds that are not ours (an HPA, a Deployment).

    `lessons` are what a Storefront's status says was learnt, where the file has it.
    """

    campaigns: list[Campaign] = field(default_factory=list)
    storefronts: list[Storefront] = field(default_factory=list)
    policies: list[Policy] = field(default_factory=list)
    others: list[dict[str, Any]] = field(default_factory=list)
    lessons: dict[Key, tuple[Lesson, ...]] = field(default_factory=dict)


def load(paths: Iterable[str]) -> Objects:
    """Read all files; BadInput names the file, the object, the field and the remedy."""
    objects = Objects()
    for path in paths:
        for raw in _documents(path):
            _take(path, raw, objects)
    return objects


def instant(text: str, option: str) -> datetime:
    """An ISO 8601 time with an offset, as aware UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.min  # noqa: DTZ901  # refused on the next line
    if moment.tzinfo is None:
        raise BadInput(f"{option}: {text!r} is not a time with an offset; write for instance 2026-11-27T07:00:00Z")
    return moment.astimezone(UTC)


def _documents(path: str) -> list[dict[str, Any]]:
    try:
        documents = [document for document in yaml.safe_load_all(_text(path)) if document is not None]
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}; give the path of a YAML file") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        line = str(error).replace("\n", " ")
        raise BadInput(f"{path}: not YAML: {line}") from None
    objects = [item for document in documents for item in _items(document)]
    if not all(_is_object(item) for item in objects):
        raise BadInput(f"{path}: kind: missing; every document must be a Kubernetes object")
    return objects


def _text(path: str) -> str:
    file = Path(path)
    if file.is_file() and file.stat().st_size > MAX_BYTES:
        raise BadInput(f"{path}: larger than {MAX_BYTES // 1024 // 1024} MiB; split the file")
    return file.read_text(encoding="utf-8")


def _is_object(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("kind"), str)


def _items(document: Any) -> list[Any]:
    if isinstance(document, dict) and document.get("kind") == "List":
        items = document.get("items")
        return items if isinstance(items, list) else []
    return [document]


def _take(path: str, raw: dict[str, Any], objects: Objects) -> None:
    group = str(raw.get("apiVersion", "")).partition("/")[0]
    if group != "forerun.dev":
        objects.others.append(raw)
        return
    parsed: Campaign | Storefront | Policy | Refusal
    if raw["kind"] == "Campaign":
        parsed = campaign_from(raw)
    elif raw["kind"] == "Storefront":
        parsed = storefront_from(raw)
    elif raw["kind"] == "CapacityPolicy":
        parsed = policy_from(raw)
    else:
        objects.others.append(raw)
        return
    if isinstance(parsed, Refusal):
        raise BadInput(f"{path}: {parsed}")
    if isinstance(parsed, Campaign):
        objects.campaigns.append(parsed)
    elif isinstance(parsed, Storefront):
        objects.storefronts.append(parsed)
        objects.lessons[parsed.key] = lessons_from(raw.get("status"))
    else:
        objects.policies.append(parsed)
