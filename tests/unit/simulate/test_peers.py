"""What people use today: the floors of keda-cron, static and mean-forecast."""

import math
import sys
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from forerun.domain.campaign import Expected
from forerun.domain.observation import DemandSeries
from forerun.simulate import mean_forecast, peers
from forerun.simulate.policy import known_of
from forerun.simulate.scenario import World

from .arena_world import CALM, START, arm, busy_days, campaign, run, scenario, tier, window

HOUR = 720  # ticks


def known(*campaigns, tiers=(), world=CALM, door=None, **fields):
    made = scenario(np.full(3 * HOUR, 100.0) if door is None else door, *tiers, campaigns=campaigns, **fields)
    return known_of(made, world, 0.7)


def held(floor, least=2):
    """(first tick, last tick + 1, floor) of the one stretch above `least`."""
    above = np.flatnonzero(floor > least)
    assert (np.diff(above) == 1).all()
    assert len(set(floor[above].tolist())) == 1
    return int(above[0]), int(above[-1]) + 1, int(floor[above[0]])


def test_no_floors_leave_min_replicas_as_it_is():
    assert peers.no_floors(known(campaign(3600, 3600)), 1.5) == {}


# keda-cron


def test_cron_holds_the_declared_peak_from_a_lead_time_and_a_minute_before_the_start_to_the_end():
    floors = peers.cron_floors(known(campaign(3600, 1800, expected=Expected(peak_rps=500.0))), 1.0)
    assert held(floors["web"]) == (HOUR - 24, HOUR + 360, 50)  # 60 s lead time, 60 s of slack


def test_cron_is_as_early_as_slow_pods_need():
    slow = known(campaign(3600, 1800, expected=Expected(peak_rps=500.0)), world=World(jitter=0.4))
    early = 60.0 * math.exp(1.6449 * 0.4) + 60.0
    assert held(peers.cron_floors(slow, 1.0)["web"])[0] == math.floor((3600.0 - early) / 5.0)


def test_a_factor_is_of_the_size():
    sized = known(campaign(3600, 1800, expected=Expected(peak_rps=500.0)))
    assert held(peers.cron_floors(sized, 1.25)["web"])[2] == 63


def test_a_declared_multiple_is_of_the_same_hours_a_week_before():
    history = busy_days(level=50.0)
    values = np.array(history.values)
    week_before = values[-7 * 288 + 12 : -7 * 288 + 12 + 7]
    sized = known(campaign(3600, 1800, expected=Expected(multiplier=3.0)), history=history)
    assert held(peers.cron_floors(sized, 1.0)["web"])[2] == math.ceil(3.0 * week_before.max() / 10.0)


@pytest.mark.parametrize(
    ("last_peak", "expected"),
    [(800.0, 80), (None, 7)],  # the usual is 70
)
def test_where_nothing_is_declared_it_is_the_last_event_else_the_usual(last_peak, expected):
    history = DemandSeries(START - timedelta(days=8), 300.0, (70.0,) * (8 * 288))
    sized = known(campaign(3600, 1800), history=history, last_peak_rps=last_peak)
    assert held(peers.cron_floors(sized, 1.0)["web"])[2] == expected


def test_the_usual_of_a_shop_without_history_is_nothing():
    assert (peers.cron_floors(known(campaign(3600, 1800)), 1.5)["web"] == 2).all()


def test_the_usual_of_a_week_that_was_not_measured_is_that_of_the_day_before():
    history = DemandSeries(START - timedelta(days=8), 300.0, (math.nan,) * (7 * 288) + (30.0,) * 288)
    assert peers.usual_peak_rps(history, window(3600, 600).occurrence) == 30.0
    gone = DemandSeries(START - timedelta(days=8), 300.0, (math.nan,) * (8 * 288))
    assert peers.usual_peak_rps(gone, window(3600, 600).occurrence) == 0.0


def test_overlapping_campaigns_have_the_higher_of_their_floors():
    both = known(
        campaign(3600, 3600, expected=Expected(peak_rps=300.0)),
        campaign(5400, 600, name="spot", expected=Expected(peak_rps=900.0)),
    )
    floor = peers.cron_floors(both, 1.0)["web"]
    assert [floor[HOUR], floor[HOUR + 360], floor[HOUR + 360 + 120], floor[2 * HOUR]] == [30, 90, 30, 2]


def test_a_suspended_campaign_has_no_floor():
    gone = known(campaign(3600, 1800, expected=Expected(peak_rps=500.0), suspend=True))
    assert (peers.cron_floors(gone, 1.0)["web"] == 2).all()


def test_each_tier_has_its_own_share_bounds_and_lead_time():
    tiers = (
        tier("web", demand_per_request=2.0, max_replicas=80),
        tier("cache", capacity_per_replica_rps=1000.0, lead_time_seconds=600.0, min_replicas=None),
        tier("unknown", capacity_per_replica_rps=None),
    )
    floors = peers.cron_floors(known(campaign(3600, 600, expected=Expected(peak_rps=3000.0)), tiers=tiers), 1.0)
    assert held(floors["web"])[2] == 80
    assert held(floors["cache"], 1) == (HOUR - 132, HOUR + 120, 3)
    assert (floors["unknown"] == 2).all()


# static


def test_static_is_the_last_peak_all_the_time():
    fixed = known(campaign(3600, 600, expected=Expected(peak_rps=5000.0)), last_peak_rps=400.0)
    assert (peers.static_floors(fixed, 1.5)["web"] == 60).all()


