"""Scenarios of a trace: what was known before each event, and what then came."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from forerun.domain.campaign import CampaignType, Expected
from forerun.domain.forecast import Forecast, Lesson
from forerun.domain.observation import DemandSeries
from forerun.domain.reason import Hold, Reason
from forerun.forecast.grid import tail_end
from forerun.signals.trace import TraceEvent
from forerun.simulate.from_trace import (
    BUSY_REPLICAS,
    Shop,
    as_a_shape,
    busy_rps,
    campaign_of,
    cut,
    history_of,
    last_peak_of,
    lessons_of,
    resampled,
    rule_of,
    scenarios_from,
)
from forerun.simulate.peers import events_of
from forerun.simulate.policy import known_of

from .arena_world import CALM, arm, run, window

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def trace(days=10, step=300.0, level=100.0, seed=0):
    size = round(days * 86400 / step)
    values = level * np.random.default_rng(seed).lognormal(0.0, 0.2, size)
    return DemandSeries(BEGIN, step, tuple(values.tolist()))


def event(days, kind="sale", hours=0.0):
    return TraceEvent(kind, f"the {kind}", BEGIN + timedelta(days=days, hours=hours), None, "")


def learnt(requests):
    """One lesson from each past window, whose size tells when it was asked and of how much."""
    return [
        Forecast(
            request.storefront,
            request.now,
            (),
            (),
            "history",
            tuple(Lesson(past, float(len(request.history.values)), 0.1, (0.0,)) for past in request.past),
        )
        for request in requests
    ]


def nothing(requests):
    return [Hold(Reason.METRICS_UNREACHABLE)] * len(requests)


def of(series, *events, answer=nothing, **options):
    return scenarios_from("made", series, events, answer, **options)


# windows


@pytest.mark.parametrize(
    ("step", "length", "before", "after", "tick"),
    [
        (60.0, 4 * HOUR, 1.5 * HOUR, 1.5 * HOUR, 5.0),
        (300.0, 4 * HOUR, 1.5 * HOUR, 1.5 * HOUR, 5.0),
        (3600.0, 12 * HOUR, 3 * HOUR, 4 * HOUR, 15.0),
        (86400.0, 3 * DAY, DAY, DAY, 60.0),
    ],
)
def test_a_window_and_what_is_around_it_are_as_long_as_the_bins_are_wide(step, length, before, after, tick):
    (made,) = of(trace(60, step), event(30))
    (campaign,) = made.campaigns
    start = BEGIN + 30 * DAY
    assert (made.start, made.tick_seconds) == (start - before, tick)
    assert made.ticks * tick == (before + length + after).total_seconds()
    assert [occurrence.end - occurrence.start for _, occurrence in events_of(known_of(made, CALM, 0.7))] == [length]
    assert campaign.schedule.start_local == start.replace(tzinfo=None)
    assert 0 < made.judged_from * tick < before.total_seconds()
    assert made.judged_from * tick == rule_of(step).settle.total_seconds()


def test_a_match_is_as_long_as_a_match():
    (made,) = of(trace(), event(5, "match-final"))
    assert made.campaigns[0].schedule.duration_seconds == 110 * 60.0


def test_events_are_named_numbered_and_sorted_in_time():
    made = of(trace(20), event(9, "spot"), event(5), event(12))
    assert [one.name for one in made] == [
        "made sale 2026-03-07T00:00Z #1",
        "made spot 2026-03-11T00:00Z #2",
        "made sale 2026-03-14T00:00Z #3",
    ]
    assert [one.seed for one in made] == [0, 1, 2]
    assert {one.group for one in made} == {"made"}


@pytest.mark.parametrize("days", [-1.0, 0.0, 1.0, 9.8, 10.0, 30.0])
def test_an_event_without_a_day_before_it_or_with_an_end_beyond_the_trace_is_left_out(days):
    assert of(trace(10), event(days)) == ()
    assert len(of(trace(10), event(days), event(5))) == 1


def test_events_that_overlap_are_campaigns_of_each_others_scenarios_but_each_only_once():
    made = of(trace(), event(5), event(5), event(5, "spot", hours=2.0), event(7))
    assert [len(one.campaigns) for one in made] == [2, 2, 2, 1]
    assert {one.key.name for one in made[0].campaigns} == {"sale", "spot"}


def test_declared_numbers_go_with_their_events():
    declared = (Expected(multiplier=2.0), Expected(peak_rps=900.0))
    first, second = of(trace(), event(7), event(5), declared=declared)
    assert first.campaigns[0].expected == declared[1]
    assert second.campaigns[0].expected == declared[0]
    with pytest.raises(ValueError, match="zip"):
        of(trace(), event(5), declared=declared)


def test_a_campaign_is_the_window_it_is_made_of():
    own = window(3600, 5400, "spot", Expected(audience=7), CampaignType.TV_SPOT)
    made = campaign_of(own)
    assert (made.key.name, made.type, made.expected) == ("spot", CampaignType.TV_SPOT, own.expected)


def test_kinds_that_are_types_are_those_types():
    made = of(trace(20), event(5, "FlashSale"), event(9))
    assert [one.campaigns[0].type for one in made] == [CampaignType.FLASH_SALE, CampaignType.CUSTOM]


# what is known at the start


def with_another_future(series, moment):
    """The same up to `moment`; the bin that it lies in is not over."""
    count = int((moment - series.start).total_seconds() // series.step_seconds)
    return replace(series, values=series.values[:count] + tuple(9.0 * value for value in series.values[count:]))


EVENTS = (event(4), event(4, hours=4.1), event(5, "spot"), event(6), event(7, "match-a"), event(8))


@pytest.mark.parametrize("step", [60.0, 300.0, 700.0, 3600.0])
def test_nothing_that_comes_after_the_start_is_known_before_it(step):
    series = trace(10, step)
    for number, made in enumerate(of(series, *EVENTS, answer=learnt)):
        other = of(with_another_future(series, made.start), *EVENTS, answer=learnt)[number]
        assert other.door_rps.tolist() != made.door_rps.tolist()
        assert other.history == made.history
        assert (other.past, other.experience, other.last_peak_rps) == (made.past, made.experience, made.last_peak_rps)
        assert other.storefront == made.storefront


@pytest.mark.parametrize("step", [60.0, 300.0, 3600.0, 86400.0])
def test_history_ends_at_the_start_and_is_of_four_weeks_at_most(step):
    series = trace(80, step)
    (made,) = of(series, event(50))
    history = made.history
    end = history.start + timedelta(seconds=len(history.values) * history.step_seconds)
    assert timedelta(0) <= made.start - end < timedelta(seconds=step)
    assert end - history.start == 28 * DAY
    assert history.step_seconds == max(step, 300.0)


def test_history_is_of_means_and_a_gap_only_where_all_is_one():
    values = (1.0, 3.0, math.nan, 5.0, 7.0) + (math.nan,) * 5 + (2.0,) * 5
    history = history_of(DemandSeries(BEGIN, 60.0, values), BEGIN + timedelta(seconds=899))
    assert history.start == BEGIN + timedelta(minutes=4)  # fourteen bins are over: two times five
    assert history.values[1] == 2.0
    history = history_of(DemandSeries(BEGIN, 60.0, values), BEGIN + timedelta(seconds=900))
    assert history.values[0] == 4.0
    assert math.isnan(history.values[1])


@pytest.mark.parametrize("seconds", [-900.0, 0.0, 299.0])
def test_there_is_no_history_before_the_first_bin_is_over(seconds):
    assert history_of(trace(1), BEGIN + timedelta(seconds=seconds)) is None


def test_past_events_are_those_that_are_over_and_in_the_history():
    made = of(trace(60), event(3), event(20), event(40), event(40, "spot", hours=3.0))
    assert [past.occurrence.start - BEGIN for past in made[2].past] == [20 * DAY]
    assert [past.occurrence.start - BEGIN for past in made[3].past] == [20 * DAY]  # the sale goes on while it begins


def test_a_lesson_is_known_only_once_its_tail_was_over_and_measured():
    # the second window's tail ends at 9 h 6 min, its last bin five minutes later
    early, late = event(5, "spot", hours=10.67), event(5, "spot", hours=10.69)
    events = event(5), event(5, hours=4.1)
    for last, known in ((early, 1), (late, 2)):
        made = of(trace(), *events, last, answer=learnt)[-1]
        assert len(made.experience) == known
        assert len(made.past) == 2
        for lesson in made.experience:
            assert tail_end(lesson.window) + timedelta(seconds=300) <= made.start


def test_a_lesson_is_asked_of_what_was_measured_when_it_was_over():
    lessons = lessons_of("made", trace(), [window(0, 3600)], learnt)
    assert lessons == ()  # that one lies after the trace
    asked = []

    def listening(requests):
        asked.extend(requests)
        return nothing(requests)

    of(trace(), *EVENTS, event(9.99), answer=listening)
    assert len(asked) == len(EVENTS)  # the last one was not over
    for request in asked:
        assert request.recent is None and request.upcoming == ()
        assert request.history.start + timedelta(seconds=300 * len(request.history.values)) <= request.now
        assert all(past.occurrence.end <= request.now for past in request.past)


def test_a_hold_teaches_nothing():
    assert [made.experience for made in of(trace(), *EVENTS)] == [()] * len(EVENTS)


# the last peak


def peaks(*, spike_hours, own=5.0, last=4.0, height=1000.0):
    series = trace(10)
    values = list(series.values)
    values[round((last * 24 + spike_hours) * 12)] = height
    series = replace(series, values=tuple(values))
    return [made.last_peak_rps for made in of(series, event(last), event(own, "spot"), event(own + 2))]


def test_the_last_peak_is_the_highest_bin_of_the_last_event_of_the_kind_and_its_tail():
    assert peaks(spike_hours=2.0) == [None, None, 1000.0]
    assert peaks(spike_hours=4.9)[2] == 1000.0
    assert peaks(spike_hours=5.1)[2] < 500.0
    assert peaks(spike_hours=-0.1)[2] < 500.0


def test_the_last_peak_is_of_the_last_one_that_was_measured():
    series = trace(10)
    values = np.array(series.values)
    values[4 * 288 : 4 * 288 + 60] = 700.0
    values[5 * 288 : 5 * 288 + 72] = np.nan
    made = of(replace(series, values=tuple(values.tolist())), event(4), event(5), event(7))
    assert [one.last_peak_rps for one in made] == [None, 700.0, 700.0]


def test_the_last_peak_knows_nothing_of_a_tail_that_is_not_over():
    series = replace(trace(1), values=tuple(float(number) for number in range(288)))
    last, own = (replace(window(0, 3600), occurrence=replace(window(0, 3600).occurrence)) for _ in range(2))
    occurrence = replace(last.occurrence, start=BEGIN + HOUR, end=BEGIN + 2 * HOUR)
    last = replace(last, occurrence=occurrence)
    assert tail_end(last) == BEGIN + 2.25 * HOUR
    assert last_peak_of(series, own, [last], BEGIN + 2 * HOUR) == 23.0
    assert last_peak_of(series, own, [last], BEGIN + 2.1 * HOUR) == 24.0
    assert last_peak_of(series, own, [last], BEGIN + 9 * HOUR) == 26.0


# demand


def test_demand_is_linear_between_the_middles_of_bins():
    series = DemandSeries(BEGIN, 60.0, (10.0, 70.0, 40.0))
    door, known = resampled(series, BEGIN, BEGIN + timedelta(minutes=3), 20.0)
    assert door.tolist() == pytest.approx([10.0, 10.0, 30.0, 50.0, 70.0, 60.0, 50.0, 40.0, 40.0])
    assert known.all()


def test_demand_goes_on_through_a_gap_but_nobody_measures_it():
    series = DemandSeries(BEGIN, 60.0, (10.0, math.nan, math.nan, 40.0))
    door, known = resampled(series, BEGIN, BEGIN + timedelta(minutes=4), 60.0)
    assert door.tolist() == pytest.approx([10.0, 20.0, 30.0, 40.0])
    assert known.tolist() == [True, False, False, True]


def test_beyond_the_trace_demand_stays_and_is_not_measured():
    series = DemandSeries(BEGIN, 60.0, (10.0, 40.0))
    door, known = resampled(series, BEGIN - timedelta(minutes=1), BEGIN + timedelta(minutes=3), 60.0)
    assert door.tolist() == [10.0, 10.0, 40.0, 40.0]
    assert known.tolist() == [False, True, True, False]


def test_a_trace_in_which_nothing_was_measured_has_no_demand():
    door, known = resampled(DemandSeries(BEGIN, 60.0, (math.nan,) * 9), BEGIN, BEGIN + timedelta(minutes=9), 5.0)
    assert door.size == known.size == 108
    assert not door.any() and not known.any()


def test_calls_are_kept_where_ticks_divide_the_bins():
    series = trace(1, level=50.0)
    door, _ = resampled(series, BEGIN, BEGIN + DAY, 5.0)
    assert door.mean() == pytest.approx(np.mean(series.values), rel=0.005)


# what serves it


def test_a_shop_serves_its_busy_hours_with_so_many_replicas():
    (made,) = of(trace(), event(5), shop=Shop(lead_time_seconds=600.0, max_replicas=77))
    (one,) = made.storefront.tiers
    assert one.capacity_per_replica_rps * BUSY_REPLICAS == pytest.approx(np.quantile(made.history.values, 0.99))
    assert (one.lead_time_seconds, one.max_replicas) == (600.0, 77)


@pytest.mark.parametrize("value", [0.0, math.nan])
def test_a_shop_without_demand_has_replicas_all_the_same(value):
    history = DemandSeries(BEGIN, 300.0, (value,) * 99)
    assert busy_rps(history, np.ones(9)) == 1.0
    assert busy_rps(None, np.full(20, 8.0)) == 8.0


# traces of all kinds


@pytest.mark.parametrize(
    "series",
    [
        DemandSeries(BEGIN, 300.0, (7.0,)),
        DemandSeries(BEGIN, 300.0, (math.nan,)),
        DemandSeries(BEGIN, 300.0, (0.0,) * 3000),
        DemandSeries(BEGIN, 300.0, (1e9,) * 3000),
        DemandSeries(BEGIN, 300.0, (1e-9,) * 3000),
        DemandSeries(BEGIN, 300.0, (math.nan, 50.0) * 1500),
        DemandSeries(BEGIN, 86400.0, (40.0,) * 20),
    ],
    ids=["one bin", "one gap", "zero", "1e9", "1e-9", "gaps", "days"],
)
def test_odd_traces_make_scenarios_that_run(series):
    made = [*of(series, event(5), event(6), answer=learnt), cut("made", series, BEGIN + HOUR, 2 * HOUR)]
    assert len(made) == (1 if len(series.values) == 1 else 3)
    for result in run([arm(one) for one in made]):
        assert result.verdict is None
        assert math.isfinite(result.scores["web"].cost())


def test_a_stretch_without_an_event_begins_at_what_was_asked_for_once_arms_have_settled():
    made = cut("made", trace(), BEGIN + 3 * DAY, 6 * HOUR, seed=4)
    assert made.at(made.judged_from) == BEGIN + 3 * DAY
    assert made.at(made.ticks) == BEGIN + 3 * DAY + 6 * HOUR
    assert (made.campaigns, made.past, made.experience, made.seed) == ((), (), (), 4)
    end = made.history.start + timedelta(seconds=300 * len(made.history.values))
    assert end == made.start


def test_a_trace_as_a_shape_differs_by_a_factor_only():
    few = DemandSeries(BEGIN, 60.0, (*(0.001 * i for i in range(200)), float("nan")))
    shape = as_a_shape(few)
    assert np.nanquantile(shape.values, 0.99) == pytest.approx(400.0)
    assert np.ptp(np.array(shape.values[1:200]) / np.array(few.values[1:200])) == pytest.approx(0.0, abs=1e-6)
    assert np.isnan(shape.values[200])
    nothing = DemandSeries(BEGIN, 60.0, (0.0, 0.0))
    assert as_a_shape(nothing) == nothing
