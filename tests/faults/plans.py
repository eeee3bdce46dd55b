"""Plans: which life is lived, what goes wrong in it and when. Enumerated from the run without faults, never drawn."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from tests.faults.judge import Evidence
from tests.faults.lane import (
    BrokenWatch,
    Crash,
    DroppedEvents,
    Fault,
    LostAnswer,
    OldEvents,
    Refusal,
    SilentWatch,
    StaleReads,
)
from tests.faults.workloads import WORKLOADS
from tests.faults.writes import Position, enumerated

KINDS = ("campaigns", "storefronts", "capacityplans", "horizontalpodautoscalers", "deployments")
STATUSES = (409, 410, 429, 500, 504)


@dataclass(frozen=True, slots=True)
class Plan:
    """`faults` are armed when `moment` begins (None: from the beginning); with `restart` the operator is killed then."""

    group: str
    workload: str
    faults: tuple[Fault, ...] = ()
    moment: str | None = None
    restart: bool = False

    @property
    def id(self) -> str:
        """Says everything: the same plan has the same id in every run."""
        parts = [self.group, self.workload, *(_words(fault) for fault in self.faults)]
        if self.moment:
            parts.append(f"at {self.moment}" + (" restarted" if self.restart else ""))
        return " / ".join(parts)

    @property
    def expected(self) -> int:
        """How many faults have to happen for the plan to count as carried out."""
        return sum(isinstance(fault, Crash | Refusal | LostAnswer) for fault in self.faults)

    def is_in_short_form(self, share: float) -> bool:
        """Whether it is one of a fixed share of all plans."""
        digest = hashlib.sha256(self.id.encode()).digest()
        return int.from_bytes(digest[:4], "big") < share * 2**32


def references() -> Iterator[Plan]:
    """Every life once without faults; it is what the others are compared with."""
    for name in WORKLOADS:
        yield Plan("reference", name)


def crashes(workload: str, reference: Evidence) -> Iterator[Plan]:
    """SIGKILL at every write, in three positions."""
    for write, position in product(_writes(reference), Position):
        yield Plan("crash", workload, (Crash(write, position),))


def double_crashes(workload: str, reference: Evidence) -> Iterator[Plan]:
    """SIGKILL at a write, and at the next one that the operator makes after its start; all three by three positions."""
    if not WORKLOADS[workload].central:
        return
    for write, first, second in product(_writes(reference)[:-1], Position, Position):
        yield Plan("double crash", workload, (Crash(write, first), Crash(None, second)))


def refusals(workload: str, reference: Evidence) -> Iterator[Plan]:
    """Every write refused once with each status, and committed with its answer lost."""
    if not WORKLOADS[workload].central:
        return
    for write in _writes(reference):
        for status in STATUSES:
            yield Plan("refused", workload, (Refusal(write, status),))
        yield Plan("answer lost", workload, (LostAnswer(write),))


def stale(workload: str, reference: Evidence) -> Iterator[Plan]:
    """Old answers to reads and lists, old events, events that never come, watches that end: at every moment."""
    for moment, kind in product(_moments(reference), KINDS):
        for back, restart in product((1, 3), (False, True)):
            yield Plan("stale", workload, (StaleReads(kind, back, 4),), moment, restart)
        yield Plan("stale", workload, (OldEvents(kind, 4),), moment)
        yield Plan("unobserved", workload, (DroppedEvents(kind, 1, 2),), moment)
        yield Plan("unobserved", workload, (DroppedEvents(kind, 2, 5),), moment)
        yield Plan("unobserved", workload, (SilentWatch(kind),), moment)
        yield Plan("unobserved", workload, (BrokenWatch(kind, 410),), moment)
        yield Plan("unobserved", workload, (BrokenWatch(kind, 500),), moment)


def kills(workload: str, reference: Evidence) -> Iterator[Plan]:
    """SIGKILL between two writes, at every moment."""
    for moment in _moments(reference):
        yield Plan("crash", workload, (), moment, restart=True)


def all_plans(workload: str, reference: Evidence) -> list[Plan]:
    groups = (crashes, kills, double_crashes, refusals, stale)
    return [plan for group in groups for plan in group(workload, reference)]


def _writes(reference: Evidence) -> list[str]:
    return enumerated(reference.writes)


def _moments(reference: Evidence) -> list[str]:
    """After the shop is open: before that there is nothing to be seen."""
    return list(dict.fromkeys(reference.moments))[1:]


def _words(fault: Fault) -> str:
    said = [str(getattr(fault, name)) for name in fault.__slots__]
    return f"{type(fault).__name__}({', '.join(said)})"
