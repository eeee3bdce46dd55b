"""Floors that are fields of the target, on the real API server: raised, given back whole, and never somebody else's.

The kinds here are schemas of this test that only have the preset's fields; the operators of those kinds do not run.
"""

import asyncio
import json
from copy import deepcopy
from dataclasses import replace

import pytest
import pytest_asyncio
from tests.cluster.test_actuators import NOTE, entry_of

from forerun.actuators import bounds_for, read_target, restore, write_floor
from forerun.domain.fields import FieldTarget, FloorField
from forerun.domain.ledger import Bounds, Owner
from forerun.domain.presets import PRESETS
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import TargetRef
from forerun.domain.target import TargetSnapshot, Written
from forerun.kube.cluster import Cluster

ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
POOL = ("shop.example", "ModelPool")
POOL_SPEC = {"type": "object", "properties": {"size": {"type": "integer"}, "own": {"type": "string"}}}
EXAMPLES = {
    ("serving.kserve.io", "InferenceService"): {"predictor": {"minReplicas": 2, "maxReplicas": 4, "model": {"a": "b"}}},
    ("ray.io", "RayCluster"): {
        "rayVersion": "2.46.0",
        "workerGroupSpecs": [{"groupName": "gpu", "minReplicas": 2, "maxReplicas": 4, "rayStartParams": {"a": "1"}}],
    },
    ("ray.io", "RayService"): {
        "rayClusterConfig": {"workerGroupSpecs": [{"groupName": "gpu", "minReplicas": 2, "maxReplicas": 4}]}
    },
    ("serving.knative.dev", "Service"): {"template": {"spec": {"containers": [{"image": "shop/web:1"}]}}},
    ("dragonflydb.io", "Dragonfly"): {"replicas": 2, "args": ["--cache_mode"]},
    ("redis.redis.opstreelabs.in", "RedisCluster"): {"clusterSize": 3, "kubernetesConfig": {"image": "redis:7"}},
    ("redis.redis.opstreelabs.in", "RedisReplication"): {"clusterSize": 3},
    ("valkey.io", "ValkeyCluster"): {"shards": 3, "replicas": 1},
}


def crd(group, kind, spec):
    plural = kind.lower() + "s"
    schema = {"type": "object", "properties": {"spec": spec, "status": ANYTHING}}
    version = {"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [{**version, "schema": {"openAPIV3Schema": schema}}],
        },
    }


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def kinds(control_plane):
    """The kinds of the presets and one of nobody's; taken away again."""
    made = [crd(group, kind, ANYTHING) for group, kind in PRESETS] + [crd(*POOL, POOL_SPEC)]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": made})
    await control_plane.kubectl("apply", "--server-side", "-f", "-", text=text)
    names = [f"crd/{one['metadata']['name']}" for one in made]
    await control_plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)
    yield
    await control_plane.kubectl("delete", "--wait=false", *names)


@pytest_asyncio.fixture(loop_scope="session")
async def cluster(control_plane, kinds):
    cluster = await Cluster.connect(str(control_plane.kubeconfig))
    yield cluster
    await cluster.close()


@pytest.fixture
def applied(kubectl, namespace):
    """`await applied(group, kind, spec)`: the object as its owner applies it, server-side."""

    async def apply(group, kind, spec):
        raw = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": "reco"}, "spec": spec}
        options = ("apply", "--server-side", "--field-manager=gitops", "-n", namespace, "-f", "-")
        await kubectl(*options, text=json.dumps(raw))
        return TargetRef(f"{group}/v1", kind, "reco")

    return apply


async def read(cluster, namespace, target, kind):
    found = await read_target(cluster, namespace, target, [], kind)
    assert isinstance(found, TargetSnapshot), found
    return found


def shown(raw):
    """What its owner sees of an object: spec, annotations, and who manages what."""
    managed = [
        {key: value for key, value in entry.items() if key != "time"} for entry in raw["metadata"]["managedFields"]
    ]
    return raw["spec"], raw["metadata"].get("annotations"), managed


@pytest.mark.parametrize("known", EXAMPLES, ids=lambda known: known[1])
async def test_every_preset_is_raised_and_given_back_whole(cluster, namespace, applied, known):
    preset, target = PRESETS[known], await applied(*known, EXAMPLES[known])
    before = shown(await cluster.get(target.api_version, target.kind, namespace, target.name))
    snapshot = await read(cluster, namespace, target, preset)
    assert (snapshot.owner, snapshot.owner_ref) == (Owner.FIELD, target)
    bounds = bounds_for(snapshot, 9, 50)
    written = await write_floor(cluster, namespace, snapshot, bounds, NOTE)
    assert isinstance(written, Written), written

    raised = await read(cluster, namespace, target, preset)
    assert raised.bounds.minimum == 9
    assert raised.annotation == NOTE
    assert raised.bounds.maximum is None or raised.bounds.maximum >= 9

    entry = replace(entry_of(snapshot, bounds), floor_field=snapshot.floor_field)
    assert isinstance(await restore(cluster, namespace, raised, entry), Written)
    assert shown(await cluster.get(target.api_version, target.kind, namespace, target.name)) == before


def test_every_preset_has_an_example():
    assert set(EXAMPLES) == set(PRESETS)


SIZE = FieldTarget(FloorField("/spec/size", is_count=True), is_declared=True)


