import math
from datetime import timedelta

import pytest
from tests.unit.demo.conftest import START, event, steady

from forerun.domain.campaign import CampaignType
from forerun.domain.observation import DemandSeries
from forerun.sandbox.demo.scenario import (
    MATCH,
    ScenarioError,
    campaign_type,
    make_scenario,
    slug,
    usual_rps,
)


def test_the_shop_is_sized_by_usual_demand_whatever_its_scale():
    for rps in (0.02, 3.0, 100.0, 2_000_000.0):
        scenario = make_scenario(steady(rps=rps), [event()], speed=10.0)
        assert all(2 <= tier.replicas <= 4 for tier in scenario.tiers)
        assert all(1 <= tier.needed(rps) <= 2 for tier in scenario.tiers)
        assert all(8 <= tier.needed(8 * rps) <= 15 for tier in scenario.tiers)
        assert sum(tier.kind.max_replicas for tier in scenario.tiers if tier.name == "recommender") == 40


def test_nothing_after_the_start_is_looked_at():
    series = steady()
    first = round((START - series.start).total_seconds() / series.step_seconds)
    spiked = DemandSeries(
        series.start, series.step_seconds, (*series.values[:first], *(900.0 for _ in series.values[first:]))
    )
    calm, loud = (make_scenario(s, [event()], speed=10.0) for s in (series, spiked))
    assert (calm.tiers, calm.usual_rps) == (loud.tiers, loud.usual_rps)


def test_demand_of_an_earlier_event_is_not_usual_demand():
    earlier = event("before", START - timedelta(minutes=50), 30)
    series = steady()
    values = list(series.values)
    for index in range(len(values)):
        at = series.start + timedelta(seconds=index * series.step_seconds)
        if earlier.start <= at < earlier.end:
            values[index] = 5000.0
    spiked = DemandSeries(series.start, series.step_seconds, tuple(values))
    assert usual_rps(spiked, START, [earlier]) == 100.0


def test_a_match_is_declared_to_last_110_minutes_though_the_file_knows_better():
    scenario = make_scenario(steady(), [event("final", minutes=160, kind="match-final")], speed=30.0)
    assert scenario.event.end - scenario.event.start == MATCH
    assert scenario.campaign_type is CampaignType.CUSTOM


def test_the_default_event_has_others_before_it_and_calm_after_it():
    days = [event(f"day {day}", START - timedelta(days=day)) for day in range(3)]
    crowded = event("crowded", START - timedelta(days=1, minutes=-60))
    scenario = make_scenario(steady(days=6), [*days, crowded], speed=10.0)
    assert scenario.event.name == "crowded"  # the second half begins with `day 1`, which `crowded` follows
    assert [past.name for past in scenario.past] == ["day 2", "day 1"]


def test_history_is_cut_to_four_weeks():
    scenario = make_scenario(steady(days=60, step_seconds=3600), [event()], speed=10.0)
    assert START - scenario.series.start == timedelta(days=28)


def test_an_event_is_found_by_name_and_by_number():
    events = [event("Morocco vs Norway", START - timedelta(days=1)), event("Brazil vs Scotland")]
    for wanted in ("scotland", "2"):
        assert make_scenario(steady(), events, speed=10.0, wanted=wanted).event.name == "Brazil vs Scotland"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"speed": 0.0}, "--speed"),
        ({"speed": math.nan}, "--speed"),
        ({"speed": 900.0}, "--speed: 'drop' would take 1 s at x900; about 4 suits it"),
        ({"speed": 10.0, "wanted": "nobody"}, "--event: no event is called 'nobody'; the first is 'drop'"),
        ({"speed": 10.0, "wanted": "7"}, "--event: 7 is not between 1 and 1"),
        ({"speed": 10.0, "multiplier": -1.0}, "--multiplier"),
    ],
)
def test_bad_input_is_one_line_with_the_option(arguments, said):
    with pytest.raises(ScenarioError) as refused:
        make_scenario(steady(), [event()], **arguments)
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("series", "events", "said"),
    [
        (steady(), [], "--events"),
        (steady(rps=0.0), [event()], "--event"),
        (steady(days=1.5), [event()], "--events"),
    ],
)
def test_a_trace_that_cannot_be_played_is_refused(series, events, said):
    with pytest.raises(ScenarioError, match=said):
        make_scenario(series, events, speed=10.0)


def test_kinds_and_names():
    assert campaign_type("flash-sale") is CampaignType.FLASH_SALE
    assert campaign_type("tv_spot") is CampaignType.TV_SPOT
    assert campaign_type("us-holiday") is CampaignType.CUSTOM
    assert slug('AAPL "Spring Forward" event (Watch/MacBook)') == "aapl-spring-forward-event-watch-macbook"
    assert slug("???") == "campaign"
    assert len(slug("x" * 90)) == 40


def test_time_runs_as_fast_as_it_is_told(scenario):
    assert scenario.window_seconds == 90.0
    assert scenario.real(START + timedelta(seconds=100), START) == START + timedelta(seconds=10)
    assert scenario.warm_up_seconds > sum(tier.lead_seconds for tier in scenario.tiers)
