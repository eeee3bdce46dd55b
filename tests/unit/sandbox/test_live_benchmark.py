"""What the live benchmark makes of a recording: sums, cron times, and model against reality."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forerun.domain.campaign import Occurrence
from forerun.domain.observation import DemandSeries
from forerun.sandbox.replay import DemandIntegral

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))  # its modules stand alone, as scripts do
import live_arms
import live_compare
import live_recording
import live_scenarios
from live_recording import Sight

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def demand(*rates: float) -> DemandIntegral:
    """Ten seconds each."""
    return DemandIntegral(DemandSeries(START, 10.0, rates))


def test_calls_that_ready_replicas_cannot_serve_are_lost_and_asked_replicas_are_billed() -> None:
    sights = [Sight(at(-5), 1, 2, 2), Sight(at(10), 4, 4, 2), Sight(at(20), 4, 4, 4)]
    found = live_recording.account(sights, demand(10.0, 40.0, 40.0), 10.0, Occurrence(at(0), at(30)))
    assert found.replica_seconds == pytest.approx(2 * 10 + 4 * 10 + 4 * 10)
    assert found.unserved == pytest.approx((40.0 - 20.0) * 10)
    assert found.demand == pytest.approx(900.0)
    assert found.violation_seconds == pytest.approx(10.0)
    assert found.longest_gap_seconds == pytest.approx(10.0)
    assert found.cost == pytest.approx(100.0 + 99.0 * 200.0 / 10.0)


def test_what_was_not_read_counts_as_it_stood_before() -> None:
    sights = [Sight(at(0), 1, 3, 3), Sight(at(10), None, None, None), Sight(at(20), 1, 3, None)]
    found = live_recording.account(sights, demand(10.0, 10.0, 10.0), 10.0, Occurrence(at(0), at(30)))
    assert found.replica_seconds == pytest.approx(90.0)
    assert found.longest_gap_seconds == pytest.approx(30.0)
    with pytest.raises(ValueError, match="nothing was recorded"):
        live_recording.account(sights[1:], demand(1.0), 10.0, Occurrence(at(0), at(30)))


def test_an_objects_status_counts_only_once_a_controller_wrote_it() -> None:
    target = {"spec": {"replicas": 5}, "status": {"observedGeneration": 2, "readyReplicas": 3}}
    assert live_recording.sight_of(START, target, {"spec": {"minReplicas": 4}}) == Sight(START, 4, 5, 3)
    assert live_recording.sight_of(START, {"spec": {"replicas": 5}, "status": {}}, None) == Sight(START, None, 5, None)
    assert live_recording.sight_of(START, None, None) == Sight(START, None, None, None)


@given(st.datetimes(min_value=datetime(2026, 1, 1), max_value=datetime(2027, 1, 1), timezones=st.just(UTC)))
def test_the_cron_trigger_is_on_a_lead_time_and_its_slack_before_the_start(earliest: datetime) -> None:
    starts_at = live_arms.starting_after(earliest)
    assert earliest <= starts_at < earliest + timedelta(minutes=1)
    window = Occurrence(starts_at, starts_at + timedelta(minutes=6))
    first, last = live_arms.cron_span(window)
    slack = live_scenarios.CRON_SLACK_SECONDS
    assert (first.second, first.microsecond, last.second, last.microsecond) == (0, 0, 0, 0)
    assert (starts_at - first).total_seconds() == pytest.approx(live_scenarios.LEAD_SECONDS + slack)
    assert (window.end - last).total_seconds() == pytest.approx(slack)


def test_a_start_that_no_cron_expression_meets_is_refused() -> None:
    with pytest.raises(ValueError, match="whole minutes"):
        live_arms.cron_span(Occurrence(at(1), at(361)))


def test_the_drop_is_as_large_as_declared() -> None:
    event = live_scenarios.drop()
    scenario = event.scenario
    top = live_scenarios.highest(scenario.series, scenario.event.start, scenario.event.end)
    assert scenario.multiplier == 10.0
    assert event.multipliers == (12.0, 8.0)
    assert 0.9 < top / event.expected_peak_rps < 1.15  # noise of single seconds on top of it
    assert 0.9 < scenario.usual_rps * scenario.multiplier / event.expected_peak_rps < 1.1


def document(delay_seconds: float = 0.0, more: int = 0) -> dict:
    """A recording whose real HPA was the model itself, `delay_seconds` late and `more` replicas too high."""
    rng = np.random.default_rng(7)
    times = np.arange(-100.0, 300.0, 0.25)
    rps = np.where((times > 0.0) & (times < 120.0), 1500.0, 180.0) * np.exp(rng.normal(0.0, 0.02, times.size))
    base = {
        "capacity_rps": 60.0,
        "target_share": 0.7,
        "sync_seconds": 1.5,
        "stabilization_seconds": 30.0,
        "min_replicas": 2,
        "max_replicas": 100,
        "cron": {"keda": {"from": -60.0, "until": 150.0, "replicas": 20}},
        "shown": [list(pair) for pair in zip(times.tolist(), rps.tolist(), strict=True)],
    }
    floor = np.where((times > -70.0) & (times < 200.0), 12, 2)
    syncs = np.arange(-99.6, 300.0, 1.53)
    late = round(delay_seconds / 0.25)
    arms = {}
    for arm in ("forerun", "keda"):
        metric = np.maximum(rps, live_compare.cron_rps(base, base["cron"]["keda"], times)) if arm == "keda" else rps
        given = live_compare.Seen(times, metric, floor, np.full(times.size, 5))
        desired = live_compare.model(base, given, syncs, follow=False)
        seen = np.concatenate([np.full(late, desired[0]), desired])[: times.size] + more
        arms[arm] = [[t, int(f), int(d), int(d)] for t, f, d in zip(times, floor, seen, strict=True)][::2]
    return {**base, "arms": arms}


@pytest.mark.parametrize("arm", ["forerun", "keda"])
def test_the_model_agrees_with_itself(arm: str) -> None:
    found = live_compare.agreement(document(), arm)
    assert found.share > 0.99  # noise: the metric at another moment may be just within the tolerance
    assert found.steps_share > 0.99
    assert found.width < 3.0


def test_a_late_and_a_larger_reality_are_told() -> None:
    late = live_compare.agreement(document(delay_seconds=10.0), "forerun")
    assert late.share < 1.0
    assert 5.0 <= late.worst_lag_seconds <= 12.0
    larger = live_compare.agreement(document(more=40), "forerun")
    assert larger.share < 0.1  # the model starts from what stands, and its own window holds that for half a minute
    assert larger.worst_lag_seconds == 60.0


def test_an_arm_without_looks_is_refused() -> None:
    empty = document()
    empty["arms"]["keda"] = []
    with pytest.raises(ValueError, match="keda: nothing was recorded"):
        live_compare.agreement(empty, "keda")


def test_the_match_is_left_out_where_its_trace_is_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(live_scenarios, "TRACES", tmp_path)
    assert [event.name for event in live_scenarios.chosen(["drop", "match"])] == ["drop"]


@pytest.mark.traces
def test_a_team_sizes_the_match_by_the_last_one() -> None:
    if not live_scenarios.has_trace():
        pytest.skip(f"needs ../shared/traces/{live_scenarios.TRACE}.csv.gz")
    event = live_scenarios.match()
    scenario = event.scenario
    last = scenario.past[-1]
    assert last.end <= scenario.event.start
    assert scenario.multiplier is None
    assert event.expected_peak_rps >= live_scenarios.highest(scenario.series, last.start, last.end)
    assert 1 < event.cron_replicas("keda") < event.cron_replicas("keda-ample") < live_scenarios.MAX_REPLICAS


def test_each_arm_scales_the_same_deployment_in_its_own_way() -> None:
    event = live_scenarios.drop()
    window = Occurrence(live_arms.starting_after(START), live_arms.starting_after(START) + timedelta(minutes=6))
    items = live_arms.autoscalers(event, "http://prometheus", window)
    scaled = {(item["metadata"]["namespace"], item["kind"]) for item in items if item["metadata"]["name"] == "web"}
    assert scaled == {
        ("drop-keda", "ScaledObject"),
        ("drop-keda-ample", "ScaledObject"),
        ("drop-hpa-rps", "HorizontalPodAutoscaler"),
        ("drop-forerun", "HorizontalPodAutoscaler"),
    }
    specs = [item["spec"] for item in live_arms.workloads(event) if item["metadata"]["name"] == "web"]
    assert len(specs) == len(live_arms.ARMS)
    assert all(spec == specs[0] for spec in specs)
    queries = {
        trigger["metadata"]["query"]
        for item in items
        if item["kind"] == "ScaledObject"
        for trigger in item["spec"]["triggers"]
        if trigger["type"] == "prometheus"
    }
    assert queries == {live_arms.query(event)}
