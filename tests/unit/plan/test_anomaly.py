"""Attack is not campaign."""

from dataclasses import replace

import pytest
from tests.properties.plan_world import anything, at, given, make_state
from tests.unit.plan.test_due import WEB, due, only, summary

from forerun.domain.capacity import FloorDecision
from forerun.domain.observation import Sample
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Anomaly
from forerun.plan.anomaly import silence
from forerun.plan.inputs import DueInput

WATCHED = replace(WEB, anomaly=Anomaly("rate_of_4xx", 0.3))
FLOOD = (4000.0,) * 5  # forty replicas; ten are planned


def attacked(now, value, floor=10, demand=FLOOD, **fields):
    anomaly = Sample(at(now), value) if isinstance(value, float) else value
    return due(now, floor=floor, demand=demand, storefront=WATCHED, anomaly=anomaly, **fields)


def test_demand_that_looks_like_an_attack_raises_nothing_beyond_the_plan():
    held = only(attacked(4000, 0.9))
    assert summary(held) == ("web", Reason.ANOMALY)
    assert held.numbers == {"want": 41, "floor": 10}


def test_the_planned_floor_is_raised_all_the_same():
    assert summary(only(attacked(3450, 0.9, floor=2))) == ("web", 10, Reason.CAMPAIGN)


@pytest.mark.parametrize(
    "value", [0.3, 0.0, None, Hold(Reason.METRICS_UNREACHABLE), Sample(at(3000), 0.9), float("nan")]
)
def test_without_a_fresh_signal_above_the_threshold_demand_is_followed(value):
    assert summary(only(attacked(4000, value))) == ("web", 41, Reason.LIVE_DEMAND)


@given(anything)
def test_the_signal_never_lowers_anything(value):
    for demand in ((4000.0,) * 5, (100.0,) * 5, (900.0,) * 5):
        with_signal = attacked(4000, value, floor=20, demand=demand)
        without = due(4000, floor=20, demand=demand)
        floors = [[o.floor for o in found if isinstance(o, FloorDecision)] for found in (with_signal, without)]
        assert floors[0] == floors[1] or min(floors[0], default=20) >= 20


@pytest.mark.parametrize(
    ("value", "silent"),
    [(Sample(at(4000), 0.9), False), (None, False), (Sample(at(3000), 0.9), True), (Hold(Reason.DEMAND_UNKNOWN), True)],
)
def test_a_silent_feed_is_told(value, silent):
    given_now = DueInput(at(4000), WATCHED, tiers=(make_state("web"),), anomaly=value)
    found = silence(given_now)
    assert (found is not None) is silent
    assert found is None or (found.reason, found.subject) == (Reason.ANOMALY_FEED_SILENT, "main")
