"""On a real trace, where it is there."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from forerun.domain.campaign import CampaignType, Expected, Occurrence
from forerun.domain.forecast import LEVELS, EventWindow, ForecastRequest
from forerun.domain.observation import DemandSeries
from forerun.forecast.model import forecast_all
from forerun.signals.trace import read_events, read_trace

TRACES = Path(__file__).parents[4] / "shared" / "traces"
pytestmark = pytest.mark.traces


@pytest.fixture(scope="module")
def worldcup():
    file = TRACES / "worldcup98-minute.csv.gz"
    if not file.exists():
        pytest.skip(f"{file} is not here")
    starts = sorted({event.start for event in read_events(TRACES / "worldcup98-minute.events.csv")})
    return read_trace(file), starts


def cut(trace, begin, end, width):
    first, last = (max(0, int((at - trace.start).total_seconds() // trace.step_seconds)) for at in (begin, end))
    values = np.array(trace.values[first:last])
    values = values[: len(values) // width * width].reshape(-1, width)
    filled = np.isfinite(values).any(axis=1)
    means = np.full(len(values), np.nan)
    means[filled] = np.nanmean(values[filled], axis=1)
    step = trace.step_seconds * width
    return DemandSeries(trace.start + timedelta(seconds=first * trace.step_seconds), step, tuple(means))


def window(start):
    # only the start is known beforehand; the length is what a match takes
    occurrence = Occurrence(start, start + timedelta(minutes=110))
    return EventWindow("s/match", CampaignType.CUSTOM, occurrence, Expected(multiplier=3.0))


def forecasts(worldcup, minutes):
    trace, starts = worldcup
    requests = []
    for start in starts:
        now = start + timedelta(minutes=minutes)
        past = tuple(window(s) for s in starts if s + timedelta(minutes=110) <= now)
        history = cut(trace, now - timedelta(days=28), now, 5)
        recent = cut(trace, now - timedelta(hours=4), now, 1)
        requests.append(ForecastRequest("s/site", now, history, recent, (window(start),), past))
    for request, forecast in zip(requests, forecast_all(requests), strict=True):
        (segment,) = forecast.segments
        seen = cut(trace, segment.start, segment.end, int(segment.step_seconds / trace.step_seconds)).values
        rows = np.array(segment.quantiles)[: len(seen)]
        times = segment.start.timestamp() + np.arange(len(seen)) * segment.step_seconds
        ahead = (times >= request.now.timestamp()) & np.isfinite(seen)
        yield rows[ahead], np.array(seen)[ahead]


def test_most_of_a_match_lies_in_the_band_before_its_start(worldcup):
    rows, seen = (np.concatenate(parts) for parts in zip(*forecasts(worldcup, -15), strict=True))
    inside = (seen >= rows[:, LEVELS.index(0.05)]) & (seen <= rows[:, LEVELS.index(0.99)])
    assert inside.mean() > 0.85


def test_during_the_match_the_median_comes_nearer(worldcup):
    def error(minutes):
        found = forecasts(worldcup, minutes)
        return np.mean([abs(np.log(rows[:, LEVELS.index(0.5)].mean() / seen.mean())) for rows, seen in found])

    assert error(45) < 0.5 * error(-15)
