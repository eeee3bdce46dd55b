from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from forerun.controllers.index import Index
from forerun.domain.campaign import Key
from forerun.domain.reason import Refusal

SAMPLES = Path(__file__).parents[3] / "manifests" / "samples"
MAIN, OUTLET = Key("shop", "main"), Key("shop", "outlet")
SALE = Key("shop", "sale")


def sample(kind):
    for path in sorted(SAMPLES.glob("*.yaml")):
        for raw in yaml.safe_load_all(path.read_text()):
            if raw["kind"] == kind:
                return raw
    raise LookupError(kind)


def stored(kind, name, *, version=1, generation=1, uid=None, created="2026-11-01T00:00:00Z", **spec):
    """A sample as the API server would have it, some fields of its spec changed."""
    raw = deepcopy(sample(kind))
    raw["spec"] |= spec
    raw["metadata"] |= {
        "name": name,
        "uid": uid or f"{kind}-{name}",
        "resourceVersion": str(version),
        "generation": generation,
        "creationTimestamp": created,
    }
    return raw


def sale(storefront="main", **more):
    return stored("Campaign", "sale", storefrontRef={"name": storefront}, **more)


def workload(name="nginx-ingress", *, version=1, replicas=2, ready=2, uid="w-1"):
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop", "uid": uid, "resourceVersion": str(version)},
        "spec": {"replicas": replicas},
        "status": {"observedGeneration": 1, "readyReplicas": ready},
    }


def autoscaler(name="web", *, version=1, minimum=2, target="nginx-ingress"):
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": "shop", "uid": f"a-{name}", "resourceVersion": str(version)},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            "minReplicas": minimum,
            "maxReplicas": 20,
        },
    }


@pytest.fixture
def index():
    return Index()


def settled(index, *raws):
    """The index with these objects, and everything that they made dirty looked at."""
    for raw in raws:
        index.upsert(deepcopy(raw))
    index.dirty.clear()
    return index


def dirtied_by(index, raw):
    index.dirty.clear()
    index.upsert(deepcopy(raw))
    return index.dirty


# ---------------------------------------------------------------- versions


@pytest.mark.parametrize("version", [8, 9])
def test_an_older_or_equal_version_is_ignored(index, version):
    settled(index, sale(version=9, generation=2, priority=7))
    assert dirtied_by(index, sale(version=version, generation=1, priority=1)) == set()
    assert index.campaigns[SALE].value.priority == 7


def test_versions_are_numbers_and_not_text(index):
    settled(index, sale(version=9, priority=1))
    assert dirtied_by(index, sale(version=10, generation=2, priority=7)) == {MAIN}
    assert index.campaigns[SALE].value.priority == 7


@pytest.mark.parametrize(
    ("kind", "records", "key"),
    [
        ("Storefront", "storefronts", MAIN),
        ("CapacityPolicy", "policies", "main"),
        ("MetricsSource", "sources", "main"),
    ],
)
def test_every_kind_of_ours_ignores_older_versions(index, kind, records, key):
    settled(index, stored(kind, "main", version=9, generation=2), stored(kind, "main", version=8))
    assert getattr(index, records)[key].raw["metadata"]["resourceVersion"] == "9"


def test_a_new_incarnation_counts_whatever_its_version(index):
    settled(index, sale(version=900, priority=1))
    anew = sale(version=10, uid="u-2", created="2026-11-02T00:00:00Z", priority=7)
    assert dirtied_by(index, anew) == {MAIN}
    assert dirtied_by(index, sale(version=901, priority=2)) == set()  # the old one, late
    assert index.campaigns[SALE].value.priority == 7


def test_our_own_status_coming_back_is_nothing_to_do(index):
    settled(index, sale(version=1))
    echo = sale(version=2)
    echo["status"] = {"phase": "Scheduled"}
    assert dirtied_by(index, echo) == set()
    assert index.campaigns[SALE].raw["status"] == {"phase": "Scheduled"}


def test_a_wish_in_an_annotation_is_looked_at(index):
    settled(index, sale(version=1))
    wish = sale(version=2)
    wish["metadata"]["annotations"] = {"forerun.dev/release": "*@2026-11-27T12:00:00+00:00"}
    assert dirtied_by(index, wish) == {MAIN}


# ---------------------------------------------------------------- campaigns


def test_a_campaign_moved_to_another_storefront_concerns_both(index):
    settled(index, sale("main"))
    assert dirtied_by(index, sale("outlet", version=2, generation=2)) == {MAIN, OUTLET}
    assert index.campaigns_of(MAIN) == []
    assert [record.value.key for record in index.campaigns_of(OUTLET)] == [SALE]


def test_a_campaign_that_becomes_invalid_leaves_its_storefront(index):
    settled(index, sale())
    broken = sale(version=2, generation=2, schedule={"timeZone": "Mars/Olympus", "start": "2026-11-27T08:00:00"})
    assert dirtied_by(index, broken) == {MAIN}
    assert index.campaigns_of(MAIN) == []
    assert isinstance(index.campaigns[SALE].parsed, Refusal)
    assert index.unreported == {("Campaign", SALE)}
    assert dirtied_by(index, sale(version=3, generation=3)) == {MAIN}
    assert index.unreported == set()


def test_a_deleted_campaign_is_forgotten_and_its_storefront_looked_at(index):
    settled(index, sale())
    index.remove(sale(version=2))
    assert index.dirty == {MAIN}
    assert (index.campaigns, index.campaigns_of(MAIN)) == ({}, [])


