"""How many accelerators a pool has, and who holds them, from nodes, Pods and device slices. Pure.

A resource that nodes count (a device plugin's, or one that DRA serves as an extended resource) is taken from their
allocatable. Where a node does not count it and the pool names a DRA driver, the driver's devices in ResourceSlices
are counted instead. What cannot be counted is unknown, never zero.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from forerun.domain.policy import Pool
from forerun.domain.stock import Stock

Raw = Mapping[str, Any]
_SUFFIXES = {"k": 10**3, "M": 10**6, "G": 10**9}


@dataclass(frozen=True, slots=True)
class Node:
    """What is kept of a node: a few numbers, not the object."""

    name: str
    labels: Mapping[str, str]
    allocatable: Mapping[str, int]
    takes_pods: bool


@dataclass(frozen=True, slots=True)
class Holder:
    """A Pod that has a node: what it holds there, whether a tier is made of it."""

    node: str
    uid: str
    requests: Mapping[str, int]
    is_ours: bool


@dataclass(frozen=True, slots=True)
class Device:
    """One device that a DRA driver offers; `node` None: it is bound to no node."""

    driver: str
    node: str | None


@dataclass(frozen=True, slots=True)
class Devices:
    """What drivers offer, and how many devices of each are taken by Pods of others."""

    offered: tuple[Device, ...] = ()
    uncountable: frozenset[str] = frozenset()  # drivers: a pool half published, or devices that share their counters
    taken: Mapping[str, int] = field(default_factory=dict)


def stock_of(pool: Pool, nodes: Iterable[Node], holders: Sequence[Holder] | None, devices: Devices | None) -> Stock:
    """What `pool` has now. `holders` or `devices` None: they could not be read."""
    members = [n for n in nodes if n.takes_pods and dict(pool.node_labels).items() <= n.labels.items()]
    counted = {node.name for node in members if pool.resource in node.allocatable}
    there = sum(node.allocatable.get(pool.resource, 0) for node in members)
    if holders is None:
        return Stock(pool.name, pool.resource, there, None, "the Pods on its nodes cannot be read")
    others = sum(h.requests.get(pool.resource, 0) for h in holders if h.node in counted and not h.is_ours)
    if pool.device_driver is None:
        return Stock(pool.name, pool.resource, there, others)
    if devices is None or pool.device_driver in devices.uncountable:
        why = "cannot be read" if devices is None else "cannot be counted: half published, or partitions of one another"
        return Stock(pool.name, pool.resource, None, None, f"devices of {pool.device_driver} {why}")
    bound = {node.name for node in members} - counted
    there += sum(1 for d in devices.offered if d.driver == pool.device_driver and _is_of(d, bound, pool))
    return Stock(pool.name, pool.resource, there, others + devices.taken.get(pool.device_driver, 0))


def _is_of(device: Device, nodes: set[str], pool: Pool) -> bool:
    """A device without a node belongs to a pool that takes all nodes."""
    return not pool.node_labels if device.node is None else device.node in nodes


def node_of(raw: Raw) -> Node:
    """A node takes Pods where it is Ready and not cordoned."""
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions") or ())
    amounts = {name: whole(text) for name, text in (status.get("allocatable") or {}).items() if "/" in name}
    return Node(
        name=raw["metadata"]["name"],
        labels=raw["metadata"].get("labels") or {},
        allocatable={name: amount for name, amount in amounts.items() if amount is not None},
        takes_pods=ready and not spec.get("unschedulable"),
    )


def holder_of(raw: Raw, is_ours: Callable[[str, Mapping[str, str]], bool]) -> Holder | None:
    """A Pod that is on a node and not over; one that is being deleted holds what it has until it is gone."""
    spec, metadata = raw.get("spec") or {}, raw["metadata"]
    node = spec.get("nodeName")
    if not node or (raw.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return None
    labels = metadata.get("labels") or {}
    return Holder(node, metadata["uid"], requests_of(spec), is_ours(metadata.get("namespace") or "", labels))


def requests_of(spec: Raw) -> dict[str, int]:
    """Extended resources of a Pod: containers and sidecars together, or one init container that wants more."""
    total: dict[str, int] = defaultdict(int)
    single: dict[str, int] = defaultdict(int)
    for container in spec.get("containers") or ():
        for name, amount in _asked(container):
            total[name] += amount
    for container in spec.get("initContainers") or ():
        for name, amount in _asked(container):
            if container.get("restartPolicy") == "Always":
                total[name] += amount
            else:
                single[name] = max(single[name], amount)
    return {name: max(total[name], single[name]) for name in {*total, *single}}


def _asked(container: Raw) -> list[tuple[str, int]]:
    """An extended resource has equal requests and limits; either may stand alone."""
    resources = container.get("resources") or {}
    asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return [(name, amount) for name, text in asked.items() if "/" in name and (amount := whole(text))]


def devices_of(slices: Iterable[Raw], claims: Iterable[Raw], ours: frozenset[str]) -> Devices:
    """Devices out of ResourceSlices, and those that claims hold for Pods other than `ours` (UIDs)."""
    published: dict[tuple[str, str], list[Raw]] = defaultdict(list)
    for raw in slices:
        spec = raw["spec"]
        published[(spec["driver"], spec["pool"]["name"])].append(spec)
    offered: list[Device] = []
    uncountable: set[str] = set()
    for (driver, _), specs in published.items():
        newest = max(spec["pool"].get("generation", 0) for spec in specs)
        current = [spec for spec in specs if spec["pool"].get("generation", 0) == newest]
        if len(current) < current[0]["pool"].get("resourceSliceCount", 1) or any(map(_is_partitioned, current)):
            uncountable.add(driver)
        offered += [Device(driver, spec.get("nodeName")) for spec in current for d in _untainted(spec)]
    return Devices(tuple(offered), frozenset(uncountable), _taken(claims, ours))


def _untainted(spec: Raw) -> list[Raw]:
    return [d for d in spec.get("devices") or () if not any(t.get("effect") != "None" for t in d.get("taints") or ())]


def _is_partitioned(spec: Raw) -> bool:
    """Devices that draw on shared counters exclude one another: their number says nothing."""
    return bool(spec.get("sharedCounters")) or any(d.get("consumesCounters") for d in spec.get("devices") or ())


def _taken(claims: Iterable[Raw], ours: frozenset[str]) -> dict[str, int]:
    taken: dict[str, int] = defaultdict(int)
    for raw in claims:
        status = raw.get("status") or {}
        if ours.isdisjoint(consumer.get("uid", "") for consumer in status.get("reservedFor") or ()):
            for result in ((status.get("allocation") or {}).get("devices") or {}).get("results") or ():
                taken[result["driver"]] += 1
    return dict(taken)


def quotas_of(raw: Raw) -> dict[str, tuple[int, int]]:
    """Extended resource -> (hard, used) of a ResourceQuota that counts every Pod; a scoped one counts some."""
    if any((raw.get("spec") or {}).get(name) for name in ("scopes", "scopeSelector")):
        return {}
    status = raw.get("status") or {}
    used = status.get("used") or {}
    found = {}
    for name, text in (status.get("hard") or {}).items():
        resource, hard = name.removeprefix("requests."), whole(text)
        if name.startswith("requests.") and "/" in resource and hard is not None:
            found[resource] = (hard, whole(used.get(name, "0")) or 0)
    return found


def whole(text: object) -> int | None:
    """A quantity of a countable thing: "8", or "1k" as the API server writes 1000; None where it is none."""
    digits, scale = str(text), 1
    if digits[-1:] in _SUFFIXES:
        digits, scale = digits[:-1], _SUFFIXES[digits[-1]]
    try:
        number = float(digits) * scale
    except ValueError:
        return None
    return int(number) if math.isfinite(number) and number >= 0 else None