async def test_a_field_that_the_schema_drops_is_told_and_nothing_stands(cluster, namespace, applied):
    target = await applied(*POOL, {"own": "x"})
    typo = FieldTarget(FloorField("/spec/sise"), is_declared=True)
    snapshot = await read(cluster, namespace, target, typo)
    outcome = await write_floor(cluster, namespace, snapshot, Bounds(9, None), NOTE)
    assert isinstance(outcome, Hold)
    assert outcome.reason is Reason.TARGET_NOT_SCALABLE
    assert "ModelPool/reco: /spec/sise: was not kept by the API server" in outcome.detail
    assert (await cluster.get(target.api_version, target.kind, namespace, target.name))["spec"] == {"own": "x"}


async def test_an_absent_field_is_absent_again(cluster, namespace, applied):
    target = await applied(*POOL, {"own": "x"})
    snapshot = await read(cluster, namespace, target, SIZE)
    assert snapshot.bounds == Bounds(None, None)
    assert isinstance(await write_floor(cluster, namespace, snapshot, Bounds(9, None), NOTE), Written)
    entry = replace(entry_of(snapshot, Bounds(9, None)), floor_field=snapshot.floor_field)
    assert isinstance(await restore(cluster, namespace, await read(cluster, namespace, target, SIZE), entry), Written)
    assert (await cluster.get(target.api_version, target.kind, namespace, target.name))["spec"] == {"own": "x"}


async def test_an_edit_of_somebody_else_in_the_same_list_is_not_lost(cluster, namespace, applied):
    """Read, then another group is edited, then written: the guard sees it, and the list is made anew."""
    known = ("ray.io", "RayCluster")
    spec = deepcopy(EXAMPLES[known])
    spec["workerGroupSpecs"].insert(0, {"groupName": "cpu", "minReplicas": 1, "maxReplicas": 3})
    target = await applied(*known, spec)
    preset = PRESETS[known]
    kind = replace(preset, floor=FloorField("/spec/workerGroupSpecs/[groupName=gpu]/minReplicas"))
    snapshot = await read(cluster, namespace, target, kind)
    edited = deepcopy(spec)
    edited["workerGroupSpecs"][0]["maxReplicas"] = 7
    await applied(*known, edited)
    assert isinstance(await write_floor(cluster, namespace, snapshot, Bounds(9, None), NOTE), Written)
    groups = (await cluster.get(target.api_version, target.kind, namespace, target.name))["spec"]["workerGroupSpecs"]
    assert [(group["maxReplicas"], group["minReplicas"]) for group in groups] == [(7, 1), (4, 9)]


async def test_an_edit_of_the_floor_itself_is_a_conflict(cluster, namespace, applied):
    target = await applied(*POOL, {"size": 2})
    snapshot = await read(cluster, namespace, target, SIZE)
    await applied(*POOL, {"size": 5})
    outcome = await write_floor(cluster, namespace, snapshot, Bounds(9, None), NOTE)
    assert isinstance(outcome, Hold)
    assert outcome.reason is Reason.CONFLICT
    entry = replace(entry_of(snapshot, Bounds(9, None)), floor_field=snapshot.floor_field)
    drifted = await restore(cluster, namespace, await read(cluster, namespace, target, SIZE), entry)
    assert isinstance(drifted, Hold)
    assert drifted.reason is Reason.DRIFTED


async def test_ready_pods_are_counted_by_their_labels(cluster, kubectl, namespace, applied):
    target = await applied(*POOL, {"size": 2})
    kind = replace(SIZE, pod_labels=(("app", "{name}"),))
    assert (await read(cluster, namespace, target, kind)).ready == 0
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", "labels": {"app": "reco"}}}
    pod["spec"] = {"containers": [{"name": "c", "image": "c"}]}
    await kubectl("apply", "-n", namespace, "-f", "-", text=json.dumps(pod))
    await kubectl("wait", "-n", namespace, "--for=condition=Ready", "--timeout=60s", "pod/one")
    assert (await read(cluster, namespace, target, kind)).ready == 1


async def test_a_scale_is_no_rollout_and_a_new_template_is_one_until_it_is_done(cluster, kubectl, namespace):
    """The real Deployment controller's status, read all the way through both."""
    labels = {"app": "web"}
    pods = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "c:1"}]}}
    web = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
    web["spec"] = {"replicas": 2, "selector": {"matchLabels": labels}, "template": pods}
    target = TargetRef("apps/v1", "Deployment", "web")
    await kubectl("apply", "-n", namespace, "-f", "-", text=json.dumps(web))
    await kubectl("rollout", "status", "-n", namespace, "--timeout=60s", "deploy/web")

    async def seen_until_done(*change):
        """Rollouts that reads have shown from the change until the Deployment is complete."""
        await kubectl(*change, "-n", namespace)
        done = asyncio.create_task(kubectl("rollout", "status", "-n", namespace, "--timeout=60s", "deploy/web"))
        found = []
        while not done.done():
            found.append((await read_target(cluster, namespace, target, [])).rollout)
            await asyncio.sleep(0.02)
        await done
        return found

    assert set(await seen_until_done("scale", "--replicas=6", "deploy/web")) == {None}
    assert any(await seen_until_done("set", "image", "deploy/web", "c=c:2"))
    assert (await read_target(cluster, namespace, target, [])).rollout is None
