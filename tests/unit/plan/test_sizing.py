"""Tables: demand to replicas, quantiles between levels, lead time, order of tiers."""

import math
from dataclasses import replace

import pytest
from tests.properties.plan_world import chain, make_campaign, make_state, make_storefront, make_tier

from forerun.domain.forecast import LEVELS
from forerun.domain.reason import Hold, Reason
from forerun.plan.lead_time import required
from forerun.plan.order import order_of
from forerun.plan.service_level import level_of, quantile_at
from forerun.plan.sizing import filled_replicas, size, wanted_replicas


@pytest.mark.parametrize(
    ("demand", "replicas"),
    [(0, 0), (1, 1), (49, 1), (50, 1), (51, 2), (100, 2), (250, 3), (251, 4), (1000, 11), (10_000, 101)],
)
def test_demand_over_capacity_with_half_a_replica_of_headroom(demand, replicas):
    assert wanted_replicas(make_tier("web", capacity_per_replica_rps=100.0), demand) == replicas


def test_demand_of_a_tier_is_calls_per_request_times_the_door():
    tier = make_tier("cache", capacity_per_replica_rps=100.0, demand_per_request=3.0)
    assert wanted_replicas(tier, 100) == 4
    assert filled_replicas(tier, 100) == 3


@pytest.mark.parametrize(
    ("least", "most", "demand", "replicas"),
    [(None, 50, 0, 1), (3, 50, 0, 3), (3, 50, 1000, 11), (3, 8, 1000, 8), (9, 4, 100, 4), (None, 0, 100, 0)],
)
def test_bounds_of_the_tier(least, most, demand, replicas):
    assert size(make_tier("web", min_replicas=least, max_replicas=most), demand) == replicas


@pytest.mark.parametrize("capacity", [None, 0.0, -1.0, math.nan, math.inf])
def test_an_unknown_capacity_is_held_with_its_remedy(capacity):
    held = size(make_tier("web", capacity_per_replica_rps=capacity), 100)
    assert isinstance(held, Hold)
    assert (held.reason, held.subject) == (Reason.DEMAND_UNKNOWN, "web")
    assert "capacityPerReplica" in held.detail


@pytest.mark.parametrize("demand", [math.nan, math.inf, -1.0, 1e308 * 10])
def test_an_absurd_demand_is_held(demand):
    held = size(make_tier("web"), demand)
    assert isinstance(held, Hold)
    assert held.reason is Reason.METRIC_ABSURD


@pytest.mark.parametrize(
    ("level", "value"),
    [(0.0, 0.5), (0.005, 0.5), (0.5, 50), (0.625, 62.5), (0.99, 99), (0.997, 99.7), (0.999, 99.9), (1.0, 99.9)],
)
def test_quantiles_between_the_levels(level, value):
    row = tuple(100.0 * known for known in LEVELS)
    assert quantile_at(row, level) == pytest.approx(value)


def test_no_level_is_the_lowest():
    assert quantile_at(tuple(100.0 * known for known in LEVELS), math.nan) == 0.5


def test_the_highest_service_level_counts_and_the_policy_fills_in():
    lax, strict = make_campaign("lax", service_level=0.5), make_campaign("strict", service_level=0.999)
    silent = make_campaign("silent")
    assert level_of((lax, strict), 0.99) == 0.999
    assert level_of((lax, silent), 0.99) == 0.99
    assert level_of((lax,), 0.99) == 0.5


def test_the_spike_of_a_peer_is_not_preceded_by_a_dip():
    """Demand 10, 10, 50, 50 with a lead of two: shifting time stamps gives 50, 10, 10, 50."""
    steps = required([(0, 10), (1, 10), (2, 50), (3, 50)], end=4, lead_seconds=2)
    assert steps == [(-2, 10), (0, 50), (4, 0)]


def test_without_a_lead_the_need_itself_is_required():
    assert required([(0, 3), (5, 1), (7, 2)], end=9, lead_seconds=0) == [(0, 3), (5, 1), (7, 2), (9, 0)]
    assert required([(0, 3)], end=9, lead_seconds=-5) == [(0, 3), (9, 0)]


def test_leads_add_up_along_a_chain():
    storefront = chain("database", "cache", "web")
    order = order_of(storefront, {})
    assert order.ahead == {"web": 30 + 120, "cache": 30 + 240, "database": 30 + 360}


def test_in_a_diamond_the_slowest_consumer_counts():
    storefront = make_storefront(
        make_tier("database", lead_time_seconds=10.0),
        make_tier("cache", lead_time_seconds=4.0, depends_on=("database",)),
        make_tier("search", lead_time_seconds=100.0, depends_on=("database",)),
        make_tier("web", lead_time_seconds=2.0, depends_on=("cache", "search")),
    )
    assert order_of(storefront, {}).ahead == {"web": 3, "cache": 7, "search": 103, "database": 113}


def test_a_measured_lead_with_the_controllers_share_replaces_the_declared_one_unless_it_is_no_number():
    storefront = chain("web")
    state = make_state("web")
    assert order_of(storefront, {"web": replace(state, lead_time_seconds=8.0)}).leads == {"web": 13.0}
    assert order_of(storefront, {"web": replace(state, lead_time_seconds=math.nan)}).leads == {"web": 120.0}
    # what a state carries until pods were measured is the declared number itself
    assert order_of(storefront, {"web": state}).leads == {"web": 120.0}
