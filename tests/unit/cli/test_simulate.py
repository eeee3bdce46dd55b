"""`forerun simulate`, as a person runs it."""

import csv
import gzip
import json
import math
import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from forerun.cli.main import main
from forerun.cli.simulate import simulate

ROOT = Path(__file__).parents[3]
TRACES = ROOT.parent / "shared" / "traces"
SAMPLES = ROOT / "manifests" / "samples"
BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
PEERS = "hpa,hpa-rps,keda-cron,static,oracle"
POLICIES = """
class Quiet:
    every_seconds = 60.0
    def __init__(self, known): self.names = [tier.name for tier in known.storefront.tiers]
    def floors(self, view): return {}
class Raises(Quiet):
    def floors(self, view):
        if view.tick > 500: raise ValueError("no idea")
        return {}
class Nan(Quiet):
    def floors(self, view): return {name: float("nan") for name in self.names}
class Jumps(Quiet):
    def floors(self, view): return {name: 500_000 * (view.tick // 12 % 2) for name in self.names}
class Unborn:
    def __init__(self, known): raise RuntimeError("not today")
class Unasked:
    def __init__(self, known): pass
class Interrupts(Quiet):
    made = 0
    def __init__(self, known): Interrupts.made += 1
    def floors(self, view):
        if Interrupts.made > 8: raise KeyboardInterrupt
        return {}
"""


def stamp(minutes):
    return f"{BEGIN + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"


