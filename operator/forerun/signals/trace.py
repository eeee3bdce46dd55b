"""Traces and events from files: demand as requests/s on a regular grid, and what happened when."""

import csv
import gzip
import io
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from forerun.domain.observation import DemandSeries

_MOST_BINS = 5_000_000


class TraceError(ValueError):
    """A file that cannot be used: file, row and remedy in one line."""


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """`end` is None where the file leaves it open."""

    kind: str
    name: str
    start: datetime
    end: datetime | None
    note: str


def read_trace(path: Path | str, series: str | None = None) -> DemandSeries:
    """The trace in requests/s; the bin width is the commonest difference, and absent bins are NaN.

    `series` picks one of a file that holds several. Raises TraceError.
    """
    file = Path(path)
    rows = [
        (_moment(file, number, row.get("timestamp")), _count(file, number, row.get("requests")), number)
        for number, row in _rows(file, {"timestamp", "requests"})
        if series is None or row.get("series") == series
    ]
    if not rows:
        named = f" of series {series}" if series is not None else ""
        raise TraceError(f"{file}: no row{named}; give a header and one row per bin")
    _check_ascending(file, [(moment, number) for moment, _, number in rows])
    step = _step(file, [moment for moment, _, _ in rows])
    start = rows[0][0]
    bins = round((rows[-1][0] - start).total_seconds() / step) + 1
    if bins > _MOST_BINS:
        raise TraceError(f"{file}: {bins} bins of {step:g} s; cut the trace or use wider bins")
    values = [math.nan] * bins
    for moment, count, _ in rows:
        values[round((moment - start).total_seconds() / step)] = count / step
    return DemandSeries(start, step, tuple(values))


def _check_ascending(file: Path, numbered: list[tuple[datetime, int]]) -> None:
    for (earlier, _), (later, number) in pairwise(numbered):
        if later <= earlier:
            word = "repeats" if later == earlier else "is before"
            raise TraceError(f"{file}, row {number}: {word} the row above; sort the rows, one per time and series")


def read_events(path: Path | str) -> tuple[TraceEvent, ...]:
    """The events of a file with the header `kind,name,start,end,note`, in its order. Raises TraceError."""
    file = Path(path)
    events = []
    for number, row in _rows(file, {"kind", "start"}):
        start = _moment(file, number, row.get("start"))
        end = _moment(file, number, row["end"]) if row.get("end") else None
        if end is not None and end <= start:
            raise TraceError(f"{file}, row {number}: the end must be after the start")
        events.append(TraceEvent(row["kind"], row.get("name") or "", start, end, row.get("note") or ""))
    return tuple(events)


def _rows(file: Path, needed: set[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(row number in the file, columns by name); rows without anything in them are skipped."""
    try:
        packed = file.read_bytes()
        text = (gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""))
        missing = needed - set(reader.fieldnames or ())
        if missing:
            raise TraceError(f"{file}, row 1: the header lacks {', '.join(sorted(missing))}")
        yield from ((reader.line_num, row) for row in reader)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise TraceError(f"{file}: cannot be read as CSV: {error}") from None


def _moment(file: Path, number: int, text: str | None) -> datetime:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        raise TraceError(f"{file}, row {number}: {text!r} is not a time; write 2026-11-27T08:00:00Z") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _count(file: Path, number: int, text: str | None) -> float:
    try:
        count = float(text or "")
    except ValueError:
        count = math.nan
    if not 0.0 <= count < math.inf:
        raise TraceError(f"{file}, row {number}: {text!r} is not a count; leave out bins that are not known")
    return count


def _step(file: Path, moments: list[datetime]) -> float:
    if len(moments) < 2:
        raise TraceError(f"{file}: one row only; the bin width needs two")
    differences = Counter((later - earlier).total_seconds() for earlier, later in pairwise(moments))
    most = max(differences.values())
    return min(difference for difference, count in differences.items() if count == most)
