"""Audit lines that show whether one was changed, taken out or moved: each carries the digest of the one before it.

Does not belong here: what a line says (audit.py), and where its end is written down (the Lease, by kube). Pure but for
`AuditChain`, which remembers the last line.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

KIND = "audit"
START = "0" * 64  # what the first line of all names as the digest before it
_ORDER = "files go in the order of their time"
_SEAL = ("run", "number", "previous", "digest")


def digest_of(record: Mapping[str, Any]) -> str:
    """SHA-256 over all that a record says, `previous` included and `digest` left out, in hexadecimal."""
    said = {name: value for name, value in record.items() if name != "digest"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


class AuditChain:
    """Seals the audit lines of this process, as the last structlog processor before the JSON is made.

    `head` is the digest of the newest line, `START` before there is any.
    """

    def __init__(self) -> None:
        self.head = START
        self._run = ""
        self._number = 0

    def begin(self, run: str, previous: str) -> None:
        """What follows are the lines of `run`, after the line with the digest `previous`."""
        self.head, self._run, self._number = previous or START, run, 0

    def __call__(self, _logger: object, _method: str, record: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """The record with its seal; what is no audit line passes as it is."""
        if record.get("kind") != KIND:
            return record
        self._number += 1
        record.update(run=self._run, number=self._number, previous=self.head)
        self.head = record["digest"] = digest_of(record)
        return record


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a reading of audit lines has found. `faults` and `notes` are for people, in the order of the lines."""

    records: int
    runs: int
    head: str
    faults: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Reading:
    expected_head: str | None
    from_start: bool
    records: int = 0
    after_head: int = 0
    run: str | None = None
    number: int = 0
    head: str = START
    first_follows: str = START
    known: set[str] = field(default_factory=lambda: {START})
    over: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def verify(lines: Iterable[bytes], head: str | None = None, *, from_start: bool = False) -> Verdict:
    """Look whether the audit lines among `lines` (without their line ends) are all there, in order, as written.

    Without `head`, the digest that the Lease holds, nobody can tell whether lines are missing at the end; without
    `from_start` not whether they were rotated away at the beginning.
    """
    reading = _Reading(head, from_start)
    for at, line in enumerate(lines, 1):
        record = _record(line)
        if isinstance(record, str):
            reading.faults.append(f"line {at}: {record}")
        elif record is not None:
            _take(reading, at, record)
    _end(reading)
    faults, notes = tuple(reading.faults), tuple(reading.notes)
    runs = len(reading.over) + (reading.run is not None)
    return Verdict(reading.records, runs, reading.head, faults, notes)


def _record(line: bytes) -> dict[str, Any] | str | None:
    """The audit record of a line; what is wrong with it; None where the line is another one."""
    if b'"kind": "audit"' not in line and b'"digest"' not in line:
        return None
    try:
        text = line.decode()
        record = json.loads(text)
    except (ValueError, RecursionError):
        return "is damaged: it is not JSON any more"
    return _fault(record, text) or record


def _fault(record: Any, text: str) -> str | None:
    """Why `record`, which `text` says, is not as it was sealed; None where it is."""
    if not isinstance(record, dict) or record.get("kind") != KIND:
        return "is damaged: it has a digest and is no audit line"
    if json.dumps(record) != text:
        return "is damaged: this is not how it was written"
    if not all(isinstance(record.get(name), str) for name in ("run", "previous", "digest")):
        return "is not sealed"
    if type(record.get("number")) is not int or digest_of(record) != record["digest"]:
        return "is damaged: it does not say what was written"
    return None


def _take(reading: _Reading, at: int, record: Mapping[str, Any]) -> None:
    run, number, previous, digest = (record[name] for name in _SEAL)
    if run == reading.run:
        if (number, previous) != (reading.number + 1, reading.head):
            reading.faults.append(f"line {at}: record {number} follows {reading.number} of run {run}")
    else:
        _begin(reading, at, record)
    if reading.first_follows == digest != START:
        reading.faults.append(f"line {at}: record {number} of run {run} goes before the first one here; {_ORDER}")
    reading.run, reading.number, reading.head = run, number, digest
    reading.known.add(digest)
    reading.records += 1
    reading.after_head = 0 if digest == reading.expected_head else reading.after_head + 1


def _begin(reading: _Reading, at: int, record: Mapping[str, Any]) -> None:
    """The first record of another run: it follows one that is known, or is the first of all that is here."""
    run, number, previous = record["run"], record["number"], record["previous"]
    if reading.run is not None:
        reading.over.add(reading.run)
    if run in reading.over:
        reading.faults.append(f"line {at}: run {run} had ended before run {reading.run}")
    elif reading.records == 0:
        reading.first_follows = previous
        if previous != START:
            told = reading.faults if reading.from_start else reading.notes
            told.append(f"line {at}: what came before record {number} of run {run} is not here")
    elif number != 1:
        reading.faults.append(f"line {at}: run {run} begins with record {number}")
    elif previous not in reading.known:
        reading.faults.append(f"line {at}: what run {run} follows is not here; {_ORDER}")
    elif previous == START:
        reading.notes.append(f"run {run} knows of nothing before it: the Lease was made anew")
    elif previous != reading.head:
        reading.notes.append(f"the end of run {reading.run} was not written down in the Lease when run {run} began")


def _end(reading: _Reading) -> None:
    expected = reading.expected_head
    if expected is None:
        reading.notes.append("whether lines are missing at the end cannot be told without --head")
    elif expected not in reading.known:
        reading.faults.append(f"the line with the digest {expected} is not here: the end is missing")
    elif reading.after_head:
        reading.notes.append(f"{reading.after_head} records are newer than --head")