def write_trace(path, counts, step=5, skip=()):
    rows = [f"{stamp(step * place)},{count:.0f}\n" for place, count in enumerate(counts) if place not in skip]
    path.write_text("timestamp,requests\n" + "".join(rows))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Four days in bins of five minutes, three drops of four times the usual; a shop with three tiers."""
    folder = tmp_path_factory.mktemp("simulate")
    minutes = np.arange(4 * 288) * 5.0
    usual = 1_200_000 * (1.5 - np.cos(2 * np.pi * minutes / 1440))
    drops = [1440 * day + 600 for day in (1, 2, 3)]
    for drop in drops:
        since = minutes - drop
        usual[(since >= 0) & (since < 240)] *= 4.0
    write_trace(folder / "shop.csv", usual)
    events = [f"FlashSale,drop,{stamp(drop)},,\n" for drop in drops]
    (folder / "events.csv").write_text("kind,name,start,end,note\n" + "".join(events))
    (folder / "elsewhere.csv").write_text("kind,name,start,end,note\ndrop,far,2031-01-01T00:00:00Z,,\n")
    sample = (SAMPLES / "40-campaign.yaml").read_text()
    (folder / "elsewhen.yaml").write_text(sample)
    for field, value in (("start", "2026-03-03T11:00:00"), ("end", "2026-03-03T15:00:00")):
        sample = re.sub(rf'{field}: "[^"]+"', f'{field}: "{value}"', sample)
    (folder / "campaign.yaml").write_text(sample.replace("FREQ=WEEKLY;BYDAY=FR", "FREQ=DAILY"))
    storefront = (SAMPLES / "30-storefront.yaml").read_text()
    (folder / "no-capacity.yaml").write_text(storefront.replace('    capacityPerReplica: "900"\n', "", 1))
    rows = [f"{stamp(5 * place)},1,{name}\n" for name in "ab" for place in range(9)]
    (folder / "several.csv").write_text("timestamp,requests,series\n" + "".join(rows))
    (folder / "mine.py").write_text(POLICIES)
    (folder / "broken.py").write_text("class Mine(\n")
    return folder


def run(*arguments):
    return CliRunner().invoke(main, ["simulate", *map(str, arguments)])


def json_of(*arguments):
    found = run(*arguments, "-o", "json")
    assert found.exit_code == 0, found.stderr
    return json.loads(found.stdout)


def given(files, *more):
    return ("--trace", files / "shop.csv", "--events", files / "events.csv", *more)


def rows_of(path):
    packed = path.read_bytes()
    text = (gzip.decompress(packed) if path.suffix == ".gz" else packed).decode()
    return list(csv.DictReader(text.splitlines()))


def test_json_on_stdout_progress_on_stderr(files):
    found = run(*given(files, "--policy", PEERS, "-o", "json"))
    assert found.exit_code == 0, found.stderr
    document = json.loads(found.stdout)
    assert (document["trace"], document["lead_time_seconds"], document["seed"]) == ("shop", 180.0, 0)
    assert {arm["policy"] for arm in document["arms"]} == set(PEERS.split(","))
    named = {"policy", "unserved_percent", "violation_seconds", "replica_hours"}
    named |= {"replica_hours_ratio", "j_ratio", "churn_ratio"}
    assert all(named <= set(arm) and arm["verdict"] is None for arm in document["arms"])
    oracle = document["arms"][-1]
    assert (oracle["policy"], oracle["j_ratio"], oracle["replica_hours_ratio"]) == ("oracle", 1.0, 1.0)
    # pods may start a little sooner than the oracle believes, never so much sooner as to matter
    assert all(arm["j_ratio"] > 0.97 for arm in document["arms"])
    assert found.stderr and all(line.startswith("forerun: ") for line in found.stderr.splitlines())


@pytest.mark.parametrize(
    "more",
    [
        ("--policy", "forerun,hpa-rps,oracle", "--first", "1"),
        ("--policy", PEERS, "--retry", "0.5", "--cost-ratio", "9", "--hpa-target", "0.9", "--lead-time", "600s"),
    ],
    ids=["forerun", "retry"],
)
def test_every_figure_can_be_recomputed_from_the_timeline(files, tmp_path, more):
    timeline = tmp_path / "ticks.csv.gz"
    document = json_of(*given(files, *more, "--timeline", timeline))
    check_figures(document, rows_of(timeline))


def test_a_shop_of_three_tiers_with_campaigns(files, tmp_path):
    timeline = tmp_path / "ticks.csv"
    shop = ("-f", SAMPLES / "20-capacity-policy.yaml", "-f", SAMPLES / "30-storefront.yaml")
    arguments = (*shop, "-f", files / "campaign.yaml", "--trace", files / "shop.csv", "--timeline", timeline)
    document = json_of(*arguments, "--policy", "forerun,keda-cron,oracle", "--hpa-target", "0.8", "--first", "2")
    starts = [re.search(r"\d{4}-\S+Z", scenario["name"]).group() for scenario in document["scenarios"]]
    assert starts == ["2026-03-03T10:00Z", "2026-03-04T10:00Z"]  # 11:00 in Warsaw
    tiers = [(tier["name"], tier["lead_time_seconds"]) for tier in document["scenarios"][0]["tiers"]]
    assert tiers == [("cache", 300.0), ("recommender", 240.0), ("ingress", 30.0)]
    rows = rows_of(timeline)
    assert {row["tier"] for row in rows} == {"cache", "recommender", "ingress"}
    raised = {row["tier"] for row in rows if row["policy"] == "forerun" and int(row["floor"]) > 2}
    assert raised == {"cache", "recommender", "ingress"}
    check_figures(document, rows)


def check_figures(document, rows):
    """All of a document's figures from its timeline alone and the capacities that it names."""
    assert list(rows[0]) == ["policy", "time", "tier", "demand", "floor", "desired", "ready", "unserved"]
    (tick,) = {scenario["tick_seconds"] for scenario in document["scenarios"]}
    ours = {arm["policy"]: sums_of(document, rows, arm["policy"], tick) for arm in document["arms"]}
    assert {row["policy"] for row in rows} == set(ours)
    oracle = ours["oracle"]
    for arm in document["arms"]:
        mine = ours[arm["policy"]]
        assert arm["unserved_percent"] == pytest.approx(100 * mine["unserved"] / mine["demand"], rel=1e-4, abs=1e-7)
        assert arm["violation_seconds"] == mine["violated"]
        assert arm["replica_hours"] == pytest.approx(mine["replica_seconds"] / 3600)
        assert arm["replica_hours_ratio"] == pytest.approx(mine["replica_seconds"] / oracle["replica_seconds"])
        assert arm["churn_ratio"] == pytest.approx(mine["churn"] / oracle["churn"])
        logs = [math.log(one / best) for one, best in zip(mine["costs"], oracle["costs"], strict=True)]
        assert arm["j_ratio"] == pytest.approx(math.exp(sum(logs) / len(logs)), rel=1e-4)


def sums_of(document, rows, policy, tick):
    """Scenarios do not overlap here: a row belongs to the one whose time it is."""
    capacity, spans = {}, []
    for number, scenario in enumerate(document["scenarios"]):
        spans.append((scenario["start"], scenario["end"]))
        capacity |= {(number, tier["name"]): tier["capacity_per_replica"] for tier in scenario["tiers"]}
    sums = defaultdict(float)
    costs = [0.0] * len(spans)
    before = {}
    for row in rows:
        if row["policy"] != policy:
            continue
        (place,) = [number for number, (start, end) in enumerate(spans) if start <= row["time"] < end]
        lane, desired = (place, row["tier"]), int(row["desired"])
        demand, unserved = float(row["demand"]), float(row["unserved"])
        sums["demand"] += demand * tick
        sums["unserved"] += unserved * tick
        sums["violated"] += tick if unserved > 0.01 * demand else 0.0
        sums["replica_seconds"] += desired * tick
        sums["churn"] += abs(desired - before.get(lane, desired))
        before[lane] = desired
        costs[place] += tick * (desired + document["cost_ratio"] * unserved / capacity[lane])
    return {"violated": 0.0, **sums, "costs": costs}


