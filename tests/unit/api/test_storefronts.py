"""Storefront objects: order of tiers, defaults, and targets that belong to one tier."""

import pytest

from forerun.api.convert import storefront_from
from forerun.domain.reason import Refusal
from forerun.domain.storefront import Accelerator, Role, Storefront, TargetRef, TierRelease


def tier(name, **more):
    return {
        "name": name,
        "role": "Web",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "maxReplicas": 10,
        **more,
    }


def with_tiers(storefront, *tiers):
    storefront["spec"]["tiers"] = list(tiers)
    return storefront_from(storefront)


def test_the_sample(storefront):
    found = storefront_from(storefront)

    assert isinstance(found, Storefront)
    assert [tier.name for tier in found.tiers] == ["cache", "recommender", "recommender-distilled", "ingress"]
    cache = found.tier("cache")
    assert cache.target == TargetRef("apps/v1", "StatefulSet", "valkey")
    assert (cache.role, cache.release) == (Role.CACHE, TierRelease.GRADUAL)
    assert (cache.capacity_per_replica_rps, cache.demand_per_request) == (20_000.0, 3.0)
    assert (cache.min_replicas, cache.max_replicas, cache.lead_time_seconds) == (2, 12, 300.0)
    assert found.tier("recommender").accelerator == Accelerator("nvidia.com/gpu", 1, "a10")
    assert (found.metrics_source, found.unit) == ("default", "requests")


def test_without_depends_on_each_tier_waits_for_the_one_before(storefront):
    found = with_tiers(storefront, tier("a"), tier("b"), tier("c"), tier("d", dependsOn=[]))

    assert [(tier.name, tier.depends_on) for tier in found.tiers] == [
        ("a", ()),
        ("b", ("a",)),
        ("c", ("b",)),
        ("d", ()),
    ]


def test_tiers_are_ordered_by_what_they_depend_on_and_otherwise_stay(storefront):
    found = with_tiers(
        storefront,
        tier("web", dependsOn=["cache", "db"]),
        tier("edge", dependsOn=["web"]),
        tier("static", dependsOn=[]),
        tier("cache", dependsOn=["db"]),
        tier("db", dependsOn=[]),
    )

    assert [tier.name for tier in found.tiers] == ["static", "db", "cache", "web", "edge"]


@pytest.mark.parametrize(
    ("role", "kept"), [("Cache", True), ("Database", True), ("Web", False), ("Recommender", False), ("Ingress", False)]
)
def test_what_would_lose_data_is_kept_unless_asked(storefront, role, kept):
    found = with_tiers(storefront, tier("a", role=role), tier("b", role=role, release="Gradual"))

    assert found.tier("a").release is (TierRelease.NEVER if kept else TierRelease.GRADUAL)
    assert found.tier("b").release is TierRelease.GRADUAL


def test_what_is_not_said_is_to_be_learnt(storefront):
    (found,) = with_tiers(storefront, tier("a")).tiers

    assert found.capacity_per_replica_rps is None
    assert found.min_replicas is None
    assert (found.demand_per_request, found.lead_time_seconds) == (1.0, 300.0)


@pytest.mark.parametrize(
    ("tiers", "field", "said"),
    [
        ([tier("a", dependsOn=["a"])], "spec.tiers[0].dependsOn", "circle"),
        (
            [tier("a", dependsOn=["c"]), tier("b", dependsOn=["a"]), tier("c", dependsOn=["b"])],
            "spec.tiers[0].dependsOn",
            "circle",
        ),
        # b depends on a without saying so
        ([tier("a", dependsOn=["b"]), tier("b")], "spec.tiers[0].dependsOn", "the one before it"),
        # x waits for the circle, but is none of it
        (
            [tier("x", dependsOn=["a"]), tier("a", dependsOn=["b"]), tier("b", dependsOn=["a"])],
            "spec.tiers[1].dependsOn",
            "back to a",
        ),
        ([tier("a"), tier("b", dependsOn=["z"])], "spec.tiers[1].dependsOn", "names z"),
        ([tier("a"), tier("a")], "spec.tiers[1].name", "twice"),
        ([tier("a", minReplicas=11)], "spec.tiers[0].maxReplicas", "which is 11"),
        ([tier("a", maxReplicas=0)], "spec.tiers[0].maxReplicas", "from 1"),
        ([tier("a", capacityPerReplica="0")], "spec.tiers[0].capacityPerReplica", "above 0"),
        ([tier("a", leadTime="0s")], "spec.tiers[0].leadTime", "1s"),
        (
            [tier("a", fallback=[{"name": "f", "targetRef": tier("a")["targetRef"]}])],
            "spec.tiers[0].fallback[0].targetRef",
            "twice",
        ),
        (
            [tier("a"), tier("b", targetRef={"apiVersion": "apps/v1beta2", "kind": "Deployment", "name": "a"})],
            "spec.tiers[1].targetRef",
            "twice",
        ),
        ([tier(f"t{i}") for i in range(17)], "spec.tiers", "at most 16"),
        ([tier("a", query="")], "spec.tiers[0].query", "PromQL"),
        ([tier("a", targetRef={"kind": "Deployment", "name": "a"})], "spec.tiers[0].targetRef.apiVersion", "required"),
    ],
)
def test_misfits(storefront, tiers, field, said):
    found = with_tiers(storefront, *tiers)

    assert isinstance(found, Refusal)
    assert found.field == field
    assert said in found.remedy


def test_any_scalable_kind_may_be_a_target_and_groups_tell_them_apart(storefront):
    rollout = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "a"}
    other = {"apiVersion": "example.org/v1", "kind": "Rollout", "name": "a"}

    found = with_tiers(storefront, tier("a", targetRef=rollout), tier("b", targetRef=other))

    assert isinstance(found, Storefront)
