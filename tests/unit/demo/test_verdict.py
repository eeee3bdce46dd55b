from copy import deepcopy
from datetime import timedelta

import pytest
from tests.unit.demo.conftest import START, WINDOW, moments

from forerun.domain.campaign import Occurrence
from forerun.sandbox.demo.recording import Moment, TierSight, timeline
from forerun.sandbox.demo.verdict import (
    comparable,
    differences,
    floors_are_back,
    given_back,
    never_below_demand,
    ready_before_start,
    verdict,
)


def rows_of(scenario, *parts):
    return timeline([moment for part in parts for moment in part], scenario.tiers)


def objects(scenario):
    found = {}
    for tier in scenario.tiers:
        kinds = [tier.kind.workload] + (["HorizontalPodAutoscaler"] if tier.kind.autoscaled else [])
        for kind in kinds:
            spec = {"replicas": 2} if kind == tier.kind.workload else {"minReplicas": 2, "maxReplicas": 40}
            metadata = {
                "name": tier.kind.target,
                "uid": "1",
                "resourceVersion": "7",
                "generation": 1,
                "labels": {"a": "b"},
            }
            found[f"{kind}/{tier.kind.target}"] = {
                "kind": kind,
                "metadata": metadata,
                "spec": spec,
                "status": {"replicas": 2},
            }
    return found


@pytest.fixture
def kept(scenario):
    """A recording of a demo that keeps every promise."""
    return rows_of(
        scenario,
        moments(scenario, range(-60, -30), 100.0, 2, 2),
        moments(scenario, range(-30, -10), 100.0, 30, 2),
        moments(scenario, range(-10, 90), 100.0, 30, 30),
    )


def test_a_good_recording_passes_with_its_numbers(scenario, kept):
    before = objects(scenario)
    checks = verdict(kept, scenario.tiers, WINDOW, before, deepcopy(before))
    assert [check.passed for check in checks] == [True, True, True]
    assert checks[0].evidence[0] == "cache: 30 Ready of a floor of 30 (had 2), since 10 s before the start"


def test_not_ready_before_the_start_fails(scenario):
    rows = rows_of(
        scenario, moments(scenario, range(-60, -30), 1.0, 2, 2), moments(scenario, range(-30, 0), 1.0, 30, 29)
    )
    assert not ready_before_start(rows, scenario.tiers, START).passed


def test_ready_a_moment_after_the_start_fails(scenario):
    late = moments(scenario, range(9), 1.0, 30, 30)
    rows = rows_of(scenario, moments(scenario, range(-9, 0), 1.0, 30, 2), late)
    assert not ready_before_start(rows, scenario.tiers, START).passed


def test_nothing_raised_is_not_a_kept_promise(scenario):
    rows = rows_of(scenario, moments(scenario, range(-60, 0), 1.0, 2, 2))
    check = ready_before_start(rows, scenario.tiers, START)
    assert not check.passed
    assert "no floor was raised" in check.evidence[-1]


def test_a_recording_that_ends_before_the_start_fails(scenario):
    rows = rows_of(
        scenario, moments(scenario, range(-60, -40), 1.0, 2, 2), moments(scenario, range(-40, -6), 1.0, 30, 30)
    )
    assert not ready_before_start(rows, scenario.tiers, START).passed
    assert not ready_before_start((), scenario.tiers, START).passed


def test_a_floor_below_lasting_demand_fails(scenario):
    need = scenario.tiers[1].needed(800.0)
    inside = moments(scenario, range(90), 800.0, need, need)
    assert never_below_demand(rows_of(scenario, inside), (scenario.tiers[1],), WINDOW).passed
    low = [
        m if index != 50 else Moment(m.at, m.demand_rps, dict.fromkeys(m.tiers, TierSight(need - 1, need, need)))
        for index, m in enumerate(inside)
    ]
    check = never_below_demand(rows_of(scenario, low), (scenario.tiers[1],), WINDOW)
    assert not check.passed
    assert "closest 50 s after the start" in check.evidence[0]


def test_a_floor_has_three_seconds_to_answer_a_jump(scenario):
    tier = scenario.tiers[1]
    need = tier.needed(800.0)

    def answered_after(seconds):
        calm = moments(scenario, range(40), 100.0, 2, 2)
        jump = moments(scenario, range(40, 40 + seconds), 800.0, 2, 2)
        after = moments(scenario, range(40 + seconds, 90), 800.0, need, need)
        return never_below_demand(rows_of(scenario, calm, jump, after), (tier,), WINDOW).passed

    assert answered_after(3)
    assert not answered_after(4)


def test_maximum_replicas_are_enough(scenario):
    most = scenario.tiers[0].kind.max_replicas
    rows = rows_of(scenario, moments(scenario, range(90), 1e9, most, most))
    assert never_below_demand(rows, (scenario.tiers[0],), WINDOW).passed


