"""A live window follows what is seen, on the way up and on the way down."""

import math
from datetime import timedelta

import numpy as np
import pytest

from forerun.domain.campaign import CampaignType
from forerun.domain.forecast import LEVELS
from forerun.forecast.model import forecast_all

MEDIAN, P99 = LEVELS.index(0.5), LEVELS.index(0.99)
JITTER = 1.03  # of a quantile between two refreshes, for paths are finite


def flash(seconds):
    """A minute's rise to 20 times the usual, a hyperbolic fall, and the end after two hours."""
    tail = min(1.0, seconds / 60) / (1 + max(0.0, seconds - 60) / 1200)
    return 1900 * tail * math.exp(-max(0.0, seconds - 7200) / 360)


def late_peak(seconds):
    """A plateau from the fourth minute on that goes on rising until the ninetieth, then falls."""
    rise = 600 * min(1.0, seconds / 240) + 250 * min(1.0, max(0.0, seconds - 240) / 5160)
    return rise * math.exp(-max(0.0, seconds - 5400) / 1800)


EVENTS = {
    "flash sale": (CampaignType.FLASH_SALE, flash, 1),
    "flash sale told as custom": (CampaignType.CUSTOM, flash, 5),
    "late peak": (CampaignType.CUSTOM, late_peak, 90),
}


class Run:
    """Forecasts of one event, asked at several minutes after its start."""

    def __init__(self, scene, event, minutes, **expected):
        kind, extra, _ = EVENTS[event]
        self.minutes = minutes
        history, window = scene.history(), scene.window(type=kind, **expected)

        def demand(at):
            seconds = (at - scene.start).total_seconds()
            return 100.0 + (extra(seconds) if seconds >= 0 else 0.0)

        self.true = [demand(scene.start + timedelta(seconds=s)) for s in range(9000)]
        times = [scene.start + timedelta(minutes=minute) for minute in minutes]
        recent = [scene.series(scene.start - timedelta(hours=2), now, 60.0, demand) for now in times]
        self.recent = [series.values[120:] for series in recent]
        self.answers = forecast_all(
            [
                scene.request(window, now=now, history=history, recent=series)
                for now, series in zip(times, recent, strict=True)
            ]
        )

    def rows(self, minute):
        """(quantiles of the cells that are over, of those that are not)."""
        (segment,) = self.answers[self.minutes.index(minute)].segments
        ends = (np.arange(len(segment.quantiles)) + 1) * segment.step_seconds
        table = np.array(segment.quantiles)
        return table[ends <= minute * 60], table[ends > minute * 60]

    def ahead(self, minute, level=P99):
        return self.rows(minute)[1][:, level].max()

    def seen(self, minute):
        return max(self.true[: minute * 60])


@pytest.mark.parametrize("expected", [{}, {"multiplier": 10.0}])
@pytest.mark.parametrize("event", EVENTS)
def test_after_the_peak_the_tail_stays_near_it_and_comes_down_with_demand(scene, event, expected):
    first = EVENTS[event][2] + 1
    run = Run(scene, event, list(range(first, 149, 2)), **expected)
    lowest = math.inf
    for minute in run.minutes:
        ahead = run.ahead(minute)
        assert ahead <= 1.3 * run.seen(minute), minute
        assert ahead <= JITTER * lowest, minute
        lowest = min(lowest, ahead)


@pytest.mark.parametrize("event", ["flash sale", "late peak"])
def test_five_minutes_after_the_onset_the_peak_is_known_within_a_third(scene, event):
    run = Run(scene, event, [5])
    assert run.answers[0].peaks[0].p50_rps == pytest.approx(max(run.true), rel=0.3)


@pytest.mark.parametrize("event", EVENTS)
def test_from_the_end_on_nothing_climbs(scene, event):
    """Just before the end, at it, while floors are held, and when the grid is over."""
    run = Run(scene, event, [115, 117, 119, 120, 121, 123, 126, 130, 135, 140, 145])
    tails = [run.ahead(minute) for minute in run.minutes]
    assert all(after <= JITTER * before for before, after in zip(tails, tails[1:], strict=False))
    assert tails[-1] < 0.5 * tails[0]
    peaks = [answer.peaks[0] for answer in run.answers]
    assert {(peak.p50_rps, peak.p99_rps) for peak in peaks} == {(peaks[0].p50_rps, peaks[0].p50_rps)}


@pytest.mark.parametrize("event", EVENTS)
def test_a_measured_cell_is_known(scene, event):
    run = Run(scene, event, [60])
    past, _ = run.rows(60)
    assert (past[:, 0] == past[:, -1]).all()
    step = run.answers[0].segments[0].step_seconds
    samples = np.array(run.recent[0]).reshape(len(past), -1)
    assert samples.shape[1] * 60 == step
    # but for the spikes that medians of three take off
    assert past[1:, MEDIAN] == pytest.approx(samples.mean(axis=1)[1:], rel=0.06)


def test_what_was_not_measured_is_not_known(scene):
    """A gap in the series leaves its cells as wide as they were."""
    now = scene.start + timedelta(minutes=60)
    recent = scene.series(scene.start - timedelta(hours=2), now, 60.0, lambda at: 100.0 if at < scene.start else 500.0)
    gap = recent.values[:130] + (math.nan,) * 20 + recent.values[150:]
    asked = scene.request(
        scene.window(multiplier=5.0),
        now=now,
        history=scene.history(),
        recent=type(recent)(recent.start, recent.step_seconds, gap),
    )
    (segment,) = forecast_all([asked])[0].segments
    cell = segment.quantiles[int(20 * 60 / segment.step_seconds)]
    assert cell[P99] > 1.05 * cell[MEDIAN]
    before = segment.quantiles[int(5 * 60 / segment.step_seconds)]
    assert before[P99] == before[0]


def test_an_outage_of_the_metric_does_not_take_the_forecast_down(scene):
    """Three minutes of zeros in the middle of an event are no way down."""

    def demand(at):
        minute = (at - scene.start).total_seconds() / 60
        return 100.0 if minute < 0 else 0.0 if minute >= 57 else 600.0

    now = scene.start + timedelta(minutes=60)
    recent = scene.series(scene.start - timedelta(hours=2), now, 60.0, demand)
    answer = forecast_all([scene.request(scene.window(), now=now, history=scene.history(), recent=recent)])[0]
    (segment,) = answer.segments
    assert max(row[P99] for row in segment.quantiles[int(3600 / segment.step_seconds) :]) > 500.0


def test_a_campaign_still_to_come_is_not_bounded_by_the_one_before(scene):
    now = scene.start + timedelta(minutes=60)
    recent = scene.series(scene.start - timedelta(hours=2), now, 60.0, lambda at: 100.0 if at < scene.start else 300.0)
    first = scene.window("shop/a", CampaignType.SEASONAL_SALE, multiplier=3.0)
    second = scene.window(
        "shop/b", CampaignType.FLASH_SALE, start=scene.start + timedelta(minutes=80), hours=2 / 3, peak_rps=3000.0
    )
    answer = forecast_all([scene.request(first, second, now=now, history=scene.history(), recent=recent)])[0]
    peak = next(peak for peak in answer.peaks if peak.campaign == "shop/b")
    assert peak.p50_rps > 2000.0
