import gzip
import math
from datetime import UTC, datetime

import pytest

from forerun.signals.trace import TraceError, read_events, read_trace


def written(tmp_path, text, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    return path


ROWS = "timestamp,requests\n2026-01-01T00:00:00Z,60\n2026-01-01T00:01:00Z,0\n2026-01-01T00:04:00Z,30\n2026-01-01T00:05:00Z,6\n"


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_counts_become_rates_and_gaps_stay(tmp_path, name):
    series = read_trace(written(tmp_path, ROWS, name))
    assert (series.start, series.step_seconds) == (datetime(2026, 1, 1, tzinfo=UTC), 60.0)
    assert series.values[:2] == (1.0, 0.0) and series.values[4:] == (0.5, 0.1)
    assert all(map(math.isnan, series.values[2:4]))


def test_one_series_is_picked(tmp_path):
    text = "timestamp,requests,series\n" + "".join(
        f"2026-01-01T00:0{i}:00+01:00,{n},{s}\n" for s, n in (("a", 60), ("b", 120)) for i in range(3)
    )
    path = written(tmp_path, text)
    assert read_trace(path, "b").values == (2.0, 2.0, 2.0)
    assert read_trace(path, "b").start == datetime(2025, 12, 31, 23, tzinfo=UTC)
    with pytest.raises(TraceError, match="row 5: .*sort"):
        read_trace(path)
    with pytest.raises(TraceError, match="series c"):
        read_trace(path, "c")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "row 1: the header lacks requests, timestamp"),
        ("timestamp,count\n", "lacks requests"),
        ("timestamp,requests\n", "no row"),
        ("timestamp,requests\n2026-01-01T00:00:00Z,1\n", "one row only"),
        ("timestamp,requests\nyesterday,1\n", "row 2: 'yesterday' is not a time"),
        ("timestamp,requests\n2026-01-01T00:00:00Z,-1\n", "row 2: '-1' is not a count"),
        ("timestamp,requests\n2026-01-01T00:00:00Z,nan\n", "not a count"),
        ("timestamp,requests\n2026-01-01T00:00:00Z\n", "not a count"),
        ("timestamp,requests\n2026-01-01T00:01:00Z,1\n2026-01-01T00:00:00Z,1\n", "row 3: is before"),
        ("timestamp,requests\n2026-01-01T00:01:00Z,1\n2026-01-01T00:01:00Z,1\n", "row 3: repeats"),
        ("timestamp,requests\n0001-01-01T00:00:00Z,1\n0001-01-01T00:00:01Z,1\n9999-01-01T00:00:00Z,1\n", "wider bins"),
    ],
)
def test_a_bad_trace_names_file_row_and_remedy(tmp_path, text, says):
    with pytest.raises(TraceError, match="t.csv") as error:
        read_trace(written(tmp_path, text))
    assert says in str(error.value) and "\n" not in str(error.value)


def test_what_is_no_file_or_no_text(tmp_path):
    for path in (tmp_path, tmp_path / "absent.csv", written(tmp_path, "x", "t.gz")):
        if path.name == "t.gz":
            path.write_bytes(path.read_bytes()[:12])
        with pytest.raises(TraceError):
            read_trace(path)
    binary = tmp_path / "b.csv"
    binary.write_bytes(b"\xff\xfe\x00timestamp")
    with pytest.raises(TraceError):
        read_trace(binary)


def test_events(tmp_path):
    text = 'kind,name,start,end,note\nmatch,A vs B,2026-06-10T15:30:00Z,2026-06-10T17:20:00Z,"x, y"\nsale,S,2026-06-11T00:00:00Z,,\n'
    first, second = read_events(written(tmp_path, text))
    assert (first.kind, first.name, first.note) == ("match", "A vs B", "x, y")
    assert first.end == datetime(2026, 6, 10, 17, 20, tzinfo=UTC)
    assert second.end is None
    with pytest.raises(TraceError, match="row 2: the end"):
        read_events(written(tmp_path, "kind,start,end\na,2026-01-02T00:00:00Z,2026-01-01T00:00:00Z\n"))
