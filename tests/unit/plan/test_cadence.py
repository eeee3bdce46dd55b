"""How often the forecast is asked: soon after the start often, then seldom, and at once where demand surprises."""

import pytest
from tests.properties.plan_world import at, make_campaign, make_forecast

from forerun.domain.observation import Sample
from forerun.plan.cadence import ForecastMade, forecast_is_due

CAMPAIGNS = (make_campaign(),)  # from 3600 to 7200
FORECAST = make_forecast((3600, 600, [1000.0] * 6), flat=False)


def waits(now, elapsed, demand=1000.0, *, active=True):
    last = ForecastMade(at(now - elapsed), FORECAST, Sample(at(now), demand))
    return not forecast_is_due(CAMPAIGNS, at(now), last, 30.0, 3600.0, active=active)


def test_far_away_it_is_asked_with_the_history():
    assert waits(0, 3599, active=False)
    assert not waits(0, 3600, active=False)


def test_before_the_start_it_is_asked_seldom():
    assert waits(3500, 179)
    assert not waits(3500, 180)


@pytest.mark.parametrize(("age", "seconds"), [(10, 30), (300, 30), (900, 90), (1800, 180), (3500, 240)])
def test_inside_the_window_a_tenth_of_its_age_and_four_minutes_at_most(age, seconds):
    assert waits(3600 + age, seconds - 1)
    assert not waits(3600 + age, seconds)


@pytest.mark.parametrize("demand", [10.0, 100_000.0])
def test_a_surprise_is_asked_about_at_once_but_not_twice(demand):
    assert not waits(5400, 30, demand)
    assert waits(5400, 29, demand)


def test_without_a_forecast_or_a_sample_nothing_surprises():
    nothing = ForecastMade(at(5370), None, None)
    assert not forecast_is_due(CAMPAIGNS, at(5400), nothing, 30.0, 3600.0, active=True)
