"""Sizing: more demand never means fewer replicas, and unknown is never a number."""

import math

from hypothesis import strategies as st
from tests.properties.plan_world import anything, demands, given, make_tier, spread

from forerun.domain.forecast import LEVELS
from forerun.domain.reason import Hold
from forerun.plan.service_level import quantile_at
from forerun.plan.sizing import size, wanted_replicas

capacities = st.floats(min_value=0.01, max_value=1e6)


@given(demands, demands, capacities)
def test_more_demand_never_fewer_replicas(one, other, capacity):
    tier = make_tier("web", capacity_per_replica_rps=capacity)
    low, high = sorted((one, other))
    assert wanted_replicas(tier, low) <= wanted_replicas(tier, high)
    assert size(tier, low) <= size(tier, high)


@given(demands, capacities, st.sampled_from([0.1, 1.0, 3.0]))
def test_what_is_wanted_serves_the_demand_with_headroom(demand, capacity, per_request):
    tier = make_tier("web", capacity_per_replica_rps=capacity, demand_per_request=per_request)
    wanted = wanted_replicas(tier, demand)
    if demand == 0:
        assert wanted == 0
    else:
        assert wanted >= 1
        assert wanted * capacity >= demand * per_request * (1 - 1e-9)


@given(anything, anything, anything, st.integers(-5, 100), st.none() | st.integers(-5, 100))
def test_any_value_is_sized_within_bounds_or_held(demand, capacity, per_request, ceiling, least):
    tier = make_tier(
        "web",
        capacity_per_replica_rps=capacity,
        demand_per_request=per_request,
        max_replicas=ceiling,
        min_replicas=least,
    )
    replicas = size(tier, demand)
    if isinstance(replicas, Hold):
        assert replicas.detail
    else:
        assert all(math.isfinite(value) for value in (demand, capacity, per_request))
        assert replicas <= max(ceiling, 0)


@given(demands, anything, anything)
def test_a_higher_service_level_never_asks_for_less(median, one, other):
    row = spread(median)
    low, high = sorted((one, other)) if one == one and other == other else (0.5, 0.9)
    assert row[0] <= quantile_at(row, low) <= quantile_at(row, high) <= row[len(LEVELS) - 1]