@pytest.mark.parametrize("missing", ["rows", "demand", "floor", "gap"])
def test_missing_data_fail(scenario, missing):
    inside = moments(scenario, range(90), 100.0, 30, 30)
    if missing == "rows":
        inside = []
    if missing == "demand":
        inside = [Moment(m.at, None, m.tiers) for m in inside]
    if missing == "floor":
        inside = [Moment(m.at, m.demand_rps, {}) for m in inside]
    if missing == "gap":
        inside = inside[:30] + inside[40:]
    check = never_below_demand(rows_of(scenario, inside), scenario.tiers, WINDOW)
    assert not check.passed
    assert "not recorded" in check.evidence[0]


def test_what_the_server_counts_is_not_a_difference(scenario):
    before, after = objects(scenario), objects(scenario)
    for raw in after.values():
        raw["metadata"].update(resourceVersion="99", generation=4, managedFields=[{"manager": "forerun"}])
        raw["status"] = {"replicas": 9}
    assert given_back(before, after, scenario.tiers).passed
    assert floors_are_back(before, after)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("StatefulSet/valkey", lambda raw: raw["spec"].update(replicas=3)),
        ("HorizontalPodAutoscaler/recommender-gpu", lambda raw: raw["spec"].update(minReplicas=3)),
        ("HorizontalPodAutoscaler/recommender-gpu", lambda raw: raw["spec"].pop("minReplicas")),
        (
            "HorizontalPodAutoscaler/nginx-ingress",
            lambda raw: raw["metadata"].update(annotations={"forerun.dev/ledger": "{}"}),
        ),
        ("Deployment/nginx-ingress", lambda raw: raw["metadata"]["labels"].clear()),
        ("Deployment/nginx-ingress", lambda raw: raw["metadata"].update(uid="2")),
        ("HorizontalPodAutoscaler/nginx-ingress", lambda raw: raw["spec"].update(maxReplicas=40.0)),
    ],
)
def test_anything_left_behind_fails(scenario, name, change):
    before, after = objects(scenario), objects(scenario)
    change(after[name])
    assert not given_back(before, after, scenario.tiers).passed
    assert not floors_are_back(before, after)


def test_replicas_that_an_autoscaler_owns_are_its_own(scenario):
    before, after = objects(scenario), objects(scenario)
    after["Deployment/recommender-gpu"]["spec"]["replicas"] = 5
    assert given_back(before, after, scenario.tiers).passed
    assert floors_are_back(before, after)


@pytest.mark.parametrize("side", ["before", "after"])
def test_an_object_that_was_not_recorded_fails(scenario, side):
    before, after = objects(scenario), objects(scenario)
    (before if side == "before" else after).pop("StatefulSet/valkey")
    assert not given_back(before, after, scenario.tiers).passed


def test_differences_name_the_field():
    assert differences({"spec": {"a": 1, "b": [1]}}, {"spec": {"a": 2, "c": 0}}) == [
        "spec.a: 1 -> 2",
        "spec.b: [1] -> absent",
        "spec.c: absent -> 0",
    ]
    assert differences({"a": True}, {"a": 1}) == ["a: True -> 1"]
    raw = {"metadata": {"name": "a", "generation": 1}, "status": {}}
    assert comparable(raw) == {"metadata": {"name": "a"}}
    assert raw["metadata"]["generation"] == 1


def test_an_empty_window_is_not_a_kept_promise(scenario):
    window = Occurrence(START, START + timedelta(seconds=90))
    assert not never_below_demand((), scenario.tiers, window).passed


def raised_late(scenario, first, later):
    """Raised to `first` in time, to `later` two seconds before the start; `first` replicas are Ready."""
    return rows_of(
        scenario,
        moments(scenario, range(-60, -50), 1.0, 2, 2),
        moments(scenario, range(-50, -2), 1.0, first, first),
        moments(scenario, range(-2, 0), 1.0, later, first),
    )


def test_a_floor_that_rises_within_the_lead_time_is_told_and_not_judged(scenario):
    check = ready_before_start(raised_late(scenario, 10, 12), scenario.tiers, START)
    assert check.passed
    assert "10 Ready of a floor of 10" in check.evidence[0]
    assert "raised on to 12 from 2 s before it on" in check.evidence[0]


def test_a_first_raise_within_the_lead_time_is_too_late(scenario):
    assert not ready_before_start(raised_late(scenario, 2, 12), scenario.tiers, START).passed


def test_ready_replicas_must_be_enough_for_the_demand_at_the_start(scenario):
    early = moments(scenario, range(-60, -50), 1.0, 2, 2)
    rows = rows_of(scenario, early, moments(scenario, range(-50, 0), 800.0, 4, 4))
    assert not ready_before_start(rows, scenario.tiers, START).passed
