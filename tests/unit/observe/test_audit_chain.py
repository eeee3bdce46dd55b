"""Audit lines: nothing can be changed, taken out, moved or cut off without being found."""

import io
import itertools
import json
import random
from datetime import UTC, datetime

import pytest
import structlog

from forerun.domain.ledger import Bounds
from forerun.domain.target import Written
from forerun.observe import audit
from forerun.observe.audit_chain import START, AuditChain, verify

NOW = datetime(2026, 11, 27, 8, tzinfo=UTC)


class Operator:
    """A process that logs as `forerun run` does: audit lines among others."""

    def __init__(self, log, run, previous):
        self.chain = AuditChain()
        self.chain.begin(run, previous)
        self.log = structlog.wrap_logger(
            structlog.WriteLogger(log),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                self.chain,
                structlog.processors.JSONRenderer(),
            ],
        )

    def writes(self, count, tier="web"):
        for floor in range(count):
            self.log.info("something else", floor=floor)
            self.log.info(
                "floor written", kind="audit", tier=tier, after={"min": floor, "max": None}, why="Früh \u2028"
            )


def logged(*counts):
    """The lines of one operator after the other, and the digest that the Lease holds in the end."""
    log, head = io.StringIO(), START
    for epoch, count in enumerate(counts, 1):
        operator = Operator(log, f"pod/{epoch}", head)
        operator.writes(count)
        head = operator.chain.head
    return log.getvalue().encode().removesuffix(b"\n").split(b"\n"), head


def test_what_was_logged_is_whole():
    lines, head = logged(5, 1, 7)
    verdict = verify(lines, head)
    assert (verdict.records, verdict.runs, verdict.head, verdict.faults, verdict.notes) == (13, 3, head, (), ())


def test_without_a_head_the_end_is_not_known():
    lines, _ = logged(3)
    verdict = verify(lines)
    assert not verdict.faults
    assert "--head" in verdict.notes[0]


def test_nothing_logged_yet():
    assert verify([], START).faults == ()
    assert verify([b"{}", b"text"], "ab" * 32).faults


def test_logs_that_were_rotated_begin_in_the_middle():
    lines, head = logged(5, 5)
    verdict = verify(lines[6:], head)
    assert not verdict.faults
    assert "is not here" in verdict.notes[0]
    assert "is not here" in verify(lines[6:], head, from_start=True).faults[0]


def test_records_that_the_lease_does_not_know_yet_are_told():
    lines, head = logged(5)
    earlier = json.loads(lines[-5])["digest"]
    assert verify(lines, earlier).notes == ("2 records are newer than --head",)
    assert verify(lines, START).notes == ("5 records are newer than --head",)
    assert head != earlier


def test_a_crash_before_the_lease_was_renewed_is_told_and_is_no_fault():
    log = io.StringIO()
    first = Operator(log, "a/1", START)
    first.writes(2)
    in_the_lease = first.chain.head
    first.writes(1)
    second = Operator(log, "b/2", in_the_lease)
    second.writes(1)
    verdict = verify(log.getvalue().encode().splitlines(), second.chain.head)
    assert not verdict.faults
    assert "a/1" in verdict.notes[0]


def test_a_lease_that_was_made_anew_is_told():
    log = io.StringIO()
    Operator(log, "a/1", START).writes(1)
    second = Operator(log, "b/2", "")
    second.writes(1)
    assert "made anew" in verify(log.getvalue().encode().splitlines(), second.chain.head).notes[0]


def test_files_in_the_wrong_order_are_told():
    lines, head = logged(3, 3)
    assert any(
        "order of their time" in fault or "had ended" in fault for fault in verify(lines[6:] + lines[:6], head).faults
    )


def test_the_end_of_an_earlier_run_is_missed():
    lines, head = logged(3, 3)
    assert verify(lines[:4] + lines[6:], head).faults


def is_audit(line):
    return b'"digest"' in line


def mutations(random_):
    """One damage each, to audit lines alone: what it is, and what the log is then."""
    lines, head = logged(4, 3, 5)
    ours = [at for at, line in enumerate(lines) if is_audit(line)]
    while True:
        damaged = list(lines)
        what = random_.choice(("byte", "bit", "insert", "drop", "cut", "swap", "twice", "remove", "mix"))
        at, other = sorted(random_.sample(ours, 2))
        line = damaged[at]
        place = random_.randrange(len(line))
        if what == "byte":
            new = random_.randrange(256)
            damaged[at] = line[:place] + bytes([new]) + line[place + 1 :]
        elif what == "bit":
            damaged[at] = line[:place] + bytes([line[place] ^ 1 << random_.randrange(8)]) + line[place + 1 :]
        elif what == "insert":
            damaged[at] = line[:place] + bytes([random_.randrange(256)]) + line[place:]
        elif what == "drop":
            damaged[at] = line[:place] + line[place + 1 :]
        elif what == "cut":
            damaged = damaged[:at]
        elif what == "swap":
            damaged[at], damaged[other] = damaged[other], damaged[at]
        elif what == "twice":
            damaged.insert(other, line)
        elif what == "remove":
            del damaged[at]
        else:
            damaged[at] = line[:place] + damaged[other][place:]
        damaged = b"\n".join(damaged).split(b"\n")
        if damaged != lines:
            yield what, damaged, head


def test_ten_thousand_damages_are_all_found():
    source = mutations(random.Random(7))
    missed, kinds = [], set()
    for what, damaged, head in itertools.islice(source, 10_000):
        kinds.add(what)
        if not verify(damaged, head, from_start=True).faults:
            missed.append((what, damaged))
    assert missed == []
    assert len(kinds) == 9


@pytest.mark.parametrize(
    "line",
    [
        b'{"kind": "audit", "digest": 1}',
        b'{"kind": "audit"}',
        b'["kind", "digest"] "digest"',
        b'{"digest": "x"}',
        b'{"kind": "audit", "run": "r", "number": true, "previous": "p", "digest": "d"}',
        b'{"kind": "audit", "x": ' + b"[" * 100_000 + b'"digest"',
        b'\xff"kind": "audit"',
    ],
)
def test_what_is_no_record_is_a_fault_and_never_an_exception(line):
    assert len(verify([line], START).faults) == 1


def test_a_write_makes_one_sealed_line(monkeypatch):
    log = io.StringIO()
    chain = AuditChain()
    chain.begin("pod/1", START)
    logger = structlog.wrap_logger(structlog.WriteLogger(log), processors=[chain, structlog.processors.JSONRenderer()])
    monkeypatch.setattr(audit, "_log", logger)
    audit.record_write("shop/main", Written("web", Bounds(2, 9), Bounds(7, 9), "1"), "Scheduled", ("drop",), 3)
    record = json.loads(log.getvalue())
    assert (record["asked_by"], record["before"]["min"], record["after"]["min"]) == (["drop"], 2, 7)
    assert (record["run"], record["number"], record["previous"]) == ("pod/1", 1, START)
    assert verify(log.getvalue().encode().splitlines(), chain.head).faults == ()
