"""A floor that is a field of the target: found, written in the form that stands there, and given back exactly."""

from copy import deepcopy

import pytest
from hypothesis import strategies as st
from tests.properties.plan_world import given

from forerun.actuators.fields import bounds_at, change_of, patch_for, ready_at, removal_for, usable
from forerun.actuators.pointers import applied
from forerun.domain.fields import FieldTarget, FloorField
from forerun.domain.ledger import Bounds
from forerun.domain.presets import PRESETS, preset_of
from forerun.domain.reason import Hold, Reason

PREDICTOR = {"spec": {"predictor": {"minReplicas": 2, "maxReplicas": 5, "model": {"modelFormat": {"name": "onnx"}}}}}
RAY = {
    "spec": {
        "workerGroupSpecs": [
            {"groupName": "cpu", "replicas": 1, "minReplicas": 1, "maxReplicas": 4, "template": {"spec": {"a": [1]}}},
            {
                "groupName": "gpu",
                "replicas": 2,
                "minReplicas": 2,
                "maxReplicas": 8,
                "rayStartParams": {"num-gpus": "1"},
            },
        ]
    }
}
KNATIVE = {"spec": {"template": {"spec": {"containers": [{"image": "x"}]}}}}
ANNOTATED = {
    "spec": {"template": {"metadata": {"annotations": {"autoscaling.knative.dev/min-scale": "3", "own": "kept"}}}}
}


def field_of(group, kind, raw, element=None):
    found = usable(raw, preset_of(group, kind, element), "it")
    assert isinstance(found, FloorField), found
    return found


KSERVE = ("serving.kserve.io", "InferenceService")
RAYCLUSTER = ("ray.io", "RayCluster")
SERVICE = ("serving.knative.dev", "Service")


def raised(raw, field, bounds):
    return applied(raw, patch_for(raw, field, bounds))


def test_both_bounds_of_a_predictor_in_one_patch():
    field = field_of(*KSERVE, PREDICTOR)
    assert bounds_at(PREDICTOR, field) == Bounds(2, 5)
    patch = patch_for(PREDICTOR, field, Bounds(9, 9))
    assert patch == {"spec": {"predictor": {"minReplicas": 9, "maxReplicas": 9}}}


def test_an_absent_maximum_is_not_written():
    unbounded = {"spec": {"predictor": {"minReplicas": 2}}}
    field = field_of(*KSERVE, unbounded)
    assert patch_for(unbounded, field, Bounds(4, None)) == {"spec": {"predictor": {"minReplicas": 4}}}


def test_a_maximum_comes_back_also_where_the_object_was_read_before_the_raise():
    field = field_of(*KSERVE, PREDICTOR)
    patch = patch_for(PREDICTOR, field, Bounds(2, 5))
    assert applied(raised(PREDICTOR, field, Bounds(9, 9)), patch) == PREDICTOR


def test_one_worker_group_of_a_list_and_nothing_else_of_it():
    field = field_of(*RAYCLUSTER, RAY, "gpu")
    assert bounds_at(RAY, field) == Bounds(2, 8)
    after = raised(RAY, field, Bounds(12, 12))
    expected = deepcopy(RAY)
    expected["spec"]["workerGroupSpecs"][1] |= {"minReplicas": 12, "maxReplicas": 12}
    assert after == expected


def test_which_worker_group_has_to_be_said_where_there_are_several():
    found = usable(RAY, preset_of(*RAYCLUSTER), "RayCluster/reco")
    assert isinstance(found, Hold)
    assert found.reason is Reason.TARGET_NOT_SCALABLE
    assert found.detail == (
        "RayCluster/reco: /spec/workerGroupSpecs/[groupName]/minReplicas: /spec/workerGroupSpecs: "
        "name one of its elements with groupName: cpu, gpu"
    )
    alone = {"spec": {"workerGroupSpecs": RAY["spec"]["workerGroupSpecs"][1:]}}
    assert bounds_at(alone, field_of(*RAYCLUSTER, alone)) == Bounds(2, 8)


def test_an_annotation_is_text_and_its_parents_go_with_it():
    field = field_of(*SERVICE, KNATIVE)
    assert (bounds_at(KNATIVE, field), field.created) == (Bounds(None, None), "/spec/template/metadata")
    after = raised(KNATIVE, field, Bounds(7, None))
    assert after["spec"]["template"]["metadata"] == {"annotations": {"autoscaling.knative.dev/min-scale": "7"}}
    assert applied(after, removal_for(after, field, Bounds(None, None))) == KNATIVE


