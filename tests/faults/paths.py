"""What a request to the API server is about, read off its path."""

import re
from dataclasses import dataclass

_PATH = re.compile(
    r"^/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+)/(?P<version>[^/]+))"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/))?"
    r"/(?P<plural>[^/]+)(?:/(?P<name>[^/]+)(?:/(?P<subresource>[^/]+))?)?$"
)


@dataclass(frozen=True, slots=True)
class About:
    """A collection, an object or a subresource; `plural` is empty for discovery and the like."""

    group: str = ""
    namespace: str = ""
    plural: str = ""
    name: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.plural, self.name, self.subresource) if part)


def about(path: str) -> About:
    """`path` without its query."""
    found = _PATH.match(path)
    if found is None:
        return About()
    parts = {name: value or "" for name, value in found.groupdict().items()}
    return About(parts["group"], parts["namespace"], parts["plural"], parts["name"], parts["subresource"])
