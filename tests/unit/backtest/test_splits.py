"""A decision knows what ended before it, and nothing else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forerun.backtest.grid import binned, rule_of
from forerun.backtest.splits import decisions, live_decisions
from forerun.domain.campaign import CampaignType, Expected
from forerun.domain.observation import DemandSeries
from forerun.signals.trace import TraceEvent

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)


def event(start, kind="drop", name="one", hours=1, note=""):
    return TraceEvent(kind, name, start, start + timedelta(hours=hours), note)


def counting(step, count, begin=BEGIN):
    return DemandSeries(begin, float(step), tuple(float(value) for value in range(count)))


def end_of(series):
    return series.start + timedelta(seconds=series.step_seconds * len(series.values))


@pytest.mark.parametrize(
    ("step", "width", "lead", "bins"),
    [
        (1, 300, 900, 48),
        (60, 300, 900, 48),
        (120, 240, 900, 60),  # 300 s are no whole number of bins of 120 s
        (300, 300, 900, 48),
        (600, 600, 600, 72),
        (3600, 3600, 3600, 12),
        (86400, 86400, 86400, 3),
        (604800, 604800, 604800, 3),
    ],
)
def test_the_rule_goes_by_the_bin_width(step, width, lead, bins):
    rule = rule_of(step)
    assert (rule.step_seconds, rule.lead_seconds, rule.bins) == (width, lead, bins)


def test_minutes_become_means_of_five_over_what_was_measured():
    nan = float("nan")
    series = DemandSeries(BEGIN + timedelta(minutes=3), 60.0, (1.0, 3.0, nan, 4.0, nan, 8.0, nan, *([nan] * 5), 7.0))
    made = binned(series, 300.0)
    assert made.start == BEGIN
    np.testing.assert_array_equal(made.values, (2.0, 6.0, nan, 7.0))


def test_minutes_are_decided_a_quarter_of_an_hour_before_the_declared_start():
    start = BEGIN + timedelta(days=1, hours=12, minutes=7)
    (made,) = decisions(counting(60, 3 * 1440), [event(start)], "t")
    assert made.decided_at == made.request.now == start - timedelta(minutes=15)
    assert made.start == BEGIN + timedelta(days=1, hours=12, minutes=5)  # the bin that contains the start
    assert end_of(made.request.history) == BEGIN + timedelta(days=1, hours=11, minutes=50)
    assert end_of(made.request.recent) == made.decided_at
    assert made.request.recent.start == made.decided_at - timedelta(hours=2)
    assert made.request.recent.values[-1] == 1440 + 12 * 60 + 7 - 15 - 1
    assert made.actual[0] == np.mean(range(1440 + 725, 1440 + 730))
    assert (made.bins, made.step_seconds, made.live) == (48, 300.0, False)


def test_hours_are_decided_one_bin_before_the_bin_of_the_start():
    (made,) = decisions(counting(3600, 100), [event(BEGIN + timedelta(hours=50, minutes=40))], "t")
    assert made.decided_at == BEGIN + timedelta(hours=49)
    assert made.request.history.values[-1] == 48.0
    assert made.request.recent is None
    assert made.actual == tuple(float(value) for value in range(50, 62))


def test_days_are_decided_a_day_ahead():
    (made,) = decisions(counting(86400, 30), [event(BEGIN + timedelta(days=20))], "t")
    assert made.decided_at == BEGIN + timedelta(days=19)
    assert made.request.history.values[-1] == 18.0
    assert made.actual == (20.0, 21.0, 22.0)


def test_a_window_beyond_the_end_is_unknown_there_and_events_outside_are_no_decisions():
    starts = [BEGIN - timedelta(days=1), BEGIN, BEGIN + timedelta(hours=95), BEGIN + timedelta(hours=100)]
    (made,) = decisions(counting(3600, 100), [event(start) for start in starts], "t")
    assert made.start == BEGIN + timedelta(hours=95)
    assert made.actual[:5] == (95.0, 96.0, 97.0, 98.0, 99.0)
    assert np.isnan(made.actual[5:]).all()


def test_no_more_than_four_hundred_days_are_sent():
    (made,) = decisions(counting(86400, 600), [event(BEGIN + timedelta(days=500))], "t")
    assert len(made.request.history.values) == 400


def test_other_events_are_past_when_their_window_has_ended_and_upcoming_when_they_touch_this_one():
    hours = {"over": 20, "under way": 49, "mine": 60, "inside": 71, "after": 72}
    events = [event(BEGIN + timedelta(hours=hour), kind=kind) for kind, hour in hours.items()]
    made = {one.kind: one.request for one in decisions(counting(3600, 200), events, "t")}["mine"]
    assert [window.campaign for window in made.past] == ["over"]
    assert [window.campaign for window in made.upcoming] == ["mine", "under way", "inside"]
    later = {one.kind: one.request for one in decisions(counting(3600, 200), events, "t", -2 * 3600.0)}["mine"]
    assert [window.campaign for window in later.past] == ["over", "under way"]


def test_two_events_at_once_are_two_decisions_but_one_window():
    start = BEGIN + timedelta(hours=60)
    made = decisions(counting(3600, 200), [event(start, name="a"), event(start, name="b")], "t")
    assert [one.name for one in made] == ["a", "b"]
    assert all(len(one.request.upcoming) == 1 for one in made)


def test_a_kind_that_is_a_type_of_campaign_is_of_that_type_and_declared_numbers_are_passed_on():
    events = [event(BEGIN + timedelta(hours=60), kind="FlashSale"), event(BEGIN + timedelta(hours=80), kind="other")]
    numbers = [Expected(multiplier=4.0), Expected()]
    first, second = decisions(counting(3600, 200), events, "t", declared=numbers)
    assert first.request.upcoming[0].type == CampaignType.FLASH_SALE
    assert first.request.upcoming[0].expected == Expected(multiplier=4.0)
    assert second.request.upcoming[0].type == CampaignType.CUSTOM
    assert second.request.past[0].expected == Expected(multiplier=4.0)


def test_the_onset_is_where_demand_has_risen_by_a_quarter(shop):
    made = live_decisions(shop.trace, shop.events, "shop")
    assert [one.decided_at for one in made] == [one.start + timedelta(minutes=5) for one in shop.events]
    assert all(one.live and end_of(one.request.recent) == one.decided_at for one in made)


def test_an_event_that_raises_nothing_has_no_onset(shop):
    quiet = event(BEGIN + timedelta(days=8, hours=18))
    names = {one.name for one in live_decisions(shop.trace, [*shop.events, replace(quiet, name="quiet")], "shop")}
    assert names == {one.name for one in shop.events}


def test_five_minute_data_have_no_live_decisions():
    assert live_decisions(counting(300, 5000), [event(BEGIN + timedelta(days=10))], "t") == ()


_STEPS = st.sampled_from([60.0, 120.0, 300.0, 600.0, 3600.0, 86400.0])


@st.composite
def cases(draw):
    """A trace, its events, and a moment after which everything may change."""
    step = draw(_STEPS)
    count = draw(st.integers(30, 900))
    begin = BEGIN + timedelta(seconds=draw(st.integers(0, 7200)))
    values = draw(st.lists(st.one_of(st.floats(0, 1e6), st.just(float("nan"))), min_size=count, max_size=count))
    seconds = st.floats(0, step * count)
    starts = draw(st.lists(seconds, min_size=1, max_size=6))
    kinds = draw(st.lists(st.sampled_from(["a", "b", "FlashSale"]), min_size=len(starts), max_size=len(starts)))
    events = [
        event(begin + timedelta(seconds=round(start)), kind=kind, name=f"{kind} {number}")
        for number, (start, kind) in enumerate(zip(starts, kinds, strict=True))
    ]
    return DemandSeries(begin, step, tuple(values)), events, draw(st.one_of(st.none(), st.floats(0, 20 * step)))


def requests_of(made):
    # repr: NaN is not equal to itself
    return {(one.kind, one.name): (one.decided_at, repr(one.request)) for one in made}


@settings(max_examples=150, deadline=None)
@given(case=cases(), replacement=st.floats(0, 1e9), data=st.data())
def test_what_is_measured_after_a_decision_is_not_in_its_request(case, replacement, data):
    trace, events, decide = case
    made = decisions(trace, events, "t", decide)
    for decision in made:
        for series in (decision.request.history, decision.request.recent):
            assert series is None or end_of(series) <= decision.decided_at
    if not made:
        return
    moment = data.draw(st.sampled_from([one.decided_at for one in made]))
    ended = int((moment - trace.start).total_seconds() // trace.step_seconds)
    changed = replace(trace, values=(*trace.values[:ended], *[replacement] * (len(trace.values) - ended)))
    after = requests_of(decisions(changed, events, "t", decide))
    for decision in made:
        if decision.decided_at <= moment:
            assert after[decision.kind, decision.name] == (decision.decided_at, repr(decision.request))


@settings(max_examples=60, deadline=None)
@given(case=cases())
def test_the_end_note_and_name_of_an_event_are_not_in_any_request(case):
    trace, events, decide = case
    renamed = [
        TraceEvent(one.kind, f"x{number}", one.start, None, "series of lies")
        for number, one in enumerate(sorted(events, key=lambda one: (one.start, one.kind)))
    ]
    ordered = sorted(events, key=lambda one: (one.start, one.kind))
    before = [repr(one.request) for one in decisions(trace, ordered, "t", decide)]
    assert before == [repr(one.request) for one in decisions(trace, renamed, "t", decide)]


@settings(max_examples=60, deadline=None)
@given(case=cases())
def test_every_event_before_the_end_of_the_window_is_either_past_or_upcoming(case):
    trace, events, decide = case
    made = decisions(trace, events, "t", decide)
    for decision in made:
        request = decision.request
        assert all(window.occurrence.end <= request.now for window in request.past)
        assert all(request.now < window.occurrence.end for window in request.upcoming[1:])
        assert not set(request.past) & set(request.upcoming[1:])
        starts = {window.occurrence.start for window in (*request.past, *request.upcoming)}
        assert {one.start for one in made if one.start < decision.end} <= starts
