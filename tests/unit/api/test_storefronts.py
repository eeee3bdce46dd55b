"""Storefront objects: order of tiers, defaults, and targets that belong to one tier."""

import pytest

from forerun.api.convert import storefront_from
from forerun.domain.presets import PRESETS
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
    assert [tier.name for tier in found.tiers] == ["cache", "recommender", "ingress"]
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


def ray(kind="RayCluster", **more):
    return tier("reco", targetRef={"apiVersion": "ray.io/v1", "kind": kind, "name": "reco"}, **more)


def own_kind(**field):
    return tier("own", targetRef={"apiVersion": "shop.example/v1", "kind": "Pool", "name": "own"}, scaleField={**field})


def test_a_known_kind_needs_no_scale_field(storefront):
    (found,) = with_tiers(storefront, ray()).tiers
    assert found.field_target.floor.minimum == "/spec/workerGroupSpecs/[groupName]/minReplicas"
    assert not found.field_target.is_declared


def test_a_worker_group_may_be_named(storefront):
    (found,) = with_tiers(storefront, ray(scaleField={"element": "gpu"})).tiers
    assert found.field_target.floor.minimum == "/spec/workerGroupSpecs/[groupName=gpu]/minReplicas"
    assert found.field_target.floor.maximum == "/spec/workerGroupSpecs/[groupName=gpu]/maxReplicas"
    assert ("ray.io/group", "gpu") in found.field_target.pod_labels


def test_any_kind_with_a_declared_field(storefront):
    field = {
        "minReplicas": "/spec/pools/[name=a]/min",
        "maxReplicas": "/spec/pools/[name=a]/max",
        "ready": "/status/ready",
        "podLabels": {"app": "own"},
    }
    (found,) = with_tiers(storefront, own_kind(**field)).tiers
    target = found.field_target
    assert (target.floor.minimum, target.floor.maximum) == (field["minReplicas"], field["maxReplicas"])
    assert (target.ready, target.pod_labels) == ("/status/ready", (("app", "own"),))
    assert (target.is_declared, target.floor.is_count) == (True, False)


def test_a_count_is_no_floor(storefront):
    (found,) = with_tiers(storefront, own_kind(replicas="/spec/size")).tiers
    assert found.field_target.floor.is_count


@pytest.mark.parametrize("preset", [key for key, preset in PRESETS.items() if preset.is_stateful])
def test_no_stateful_kind_is_shrunk_unless_asked(storefront, preset):
    group, kind = preset
    target = {"apiVersion": f"{group}/v1", "kind": kind, "name": "store"}
    found = with_tiers(
        storefront,
        tier("store", role="Custom", targetRef=target),
        tier("asked", role="Custom", targetRef={**target, "name": "asked"}, release="Gradual"),
        tier(
            "declared",
            role="Custom",
            targetRef={**target, "name": "declared"},
            scaleField={"replicas": PRESETS[preset].floor.minimum},
        ),
    )
    assert [tier.release for tier in found.tiers] == [TierRelease.NEVER, TierRelease.GRADUAL, TierRelease.NEVER]


@pytest.mark.parametrize(
    ("made", "field", "said"),
    [
        (own_kind(), "scaleField", "Pool is no known kind: name the field"),
        (own_kind(minReplicas="/spec/a", replicas="/spec/b"), "scaleField", "not both"),
        (own_kind(replicas="/spec/a", maxReplicas="/spec/b"), "scaleField.maxReplicas", "goes with minReplicas"),
        (own_kind(replicas="/spec/a", element="x"), "scaleField.element", "[key=value]"),
        (own_kind(replicas="/status/a"), "scaleField.replicas", "into spec or metadata/annotations"),
        (own_kind(replicas="spec.a"), "scaleField.replicas", "JSON pointer"),
        (own_kind(replicas="/spec"), "scaleField.replicas", "JSON pointer"),
        (own_kind(replicas="/spec/a~2"), "scaleField.replicas", "JSON pointer"),
        (own_kind(replicas="/metadata/labels/a"), "scaleField.replicas", "JSON pointer"),
        (own_kind(replicas="/metadata/annotations/forerun.dev~1ledger"), "scaleField.replicas", "of Forerun"),
        (own_kind(replicas="/spec/a", ready="/spec/b"), "scaleField.ready", "into status"),
        (ray(kind="RayJob", scaleField={"element": "gpu"}), "scaleField.element", "RayCluster and RayService only"),
        (tier("web", scaleField={"replicas": "/spec/replicas"}), "scaleField", "is not for Deployment"),
        (
            tier(
                "web",
                targetRef={"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "web"},
                scaleField={"minReplicas": "/spec/minReplicas"},
            ),
            "scaleField",
            "is not for HorizontalPodAutoscaler",
        ),
    ],
)
def test_misfits_of_a_scale_field(storefront, made, field, said):
    found = with_tiers(storefront, made)
    assert isinstance(found, Refusal)
    assert found.field == f"spec.tiers[0].{field}"
    assert said in found.remedy