def test_the_table_names_every_policy_with_its_setting(files):
    found = run(*given(files, "--policy", "hpa-rps,keda-cron", "--hpa-target", "0.8", "--first", "1"))
    assert found.exit_code == 0, found.stderr
    lines = found.stdout.splitlines()
    assert lines[0].startswith("shop: 1 scenario, lead time 180 s, cost ratio 99")
    settings = {line.split()[0]: line for line in lines if "HPA 80 %" in line}
    assert set(settings) == {"hpa-rps", "keda-cron"}
    assert "…" not in found.stdout


def test_a_policy_that_fails_gets_a_verdict_and_the_others_go_on(files):
    classes = ("Quiet", "Raises", "Nan", "Unborn", "Unasked", "Jumps")
    mine = ",".join(f"{files / 'mine.py'}:{name}" for name in classes)
    document = json_of(*given(files, "--policy", f"hpa-rps,{mine}", "--first", "1"))
    arms = {arm["policy"]: arm for arm in document["arms"]}
    assert [arms[name]["verdict"] for name in ("hpa-rps", "Quiet", "Jumps")] == [None, None, None]
    words = {
        "Raises": "raised ValueError: no idea",
        "Nan": "gave nan as the floor of web",
        "Unborn": "raised RuntimeError: not today",
        "Unasked": "every_seconds is None",
    }
    for name, verdict in words.items():
        assert verdict in arms[name]["verdict"]
        assert arms[name]["verdict"].startswith("ended early in 1 of 1: ")
    alone = json_of(*given(files, "--policy", "hpa-rps", "--first", "1"))
    assert arms["hpa-rps"] == alone["arms"][0] | {"best_in": arms["hpa-rps"]["best_in"]}
    assert arms["Quiet"]["j_ratio"] == arms["hpa-rps"]["j_ratio"]
    assert arms["Jumps"]["j_ratio"] > 10 * arms["hpa-rps"]["j_ratio"]


def test_an_interrupt_prints_what_is_finished_and_ends_with_130(files, tmp_path):
    policies = f"hpa-rps,{files / 'mine.py'}:Interrupts"
    timeline = tmp_path / "ticks.csv"
    asked = given(files, "--policy", policies, "--first", "1")
    found = run(*asked, "--repeats", "20", "--timeline", timeline, "-o", "json")
    assert found.exit_code == 130
    document = json.loads(found.stdout)
    assert document["interrupted"] is True
    whole = json_of(*given(files, "--policy", "hpa-rps", "--first", "1", "--repeats", "3"))["arms"][0]
    arms = {arm["policy"]: arm for arm in document["arms"]}
    assert arms["hpa-rps"] == whole | {"best_in": arms["hpa-rps"]["best_in"]}  # three repeats had it done
    assert (arms["Interrupts"]["scenarios"], arms["Interrupts"]["verdict"]) == (1, None)
    assert {row["policy"] for row in rows_of(timeline)} == {"hpa-rps", "Interrupts", "oracle"}


def test_a_seed_gives_the_same_again(files):
    arguments = given(files, "--policy", "hpa,static", "--seed", "7", "--repeats", "2", "--first", "2")
    assert json_of(*arguments) == json_of(*arguments)


@pytest.mark.parametrize(
    ("counts", "skip"),
    [
        ([0.0] * 1152, ()),
        ([1e9] * 1152, ()),
        ([3.0] * 600 + [1e9] * 12 + [3.0] * 540, ()),
        ([3000.0] * 1152, range(300, 560)),
        ([3000.0] * 1152, range(10, 1150)),
    ],
    ids=["zero", "huge", "spike", "gap", "mostly-gap"],
)
@pytest.mark.parametrize("with_events", [True, False])
def test_odd_traces_give_finite_figures(files, tmp_path, counts, skip, with_events):
    write_trace(tmp_path / "odd.csv", counts, skip=skip)
    events = ("--events", files / "events.csv") if with_events else ()
    document = json_of("--trace", tmp_path / "odd.csv", *events, "--policy", PEERS, "--first", "1")
    for arm in document["arms"]:
        assert arm["verdict"] is None
        assert 0.0 <= arm["unserved_percent"] <= 100.0
        assert arm["replica_hours"] > 0.0
        assert arm["j_ratio"] > 0.97


