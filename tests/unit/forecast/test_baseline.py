"""What is usual: by weekday and hour, whatever else the history holds."""

import math
from datetime import timedelta

import numpy as np
import pytest

from forerun.domain.observation import DemandSeries
from forerun.forecast.baseline import fit_baseline, fit_tables, tabulate
from forerun.forecast.observed import observe

DAY = 86400.0


def weekly(at):
    """Busy by day, half as busy at weekends."""
    hour = at.hour + at.minute / 60
    return (0.5 if at.weekday() >= 5 else 1.0) * (100.0 + 60.0 * math.sin(2 * math.pi * (hour - 9) / 24))


def fitted(series, now, masked=()):
    return fit_baseline(series, masked, now.timestamp(), DAY)


def coming(base, now, days=7):
    """Expected demand in the middle of each hour of the days to come."""
    times = now.timestamp() + (np.arange(24 * days) + 0.5) * 3600.0
    return base.at(times)


def truth(scene, days=7):
    return np.array([weekly(scene.start + timedelta(hours=hour + 0.5)) for hour in range(24 * days)])


def test_weekdays_and_hours_are_told_apart(scene):
    base = fitted(scene.history(days=28, demand=weekly), scene.start)
    assert coming(base, scene.start) == pytest.approx(truth(scene), rel=0.2)


def test_gaps_stay_gaps(scene):
    series = scene.history(days=28, demand=weekly)
    values = np.array(series.values)
    values[::3] = math.nan
    values[2000:3500] = math.nan
    base = fitted(DemandSeries(series.start, series.step_seconds, tuple(values)), scene.start)
    off = np.abs(np.log(coming(base, scene.start) / truth(scene)))
    assert off.mean() < 0.1
    assert off.max() < 0.4


def test_one_day_astray_moves_nothing(scene):
    series = scene.history(days=28, demand=weekly)
    values = np.array(series.values)
    values[-5 * 288 : -4 * 288] *= 20.0  # a counter that was reset, an exporter gone mad
    values[-12 * 288 : -11 * 288] = 0.0
    base = fitted(DemandSeries(series.start, series.step_seconds, tuple(values)), scene.start)
    assert coming(base, scene.start) == pytest.approx(truth(scene), rel=0.2)


def test_each_day_rests_on_the_days_before_it(scene):
    series = scene.history(days=21, demand=weekly)
    changed = np.array(series.values)
    changed[-7 * 288 :] *= 3.0
    before = fitted(series, scene.start)
    after = fitted(DemandSeries(series.start, series.step_seconds, tuple(changed)), scene.start)
    scale = math.log(before.pivot_rps / after.pivot_rps)
    assert abs(scale) < 0.5
    assert np.allclose(before.usual[8:14], after.usual[8:14], rtol=0.05)
    assert not np.allclose(before.usual[-7:], after.usual[-7:], rtol=0.05)


def test_masked_events_leave_no_trace(scene):
    events = [(scene.start - timedelta(days=days)).timestamp() for days in range(1, 20, 2)]
    masked = tuple(sorted((start, start + 7200.0) for start in events))

    def demand(at):
        return weekly(at) * (9.0 if any(a <= at.timestamp() < b for a, b in masked) else 1.0)

    base = fitted(scene.history(days=28, demand=demand), scene.start, masked)
    assert coming(base, scene.start) == pytest.approx(truth(scene), rel=0.25)
    leaking = fitted(scene.history(days=28, demand=demand), scene.start)
    assert coming(leaking, scene.start, 1)[0] > 1.25 * truth(scene)[0]


def test_where_everything_is_masked_it_is_used_after_all(scene):
    base = fitted(scene.history(days=3, demand=lambda _: 50.0), scene.start, ((0.0, 1e12),))
    assert coming(base, scene.start, 1) == pytest.approx(50.0, rel=0.1)


@pytest.mark.parametrize("step", [60.0, 3600.0, 86400.0])
def test_every_step_has_its_cycle(scene, step):
    days = 60 if step == 86400.0 else 21
    begin = scene.start.replace(hour=0) - timedelta(days=days)
    series = scene.series(begin, begin + timedelta(days=days), step, lambda at: 10.0 + at.weekday())
    base = fitted(series, begin + timedelta(days=days))
    times = (begin + timedelta(days=days)).timestamp() + (np.arange(7) + 0.5) * DAY
    expected = [10.0 + (begin + timedelta(days=days + day)).weekday() for day in range(7)]
    assert base.at(times) == pytest.approx(expected, rel=0.12)


def test_many_at_once_are_as_one_by_one(scene):
    tables = [
        tabulate(scene.history(days=15, demand=lambda at, factor=factor: factor * weekly(at)), (), 4e9, DAY)
        for factor in (1.0, 7.0, 0.01)
    ]
    for together, alone in zip(fit_tables(tables), [fit_tables([table])[0] for table in tables], strict=True):
        assert np.allclose(together.usual, alone.usual, rtol=1e-4)
        assert np.allclose(together.carryover.coefficients, alone.carryover.coefficients, atol=1e-4)


def test_a_level_that_persists_is_carried_over_and_one_that_does_not_is_not(scene):
    """Days that are high or low as a whole, against hours that are so each for itself."""
    random = np.random.default_rng(3)
    plain = np.array(scene.history(days=28, demand=weekly).values)
    by_day = plain * np.repeat(np.exp(0.2 * random.standard_normal(28)), 288)
    by_hour = plain * np.repeat(np.exp(0.2 * random.standard_normal(28 * 24)), 12)
    start = scene.start - timedelta(days=28)
    of_days, of_hours = (fitted(DemandSeries(start, 300.0, tuple(v)), scene.start) for v in (by_day, by_hour))
    hour_ahead = np.array([13.0])
    assert of_days.carryover.at(hour_ahead)[0, 1:].sum() > 0.6
    assert of_hours.carryover.at(hour_ahead)[0, 1] < 0.1


@pytest.mark.parametrize("days", [3, 10])
@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_a_level_that_shifted_days_ago_is_followed(scene, days, factor):
    now = scene.start - timedelta(hours=1)
    shifted = now - timedelta(days=days)
    history = scene.history(days=28, now=now, demand=lambda at: weekly(at) * (factor if at > shifted else 1.0))
    shop = observe(scene.request(scene.window(), now=now, history=history), 1.0)
    for hours in (1, 6, 24):
        at = now + timedelta(hours=hours)
        (usual,) = shop.usual(np.array([at.timestamp()]))
        assert usual == pytest.approx(factor * weekly(at), rel=0.35, abs=12.0), hours
