from datetime import timedelta

import pytest
import yaml
from tests.unit.demo.conftest import START, event, steady

from forerun.api.convert import campaign_from, metrics_source_from, policy_from, storefront_from
from forerun.domain.campaign import Campaign
from forerun.domain.policy import MetricsSource, Policy
from forerun.domain.storefront import Storefront, TierRelease
from forerun.sandbox.demo import shop
from forerun.sandbox.demo.scenario import make_scenario


def documents(text):
    return {f"{raw['kind']}/{raw['metadata']['name']}": raw for raw in yaml.safe_load_all(text)}


def test_our_kinds_are_accepted_and_say_what_the_scenario_says(scenario):
    found = documents(shop.storefront(scenario, "http://127.0.0.1:9090"))
    source = metrics_source_from(found["MetricsSource/default"], None)
    policy = policy_from(found["CapacityPolicy/demo"])
    parsed = storefront_from(found["Storefront/main"])
    assert isinstance(source, MetricsSource)
    assert isinstance(policy, Policy)
    assert isinstance(parsed, Storefront)
    assert parsed.query == shop.QUERY
    for tier in scenario.tiers:
        theirs = parsed.tier(tier.name)
        assert theirs.capacity_per_replica_rps == pytest.approx(tier.capacity_rps)
        assert (theirs.max_replicas, theirs.release) == (tier.kind.max_replicas, TierRelease.GRADUAL)
        assert theirs.target.name == tier.kind.target


@pytest.mark.parametrize("rps", [0.02, 100.0, 2_000_000.0])
def test_every_scale_makes_manifests(rps):
    scenario = make_scenario(steady(rps=rps), [event()], speed=10.0)
    found = documents(shop.workloads(scenario))
    target = found["HorizontalPodAutoscaler/recommender-gpu"]["spec"]["metrics"][0]["external"]["target"][
        "averageValue"
    ]
    thousandths = int(target.removesuffix("m"))
    assert rps * 1000 / thousandths <= 3.0
    assert not isinstance(
        storefront_from(documents(shop.storefront(scenario, "http://127.0.0.1:1"))["Storefront/main"]), str
    )
    gpu = found["Deployment/recommender-gpu"]["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert gpu == {"nvidia.com/gpu": "1"}


def test_the_campaign_and_those_before_it():
    events = [event("drop", START - timedelta(days=1)), event("drop", START - timedelta(days=2)), event("Drop!")]
    scenario = make_scenario(steady(), events, speed=10.0, wanted="3", multiplier=7.0)
    campaign = campaign_from(documents(shop.campaign(scenario, START))["Campaign/drop"])
    assert isinstance(campaign, Campaign)
    assert campaign.expected.multiplier == 7.0
    past = documents(shop.past_campaigns(scenario, START))
    assert sorted(past) == ["Campaign/drop-2", "Campaign/drop-3"]
    parsed = [campaign_from(raw) for raw in past.values()]
    assert all(isinstance(found, Campaign) and found.expected.multiplier is None for found in parsed)
