"""The timeline: `policy,time,tier,demand,floor,desired,ready,unserved`, one row for each tick, tier and policy."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

HEADER = ("policy", "time", "tier", "demand", "floor", "desired", "ready", "unserved")


class TimelineError(ValueError):
    """A file that is not a timeline; one line that names row, field and remedy."""


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """`demand` and `unserved` in calls/s of the tier; None is an empty field: unknown, never zero."""

    policy: str
    at: datetime
    tier: str
    demand: float | None
    floor: int | None
    desired: int | None
    ready: int | None
    unserved: float | None


def timeline_to_csv(rows: Iterable[TimelineRow]) -> str:
    """The rows as CSV, times in UTC to the millisecond."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for row in rows:
        at = row.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        numbers = (_number(row.demand), row.floor, row.desired, row.ready, _number(row.unserved))
        writer.writerow((row.policy, at, row.tier, *("" if number is None else number for number in numbers)))
    return text.getvalue()


def timeline_from_csv(text: str) -> tuple[TimelineRow, ...]:
    """The rows of a CSV. Raises TimelineError."""
    lines = list(csv.reader(io.StringIO(text)))
    if not lines or tuple(lines[0]) != HEADER:
        raise TimelineError(f"row 1: the header must be {','.join(HEADER)}")
    return tuple(_parsed(number, line) for number, line in enumerate(lines[1:], start=2) if line)


def _parsed(number: int, line: list[str]) -> TimelineRow:
    if len(line) != len(HEADER):
        raise TimelineError(f"row {number}: {len(line)} fields; give {len(HEADER)}: {','.join(HEADER)}")
    fields = dict(zip(HEADER, line, strict=True))
    try:
        at = datetime.fromisoformat(fields["time"])
        floor, desired, ready = (int(fields[name]) if fields[name] else None for name in ("floor", "desired", "ready"))
        demand, unserved = (float(fields[name]) if fields[name] else None for name in ("demand", "unserved"))
    except ValueError as error:
        raise TimelineError(f"row {number}: {error}; times are ISO 8601, the rest numbers") from None
    if at.tzinfo is None:
        raise TimelineError(f"row {number}: time: {fields['time']!r} has no offset; write for instance a Z at its end")
    return TimelineRow(fields["policy"], at, fields["tier"], demand, floor, desired, ready, unserved)


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.6g}"
