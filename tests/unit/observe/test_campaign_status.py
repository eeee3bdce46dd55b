from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from forerun.domain.campaign import Campaign, CampaignType, Key, Occurrence, Phase, Schedule
from forerun.domain.forecast import Peak
from forerun.domain.reason import Hold, Reason, Refusal
from forerun.observe.campaign_status import (
    DEGRADING,
    CampaignView,
    LastOutcome,
    TierView,
    accepted_status,
    campaign_status,
    conditions_of,
    refused_status,
)

NOW = datetime(2026, 11, 27, 6, 50, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
WINDOW = Occurrence(NOW + timedelta(minutes=10), NOW + timedelta(hours=4))
CAMPAIGN = Campaign(
    key=Key("shop", "black-friday"),
    uid="u-1",
    generation=3,
    storefront="main",
    type=CampaignType.FLASH_SALE,
    schedule=Schedule("UTC", datetime(2026, 11, 27, 7, 0), duration_seconds=3 * 3600.0),
)
PEAK = Peak("shop/black-friday", WINDOW, 3280.0, 6214.0, 9951.0, WINDOW.start + timedelta(minutes=12))
SHORT = (TierView("cache", 3, 3, 3), TierView("web", 9, 4, 9))
FULL = (TierView("cache", 3, 3, 3), TierView("web", 9, 10, 9))


def view(phase, **more):
    return CampaignView(CAMPAIGN, phase, occurrence=WINDOW, planned=True, **more)


def states(shown):
    return {condition.type: condition.status for condition in conditions_of(shown)}


def condition(shown, kind):
    return next(found for found in conditions_of(shown) if found.type == kind)


@pytest.mark.parametrize(
    ("phase", "capacity_ready", "ready", "live", "released"),
    [
        (Phase.SCHEDULED, False, True, False, True),
        (Phase.WARMING, False, False, False, False),
        (Phase.ARMED, True, True, False, False),
        (Phase.LIVE, True, True, True, False),
        (Phase.LIVE, False, False, True, False),
        (Phase.RELEASING, False, True, False, False),
        (Phase.COMPLETED, False, True, False, True),
        (Phase.SUSPENDED, False, True, False, True),
    ],
)
def test_conditions_of_each_phase(phase, capacity_ready, ready, live, released):
    found = states(view(phase, capacity_ready=capacity_ready, tiers=FULL if capacity_ready else SHORT))
    assert found == {
        "Ready": ready,  # as kstatus reads it: nothing is owed now that is not there
        "Accepted": True,
        "Planned": True,
        "CapacityReady": capacity_ready,
        "Live": live,
        "Released": released,
        "Degraded": False,
        "Contested": False,
        "StockUnknown": False,
    }


def test_what_is_kept_is_not_released():
    found = condition(view(Phase.COMPLETED, kept=(("cache", 3),)), "Released")
    assert (found.status, found.reason) == (False, "Kept")


def test_what_goes_as_planned_is_no_trouble():
    why_a_floor_stands = {
        Reason.BASELINE,
        Reason.CAMPAIGN,
        Reason.LIVE_DEMAND,
        Reason.FALLBACK,
        Reason.RELEASING,
        Reason.KEPT,
        Reason.EVIDENCE,
        Reason.SUSPENDED,
        Reason.EXPIRED,
    }
    waiting = {
        Reason.STEP_TOO_LARGE,
        Reason.STOCK_TO_COME,
        Reason.STOCK_UNKNOWN,
        Reason.SIGNALS_DISAGREE,
        Reason.WAITING_FOR_DONOR,
        Reason.WAITING_FOR_DEPENDENCY,
        Reason.CONSUMER_NOT_RELEASED,
        Reason.FREEZE_WINDOW,
        Reason.APPROVAL_REQUIRED,
        Reason.PREVIEW,
        Reason.CONFLICT,
        Reason.NOT_LEADER,
    }
    told_otherwise = {Reason.TARGET_REPLACED, Reason.STOREFRONT_NOT_FOUND, Reason.INVALID}
    assert set(Reason) - DEGRADING == why_a_floor_stands | waiting | told_otherwise


@pytest.mark.parametrize("reason", sorted(DEGRADING - {Reason.CONTESTED}))
def test_trouble_degrades_and_is_the_column_s_reason(reason):
    hold = Hold(reason, "web", {"want": 9.0, "fits": 4.0, "seconds_late": 12.0})
    shown = view(Phase.WARMING, holds=(Hold(Reason.WAITING_FOR_DEPENDENCY, "cache"), hold))
    degraded = condition(shown, "Degraded")
    assert (degraded.status, degraded.reason) == (True, reason)
    assert degraded.message.startswith("web: ")
    assert states(shown)["Contested"] is False
    assert campaign_status(shown, {}, NOW)["summary"]["reason"] == reason


def test_contested_is_a_condition_of_its_own():
    found = states(view(Phase.LIVE, capacity_ready=True, holds=(Hold(Reason.CONTESTED, "web"),)))
    assert (found["Degraded"], found["Contested"]) == (True, True)


def test_waiting_in_order_is_no_trouble():
    shown = view(Phase.WARMING, holds=(Hold(Reason.WAITING_FOR_DEPENDENCY, "web"),))
    assert states(shown)["Degraded"] is False
    assert campaign_status(shown, {}, NOW)["summary"]["reason"] == "WaitingForDependency"


@pytest.mark.parametrize(
    ("phase", "holds", "reason"),
    [
        (Phase.SCHEDULED, (Hold(Reason.APPROVAL_REQUIRED, "black-friday"),), "ApprovalRequired"),
        (Phase.SCHEDULED, (), "Pending"),
        (Phase.COMPLETED, (), "Completed"),
        (Phase.SUSPENDED, (Hold(Reason.DEMAND_UNKNOWN),), "Suspended"),
    ],
)
def test_why_there_is_no_plan(phase, holds, reason):
    planned = condition(replace(view(phase, holds=holds), planned=False), "Planned")
    assert (planned.status, planned.reason) == (False, reason)


def test_only_the_tiers_that_are_waited_for_are_named():
    assert condition(view(Phase.WARMING, tiers=SHORT), "CapacityReady").message == "web 4/9"
    ready = condition(view(Phase.ARMED, capacity_ready=True, tiers=FULL), "CapacityReady")
    assert (ready.reason, ready.message) == (
        "AllTiersReady",
        "Ready at what the start requires: cache 3/3, web 10/9",
    )


def test_unknown_is_not_zero():
    unknown = view(Phase.WARMING, tiers=(TierView("web", 9, None, 9),))
    assert condition(unknown, "CapacityReady").message == "web ?/9"
    assert campaign_status(unknown, {}, NOW)["tiers"] == [{"name": "web", "floor": 9, "required": 9}]


def test_a_scheduled_campaign_says_when_the_first_floor_is_raised():
    shown = view(Phase.SCHEDULED, next_raise=NOW + timedelta(seconds=30))
    found = condition(shown, "CapacityReady")
    assert (found.reason, found.message) == ("Scheduled", "the first floor is raised at 2026-11-27T06:50:30Z")


def test_the_whole_status():
    status = campaign_status(view(Phase.WARMING, peak=PEAK, tiers=SHORT), {}, NOW)
    assert {name: status[name] for name in ("phase", "observedGeneration", "summary", "occurrence", "forecast")} == {
        "phase": "Warming",
        "observedGeneration": 3,
        "summary": {"reason": "Warming", "ready": "7/12", "peak": "9951/s"},
        "occurrence": {"start": "2026-11-27T07:00:00Z", "end": "2026-11-27T10:50:00Z"},
        "forecast": {"peak": {"p50": "3280", "p90": "6210", "p99": "9950"}, "peakAt": "2026-11-27T07:12:00Z"},
    }


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.REJECTED])
def test_nothing_new_is_an_equal_status_so_that_nothing_is_written(phase):
    shown = view(phase, peak=PEAK, tiers=SHORT, holds=(Hold(Reason.METRIC_STALE, "web"),), kept=(("cache", 3),))
    first = campaign_status(shown, {}, NOW)
    assert campaign_status(shown, first, LATER) == first


