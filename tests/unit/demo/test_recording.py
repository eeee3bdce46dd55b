from datetime import UTC, datetime

from tests.unit.demo.conftest import START

from forerun.sandbox.demo.recording import Moment, TierSight, sights, story, timeline


def test_rows_are_in_calls_of_the_tier(scenario):
    cache = scenario.tiers[0]
    moment = Moment(START, 200.0, {"cache": TierSight(2, 2, 1)})
    row = timeline([moment], scenario.tiers)[0]
    assert row.demand == 600.0
    assert row.unserved == 600.0 - cache.capacity_rps


def test_unknown_is_not_zero(scenario):
    rows = timeline([Moment(START, None, {})], scenario.tiers)
    assert {(row.demand, row.floor, row.ready, row.unserved) for row in rows} == {(None, None, None, None)}


def test_the_floor_stands_where_its_owner_has_it(scenario):
    objects = {
        "StatefulSet/valkey": {"spec": {"replicas": 5}, "status": {"observedGeneration": 1, "readyReplicas": 4}},
        "Deployment/recommender-gpu": {"spec": {"replicas": 9}, "status": {"observedGeneration": 1}},
        "HorizontalPodAutoscaler/recommender-gpu": {"spec": {"maxReplicas": 40}},
        "Deployment/nginx-ingress": {"spec": {"replicas": 2}, "status": {}},
    }
    seen = sights(objects, scenario.tiers)
    assert seen["cache"] == TierSight(5, 5, 4)
    assert seen["recommender"] == TierSight(1, 9, 0)  # an absent minReplicas is 1
    assert seen["ingress"] == TierSight(None, 2, None)


def test_the_operator_s_words_are_read_leniently():
    assert story({}, {}, []).phase == ""
    campaign = {
        "status": {
            "phase": "Live",
            "forecast": {"peak": {"p50": "3280", "p90": 6210, "p99": "9950"}},
            "tiers": [{"name": "cache", "required": 12}, {"name": "web"}],
            "holds": [{"reason": "MetricStale"}],
        }
    }
    plan = {"spec": {"steps": [{"at": "2026-11-27T18:59:00Z", "tier": "cache", "floor": 12, "reason": "Campaign"}]}}
    events = [
        {"eventTime": "2026-11-27T19:00:01.5Z", "reason": "Live", "note": "now", "metadata": {}},
        {
            "eventTime": None,
            "reason": "Armed",
            "type": "Warning",
            "metadata": {"creationTimestamp": "2026-11-27T18:59:59Z"},
        },
    ]
    told = story(campaign, plan, events)
    assert told.peak == (3280.0, 6210.0, 9950.0)
    assert told.required == {"cache": 12}
    assert told.holds == ("MetricStale",)
    assert [(turn.reason, turn.warning) for turn in told.turns] == [("Armed", True), ("Live", False)]
    assert told.steps[0].at == datetime(2026, 11, 27, 18, 59, tzinfo=UTC)
