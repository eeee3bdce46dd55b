"""What the observer saw of a plan, and whether it is what a run without faults shows."""

import copy
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.cluster.observer import Observer, Raw
from tests.cluster.scenario import AUTOSCALERS, changes
from tests.cluster.shop import floor_of, unequal, whole, without_replicas
from tests.faults.life import KILLED, Life

TARGETS = ("Deployment", "StatefulSet", "HorizontalPodAutoscaler", "ScaledObject")
RUNNING = ("uid", "creationTimestamp", "namespace")  # what differs between two runs by itself


@dataclass(slots=True)
class Evidence:
    """What one plan led to, as the observer saw it; everything can be written as JSON."""

    floors: dict[str, list[int | None]] = field(default_factory=dict)  # by target, one after the other
    updates: dict[str, int] = field(default_factory=dict)  # by target: changes of spec and metadata
    end: dict[str, Any] = field(default_factory=dict)  # by object
    problems: list[str] = field(default_factory=list)  # wrong by themselves, whatever the other run shows
    writes: list[str] = field(default_factory=list)
    fired: list[str] = field(default_factory=list)
    moments: list[str] = field(default_factory=list)
    requests: int = 0
    restarts: int = 0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def evidence_of(life: Life) -> Evidence:
    """To be taken before the namespace goes."""
    observer, namespace = life.bench.observer, life.namespace
    found = Evidence(
        writes=[write.name for write in life.lane.writes],
        fired=list(life.lane.fired),
        moments=list(life.moments),
        requests=len(life.lane.requests),
        restarts=len(life.codes),
    )
    for kind in TARGETS:
        for name in observer.names(kind, namespace):
            versions = life.history(kind, name)
            target = f"{kind}/{name}"
            found.floors[target] = changes(floor_of(raw) for raw in versions if _is_ours(life, kind, name))
            found.updates[target] = len(changes(_view(life, raw) for raw in versions)) - 1
            found.end[target] = _comparable(_view(life, versions[-1])) if life.exists(kind, name) else None
    found.end |= _told(observer, namespace)
    found.problems = [*_unguarded(life), *_lowered(life), *_epochs(observer, namespace)]
    if not _is_fatal_for_kopf(found.fired):
        found.problems += [*_ended(life), *(f"said: {line}" for line in life.complaints())]
    return found


def verdict(found: Evidence, reference: Evidence) -> list[str]:
    """What is wrong; empty where nothing is."""
    wrong = list(found.problems)
    if found.floors != reference.floors:
        wrong.append(f"floors {unequal(reference.floors, found.floors)}")
    for target, count in found.updates.items():
        usual = reference.updates.get(target, 0)
        if count > usual:
            wrong.append(f"{count} updates of {target} instead of {usual}")
    differs = unequal(reference.end, found.end)
    return [*wrong, *(f"ends otherwise: {path}: {sides}" for path, sides in differs.items())]


def _is_ours(life: Life, kind: str, name: str) -> bool:
    """Where an autoscaler owns the number of replicas, that number is its business."""
    return kind in AUTOSCALERS or name not in life.scaled


def _view(life: Life, raw: Raw) -> Raw:
    return whole(raw) if _is_ours(life, raw["kind"], raw["metadata"]["name"]) else without_replicas(raw)


def _comparable(raw: Raw) -> Raw:
    kept = copy.deepcopy(raw)
    for name in RUNNING:
        kept["metadata"].pop(name, None)
    return kept


def _told(observer: Observer, namespace: str) -> dict[str, Any]:
    """Phases, conditions and ledgers, as people read them."""
    found: dict[str, Any] = {}
    for raw in observer.all("Campaign", namespace):
        status = raw.get("status") or {}
        conditions = {c["type"]: (c["status"], c["reason"]) for c in status.get("conditions") or ()}
        found[f"Campaign/{raw['metadata']['name']}"] = {"phase": status.get("phase"), "conditions": conditions}
    for raw in observer.all("CapacityPlan", namespace):
        found[f"CapacityPlan/{raw['metadata']['name']}"] = (raw.get("status") or {}).get("ledger") or []
    return found


def _unguarded(life: Life) -> list[str]:
    return [f"unguarded: {name}" for name in life.lane.unguarded]


def _lowered(life: Life) -> list[str]:
    """Instants at which a floor stood below what was owed, or below what it was before the campaign."""
    wrong = []
    for owed in life.owed:
        floors = [floor_of(raw) for raw in life.history(owed.kind, owed.name)[owed.first : owed.last]]
        if any((floor or 0) < owed.floor for floor in floors):
            wrong.append(f"{owed.kind}/{owed.name}: {owed.floor} were owed, {floors} stood")
    return wrong


def _epochs(observer: Observer, namespace: str) -> list[str]:
    wrong = []
    for raw in observer.all("CapacityPlan", namespace):
        name, uid = raw["metadata"]["name"], raw["metadata"]["uid"]
        versions = [v for v in observer.history("CapacityPlan", namespace, name) if v and v["metadata"]["uid"] == uid]
        epochs = [int((version.get("status") or {}).get("epoch") or 0) for version in versions]
        if epochs != sorted(epochs):
            wrong.append(f"epochs of {name} run back: {epochs}")
    return wrong


def _is_fatal_for_kopf(fired: list[str]) -> bool:
    """An error in a watch other than 410 ends kopf, as it says itself; the operator ends with it and starts anew."""
    return any(" in the watch of " in fault and not fault.startswith("410") for fault in fired)


def _ended(life: Life) -> list[str]:
    return [f"an operator ended with {code}" for code in life.codes if code != KILLED]
