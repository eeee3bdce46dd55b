"""Kinds without a scale subresource that are known: data, one entry a kind. docs/targets.md has the same as a table.

Read off the kinds' own types: KServe 0.20, KubeRay 1.5, Knative Serving 0.51, Dragonfly operator 1.6, OT-Redis operator
0.26, valkey-operator 0.5.
"""

from collections.abc import Mapping
from dataclasses import replace

from forerun.domain.fields import FieldTarget, FloorField, Obstacle, Unlike

_RAY_GROUP = "/[groupName]"
_RAY_CLUSTER = "/spec/workerGroupSpecs" + _RAY_GROUP
_RAY_SERVICE = "/spec/rayClusterConfig/workerGroupSpecs" + _RAY_GROUP
_KNATIVE = "/spec/template/metadata/annotations/autoscaling.knative.dev~1"

PRESETS: Mapping[tuple[str, str], FieldTarget] = {
    ("serving.kserve.io", "InferenceService"): FieldTarget(
        floor=FloorField("/spec/predictor/minReplicas", "/spec/predictor/maxReplicas", absent=1),
        pod_labels=(("serving.kserve.io/inferenceservice", "{name}"), ("component", "predictor")),
        changing=(Unlike("/status/modelStatus/transitionStatus", value="UpToDate"),),
        obstacles=(
            Obstacle(
                "/metadata/annotations/serving.kserve.io~1autoscalerClass",
                "an autoscaler of your own scales it; let targetRef name the Deployment NAME-predictor that it scales",
                value="external",
            ),
        ),
    ),
    ("ray.io", "RayCluster"): FieldTarget(
        floor=FloorField(f"{_RAY_CLUSTER}/minReplicas", f"{_RAY_CLUSTER}/maxReplicas"),
        pod_labels=(("ray.io/cluster", "{name}"), ("ray.io/node-type", "worker")),
    ),
    ("ray.io", "RayService"): FieldTarget(
        floor=FloorField(f"{_RAY_SERVICE}/minReplicas", f"{_RAY_SERVICE}/maxReplicas"),
        ready="/status/activeServiceStatus/rayClusterStatus/readyWorkerReplicas",
        changing=(Unlike("/status/pendingServiceStatus/rayClusterName"),),
    ),
    ("serving.knative.dev", "Service"): FieldTarget(
        floor=FloorField(f"{_KNATIVE}min-scale", f"{_KNATIVE}max-scale"),
        pod_labels=(("serving.knative.dev/service", "{name}"),),
        changing=(Unlike("/status/latestCreatedRevisionName", "/status/latestReadyRevisionName"),),
        obstacles=(
            Obstacle(
                "/spec/template/metadata/name", "a revision of a fixed name cannot be changed; leave the name out"
            ),
            Obstacle("/spec/traffic/*/revisionName", "traffic is pinned to a revision; send it to the latest one"),
        ),
    ),
    ("dragonflydb.io", "Dragonfly"): FieldTarget(
        floor=FloorField("/spec/replicas", is_count=True),
        pod_labels=(("app", "{name}"), ("app.kubernetes.io/name", "dragonfly")),
        is_stateful=True,
    ),
    ("redis.redis.opstreelabs.in", "RedisCluster"): FieldTarget(
        floor=FloorField("/spec/clusterSize", is_count=True),
        ready="/status/readyLeaderReplicas",
        changing=(Unlike("/status/state", value="Ready"),),
        obstacles=(
            Obstacle("/spec/redisLeader/replicas", "sets the leaders apart from clusterSize; leave it out"),
            Obstacle("/spec/redisFollower/replicas", "sets the followers apart from clusterSize; leave it out"),
        ),
        is_stateful=True,
    ),
    ("redis.redis.opstreelabs.in", "RedisReplication"): FieldTarget(
        floor=FloorField("/spec/clusterSize", is_count=True),
        pod_labels=(("app", "{name}"),),
        is_stateful=True,
    ),
    ("valkey.io", "ValkeyCluster"): FieldTarget(
        floor=FloorField("/spec/shards", is_count=True),
        ready="/status/readyShards",
        changing=(Unlike("/status/state", value="Ready"),),
        is_stateful=True,
    ),
}


def preset_of(group: str, kind: str, element: str | None = None) -> FieldTarget | None:
    """The preset of a kind, with `element` as the worker group where it has such; None where the kind is not known."""
    preset = PRESETS.get((group, kind))
    if preset is None or element is None:
        return preset
    named = f"/[groupName={element}]"
    floor = preset.floor
    pointers = [
        None if pointer is None else pointer.replace(_RAY_GROUP, named) for pointer in (floor.minimum, floor.maximum)
    ]
    labels = preset.pod_labels
    if any(name == "ray.io/cluster" for name, _ in labels):
        labels = (*labels, ("ray.io/group", element))
    return replace(
        preset, floor=replace(floor, minimum=pointers[0] or floor.minimum, maximum=pointers[1]), pod_labels=labels
    )


def has_elements(group: str, kind: str) -> bool:
    """Whether one of several groups of the kind may be meant."""
    preset = PRESETS.get((group, kind))
    return preset is not None and _RAY_GROUP in preset.floor.minimum
