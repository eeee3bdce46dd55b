"""What the API server serves: just enough to build paths, cached per group and version."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from forerun.kube.errors import NotFound, Unavailable

REDISCOVER_SECONDS = 5.0  # a kind that was missing is asked for again no sooner than this


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind as it is served."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool
    subresources: frozenset[str]

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        """Path of the collection, the object or its subresource; `namespace` None lists all of them."""
        parts = [group_path(self.api_version)]
        if self.namespaced and namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name is not None:
            if self.namespaced and not namespace:
                raise ValueError(f"{self.kind} {name}: a namespace is needed")
            parts.append(quote(name, safe=""))
        if subresource is not None:
            parts.append(subresource)
        return "/".join(parts)


def group_path(api_version: str) -> str:
    """`/api/v1` for the core group, `/apis/<group>/<version>` for the others."""
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def resources_of(api_version: str, listing: Mapping[str, Any]) -> dict[str, Resource]:
    """The kinds of an APIResourceList by name; entries like `deployments/scale` become subresources."""
    found = listing.get("resources") or ()
    subresources: dict[str, set[str]] = {}
    for entry in found:
        plural, _, subresource = str(entry["name"]).partition("/")
        if subresource:
            subresources.setdefault(plural, set()).add(subresource)
    return {
        entry["kind"]: Resource(
            api_version,
            entry["kind"],
            entry["name"],
            bool(entry["namespaced"]),
            frozenset(subresources.get(entry["name"], ())),
        )
        for entry in found
        if "/" not in entry["name"]
    }


class Discovery:
    """Resources by api version and kind. `fetch` GETs a path; `clock` is monotonic seconds."""

    def __init__(self, fetch: Callable[[str], Awaitable[Mapping[str, Any]]], clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._known: dict[str, dict[str, Resource]] = {}
        self._asked: dict[str, float] = {}

    async def resource(self, api_version: str, kind: str) -> Resource:
        """The resource; NotFound where the server does not serve it (a CRD that is not installed)."""
        known = self._known.get(api_version, {}).get(kind)
        if known is not None:
            return known
        asked = self._asked.get(api_version)
        if asked is None or self._clock() - asked >= REDISCOVER_SECONDS:
            await self._discover(api_version)
            known = self._known[api_version].get(kind)
        if known is None:
            raise NotFound(f"{api_version} {kind}: the API server does not serve this kind; install its CRD", 404)
        return known

    async def kinds_with(self, subresource: str) -> tuple[tuple[str, str], ...]:
        """(apiVersion, kind) of every namespaced kind with this subresource; groups that do not answer are left out."""
        groups = (await self._fetch("/apis")).get("groups") or ()
        found: list[tuple[str, str]] = []
        for api_version in ("v1", *(group["preferredVersion"]["groupVersion"] for group in groups)):
            try:
                await self._discover(api_version)
            except Unavailable:
                continue
            resources = self._known[api_version].values()
            found += [(api_version, r.kind) for r in resources if r.namespaced and subresource in r.subresources]
        return tuple(found)

    async def _discover(self, api_version: str) -> None:
        try:
            listing = await self._fetch(group_path(api_version))
        except NotFound:
            listing = {}
        self._known[api_version] = resources_of(api_version, listing)
        self._asked[api_version] = self._clock()