def test_one_bin_is_refused_and_two_are_enough(tmp_path):
    write_trace(tmp_path / "odd.csv", [5.0])
    found = run("--trace", tmp_path / "odd.csv", "--policy", "hpa")
    assert (found.exit_code, found.stdout) == (2, "")
    assert "one row only" in found.stderr
    write_trace(tmp_path / "odd.csv", [5.0, 5.0])
    assert json_of("--trace", tmp_path / "odd.csv", "--policy", "hpa")["arms"][0]["verdict"] is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"--trace": "absent.csv"}, "absent.csv: --trace: no such file"),
        ({"--events": "absent.csv"}, "absent.csv: --events: no such file"),
        ({"--events": "elsewhere.csv"}, "elsewhere.csv: start: none of 1 events lies inside the trace"),
        ({"--series": "web"}, "shop.csv: series: there is no 'web'"),
        (
            {"--trace": "several.csv", "--events": None},
            "one per time and series; --series picks one of several",
        ),
        ({"--policy": "best"}, "--policy: 'best' is not a policy; give one of forerun, hpa"),
        ({"--policy": "absent.py:Mine"}, "absent.py: no such file; give path/to/file.py:ClassName"),
        ({"--policy": "mine.py:Mine"}, "mine.py: there is no class 'Mine' in it"),
        ({"--policy": "broken.py:Mine"}, "broken.py: cannot be imported: SyntaxError"),
        ({"--policy": "mine.py:Quiet,./mine.py:Quiet"}, "--policy: 'Quiet' is the name of two"),
        ({"--lead-time": "180"}, "--lead-time: '180': must be a duration"),
        ({"--hpa-target": "70"}, "--hpa-target: 70.0: must be from 0.05 to 1"),
        ({"--cost-ratio": "nan"}, "--cost-ratio: nan: must be from 0"),
        ({"--retry": "1"}, "--retry: 1.0: must be from 0 to 0.99"),
        ({"--repeats": "0"}, "--repeats: 0: must be from 1"),
        ({"--first": "0"}, "--first: 0: must be 1 or more"),
        ({"--timeline": "no/such.csv"}, "no/such.csv: --timeline: cannot be written"),
        ({"-f": "no-capacity.yaml"}, "spec.tiers: recommender: capacityPerReplica is missing"),
        ({"-f": "absent.yaml"}, "absent.yaml: No such file"),
        ({"-f": "elsewhen.yaml", "--events": None}, "spec.schedule: no occurrence of black-friday-drop lies inside"),
    ],
)
def test_bad_input_ends_with_one_line_and_code_2(files, monkeypatch, change, words):
    monkeypatch.chdir(files)
    asked = {"--trace": "shop.csv", "--events": "events.csv", "--policy": "hpa"} | change
    found = run(*(part for name, value in asked.items() if value is not None for part in (name, value)))
    assert found.exit_code == 2
    assert found.stdout == ""
    assert words in found.stderr
    assert len(found.stderr.splitlines()) == 1


def test_campaigns_of_another_time_leave_it_to_the_events(files):
    arguments = given(files, "-f", files / "elsewhen.yaml", "--policy", "hpa", "--first", "1")
    found = run(*arguments)
    assert found.exit_code == 0, found.stderr
    assert "no occurrence of the Campaigns lies inside the trace" in found.stderr


def page():
    return (ROOT / "docs" / "simulator.md").read_text(encoding="utf-8")


def test_the_page_names_the_options_the_policies_and_the_columns():
    from forerun.report.timeline import HEADER
    from forerun.simulate.registry import NAMES

    text = page()
    options = {option for parameter in simulate.params for option in parameter.opts if option.startswith("--")}
    assert {option for option in options - {"--output", "--file", "--help"} if option not in text} == set()
    assert re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE) == list(NAMES)
    assert f"`{','.join(HEADER)}`" in text


def test_the_policy_of_the_page_runs_as_it_stands_there(files, tmp_path):
    (example,) = re.findall(r"```python\n(.*?)```", page(), re.DOTALL)
    (tmp_path / "my_policy.py").write_text(example)
    policies = f"hpa-rps,{tmp_path / 'my_policy.py'}:Yesterday"
    timeline = tmp_path / "ticks.csv"
    document = json_of(*given(files, "--policy", policies, "--first", "2", "--timeline", timeline))
    (mine,) = [arm for arm in document["arms"] if arm["policy"] == "Yesterday"]
    assert mine["verdict"] is None
    floors = {int(row["floor"]) for row in rows_of(timeline) if row["policy"] == "Yesterday"}
    assert max(floors) > 2  # minReplicas


@pytest.mark.traces
def test_a_real_trace_from_end_to_end():
    file = TRACES / "worldcup98-minute.csv.gz"
    if not file.exists():
        pytest.skip(f"{file} is not here")
    events = TRACES / "worldcup98-minute.events.csv"
    found = json_of("--trace", file, "--events", events, "--first", "1", "--policy", "hpa-rps,keda-cron,oracle")
    arms = {arm["policy"]: arm for arm in found["arms"]}
    assert 1.0 < arms["hpa-rps"]["j_ratio"] < 2.0  # a load that ramps for hours: an autoscaler follows it
    assert arms["keda-cron"]["unserved_percent"] <= arms["hpa-rps"]["unserved_percent"]
