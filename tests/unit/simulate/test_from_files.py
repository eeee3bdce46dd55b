"""Scenarios from a user's trace, Storefront and Campaigns."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from forerun.domain.campaign import Campaign, CampaignType, Expected, Key, Mode, Schedule
from forerun.domain.observation import DemandSeries
from forerun.domain.policy import Policy as CapacityPolicy
from forerun.domain.policy import Pool
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Accelerator, Storefront
from forerun.forecast.grid import tail_end
from forerun.forecast.worker import answer
from forerun.signals.trace import TraceEvent
from forerun.simulate.from_files import MOST_SCENARIOS, Given, Happened, InputError, scenarios_of

from .arena_world import tier

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
SHOP = Storefront(Key("shop", "main"), "uid", 1, "default", "demand", "requests", (tier(), tier("db")))


def trace(days=10, step=300.0, peak=4.0):
    """A daily wave; `peak` times as much from 09:00 to 11:00 each day."""
    hours = [place * step / 3600.0 % 24.0 for place in range(int(days * 86400 / step))]
    values = [100.0 * (1.5 - math.cos(hour * math.pi / 12.0)) * (peak if 9 <= hour < 11 else 1.0) for hour in hours]
    return DemandSeries(BEGIN, step, tuple(values))


def campaign(day=3, hour=9, hours=2.0, name="sale", **fields):
    start = (BEGIN + timedelta(days=day, hours=hour)).replace(tzinfo=None)
    schedule = Schedule("+00:00", start, duration_seconds=hours * 3600.0, recurrence=fields.pop("recurrence", None))
    kept = {"storefront": "main", "type": CampaignType.FLASH_SALE} | fields
    return Campaign(Key("shop", name), name, 1, schedule=schedule, **kept)


def nothing(requests):
    return [Hold(Reason.FORECAST_UNAVAILABLE, request.storefront) for request in requests]


def made(given, happened=None, series=None, ask=nothing, **more):
    return scenarios_of("shop", series or trace(), given, happened or Happened(), ask, **more)


def happened(*days):
    events = [TraceEvent("drop", "", BEGIN + timedelta(days=day, hours=9), None, "") for day in days]
    return Happened(tuple(events), (Expected(),) * len(events))


def test_one_scenario_for_each_occurrence_inside_the_trace():
    daily = campaign(recurrence="FREQ=DAILY;INTERVAL=2")
    scenarios, remarks = made(Given((SHOP,), (daily, campaign(day=4, hour=20, name="late"))))
    begins = [one.start + timedelta(hours=1.5) for one in scenarios]
    days = [(begin - BEGIN).total_seconds() / 86400.0 for begin in begins]
    assert days == [3 + 9 / 24, 4 + 20 / 24, 5 + 9 / 24, 7 + 9 / 24, 9 + 9 / 24]
    assert {one.storefront for one in scenarios} == {SHOP}
    assert {one.group for one in scenarios} == {"shop"}
    assert len({one.name for one in scenarios}) == 5
    assert remarks == ()


def test_nothing_is_known_of_what_comes():
    scenarios, _ = made(Given((SHOP,), (campaign(recurrence="FREQ=DAILY"),)), ask=lambda r: answer(r, 1.0))
    last = scenarios[-1]
    for one in scenarios:
        assert one.history.start + timedelta(seconds=300.0 * len(one.history.values)) <= one.start
        assert all(window.occurrence.end <= one.start for window in one.past)
        assert all(tail_end(lesson.window) <= one.start for lesson in one.experience)
    assert (len(scenarios[0].past), scenarios[0].last_peak_rps) == (0, None)
    assert len(last.past) == 6 and last.experience
    assert last.last_peak_rps == pytest.approx(max(trace().values))


def test_a_shop_without_storefront_is_sized_by_the_trace():
    (one,), _ = made(Given(campaigns=(campaign(),)))
    (web,) = one.storefront.tiers
    assert 39 <= max(trace().values[: 3 * 288]) / web.capacity_per_replica_rps <= 42


def test_events_with_a_storefront_and_without():
    bare, remarks = made(Given(), happened(3, 5))
    shop, _ = made(Given((SHOP,)), happened(3, 5))
    assert remarks == ()
    assert [one.start for one in bare] == [one.start for one in shop]
    assert [len(one.storefront.tiers) for one in (*bare, *shop)] == [1, 1, 2, 2]


def test_campaigns_go_before_events_and_events_before_nothing():
    both, remarks = made(Given((SHOP,), (campaign(),)), happened(3, 5))
    assert (len(both), remarks) == (1, ("--events is left aside: the Campaigns say what was declared",))
    elsewhere, remarks = made(Given((SHOP,), (campaign(day=400),)), happened(3, 5))
    assert len(elsewhere) == 2
    assert remarks[0].startswith("no occurrence of the Campaigns lies inside the trace")


def test_without_any_campaign_the_days_are_simulated():
    days, remarks = made(Given((SHOP,)), series=trace(4))
    assert [one.start + timedelta(hours=0.5) for one in days] == [BEGIN + timedelta(days=day) for day in (1, 2, 3)]
    assert all(one.campaigns == () and one.ticks * one.tick_seconds == 24.5 * 3600.0 for one in days)
    assert remarks == ("no Campaign and no --events: the days of the trace are simulated without any",)
    (short,), _ = made(Given(), series=trace(0.25))
    assert short.ticks > short.judged_from > 0


def test_at_most_so_many_scenarios_and_the_user_is_told():
    daily = campaign(day=1, recurrence="FREQ=DAILY", hours=0.5)
    year = trace(260, step=3600.0)
    scenarios, remarks = made(Given((SHOP,), (daily,)), series=year)
    assert len(scenarios) == MOST_SCENARIOS
    assert remarks == (f"259 scenarios: only the last {MOST_SCENARIOS} are simulated",)
    few, _ = made(Given((SHOP,), (daily,)), series=year, first=3)
    assert [one.name for one in few] == [one.name for one in scenarios[:3]]


def test_a_campaign_of_weeks_has_wider_ticks():
    (one,), _ = made(Given((SHOP,), (campaign(day=2, hours=20 * 24.0),)), series=trace(40))
    assert one.tick_seconds == 60.0
    (short,), _ = made(Given((SHOP,), (campaign(),)))
    assert short.tick_seconds == 5.0


def test_scenarios_end_where_the_trace_does():
    (one,), _ = made(Given((SHOP,), (campaign(day=0, hour=1, hours=1.0),)), series=trace(0.125))
    assert (one.start, one.ticks * one.tick_seconds) == (BEGIN, 10800.0)


def test_the_lead_time_goes_for_every_tier():
    (one,), _ = made(Given((SHOP,), (campaign(),)), lead_time_seconds=42.0)
    assert [part.lead_time_seconds for part in one.storefront.tiers] == [42.0, 42.0]


def test_a_tier_has_no_more_replicas_than_its_pool_holds():
    gpu = tier("gpu", accelerator=Accelerator("nvidia.com/gpu", 4, "a10"), min_replicas=3, max_replicas=60)
    shop = replace(SHOP, tiers=(gpu, tier()))
    policy = CapacityPolicy(pools=(Pool("a10", "nvidia.com/gpu", 10),))
    (one,), _ = made(Given((shop,), (campaign(),), policy))
    assert [(part.min_replicas, part.max_replicas) for part in one.storefront.tiers] == [(2, 2), (2, 1000)]
    (free,), _ = made(Given((shop,), (campaign(),)))
    assert free.storefront.tiers == shop.tiers


def test_nobody_waits_for_an_approval_and_what_is_suspended_stays_out():
    asks, off = campaign(mode=Mode.APPROVAL), campaign(day=4, name="off", suspend=True)
    (one,), _ = made(Given((SHOP,), (asks, off)))
    assert [(found.key.name, found.mode) for found in one.campaigns] == [("sale", Mode.AUTOMATIC)]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Given((replace(SHOP, tiers=(tier(), tier("db", capacity_per_replica_rps=None))),)), "db: capacityPerReplica"),
        (Given((SHOP, SHOP)), "Storefront: 2 found"),
        (
            Given((SHOP,), (campaign(storefront="other"),)),
            r"sale: spec.storefrontRef.name: .* no Storefront shop/other",
        ),
        (Given((SHOP,), (campaign(day=400),)), "no occurrence of sale lies inside the trace, which begins 2026-03-02"),
        (Given((SHOP,), (campaign(day=9, hour=23, hours=4.0),)), "no occurrence of sale"),
    ],
)
def test_what_cannot_be_simulated_is_said_in_one_line(given, words):
    with pytest.raises(InputError, match=words) as error:
        made(given)
    assert "\n" not in str(error.value)


def test_events_outside_the_trace_are_refused():
    with pytest.raises(InputError, match="none of 1 events lies inside the trace with a day before it"):
        made(Given(), happened(300))


def test_demand_beyond_all_numbers_is_refused():
    shop = replace(SHOP, tiers=(tier(capacity_per_replica_rps=1e-12),))
    with pytest.raises(InputError, match="tier web: the demand is that of more than"):
        made(Given((shop,), (campaign(),)))
