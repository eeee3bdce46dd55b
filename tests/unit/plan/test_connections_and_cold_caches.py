"""A tier's second measure, new connections, and what it takes while the cache in front of it is cold."""

import pytest
from hypothesis import strategies as st
from tests.properties.plan_world import (
    NOON,
    at,
    given,
    make_campaign,
    make_entry,
    make_forecast,
    make_state,
    make_storefront,
    make_tier,
)

from forerun.domain.observation import Sample
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Connections, Role
from forerun.domain.warm_up import Warmth, WarmUp
from forerun.plan.due import decide
from forerun.plan.inputs import DueInput, PlanInput
from forerun.plan.planner import make_plan
from forerun.plan.sizing import wanted_replicas, wanted_when_cold

DROP = make_campaign()


@given(st.floats(0, 1e6), st.floats(0.01, 10), st.floats(1, 1e4))
def test_replicas_are_the_larger_of_both_measures(door, per_request, per_replica):
    plain = make_tier("ingress")
    asked = make_tier("ingress", connections=Connections(per_replica, per_request))
    only_connections = make_tier("ingress", capacity_per_replica_rps=per_replica / per_request)
    both = wanted_replicas(asked, door)
    assert both >= wanted_replicas(plain, door)
    assert both in {wanted_replicas(plain, door), wanted_replicas(only_connections, door)} or door * per_request > 1e9


@pytest.mark.parametrize(
    ("connections", "floor"),
    [
        (Sample(at(4000), 3000.0), 31),
        (Sample(at(4000), 10.0), None),
        (Sample(at(3000), 3000.0), None),  # stale
        (Hold(Reason.METRICS_UNREACHABLE), None),
    ],
)
def test_measured_connections_are_followed_and_silence_raises_nothing(connections, floor):
    tier = make_tier("ingress", connections=Connections(100.0, query="new_connections"))
    state = make_state(tier, 2, 10, connections=connections)
    live = tuple(Sample(at(4000 - 5 * n), 900.0) for n in range(4, -1, -1))
    given_now = DueInput(
        at(4000), make_storefront(tier), None, (DROP,), (state,), live, ledger=(make_entry("ingress", 10),)
    )
    raised = [outcome.floor for outcome in decide(given_now) if not isinstance(outcome, Hold) and outcome.floor > 10]
    assert raised == ([floor] if floor else [])


def behind_a_cache(**cache):
    database = make_tier("database", role=Role.DATABASE, demand_per_request=0.1, cold_demand_per_request=2.0)
    return make_storefront(database, make_tier("cache", role=Role.CACHE, depends_on=("database",), **cache))


def planned(shop, demands=(500, 900, 900), baselines=(2, 2)):
    tiers = tuple(make_state(tier, baseline) for tier, baseline in zip(shop.tiers, baselines, strict=True))
    plan = make_plan(PlanInput(NOON, shop, (DROP,), make_forecast((3600, 1200, demands)), tiers=tiers))
    return max((step.floor for step in plan.steps if step.tier == "database"), default=2)


def test_the_tier_behind_is_ready_for_the_start_as_if_the_cache_were_cold():
    assert planned(behind_a_cache()) == 11  # 500/s x 2 calls / 100, and headroom
    assert planned(behind_a_cache(), baselines=(2, 40)) == 2  # a cache that does not grow stays warm


def test_while_the_cache_is_cold_live_demand_is_counted_so():
    shop = behind_a_cache(warm_up=WarmUp(hit_ratio_query="q", min_hit_ratio=0.9))
    live = tuple(Sample(at(4000 - 5 * n), 900.0) for n in range(4, -1, -1))

    def floors(warmth):
        tiers = (make_state("database", 2, 11), make_state("cache", 2, 10, warmth=warmth))
        ledger = (make_entry("database", 11), make_entry("cache", 10))
        outcomes = decide(DueInput(at(4000), shop, None, (DROP,), tiers, live, ledger=ledger))
        return [o.floor for o in outcomes if not isinstance(o, Hold) and o.tier == "database" and o.floor > 11]

    assert floors(Warmth.TIMED_OUT) == [19]
    assert floors(Warmth.COLD) == [19]
    assert floors(Warmth.WARM) == []


@given(st.floats(0, 1e5))
def test_cold_is_never_less_than_warm(door):
    tier = make_tier("database", demand_per_request=1.0, cold_demand_per_request=0.5)
    assert wanted_when_cold(tier, door) == wanted_replicas(tier, door)
