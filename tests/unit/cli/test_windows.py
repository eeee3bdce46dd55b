"""`forerun windows`, as a person runs it: cases that other schedulers get wrong, and input that is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from forerun.cli.main import main

REPOSITORY = Path(__file__).resolve().parents[3]
SHARED = REPOSITORY.parent / "shared" / "cases" / "windows.yaml"
OWN = yaml.safe_load((REPOSITORY / "tests" / "unit" / "api" / "cases" / "windows.yaml").read_text(encoding="utf-8"))
MORE = [
    {
        "id": "offset-without-zone",
        "schedule": {"start": "2026-11-27T08:00:00+01:00", "end": "2026-11-27T12:00:00+01:00"},
        "from": "2026-11-01T00:00:00Z",
        "to": "2026-12-01T00:00:00Z",
        "expect": [{"start": "2026-11-27T07:00:00Z", "end": "2026-11-27T11:00:00Z"}],
    },
    {
        "id": "open-at-from",
        "schedule": {"timeZone": "UTC", "start": "2026-11-27T08:00:00", "duration": "4h"},
        "from": "2026-11-27T11:59:59Z",
        "to": "2026-11-27T13:00:00Z",
        "expect": [{"start": "2026-11-27T08:00:00Z", "end": "2026-11-27T12:00:00Z"}],
    },
    {
        "id": "half-open",  # one that ends at `from` and one that starts at `to` are outside
        "schedule": {"timeZone": "UTC", "start": "2026-11-27T00:00:00", "duration": "24h", "recurrence": "FREQ=DAILY"},
        "from": "2026-11-28T00:00:00Z",
        "to": "2026-11-29T00:00:00Z",
        "expect": [{"start": "2026-11-28T00:00:00Z", "end": "2026-11-29T00:00:00Z"}],
    },
    {
        "id": "count",
        "schedule": {
            "timeZone": "America/New_York",
            "start": "2026-10-30T20:00:00",
            "duration": "90m",
            "recurrence": "FREQ=DAILY;COUNT=3",
        },
        "from": "2026-10-01T00:00:00Z",
        "to": "2026-12-01T00:00:00Z",
        "expect": [
            {"start": "2026-10-31T00:00:00Z", "end": "2026-10-31T01:30:00Z"},
            {"start": "2026-11-01T00:00:00Z", "end": "2026-11-01T01:30:00Z"},
            {"start": "2026-11-02T01:00:00Z", "end": "2026-11-02T02:30:00Z"},
        ],
    },
    {
        "id": "nothing",
        "schedule": {"timeZone": "UTC", "start": "2026-11-27T08:00:00", "duration": "4h"},
        "from": "2026-11-28T00:00:00Z",
        "to": "2026-11-29T00:00:00Z",
        "expect": [],
    },
]


def campaign(schedule):
    return {
        "apiVersion": "forerun.dev/v1alpha1",
        "kind": "Campaign",
        "metadata": {"name": "case", "namespace": "shop"},
        "spec": {"storefrontRef": {"name": "main"}, "type": "FlashSale", "schedule": schedule},
    }


def arguments(folder, case, *more):
    path = folder / "campaign.yaml"
    path.write_text(yaml.safe_dump(campaign(case["schedule"])), encoding="utf-8")
    return ["windows", "-f", str(path), "--from", case["from"], "--to", case["to"], *more]


@pytest.mark.parametrize("case", [*OWN, *MORE], ids=lambda case: case["id"])
def test_case(case, tmp_path):
    done = CliRunner().invoke(main, arguments(tmp_path, case, "-o", "json"))
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == case["expect"]


@pytest.mark.skipif(not SHARED.exists(), reason="there is no ../shared here; its cases are among ours")
def test_shared_cases_are_all_among_ours():
    ours = {case["id"]: case for case in OWN}
    shared = yaml.safe_load(SHARED.read_text(encoding="utf-8"))
    assert [ours.get(case["id"]) for case in shared] == shared


def test_process_of_its_own(tmp_path):
    """As it is installed: one JSON document on standard output, nothing else."""
    case = OWN[0]
    command = [sys.executable, "-m", "forerun.cli.main", *arguments(tmp_path, case, "-o", "json")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == case["expect"]
    assert done.stderr == ""


def test_table_has_a_line_for_each(tmp_path):
    case = OWN[0]
    done = CliRunner().invoke(main, arguments(tmp_path, case))
    assert [line.split() for line in done.stdout.splitlines()] == [[w["start"], w["end"]] for w in case["expect"]]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"from": "yesterday"}, "--from"),
        ({"to": "2026-11-27T08:00:00"}, "--to"),  # no offset
        ({"to": "2026-11-01T00:00:00Z"}, "--to"),  # before --from
        ({"schedule": {"timeZone": "Europe/Wroclaw", "start": "2026-11-27T08:00:00", "duration": "1h"}}, "timeZone"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(change, named, tmp_path):
    case = {**MORE[0], "from": "2026-11-27T00:00:00Z", **change}
    done = CliRunner().invoke(main, arguments(tmp_path, case))
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert named in line
    assert not done.stdout


def test_file_without_a_campaign(tmp_path):
    path = tmp_path / "none.yaml"
    path.write_text("{apiVersion: v1, kind: ConfigMap, metadata: {name: none}}", encoding="utf-8")
    done = CliRunner().invoke(
        main, ["windows", "-f", str(path), "--from", "2026-01-01T00:00:00Z", "--to", "2027-01-01T00:00:00Z"]
    )
    assert done.exit_code == 2
    assert str(path) in done.stderr
