"""Whatever it is given, a forecast is finite, not negative and in order; or it is a Hold."""

import math
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from forerun.domain.campaign import CampaignType, Expected, Occurrence, Overlap
from forerun.domain.forecast import EventWindow, Forecast, ForecastRequest, Lesson
from forerun.domain.observation import DemandSeries
from forerun.domain.reason import Hold
from forerun.forecast.grid import make_grid
from forerun.forecast.model import forecast_all

NOW = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
NASTY = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -0.0, -1.0, 1e18, 1e15, 1e-300, 5e-324, math.nan]),
    st.floats(0.0, 1000.0),
)
MAYBE = st.one_of(st.none(), NASTY)


@st.composite
def series(draw):
    pattern = draw(st.lists(NASTY, max_size=40))
    values = tuple(pattern) * draw(st.sampled_from([1, 1, 3, 60]))
    step = draw(st.sampled_from([0.5, 15.0, 300.0, 3600.0, 86400.0]))
    end = NOW + timedelta(seconds=draw(st.integers(-86400 * 3, 3600)))
    return DemandSeries(end - timedelta(seconds=step * len(values)), step, values)


@st.composite
def window(draw, low=-86400, high=86400 * 30):
    start = NOW + timedelta(seconds=draw(st.one_of(st.integers(-3600, 3600), st.integers(low, high))))
    length = draw(st.sampled_from([0.0, 0.001, 1.0, 60.0, 600.0, 7200.0, 86400.0, 86400.0 * 40]))
    expected = Expected(draw(st.one_of(st.none(), st.integers(-5, 10**30))), draw(MAYBE), draw(MAYBE))
    return EventWindow(
        draw(st.sampled_from(["s/a", "s/b", "s/c"])),
        draw(st.sampled_from(CampaignType)),
        Occurrence(start, start + timedelta(seconds=length)),
        expected,
        draw(st.sampled_from(Overlap)),
        draw(st.integers(-10, 10)),
    )


@st.composite
def lesson(draw):
    """As somebody may have written it into a status."""
    curve = tuple(draw(st.lists(st.one_of(st.none(), NASTY), max_size=80)))
    return Lesson(draw(window(low=-86400 * 500, high=-1)), draw(NASTY), draw(NASTY), curve)


@st.composite
def request(draw):
    return ForecastRequest(
        "s/main",
        NOW,
        draw(st.one_of(st.none(), series())),
        draw(st.one_of(st.none(), series())),
        tuple(draw(st.lists(window(), max_size=4))),
        tuple(draw(st.lists(window(low=-86400 * 20, high=-1), max_size=3))),
        tuple(draw(st.lists(lesson(), max_size=3))),
    )


@settings(max_examples=120, deadline=None)
@given(st.lists(request(), min_size=1, max_size=3), st.sampled_from([1.0, 60.0]))
def test_never_nan_never_negative_never_out_of_order(requests, compression):
    answers = forecast_all(requests, compression, paths=64)
    assert len(answers) == len(requests)
    for asked, answer in zip(requests, answers, strict=True):
        assert isinstance(answer, Forecast | Hold)
        if isinstance(answer, Hold):
            continue
        for segment in answer.segments:
            for row in segment.quantiles:
                assert all(0.0 <= x <= 1e15 for x in row)
                assert all(a <= b for a, b in zip(row, row[1:], strict=False))
        assert all(a.end <= b.start for a, b in zip(answer.segments, answer.segments[1:], strict=False))
        real = [w for w in asked.upcoming if w.occurrence.end > w.occurrence.start]
        assert [peak.campaign for peak in answer.peaks] == [w.campaign for w in real]
        for peak, w in zip(answer.peaks, real, strict=True):
            assert 0.0 <= peak.p50_rps <= peak.p90_rps <= peak.p99_rps <= 1e15
            assert list(peak.quantiles) == sorted(peak.quantiles)
            assert w.occurrence.start <= peak.at <= w.occurrence.end
            assert any(s.start <= w.occurrence.start < s.end for s in answer.segments)


def test_ten_thousand_past_events_and_one_inside_another():
    values = tuple(100.0 + 10.0 * math.sin(i / 40) for i in range(288 * 28))
    history = DemandSeries(NOW - timedelta(days=28), 300.0, values)

    def at(minutes, length, name):
        start = NOW + timedelta(minutes=minutes)
        return EventWindow(name, CampaignType.CUSTOM, Occurrence(start, start + timedelta(minutes=length)), Expected())

    past = tuple(at(-4 * i - 30, 20, f"s/{i % 7}") for i in range(10_000))
    inner, outer = at(90, 30, "s/inner"), at(60, 240, "s/0")
    (answer,) = forecast_all([ForecastRequest("s/main", NOW, history, None, (outer, inner), past)])
    assert [peak.campaign for peak in answer.peaks] == ["s/0", "s/inner"]
    assert all(0.0 < peak.p50_rps < 1000.0 for peak in answer.peaks)
    assert answer.learnt


@settings(max_examples=300, deadline=None)
@given(st.lists(window(), max_size=12), st.sampled_from([1.0, 60.0]))
def test_the_grid_covers_every_window_without_overlap(windows, compression):
    grid = make_grid(windows, compression)
    assert all(a.end <= b.start for a, b in zip(grid, grid[1:], strict=False))
    for w in windows:
        at, end = w.occurrence.start, w.occurrence.end
        for segment in grid:
            if segment.start <= at < segment.end:
                assert end <= at or w in segment.windows
                at = segment.end
        assert at >= end
    assert all(1 <= segment.cells <= 240 for segment in grid)
