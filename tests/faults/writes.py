"""Every write of the operator has a name that says what it does, and a number that says the how-manieth it is."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tests.faults.guarding import Guard
from tests.faults.paths import About

RENEWAL = "PUT leases renew"


class Position(StrEnum):
    """Where, in the course of one write, the operator is killed."""

    BEFORE = "before it is sent"
    COMMITTED = "committed, the answer withheld"
    ANSWERED = "after the answer"


@dataclass(frozen=True, slots=True)
class Write:
    """One mutation that left the operator."""

    number: int
    name: str  # with its occurrence: "PATCH campaigns/sale/status Live #1"
    guard: Guard
    after_seconds: float  # since the plan began

    @property
    def is_of_lease(self) -> bool:
        return " leases" in self.name


class Naming:
    """Names writes as they come; one for the whole of a plan, however often the operator is started in it."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()
        self._epoch: Any = None

    def name(self, method: str, target: About, body: Any) -> str:
        text = f"{method} {target}"
        said = self._said(target, body if isinstance(body, dict) else {})
        text = f"{text} {said}" if said else text
        self._seen[text] += 1
        return f"{text} #{self._seen[text]}"

    def _said(self, target: About, body: dict[str, Any]) -> str:
        if target.plural == "leases":
            return self._lease(body.get("spec") or {})
        if target.plural == "events":
            return str(body.get("reason") or "")
        status = body.get("status") or {}
        if target.plural == "capacityplans" and target.subresource == "status":
            return _ledger(status.get("ledger"))
        return str(status.get("phase") or "")

    def _lease(self, spec: dict[str, Any]) -> str:
        if not spec.get("holderIdentity"):
            return "release"
        epoch, self._epoch = self._epoch, spec.get("leaseTransitions")
        return "renew" if epoch == self._epoch else "acquire"


def _ledger(entries: Any) -> str:
    """The entries in few words: tier, floors that may stand, and what is known of them."""
    if not entries:
        return "[]"
    marks = ("confirmed", "kept", "drifted", "contested")
    said = [
        f"{entry['tier']}:{'|'.join(str(bounds['minReplicas']) for bounds in entry['written'])}"
        + "".join(f",{mark}" for mark in marks if entry.get(mark))
        for entry in entries
    ]
    return f"[{' '.join(said)}]"


def enumerated(names: list[str]) -> list[str]:
    """The names at which a crash is planned: all, but of the renewals of the Lease, whose number is time's, only one."""
    return [name for name in names if not name.startswith(RENEWAL) or name.endswith("#1")]
