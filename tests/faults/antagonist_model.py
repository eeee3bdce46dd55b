"""What must be true of targets whatever anybody does, kept by a watch of its own on the API in memory.

The reference model is one line long: when all is over, every bound is what somebody other than Forerun wrote last.
(Who sets a bound to what Forerun has written there hands it back.) On the way, every write of Forerun's is judged when
it happens: guarded, in the declared targets only, never over a value that is neither its own nor noted in the committed
ledger, never below the noted baseline.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.faults.antagonist_world import NAMESPACE
from tests.faults.memory_api import Change, MemoryApi

Raw = dict[str, Any]
BOUNDS = {
    "HorizontalPodAutoscaler": ("minReplicas", "maxReplicas"),
    "ScaledObject": ("minReplicaCount", "maxReplicaCount"),
    "Deployment": ("replicas",),
    "StatefulSet": ("replicas",),
}
ABSENT = {"minReplicas": 1, "minReplicaCount": 0, "maxReplicaCount": 100, "replicas": 1}
FLOORS = {"minReplicas", "minReplicaCount", "replicas"}
LEDGER = {"minReplicas": "minReplicas", "minReplicaCount": "minReplicas", "replicas": "minReplicas"}
LEDGER |= {"maxReplicas": "maxReplicas", "maxReplicaCount": "maxReplicas"}
OWN = {"Campaign", "Storefront", "CapacityPlan", "CapacityPolicy", "MetricsSource", "Event", "ReplicaSet"}
MOST_WRITES = 3  # of one raise that somebody reverts each time
Where = tuple[str, str]


@dataclass
class Model:
    """`see` every change of the API; `faults` is what must never happen."""

    api: MemoryApi
    declared: set[Where] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    wanted: dict[Where, dict[str, int]] = field(default_factory=dict)
    foreign_edits: int = 0
    raises: int = 0
    _ledger: list[Raw] = field(default_factory=list)
    _ours: dict[Where, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    _reverted: dict[Where, int] = field(default_factory=lambda: defaultdict(int))  # raises since anything but reverts
    _seen: int = 0

    def look(self) -> None:
        """At all that has happened since the last look; the ledger that was committed before it is kept along."""
        for change in self.api.changes[self._seen :]:
            self._see(change)
        self._seen = len(self.api.changes)

    def _see(self, change: Change) -> None:
        if change.kind == "CapacityPlan":
            if change.after is not None:  # where somebody deleted it, the mirrors on the targets still say it
                self._ledger = change.after.get("status", {}).get("ledger", [])
            noted = {(entry["ownerRef"]["kind"], entry["ownerRef"]["name"]) for entry in self._ledger}
            for where in {*self._reverted, *self._ours}:
                if where not in noted or change.after is None:  # another raise, or the ledger is lost with its count
                    self._reverted.pop(where, None)
                if where not in noted and change.after is not None:
                    self._ours.pop(where, None)
        if change.manager == "forerun":
            self._forerun(change)
        elif change.kind in BOUNDS:
            self._foreign(change)

    def _foreign(self, change: Change) -> None:
        where = (change.kind, change.name)
        if change.after is None:
            self.wanted.pop(where, None)
            self._ours.pop(where, None)
            self._reverted.pop(where, None)
            return
        before, after = _bounds(change.before), _bounds(change.after)
        if change.before is None:
            self.wanted[where] = after
            return
        for name in after:
            if before[name] == after[name]:
                continue
            self.foreign_edits += 1
            base = self._noted_baseline(where, name)
            if base is not None and after[name] == self._ours[where].get(name) != base:
                self.wanted[where][name] = base  # handed back: it stands as we had put it
                continue
            if after[name] != self.wanted[where][name]:
                self._reverted[where] = 0
            self.wanted[where][name] = after[name]

    def _noted_baseline(self, where: Where, name: str) -> int | None:
        for entry in self._ledger:
            if (entry["ownerRef"]["kind"], entry["ownerRef"]["name"]) == where:
                return _number(entry["baseline"][LEDGER[name]], name)
        return None

    def _forerun(self, change: Change) -> None:
        if change.kind not in BOUNDS:
            if change.kind not in OWN:
                self._fault(change, "a kind that is none of its business")
            return
        where = (change.kind, change.name)
        if not change.guarded:
            self._fault(change, "a write without UID and resourceVersion")
        if change.before is None or change.after is None:
            self._fault(change, "made or deleted a target")
            return
        before, after = _bounds(change.before), _bounds(change.after)
        if before == after:
            return
        entry = self._entry(change)
        if entry is None:
            if not self._lifted(change, before, after):
                self._fault(change, "no ledger entry was committed before")
            return
        for name in after:
            if before[name] != after[name]:
                self._judge(change, name, before[name], after, entry)
                self._ours[where][name] = after[name]

    def _judge(self, change: Change, name: str, before: int, bounds_after: dict[str, int], entry: Raw) -> None:
        where, after = (change.kind, change.name), bounds_after[name]
        base = _number(entry["baseline"][LEDGER[name]], name)
        written = {_number(bounds[LEDGER[name]], name) for bounds in entry["written"]}
        if before not in {base, *written}:
            self._fault(change, f"{name} {before} -> {after}: it was somebody else's (ledger: {base}, {written})")
        room = name not in FLOORS and after == next(bounds_after[n] for n in bounds_after if n in FLOORS)
        if after not in {base, *written} and not room:  # room for a floor of theirs above the old maximum
            self._fault(change, f"{name} {before} -> {after}: the ledger says {base}, {written}")
        if name in FLOORS and after < min(base, before):
            self._fault(change, f"{name} {before} -> {after}: below the baseline {base}")
        if name in FLOORS and after > before:
            self.raises += 1
            if before == self.wanted.get(where, {}).get(name):
                self._reverted[where] += 1
                if self._reverted[where] > MOST_WRITES:
                    self._fault(change, f"raised {self._reverted[where]} times against somebody who reverts it")
        if name in FLOORS and after == base:
            self._reverted[where] = 0

    def _lifted(self, change: Change, before: dict[str, int], after: dict[str, int]) -> bool:
        """An autoscaler leaves its target at 0 alone: 0 -> 1 is ours, and 1 or more -> 0 again in the end."""
        named = any(
            (entry["targetRef"]["kind"], entry["targetRef"]["name"]) == (change.kind, change.name)
            and entry["liftedFromZero"]
            for entry in self._ledger
        )
        return named and 0 in (before["replicas"], after["replicas"])

    def _entry(self, change: Change) -> Raw | None:
        for entry in self._ledger:
            owner = entry["ownerRef"]
            if (owner["kind"], owner["name"]) == (change.kind, change.name):
                return entry
        return None

    def ended(self) -> list[str]:
        """What is not as it has to be once all is over."""
        self.look()
        found = list(self.faults)
        for (kind, name), wanted in self.wanted.items():
            raw = self.api.objects[(kind, NAMESPACE, name)]
            now = _bounds(raw)
            if kind == "Deployment":
                wanted = {}  # its autoscaler's business, and here there is none that acts
            least = max((value for bound, value in wanted.items() if bound in FLOORS), default=0)
            found += [
                f"{kind}/{name}: {field_name} is {now[field_name]}, must be {value}"
                for field_name, value in wanted.items()
                if now[field_name] != (value if field_name in FLOORS else max(value, least))
            ]
            marks = [key for key in raw["metadata"].get("annotations") or {} if key.startswith("forerun.dev/")]
            marks += [e["manager"] for e in raw["metadata"].get("managedFields", []) if e.get("manager") == "forerun"]
            if marks:
                found.append(f"{kind}/{name}: left on it: {marks}")
        for (kind, _, name), raw in self.api.objects.items():
            if kind == "CapacityPlan" and raw.get("status", {}).get("ledger"):
                found.append(f"{kind}/{name}: the ledger still says {raw['status']['ledger']}")
        return found

    def _fault(self, change: Change, what: str) -> None:
        self.faults.append(f"{change.kind}/{change.name}: {what}")


def _bounds(raw: Raw | None) -> dict[str, int]:
    if raw is None:
        return {}
    return {name: _number(raw["spec"].get(name, "absent"), name) for name in BOUNDS[raw["kind"]]}


def _number(value: int | str, name: str) -> int:
    return ABSENT[name] if value == "absent" else int(value)
