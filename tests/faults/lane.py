"""The way of one operator through the proxy: what went along it, and what is to go wrong there."""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.faults.guarding import Guard
from tests.faults.paths import About
from tests.faults.writes import Naming, Position, Write

KEPT_VERSIONS = 64  # of each answer, for replays


@dataclass(frozen=True, slots=True)
class Crash:
    """Kill the operator at a write; without a name at the next one that is not the Lease's."""

    write: str | None
    position: Position

    def is_meant(self, write: Write) -> bool:
        return write.name == self.write if self.write else not write.is_of_lease


@dataclass(frozen=True, slots=True)
class Refusal:
    """Answer a write with an error of the API server's, without passing it on; each of its tries, `times` times."""

    write: str
    status: int
    times: int = 1


@dataclass(frozen=True, slots=True)
class LostAnswer:
    """Pass a write on, and close the connection instead of answering; or say nothing until the client gives up."""

    write: str
    silent: bool = False


@dataclass(frozen=True, slots=True)
class StaleReads:
    """Answer reads of a kind with what was so `back` different answers ago, for the next `count` reads of each path."""

    plural: str
    back: int
    count: int


@dataclass(frozen=True, slots=True)
class DroppedEvents:
    """Do not pass on the events of a kind's watches from the `first` to the `last` one from now on, counted from 1."""

    plural: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class OldEvents:
    """Before the next event of a kind pass on the last `back` ones once more, as a watch that travels back in time."""

    plural: str
    back: int


@dataclass(frozen=True, slots=True)
class SilentWatch:
    """Keep the watches of a kind that are open now open, and pass nothing on in them any more."""

    plural: str


@dataclass(frozen=True, slots=True)
class BrokenWatch:
    """Put an ERROR event of a status (410: expired) into the watches of a kind, and end them."""

    plural: str
    status: int


Fault = Crash | Refusal | LostAnswer | StaleReads | DroppedEvents | OldEvents | SilentWatch | BrokenWatch


@dataclass(slots=True)
class Lane:
    """Faults are armed with `arm`; `kill` ends the operator without a word."""

    name: str
    kill: Callable[[], None]
    naming: Naming = field(default_factory=Naming)
    writes: list[Write] = field(default_factory=list)
    unguarded: list[str] = field(default_factory=list)
    fired: list[str] = field(default_factory=list)  # the faults that happened
    requests: list[float] = field(default_factory=list)  # when each one came
    began: float = field(default_factory=time.monotonic)
    down: bool = False  # the API server is not there, as this operator sees it
    open: set[asyncio.BaseTransport] = field(default_factory=set)  # connections on which a watch is served
    _faults: list[Fault] = field(default_factory=list)
    _watches: int = 0  # how many have been begun
    _silent_until: int = 0  # number of the last one that SilentWatch is meant for
    _answers: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    _stale_left: dict[str, int] = field(default_factory=dict)
    _refused: dict[str, int] = field(default_factory=dict)
    _events: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    _events_seen: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def arm(self, *faults: Fault) -> None:
        self._faults += faults
        self._silent_until = self._watches
        self._events_seen.clear()

    def cut(self) -> None:
        """The API server goes away: open connections end, new ones are refused."""
        self.down = True
        for transport in self.open:
            transport.abort()
        self.open.clear()

    def disarm(self) -> None:
        """From now on nothing goes wrong."""
        self._faults.clear()

    # writes

    def take_write(self, method: str, target: About, body: Any, guard: Guard) -> Write:
        name = self.naming.name(method, target, body)
        write = Write(len(self.writes) + 1, name, guard, time.monotonic() - self.began)
        self.writes.append(write)
        if guard is Guard.NONE:
            self.unguarded.append(name)
        return write

    def crash_at(self, write: Write) -> Position | None:
        """Where this write is to end the operator; crashes come one after the other."""
        crash = next((fault for fault in self._faults if isinstance(fault, Crash)), None)
        if crash is None or not crash.is_meant(write):
            return None
        self._faults.remove(crash)
        self.fired.append(f"killed: {write.name}, {crash.position.value}")
        return crash.position

    def refusal_of(self, write: Write) -> int | None:
        """The status that this write is to be answered with. A try anew has another number in its name."""
        for fault in self._faults:
            if isinstance(fault, Refusal):
                base, _, number = fault.write.rpartition(" #")
                mine, _, tried = write.name.rpartition(" #")
                done = self._refused.get(fault.write, 0)
                if base == mine and done < fault.times and int(tried) == int(number) + done:
                    self._refused[fault.write] = done + 1
                    self.fired.append(f"{fault.status}: {write.name}")
                    return fault.status
        return None

    def answer_lost(self, write: Write) -> LostAnswer | None:
        for fault in self._faults:
            if isinstance(fault, LostAnswer) and fault.write == write.name:
                self._faults.remove(fault)
                self.fired.append(f"answer lost: {write.name}")
                return fault
        return None

    # reads

    def answer_to(self, path: str, target: About, content: bytes) -> bytes:
        """What a read is answered with: `content`, or an earlier answer to the same question."""
        known = self._answers[path]
        if not known or known[-1] != content:
            known.append(content)
            del known[:-KEPT_VERSIONS]
        for fault in self._faults:
            if isinstance(fault, StaleReads) and fault.plural == target.plural and len(known) > fault.back:
                left = self._stale_left.get(path, fault.count)
                if left > 0:
                    self._stale_left[path] = left - 1
                    self.fired.append(f"stale: GET {target}")
                    return known[-1 - fault.back]
        return content

    # watches

    def begin_watch(self) -> int:
        """The number of a new watch."""
        self._watches += 1
        return self._watches

    def events_for(self, target: About, watch: int, line: bytes) -> list[bytes]:
        """The lines that one event of a watch becomes."""
        plural = target.plural
        if json.loads(line)["type"] == "BOOKMARK":
            return [] if self.is_silent(plural, watch) else [line]
        self._events_seen[plural] += 1
        past = self._events[plural]
        old = [event for fault in self._take_old(plural) for event in past[-fault.back :]]
        past.append(line)
        del past[:-KEPT_VERSIONS]
        if self.is_silent(plural, watch):
            self.fired.append(f"kept silent: {plural}")
            return []
        if any(_drops(fault, plural, self._events_seen[plural]) for fault in self._faults):
            self.fired.append(f"dropped: event {self._events_seen[plural]} of {plural}")
            return []
        return [*old, line]

    def is_silent(self, plural: str, watch: int) -> bool:
        return watch <= self._silent_until and any(
            isinstance(fault, SilentWatch) and fault.plural == plural for fault in self._faults
        )

    def break_of(self, plural: str) -> int | None:
        """The status with which the watches of a kind are to end now."""
        for fault in self._faults:
            if isinstance(fault, BrokenWatch) and fault.plural == plural:
                self._faults.remove(fault)
                self.fired.append(f"{fault.status} in the watch of {plural}")
                return fault.status
        return None

    def _take_old(self, plural: str) -> list[OldEvents]:
        found = [fault for fault in self._faults if isinstance(fault, OldEvents) and fault.plural == plural]
        for fault in found:
            self._faults.remove(fault)
            self.fired.append(f"replayed: {fault.back} events of {plural}")
        return found


def _drops(fault: Fault, plural: str, number: int) -> bool:
    return isinstance(fault, DroppedEvents) and fault.plural == plural and fault.first <= number <= fault.last