# ---------------------------------------------------------------- claims of targets


def test_a_target_is_its_who_claimed_it_first(index):
    elder = stored("Storefront", "outlet", created="2026-11-01T00:00:00Z")
    younger = stored("Storefront", "main", created="2026-11-02T00:00:00Z")
    settled(index, younger, elder)  # the order of arrival says nothing
    assert index.claimed_by_other(MAIN, "Deployment", "nginx-ingress") == OUTLET
    assert index.claimed_by_other(OUTLET, "Deployment", "nginx-ingress") is None
    assert index.claimed_by_other(MAIN, "Deployment", "of-nobody") is None


def test_of_the_same_age_the_name_decides(index):
    settled(index, stored("Storefront", "outlet"), stored("Storefront", "main"))
    assert index.claimed_by_other(OUTLET, "Deployment", "nginx-ingress") == MAIN
    assert index.claimed_by_other(MAIN, "Deployment", "nginx-ingress") is None


def test_another_namespace_is_another_target(index):
    elsewhere = stored("Storefront", "main", created="2026-10-01T00:00:00Z")
    elsewhere["metadata"]["namespace"] = "other"
    settled(index, elsewhere, stored("Storefront", "main"))
    assert index.claimed_by_other(MAIN, "Deployment", "nginx-ingress") is None


def test_a_deleted_storefront_frees_its_targets_for_the_next(index):
    elder = stored("Storefront", "outlet")
    settled(index, elder, stored("Storefront", "main", created="2026-11-02T00:00:00Z"))
    index.remove(elder)
    assert index.dirty == {MAIN, OUTLET}
    assert index.claimed_by_other(MAIN, "Deployment", "nginx-ingress") is None


def test_a_storefront_that_lets_go_of_a_target_tells_the_next(index):
    elder = stored("Storefront", "outlet")
    settled(index, elder, stored("Storefront", "main", created="2026-11-02T00:00:00Z"))
    less = stored("Storefront", "outlet", version=2, generation=2, tiers=elder["spec"]["tiers"][:1])
    assert dirtied_by(index, less) == {MAIN, OUTLET}
    assert index.claimed_by_other(MAIN, "Deployment", "nginx-ingress") is None
    assert index.claimed_by_other(MAIN, "StatefulSet", "valkey") == OUTLET


# ---------------------------------------------------------------- what else marks a Storefront


@pytest.mark.parametrize("kind", ["CapacityPolicy", "MetricsSource"])
def test_what_holds_for_all_concerns_all(index, kind):
    settled(index, stored("Storefront", "main"), stored("Storefront", "outlet"))
    assert dirtied_by(index, stored(kind, "default")) == {MAIN, OUTLET}
    index.dirty.clear()
    index.remove(stored(kind, "default"))
    assert index.dirty == {MAIN, OUTLET}
    assert index.record(kind, Key("", "default")) is None


def test_a_deleted_plan_is_looked_at(index):
    plan = {
        "apiVersion": "forerun.dev/v1alpha1",
        "kind": "CapacityPlan",
        "metadata": {"name": "main", "namespace": "shop", "uid": "p-1", "resourceVersion": "1", "generation": 1},
        "spec": {"steps": []},
    }
    settled(index, plan)
    index.remove(plan)
    assert (index.dirty, index.plans) == ({MAIN}, {})


def test_a_workload_marks_the_storefronts_that_claim_it(index):
    settled(index, stored("Storefront", "main"), workload(version=5))
    assert dirtied_by(index, workload("of-nobody", ready=1)) == set()
    assert dirtied_by(index, workload(version=6)) == set()  # nothing that counts has changed
    assert dirtied_by(index, workload(version=7, ready=1)) == {MAIN}
    assert dirtied_by(index, workload(version=6, ready=2)) == set()  # late
    assert index.workloads["Deployment", "shop", "nginx-ingress"].ready == 1
    index.remove(workload(version=8))
    assert index.dirty == {MAIN}
    assert index.workloads.keys() == {("Deployment", "shop", "of-nobody")}


def test_ready_replicas_are_unknown_before_a_controller_has_seen_the_workload(index):
    new = workload()
    new["status"] = {}
    settled(index, new)
    assert index.workloads["Deployment", "shop", "nginx-ingress"].ready is None


def test_an_autoscaler_marks_the_storefront_of_its_target(index):
    settled(index, stored("Storefront", "main"), autoscaler(version=5))
    assert dirtied_by(index, autoscaler(version=4, minimum=1)) == set()
    assert dirtied_by(index, autoscaler(version=6)) == set()
    assert dirtied_by(index, autoscaler(version=7, minimum=9)) == {MAIN}
    index.dirty.clear()
    index.remove(autoscaler(version=8))
    assert index.dirty == {MAIN}


def test_an_autoscaler_is_found_by_the_target_that_it_names_now(index):
    settled(index, autoscaler("web"), autoscaler("second"), autoscaler("web", version=2, target="valkey"))
    found = {
        target: [raw["metadata"]["name"] for raw in index.autoscalers_of("Deployment", "shop", target)]
        for target in ("nginx-ingress", "valkey")
    }
    assert found == {"nginx-ingress": ["second"], "valkey": ["web"]}
    index.remove(autoscaler("second"))
    assert index.autoscalers_of("Deployment", "shop", "nginx-ingress") == []
