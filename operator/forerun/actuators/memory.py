"""A pod's memory as it runs: what it has, what it is to have, and what it had. Pure.

What it had stands in an annotation of the pod itself, written before the pod is touched: it lives as long as what it
tells of. A pod made anew has the memory of its template, and no annotation.
"""

import json
import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import MemoryGrowth

MEMORY_ANNOTATION = "forerun.dev/memory"
GROWN_LABEL = "forerun.dev/grown"  # to find them by; says nothing else
_QUANTITY = re.compile(r"([0-9]+)(Ki|Mi|Gi|Ti|k|M|G|T)?")
_BYTES = {None: 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}

Raw = dict[str, Any]
Amounts = Mapping[str, str]  # "requests" and "limits", as quantities; absent where the container has none


@dataclass(frozen=True, slots=True)
class MemoryMark:
    """What stands in the annotation: for which tier of which Storefront, what the container had and has, until when."""

    storefront: str
    tier: str
    container: str
    baseline: Amounts
    written: Amounts
    campaigns: tuple[str, ...]
    expires: str

    def text(self) -> str:
        """One line of JSON, the same bytes for the same mark."""
        said = {
            "storefront": self.storefront,
            "tier": self.tier,
            "container": self.container,
            "baseline": dict(self.baseline),
            "written": dict(self.written),
            "campaigns": list(self.campaigns),
            "expires": self.expires,
        }
        return json.dumps(said, separators=(",", ":"), sort_keys=True)


def mark_of(pod: Mapping[str, Any]) -> MemoryMark | None:
    """Our mark on a pod; None where there is none, or somebody has garbled it."""
    text = ((pod.get("metadata") or {}).get("annotations") or {}).get(MEMORY_ANNOTATION)
    try:
        said = json.loads(text) if text else None
        return None if said is None else _mark(said)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def grown(
    pod: Raw, storefront: str, tier: str, wanted: MemoryGrowth, campaigns: tuple[str, ...], expires: datetime
) -> MemoryMark | Hold | None:
    """The mark of a pod that is to have the `wanted` memory; its limit grows by as much, so its QoS class stays.

    What it had is what a mark of ours says, where there is one. None: it has as much without us. A Hold where the
    container is not there or has no memory request, or the mark cannot be read: then what stands there may be ours.
    """
    name, standing, container = str(pod["metadata"]["name"]), mark_of(pod), wanted.container
    if standing is None and MEMORY_ANNOTATION in (pod["metadata"].get("annotations") or {}):
        detail = f"the annotation {MEMORY_ANNOTATION} of pod {name} cannot be read; delete the pod, or remove it"
        return Hold(Reason.INVALID, name, detail=detail)
    has = standing.baseline if standing and standing.container == container else memory_of(pod, container)
    if has is None:
        return Hold(Reason.INVALID, name, detail=f"memoryGrowth.container: pod {name} has no container {container}")
    amount, now = bytes_of(wanted.request), bytes_of(has.get("requests", ""))
    if amount is None or now is None:
        detail = f"memoryGrowth: container {container} of pod {name} has no memory request of whole units to grow"
        return Hold(Reason.INVALID, name, detail=detail)
    if amount <= now:
        return None
    written, limit = {"requests": wanted.request}, bytes_of(has.get("limits", ""))
    if limit is not None:
        written["limits"] = wanted.request if limit == now else str(limit + amount - now)
    until = expires.strftime("%Y-%m-%dT%H:%M:%SZ")
    return MemoryMark(storefront, tier, container, dict(has), written, campaigns, until)


def memory_of(pod: Mapping[str, Any], container: str) -> dict[str, str] | None:
    """Memory request and limit of a container; None where there is no such container."""
    for found in (pod.get("spec") or {}).get("containers") or ():
        if found.get("name") == container:
            resources = found.get("resources") or {}
            amounts = {kind: (resources.get(kind) or {}).get("memory") for kind in ("requests", "limits")}
            return {kind: str(amount) for kind, amount in amounts.items() if amount is not None}
    return None


def resized(pod: Raw, container: str, amounts: Amounts) -> Raw:
    """The body of a patch of `pods/resize`: all containers as they are, one of them with that memory."""
    containers = deepcopy(pod["spec"]["containers"])
    for found in containers:
        if found.get("name") == container:
            for kind, amount in amounts.items():
                found.setdefault("resources", {}).setdefault(kind, {})["memory"] = amount
    return {"spec": {"containers": containers}}


def same(one: Amounts, other: Amounts) -> bool:
    """Whether two amounts are the same, however they are written."""
    kinds = {*one, *other}
    return all(bytes_of(one.get(kind, "")) == bytes_of(other.get(kind, "")) for kind in kinds)


def pending(pod: Mapping[str, Any]) -> str | None:
    """The kubelet's words on a resize that does not happen now; None where there is none."""
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "PodResizePending" and condition.get("status") == "True":
            return f"{condition.get('reason')}: {condition.get('message')}"
    return None


def bytes_of(quantity: str) -> int | None:
    """Bytes of a memory quantity of whole units; None where it is none."""
    found = _QUANTITY.fullmatch(quantity)
    return int(found[1]) * _BYTES[found[2]] if found else None


def _mark(said: Mapping[str, Any]) -> MemoryMark:
    amounts = [
        {kind: str(said[name][kind]) for kind in ("requests", "limits") if kind in said[name]}
        for name in ("baseline", "written")
    ]
    return MemoryMark(
        str(said["storefront"]),
        str(said["tier"]),
        str(said["container"]),
        amounts[0],
        amounts[1],
        tuple(str(c) for c in said["campaigns"]),
        str(said["expires"]),
    )
