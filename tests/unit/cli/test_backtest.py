"""`forerun backtest`, as a person runs it, with the real worker."""

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from forerun.cli.main import main

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
TRACES = Path(__file__).parents[4] / "shared" / "traces"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("backtest")
    hours = np.arange(40 * 24)
    demand = np.round(36000 * (2 - np.cos(2 * np.pi * hours / 24)))
    starts = [24 * day + 9 for day in (16, 20, 24, 28, 32)]
    for start in starts:
        demand[start : start + 4] *= 2
    rows = [f"{at(hour)},{count:g}\n" for hour, count in zip(hours.tolist(), demand, strict=True)]
    (folder / "shop.csv").write_text("timestamp,requests\n" + "".join(rows))
    events = [f"drop,drop {hour},{at(hour)},,\n" for hour in starts]
    (folder / "events.csv").write_text("kind,name,start,end,note\n" + "".join(events))
    (folder / "elsewhere.csv").write_text("kind,name,start,end,note\ndrop,far,2031-01-01T00:00:00Z,,\n")
    return folder


def at(hour):
    return f"{BEGIN + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ}"


def run(*arguments):
    return CliRunner().invoke(main, ["backtest", *map(str, arguments)])


def test_json_on_stdout_progress_on_stderr_and_both_files(files, tmp_path):
    found = run(
        *("--trace", files / "shop.csv", "--events", files / "events.csv", "--model", "forerun"),
        *("--forecasts", tmp_path / "f.csv", "--html", tmp_path / "page.html", "-o", "json"),
    )
    assert found.exit_code == 0, found.stderr
    document = json.loads(found.stdout)
    (model,) = document["models"]
    assert (document["trace"], model["model"], model["events"], model["missing"]) == ("shop", "forerun", 5, 0)
    assert 0.0 <= model["coverage"]["0.9"] <= 1.0
    assert all(line.startswith("forerun: ") for line in found.stderr.splitlines())
    with (tmp_path / "f.csv").open() as text:
        rows = list(csv.DictReader(text))
    assert list(rows[0]) == ["model", "series", "event", "decided_at", "time", "quantile", "value"]
    assert len(rows) == 5 * 14 * (12 + 1)
    assert rows[0]["decided_at"] == at(16 * 24 + 8)
    assert (tmp_path / "page.html").read_text().count("<figure") == 5


def test_the_table_names_every_model_that_was_asked(files):
    arguments = ("--trace", files / "shop.csv", "--events", files / "events.csv", "--decide", "3h")
    found = run(*arguments, "--model", "forerun", "--model", "kind-profile")
    assert found.exit_code == 0, found.stderr
    lines = found.stdout.splitlines()
    assert lines[0] == "shop: 5 events; losses in requests/s, less is better"
    assert [line.split()[:2] for line in lines if line.startswith("  ") and " 5 " in line] == [
        ["forerun", "5"],
        ["kind-profile", "5"],
    ]
    assert "…" not in found.stdout


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"--trace": "absent.csv"}, "absent.csv: --trace: no such file"),
        ({"--events": "absent.csv"}, "absent.csv: --events: no such file"),
        ({"--events": "elsewhere.csv"}, "elsewhere.csv: start: none of 1 events lies inside the trace"),
        ({"--series": "web"}, "shop.csv: series: there is no 'web'"),
        ({"--decide": "15"}, "--decide: '15': must be a duration"),
        ({"--model": "oracle"}, "--model: 'oracle' is not a model; give one of forerun"),
        ({"--html": "no/such/page.html"}, "page.html: --html: cannot be written"),
        ({"--forecasts": "."}, "--forecasts: cannot be written"),
    ],
)
def test_bad_input_ends_with_one_line_and_code_2(files, change, words):
    given = {"--trace": "shop.csv", "--events": "events.csv"} | change
    named = {"--trace", "--events", "--html", "--forecasts"}
    arguments = [part for name, value in given.items() for part in (name, files / value if name in named else value)]
    found = run(*arguments)
    assert found.exit_code == 2
    assert found.stdout == ""
    assert words in found.stderr
    assert len(found.stderr.splitlines()) == 1


@pytest.mark.traces
def test_a_real_trace_from_end_to_end():
    file = TRACES / "nab-twitter-5min.csv.gz"
    if not file.exists():
        pytest.skip(f"{file} is not here")
    events = TRACES / "nab-twitter-5min.events.csv"
    found = run("--trace", file, "--events", events, "--series", "AAPL", "--model", "forerun", "-o", "json")
    assert found.exit_code == 0, found.stderr
    kinds = {row["kind"] for row in json.loads(found.stdout)["models"][0]["kinds"]}
    assert kinds == {"keynote", "preorder", "market-closed"}
