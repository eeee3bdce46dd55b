"""What a pool has and who holds it, from objects as the API server has them."""

import pytest

from forerun.domain.policy import Pool
from forerun.domain.stock import Stock
from forerun.signals.stock import Devices, devices_of, holder_of, node_of, quotas_of, requests_of, stock_of, whole

GPU = "nvidia.com/gpu"
POOL = Pool("a10", GPU, 64)


def node(name, gpus="8", ready="True", labels=None, **spec):
    allocatable = {"cpu": "32", **({GPU: gpus} if gpus else {})}
    status = {"allocatable": allocatable, "conditions": [{"type": "Ready", "status": ready}]}
    return node_of({"metadata": {"name": name, "labels": labels or {}}, "spec": spec, "status": status})


def pod(name, on="a", gpus="1", labels=None, phase="Running", namespace="shop", **metadata):
    container = {"name": "main", "resources": {"limits": {GPU: gpus}}}
    return {
        "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}", "labels": labels or {}, **metadata},
        "spec": {"nodeName": on, "containers": [container]},
        "status": {"phase": phase},
    }


def held(*pods):
    found = (holder_of(raw, lambda namespace, labels: labels.get("app") == "reco") for raw in pods)
    return [holder for holder in found if holder is not None]


def test_nodes_that_take_pods_count_and_pods_of_others_do_not():
    nodes = [node("a"), node("b"), node("cordoned", unschedulable=True), node("lost", ready="Unknown"), node("cpu", "")]
    pods = held(
        pod("ours", labels={"app": "reco"}),
        pod("theirs", gpus="3"),
        pod("going", on="b", deletionTimestamp="2026-11-27T12:00:00Z"),
        pod("over", phase="Succeeded"),
        pod("elsewhere", on="lost"),
        pod("waiting", on=None),
    )
    stock = stock_of(POOL, nodes, pods, Devices())
    assert stock == Stock("a10", GPU, there=16, others=4)
    assert stock.ours == 12


def test_a_pool_has_the_nodes_with_its_labels():
    nodes = [node("a", labels={"gpu": "a10"}), node("b", labels={"gpu": "h100"})]
    labelled = Pool("a10", GPU, 64, (("gpu", "a10"),))
    assert stock_of(labelled, nodes, held(pod("theirs", on="b")), Devices()) == Stock("a10", GPU, 8, 0)


def test_pods_that_cannot_be_read_are_unknown_and_not_none():
    assert stock_of(POOL, [node("a")], None, Devices()).ours is None


def test_sidecars_add_up_and_init_containers_do_not():
    spec = {
        "containers": [{"resources": {"requests": {GPU: "1"}}}, {"resources": {"limits": {GPU: "1", "cpu": "4"}}}],
        "initContainers": [
            {"resources": {"limits": {GPU: "1"}}, "restartPolicy": "Always"},
            {"resources": {"limits": {GPU: "2"}}},
        ],
    }
    assert requests_of(spec) == {GPU: 3}


def piece(driver="gpu.nvidia.com", of="a", devices=2, generation=1, slices=1, **more):
    pool = {"name": of, "generation": generation, "resourceSliceCount": slices}
    found = [{"name": f"gpu-{number}"} for number in range(devices)]
    return {"spec": {"driver": driver, "nodeName": of, "pool": pool, "devices": found, **more}}


DRA = Pool("a10", GPU, 64, device_driver="gpu.nvidia.com")


def test_devices_count_where_nodes_do_not_count_them():
    nodes = [node("a", gpus=""), node("b"), node("c", gpus="")]
    slices = [piece(of="a", devices=4), piece(of="b", devices=8), piece(of="c", devices=9, driver="nic.example.com")]
    old = piece(of="a", devices=7, generation=0)
    claims = [
        {
            "status": {
                "reservedFor": [{"uid": uid}],
                "allocation": {"devices": {"results": [{"driver": DRA.device_driver}]}},
            }
        }
        for uid in ("uid-ours", "uid-theirs")
    ]
    devices = devices_of([old, *slices], claims, frozenset({"uid-ours"}))
    assert stock_of(DRA, nodes, [], devices) == Stock("a10", GPU, there=12, others=1)


@pytest.mark.parametrize(
    "slices",
    [
        [piece(slices=2)],
        [piece(sharedCounters=[{"name": "memory"}])],
    ],
    ids=["half published", "partitions"],
)
def test_devices_that_cannot_be_counted_are_unknown(slices):
    stock = stock_of(DRA, [node("a", gpus="")], [], devices_of(slices, [], frozenset()))
    assert stock.ours is None
    assert "cannot be counted" in stock.detail


def test_a_tainted_device_is_not_there():
    tainted = piece(devices=1)
    tainted["spec"]["devices"][0]["taints"] = [{"key": "broken", "effect": "NoSchedule"}]
    assert devices_of([tainted], [], frozenset()).offered == ()


def test_a_quota_on_all_pods_counts_and_a_scoped_one_does_not():
    status = {"hard": {f"requests.{GPU}": "12", "pods": "40"}, "used": {f"requests.{GPU}": "5"}}
    assert quotas_of({"spec": {}, "status": status}) == {GPU: (12, 5)}
    assert quotas_of({"spec": {"scopes": ["BestEffort"]}, "status": status}) == {}


@pytest.mark.parametrize(("text", "number"), [("8", 8), ("1k", 1000), ("0", 0), ("x", None), ("-1", None), ("", None)])
def test_quantities(text, number):
    assert whole(text) == number