def test_a_wobble_of_the_forecast_is_not_worth_a_write():
    wobbled = replace(PEAK, p50_rps=PEAK.p50_rps + 1.0, p90_rps=PEAK.p90_rps - 1.0)
    first = campaign_status(replace(view(Phase.SCHEDULED, peak=PEAK), planned=False), {}, NOW)
    assert campaign_status(replace(view(Phase.SCHEDULED, peak=wobbled), planned=False), first, LATER) == first


def test_the_last_outcome_stays_until_there_is_a_newer_one():
    outcome = LastOutcome(9950.0, actual_peak_rps=8040.0, unserved_percent=0.0, replica_hours=12.34)
    over = campaign_status(view(Phase.COMPLETED, last_outcome=outcome), {}, NOW)
    assert over["lastOutcome"] == {
        "forecastPeak": "9950",
        "actualPeak": "8040",
        "unservedPercent": "0",
        "replicaHours": "12.3",
    }
    assert campaign_status(view(Phase.SCHEDULED), over, LATER)["lastOutcome"] == over["lastOutcome"]
    unknown = LastOutcome(100.0, actual_peak_rps=None, unserved_percent=None, replica_hours=1.0)
    newer = campaign_status(view(Phase.COMPLETED, last_outcome=unknown), over, LATER)
    assert newer["lastOutcome"] == {"forecastPeak": "100", "replicaHours": "1"}


def test_a_refusal_is_said_with_its_field_and_its_remedy():
    refusal = Refusal("Campaign shop/black-friday", "spec.schedule.timeZone", "write an IANA name")
    status = refused_status(refusal, {}, 3, NOW, Phase.REJECTED)
    assert {found["type"]: found["status"] for found in status["conditions"]} == {"Ready": "False", "Accepted": "False"}
    assert {found["message"] for found in status["conditions"]} == {"spec.schedule.timeZone: write an IANA name"}
    assert (status["phase"], status["summary"]) == ("Rejected", {"reason": "Invalid: spec.schedule.timeZone"})
    assert refused_status(refusal, status, 3, LATER, Phase.REJECTED) == status


def test_acceptance_after_a_refusal_moves_the_times():
    refused = refused_status(Refusal("CapacityPolicy default", "spec.pools", "name them"), {}, 1, NOW, None)
    assert "phase" not in refused
    accepted = accepted_status(refused, 2, LATER)
    assert {found["status"] for found in accepted["conditions"]} == {"True"}
    assert {found["lastTransitionTime"] for found in accepted["conditions"]} == {"2026-11-27T06:51:00Z"}
    assert accepted_status(accepted, 2, LATER + timedelta(hours=1)) == accepted
