"""Room ahead of pods on the real API server and scheduler: made, taken by the real pods, changed and cleared."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from forerun.actuators.ahead import rooms, settle_room
from forerun.actuators.ahead_objects import BUFFER_KIND, BUFFER_VERSION, Means, name_of, objects_for
from forerun.domain.campaign import Key
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import CapacityAhead, Provision, Role, TargetRef, Tier
from forerun.kube.cluster import Cluster

WAIT_SECONDS = 60.0
MEANS = Means("registry.example/pause:1", "forerun-placeholder-test")
UNTIL = datetime(2026, 11, 27, 12, tzinfo=UTC)
GPUS = 4
RECO = Tier(
    "reco",
    Role.RECOMMENDER,
    TargetRef("apps/v1", "Deployment", "reco"),
    900.0,
    60,
    ahead=CapacityAhead(pulls_images=True),
)
NAME = "forerun-main-reco"
DEPLOYMENT, DAEMON_SET = ("apps/v1", "Deployment"), ("apps/v1", "DaemonSet")


def workload(replicas):
    """One pod takes as many GPUs as half a node has, so that four of them fill the two GPU nodes."""
    labels = {"app": "reco"}
    pod = {
        "nodeSelector": {"pool": "a10"},
        "containers": [{"name": "c", "image": "shop/reco:3", "resources": {"limits": {"nvidia.com/gpu": str(GPUS)}}}],
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}}
    spec["template"] = {"metadata": {"labels": labels}, "spec": pod}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "reco"}, "spec": spec}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def priority(control_plane):
    """What the chart makes: a PriorityClass below all others."""
    made = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": -10, "preemptionPolicy": "Never"}
    made["metadata"] = {"name": MEANS.priority_class}
    await control_plane.kubectl("apply", "-f", "-", text=json.dumps(made))
    yield
    await control_plane.kubectl("delete", "priorityclass", MEANS.priority_class)


@pytest_asyncio.fixture(loop_scope="session")
async def cluster(control_plane, priority):
    cluster = await Cluster.connect(str(control_plane.kubeconfig))
    yield cluster
    await cluster.close()


@pytest_asyncio.fixture(loop_scope="session")
async def plan(cluster, namespace):
    """The CapacityPlan that the room belongs to."""
    steps = {
        "storefrontRef": {"name": "main"},
        "generatedAt": "2026-11-27T07:00:00Z",
        "horizon": "2026-11-27T12:00:00Z",
    }
    raw = {"apiVersion": "forerun.dev/v1alpha1", "kind": "CapacityPlan", "spec": steps | {"steps": []}}
    return await cluster.create(raw | {"metadata": {"name": "main", "namespace": namespace}})


@pytest.fixture
def settle(cluster, namespace, plan):
    """`await settle(replicas, provision, until)`: as the operator would; the room that then stands."""

    async def settled(replicas, provision=Provision.PLACEHOLDERS, until=UNTIL, image="shop/reco:3"):
        key, target = Key(namespace, "main"), workload(2)
        target["spec"]["template"]["spec"]["containers"][0]["image"] = image
        made = objects_for(plan, key, RECO, target, replicas, until, provision, MEANS) if replicas else []
        assert name_of(key, RECO) == NAME
        return await settle_room(cluster, namespace, NAME, made, "reco")

    return settled


async def eventually(look, wanted):
    """Until `look` answers with `wanted`."""
    async with asyncio.timeout(WAIT_SECONDS):
        while (found := await look()) != wanted:
            await asyncio.sleep(0.1)
    return found


async def test_real_pods_take_the_place_of_placeholders(cluster, kubectl, namespace, settle):
    """Two nodes of eight GPUs hold four placeholders of four; then the target asks for three pods and gets them."""
    assert await settle(4) is None

    async def ready(name):
        return ((await cluster.get(*DEPLOYMENT, namespace, name)).get("status") or {}).get("readyReplicas", 0)

    await eventually(lambda: ready(NAME), 4)
    await kubectl("apply", "-n", namespace, "-f", "-", text=json.dumps(workload(3)))
    await eventually(lambda: ready("reco"), 3)
    assert await ready(NAME) <= 1
    await kubectl("delete", "deploy", "reco", "-n", namespace)


async def test_it_is_changed_where_something_changed_and_else_left_alone(cluster, namespace, settle):
    async def version(kind):
        return (await cluster.get(*kind, namespace, NAME))["metadata"]["generation"]

    assert await settle(2) is None
    before = [await version(kind) for kind in (DEPLOYMENT, DAEMON_SET)]
    assert await settle(2) is None
    assert [await version(kind) for kind in (DEPLOYMENT, DAEMON_SET)] == before
    assert await settle(3, until=UNTIL + timedelta(hours=1)) is None
    changed = await cluster.get(*DEPLOYMENT, namespace, NAME)
    assert changed["spec"]["replicas"] == 3
    assert changed["metadata"]["annotations"]["forerun.dev/expires"] == "2026-11-27T13:00:00Z"
    assert await settle(3, image="shop/reco:4") is None
    volumes = (await cluster.get(*DAEMON_SET, namespace, NAME))["spec"]["template"]["spec"]["volumes"]
    assert [volume["image"]["reference"] for volume in volumes] == ["shop/reco:4"]


async def test_nothing_of_it_is_left(cluster, namespace, settle):
    assert await settle(2) is None
    assert await rooms(cluster, namespace, "main") == {NAME}
    assert await rooms(cluster, namespace, "other") == set()
    assert await settle(0) is None
    await eventually(lambda: rooms(cluster, namespace, "main"), set())


async def test_it_goes_with_the_plan(cluster, namespace, settle, plan):
    """The garbage collector of the real controller manager: nothing of ours is needed for it."""
    assert await settle(2) is None
    await cluster.delete("forerun.dev/v1alpha1", "CapacityPlan", namespace, "main", uid=plan["metadata"]["uid"])
    await eventually(lambda: rooms(cluster, namespace, "main"), set())


async def test_an_object_of_somebody_else_is_left_alone(cluster, kubectl, namespace, settle):
    theirs = workload(1)
    theirs["metadata"]["name"] = NAME
    await kubectl("apply", "-n", namespace, "-f", "-", text=json.dumps(theirs))
    held = await settle(2)
    assert isinstance(held, Hold)
    assert (held.reason, "is not Forerun's" in held.detail) == (Reason.INVALID, True)
    assert await settle(0) is None
    assert (await cluster.get(*DEPLOYMENT, namespace, NAME))["spec"]["replicas"] == 1


async def test_a_buffer_where_the_kind_is_served(cluster, control_plane, namespace, settle):
    """The kind as in cluster-autoscaler's API, with the fields that are written; no autoscaler reads it here."""
    spec = {
        "type": "object",
        "properties": {
            "podTemplateRef": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
            "replicas": {"type": "integer", "format": "int32", "minimum": 0},
        },
    }
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}, "required": ["spec"]}}
    names = {
        "kind": BUFFER_KIND,
        "plural": "capacitybuffers",
        "singular": "capacitybuffer",
        "listKind": "CapacityBufferList",
    }
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": "capacitybuffers.autoscaling.x-k8s.io",
            "annotations": {"api-approved.kubernetes.io": "unapproved, a test's own copy"},
        },
        "spec": {
            "group": "autoscaling.x-k8s.io",
            "scope": "Namespaced",
            "names": names,
            "versions": [{"name": "v1beta1", "served": True, "storage": True, "schema": schema}],
        },
    }
    await control_plane.kubectl("apply", "-f", "-", text=json.dumps(crd))
    try:
        await control_plane.kubectl(
            "wait", "--for=condition=Established", "--timeout=30s", f"crd/{crd['metadata']['name']}"
        )
        await eventually(lambda: cluster.serves(BUFFER_VERSION, BUFFER_KIND), wanted=True)
        assert await settle(5, Provision.BUFFER) is None
        buffer = await cluster.get(BUFFER_VERSION, BUFFER_KIND, namespace, NAME)
        assert buffer["spec"] == {"podTemplateRef": {"name": NAME}, "replicas": 5}
        template = (await cluster.get("v1", "PodTemplate", namespace, NAME))["template"]["spec"]
        assert template["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": str(GPUS)}
        assert await settle(0) is None
        await eventually(lambda: rooms(cluster, namespace, "main"), set())
    finally:
        await control_plane.kubectl("delete", "crd", crd["metadata"]["name"], "--wait=false")
