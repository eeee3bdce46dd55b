"""How far demand may rise within the next minutes: what earlier windows of the type showed, and when nothing is said."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from forerun.domain.campaign import CampaignType, Expected, Occurrence
from forerun.domain.forecast import LEVELS, EventWindow, ForecastRequest
from forerun.domain.observation import DemandSeries
from forerun.forecast.observed import observe
from forerun.forecast.reach import AHEAD_SECONDS, STEP_SECONDS, reach

NOW = datetime(2026, 10, 25, 12, 0, tzinfo=UTC)
STEP, DAYS, USUAL = 300.0, 28, 100.0
P99 = LEVELS.index(0.99)


def window(days_ago: int, kind=CampaignType.CUSTOM, hours=4.0) -> EventWindow:
    start = NOW - timedelta(days=days_ago, hours=1)
    return EventWindow("shop/match", kind, Occurrence(start, start + timedelta(hours=hours)), Expected())


def history(course, days=(3, 7, 14, 21)) -> DemandSeries:
    """Four weeks of even demand with a little noise; `course(hours since the start)` multiplies it in the windows."""
    count = int(DAYS * 86400 / STEP)
    start = NOW - timedelta(days=DAYS)
    values = USUAL * np.exp(0.02 * np.random.default_rng(3).standard_normal(count))
    for number in days:
        hours = ((np.arange(count) + 0.5) * STEP - (DAYS - number) * 86400.0) / 3600.0 + 1.0
        values *= np.where((hours >= 0) & (hours < 4), np.array([course(max(h, 0.0)) for h in hours]), 1.0)
    return DemandSeries(start, STEP, tuple(values.tolist()))


def recent(rps: float, noise=0.01) -> DemandSeries:
    values = rps * np.exp(noise * np.random.default_rng(5).standard_normal(120))
    return DemandSeries(NOW - timedelta(hours=2), 60.0, tuple(values.tolist()))


def request(course, rps=300.0, **fields) -> ForecastRequest:
    past = tuple(window(days) for days in (21, 14, 7, 3))
    given = ForecastRequest("shop/main", NOW, history(course), recent(rps), (window(0),), past)
    return replace(given, **fields)


def steady(_: float) -> float:
    return 3.0


def jumping(hours: float) -> float:
    """Twice as much within one bin, at the stage at which the present window stands in ten minutes."""
    return 3.0 if hours < 1.17 else 6.0


def reached(given: ForecastRequest):
    return reach(given, observe(given, 1.0))


def test_where_it_never_rose_fast_it_does_not_now():
    found = reached(request(steady))
    assert found is not None
    assert found.start == NOW
    assert len(found.quantiles) * found.step_seconds == AHEAD_SECONDS
    assert found.step_seconds == STEP_SECONDS
    p99 = [row[P99] for row in found.quantiles]
    assert 315.0 < p99[0] < 350.0  # on the baseline's scale noise of 2 % in bins is 3 % of 300
    assert p99[-1] < 360.0


def test_what_rose_at_this_stage_before_may_rise_again():
    assert reached(request(jumping)).quantiles[-1][P99] > 550.0


def test_it_starts_where_demand_stands_and_levels_are_in_order():
    low, high = reached(request(steady, rps=200.0)), reached(request(steady, rps=400.0))
    for less, more in zip(low.quantiles, high.quantiles, strict=True):
        assert 1.5 < more[P99] / less[P99] < 2.0
        assert all(math.isfinite(v) and v >= 0 for v in (*less, *more))
        assert list(less) == sorted(less)


def test_fewer_than_three_earlier_windows_say_nothing():
    past = tuple(window(days) for days in (7, 3))
    assert reached(request(steady, past=past)) is None


@pytest.mark.parametrize("kind", [CampaignType.FLASH_SALE, CampaignType.TV_SPOT, CampaignType.PUSH_NOTIFICATION])
def test_what_comes_suddenly_is_not_bounded_by_what_stands(kind):
    past = tuple(window(days, kind) for days in (21, 14, 7, 3))
    assert reached(request(steady, past=past, upcoming=(window(0, kind),))) is None
    # nor is another window's while one of them is about to begin
    soon = replace(window(0, kind), occurrence=Occurrence(NOW + timedelta(minutes=20), NOW + timedelta(hours=2)))
    assert reached(request(steady, upcoming=(window(0), soon))) is None


def test_nothing_is_said_without_samples_or_far_from_a_window():
    assert reached(request(steady, recent=None)) is None
    late = replace(window(0), occurrence=Occurrence(NOW + timedelta(hours=2), NOW + timedelta(hours=6)))
    assert reached(request(steady, upcoming=(late,))) is None
    old = DemandSeries(NOW - timedelta(hours=4), 60.0, (300.0,) * 120)
    assert reached(request(steady, recent=old)) is None


def test_what_was_not_measured_is_left_out():
    values = list(history(steady).values)
    values[1000:1200] = [math.nan] * 200
    found = reached(request(steady, history=DemandSeries(NOW - timedelta(days=DAYS), STEP, tuple(values))))
    assert found is not None
    assert all(math.isfinite(value) for row in found.quantiles for value in row)


def test_it_knows_nothing_of_what_comes_later():
    given = request(steady)
    later = DemandSeries(given.history.start, STEP, (*given.history.values, *[9999.0] * 12))
    assert reached(replace(given, history=later)).quantiles == reached(given).quantiles