def test_what_somebody_else_put_beside_it_meanwhile_stays():
    field = field_of(*SERVICE, KNATIVE)
    after = raised(KNATIVE, field, Bounds(7, None))
    after["spec"]["template"]["metadata"]["annotations"]["team"] = "shop"
    back = applied(after, removal_for(after, field, Bounds(None, None)))
    assert back["spec"]["template"]["metadata"] == {"annotations": {"team": "shop"}}


def test_text_stays_text_and_what_is_beside_it_stays():
    field = field_of(*SERVICE, ANNOTATED)
    after = raised(ANNOTATED, field, Bounds(8, None))
    annotations = after["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {"autoscaling.knative.dev/min-scale": "8", "own": "kept"}
    assert applied(after, removal_for(after, field, Bounds(3, None))) == ANNOTATED


@pytest.mark.parametrize(
    ("pointer", "raw", "words"),
    [
        ("/spec/predicter/minReplicas", PREDICTOR, "its parent predicter is not there"),
        ("/spec/predictor/model", PREDICTOR, "holds no whole number"),
        ("/spec/predictor/minReplicas/deeper", PREDICTOR, "is no map of fields"),
        ("/spec/workerGroupSpecs/[groupName=tpu]/minReplicas", RAY, "has no single groupName tpu: cpu, gpu"),
        ("/spec/workerGroupSpecs/[name]/minReplicas", RAY, "name one of its elements with name: none"),
        ("/spec/workerGroupSpecs/1/minReplicas", RAY, "is no map of fields"),
        ("/spec/predictor/[name=x]/minReplicas", PREDICTOR, "is no list"),
        ("/spec/groups/[name=x]/minReplicas", PREDICTOR, "is not there"),
        ("/spec/size", {"spec": {"size": "three"}}, "holds no whole number"),
        ("/spec/size", {"spec": {"size": -1}}, "holds no whole number"),
        ("/spec/size", {"spec": {"size": True}}, "holds no whole number"),
        ("/spec/size", {"spec": {"size": 2.5}}, "holds no whole number"),
        ("/spec/size", {"spec": {"size": "9" * 30}}, "holds no whole number"),
        ("/spec/size", {"spec": None}, "its parent spec is not there"),
        ("/spec/size", {}, "its parent spec is not there"),
    ],
)
def test_a_path_that_leads_nowhere_is_held_with_object_field_and_remedy(pointer, raw, words):
    found = usable(raw, FieldTarget(FloorField(pointer), is_declared=True), "Shop/main")
    assert isinstance(found, Hold)
    assert found.reason is Reason.TARGET_NOT_SCALABLE
    assert found.detail.startswith(f"Shop/main: {pointer}")
    assert words in found.detail


@pytest.mark.parametrize(
    ("kind", "raw", "words"),
    [
        (
            KSERVE,
            {**PREDICTOR, "metadata": {"annotations": {"serving.kserve.io/autoscalerClass": "external"}}},
            "let targetRef name the Deployment",
        ),
        (SERVICE, {"spec": {"template": {"metadata": {"name": "web-00001"}}}}, "leave the name out"),
        (SERVICE, {"spec": {**KNATIVE["spec"], "traffic": [{"revisionName": "a", "percent": 100}]}}, "latest one"),
        (
            ("redis.redis.opstreelabs.in", "RedisCluster"),
            {"spec": {"clusterSize": 3, "redisLeader": {"replicas": 3}}},
            "apart from clusterSize",
        ),
    ],
)
def test_where_the_field_would_not_work_the_remedy_is_told(kind, raw, words):
    found = usable(raw, preset_of(*kind), "it")
    assert isinstance(found, Hold)
    assert words in found.detail


def test_an_obstacle_that_came_after_the_raise_does_not_keep_it():
    pinned = {"spec": {**KNATIVE["spec"], "traffic": [{"revisionName": "a", "percent": 100}]}}
    assert isinstance(usable(pinned, preset_of(*SERVICE), "it", raised=True), FloorField)


def test_other_traffic_and_other_autoscalers_are_no_obstacle():
    latest = {"spec": {**KNATIVE["spec"], "traffic": [{"latestRevision": True, "percent": 100}]}}
    assert isinstance(usable(latest, preset_of(*SERVICE), "it"), FloorField)
    own = {**PREDICTOR, "metadata": {"annotations": {"serving.kserve.io/autoscalerClass": "hpa"}}}
    assert isinstance(usable(own, preset_of(*KSERVE), "it"), FloorField)


@pytest.mark.parametrize(
    ("kind", "status", "changing"),
    [
        (KSERVE, {"modelStatus": {"transitionStatus": "InProgress"}}, True),
        (KSERVE, {"modelStatus": {"transitionStatus": "UpToDate"}}, False),
        (KSERVE, {"conditions": []}, False),
        (("ray.io", "RayService"), {"pendingServiceStatus": {"rayClusterName": "reco-b"}}, True),
        (("ray.io", "RayService"), {"pendingServiceStatus": {"rayClusterName": ""}}, False),
        (("ray.io", "RayService"), {"pendingServiceStatus": {}}, False),
        (SERVICE, {"latestCreatedRevisionName": "web-2", "latestReadyRevisionName": "web-1"}, True),
        (SERVICE, {"latestCreatedRevisionName": "web-2", "latestReadyRevisionName": "web-2"}, False),
        (("redis.redis.opstreelabs.in", "RedisCluster"), {"state": "Bootstrap"}, True),
        (("redis.redis.opstreelabs.in", "RedisCluster"), {"state": "Ready"}, False),
        (("valkey.io", "ValkeyCluster"), {"state": "Reconciling"}, True),
        (("valkey.io", "ValkeyCluster"), {}, False),
    ],
)
def test_a_change_of_its_own_is_read_from_the_status(kind, status, changing):
    raw = {"spec": {"clusterSize": 3}, "status": status}
    assert (change_of(raw, preset_of(*kind)) is not None) is changing


def test_ready_is_what_the_status_says():
    redis = preset_of("redis.redis.opstreelabs.in", "RedisCluster")
    assert ready_at({"status": {"readyLeaderReplicas": 3}}, redis) == 3
    assert ready_at({"status": {}}, redis) is None


@pytest.mark.parametrize("kind", PRESETS)
def test_every_preset_writes_and_gives_back_its_own_example(kind):
    """Each preset on the smallest object that has its field: raised, and exactly as before after the restore."""
    preset = PRESETS[kind]
    raw = _smallest(preset)
    field = usable(raw, preset, "it")
    assert isinstance(field, FloorField)
    before = bounds_at(raw, field)
    assert before.minimum == 2
    after = raised(raw, field, Bounds(9, 9 if field.maximum else None))
    assert bounds_at(after, field).minimum == 9
    assert applied(after, removal_for(after, field, before)) == raw


def _smallest(preset):
    raw = {}
    for pointer, value in ((preset.floor.minimum, 2), (preset.floor.maximum, 5)):
        if pointer is not None:
            node, parts = raw, [p.replace("~1", "/") for p in pointer.split("/")[1:]]
            for part, following in zip(parts, [*parts[1:], None], strict=True):
                if part.startswith("["):
                    continue
                if following is None:
                    node[part] = str(value) if "annotations" in parts else value
                elif following.startswith("["):
                    node = node.setdefault(part, [{"groupName": "workers"}])[0]
                else:
                    node = node.setdefault(part, {})
    return raw


def test_kinds_that_hold_data_are_the_ones_that_are_kept_by_default():
    stateful = {kind for kind, preset in PRESETS.items() if preset.is_stateful}
    assert {kind for _, kind in stateful} == {"Dragonfly", "RedisCluster", "RedisReplication", "ValkeyCluster"}


NUMBERS = st.integers(0, 2**31 - 1)
KEYS = st.sampled_from(["a", "b", "size", "min"])
OBJECTS = st.recursive(NUMBERS, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=8)


@given(st.dictionaries(KEYS, OBJECTS, max_size=3), st.none() | NUMBERS, NUMBERS)
def test_a_raise_changes_one_field_and_a_restore_leaves_nothing(beside, before, floor):
    spec = {name: value for name, value in beside.items() if name != "size"}
    raw = {"spec": spec if before is None else {**spec, "size": before}}
    field = usable(raw, FieldTarget(FloorField("/spec/size")), "it")
    after = raised(raw, field, Bounds(floor, None))
    assert after == {"spec": {**spec, "size": floor}}
    assert applied(after, removal_for(after, field, Bounds(before, None))) == raw


@given(
    st.text("/[]=~01abspecmt-.", max_size=40),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=10,
    ),
)
def test_no_path_and_no_object_raises_an_exception(pointer, spec):
    found = usable({"spec": spec}, FieldTarget(FloorField("/spec/" + pointer)), "it")
    assert isinstance(found, Hold | FloorField)
    if isinstance(found, FloorField):
        patch_for({"spec": spec}, found, Bounds(3, None))