def test_static_without_a_last_event_is_what_is_expected():
    fixed = known(campaign(3600, 600, expected=Expected(peak_rps=500.0)), campaign(7200, 600, name="other"))
    assert (peers.static_floors(fixed, 1.0)["web"] == 50).all()
    assert (peers.static_floors(known(), 1.0)["web"] == 2).all()


@pytest.mark.parametrize("rps", [math.nan, math.inf])
def test_a_size_that_is_no_number_is_no_floor(rps):
    assert peers.replicas_for(tier(), rps) == 0


# mean-forecast

EVENTS = tuple(window(3600 - day * 86400, 3600, expected=Expected()) for day in (3, 6, 9, 12))


def repeated(**fields):
    """A daily wave, and four times as much in the hour of each of four past sales, as in the one to come."""
    given = {"history": busy_days(events=EVENTS), "past": EVENTS, **fields}
    return known(campaign(3600, 3600), **given)


@pytest.fixture(scope="module")
def learnt():
    pytest.importorskip("prophet", reason="prophet is not installed (make bench-forecast brings it)")
    return mean_forecast.mean_demand(repeated())


def test_mean_demand_has_learnt_what_past_events_did(learnt):
    assert learnt.shape == (3 * HOUR,)
    usual, during = learnt[: HOUR // 2].mean(), learnt[HOUR + 120 : 2 * HOUR - 120].mean()
    assert 80.0 < usual < 130.0  # 100 and a wave
    assert during > 2.5 * usual
    assert learnt[2 * HOUR + 240 :].mean() < 1.5 * usual


def test_mean_demand_is_the_same_each_time(learnt):
    assert mean_forecast.mean_demand(repeated()).tolist() == learnt.tolist()


def test_mean_demand_of_a_new_name_is_that_of_the_type(learnt):
    renamed = tuple(replace(event, campaign=f"sale-{number}") for number, event in enumerate(EVENTS))
    assert mean_forecast.mean_demand(repeated(past=renamed)) == pytest.approx(learnt, rel=0.05)


def test_mean_demand_without_past_events_expects_a_day_like_any_other(learnt):
    quiet = mean_forecast.mean_demand(repeated(past=(), history=busy_days()))
    assert quiet[HOUR : 2 * HOUR].max() < 160.0


def test_mean_demand_goes_through_gaps(learnt):
    values = np.array(busy_days(events=EVENTS).values)
    values[500:1100] = np.nan
    values[1500::3] = np.nan  # one of three in each quarter of an hour
    history = replace(busy_days(), values=tuple(values.tolist()))
    assert mean_forecast.mean_demand(repeated(history=history)) == pytest.approx(learnt, rel=0.08)


@pytest.mark.parametrize(
    "history",
    [
        None,
        DemandSeries(START - timedelta(hours=3), 300.0, (5.0,) * 36),
        DemandSeries(START - timedelta(days=5), 300.0, (math.nan,) * 1440),
    ],
    ids=["none", "three hours", "nothing measured"],
)
def test_mean_demand_says_nothing_where_it_can_learn_nothing(learnt, history):
    made = repeated(history=history)
    assert np.isnan(mean_forecast.mean_demand(made)).all()
    assert (mean_forecast.mean_floors(made, 1.5)["web"] == 2).all()


def test_mean_demand_says_nothing_where_prophet_fails(learnt, monkeypatch):
    import prophet

    def broken(self, *arguments, **options):
        raise RuntimeError("no convergence")

    monkeypatch.setattr(prophet.Prophet, "fit", broken)
    assert np.isnan(mean_forecast.mean_demand(repeated())).all()


def test_nothing_but_zeros_is_zero(learnt):
    history = DemandSeries(START - timedelta(days=5), 300.0, (0.0,) * 1440)
    assert mean_forecast.mean_demand(repeated(history=history, past=())).max() == 0.0


def test_without_prophet_the_remedy_is_said(monkeypatch):
    monkeypatch.setattr(mean_forecast, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "prophet", None)
    with pytest.raises(mean_forecast.NotInstalledError, match=r"pip install 'forerun\[backtest\]'"):
        mean_forecast.mean_floors(repeated(), 1.0)


def test_mean_floors_stand_a_lead_time_before_demand_and_never_below_min_replicas():
    demand = np.full(3 * HOUR, 1.0)
    demand[HOUR : 2 * HOUR] = 555.0
    floors = mean_forecast.floors_of(known(), demand, 1.2)
    assert held(floors["web"]) == (HOUR - 12, 2 * HOUR, 67)


def test_mean_floors_of_slow_and_uneven_pods_stand_earlier():
    demand = np.where(np.arange(3 * HOUR) == HOUR, 555.0, 0.0)
    tiers = (tier(lead_time_seconds=600.0, min_replicas=None),)
    floor = mean_forecast.floors_of(known(tiers=tiers, world=World(jitter=0.3)), demand, 1.0)["web"]
    assert held(floor, 1) == (HOUR - math.ceil(600.0 * math.exp(1.6449 * 0.3) / 5.0), HOUR + 1, 56)


def test_mean_floors_are_min_replicas_where_demand_is_not_known():
    demand = np.full(3 * HOUR, np.nan)
    demand[HOUR] = 300.0
    assert held(mean_forecast.floors_of(known(), demand, 1.0)["web"]) == (HOUR - 12, HOUR + 1, 30)


def test_mean_floors_run_in_the_arena(learnt):
    made = scenario(np.where(np.arange(3 * HOUR) // HOUR == 1, 400.0, 100.0))
    floors = mean_forecast.floors_of(repeated(), learnt, 1.25)
    forecast, alone = run([arm(made, floors), arm(made)])
    assert forecast.verdict is None
    assert forecast.scores["web"].unserved < alone.scores["web"].unserved
