"""What is a rollout, and what only looks like one."""

import pytest

from forerun.actuators.rollouts import rollout_of
from forerun.domain.target import Rollout


def deployment(replicas=4, updated=4, reason="NewReplicaSetAvailable", **spec):
    status = {"observedGeneration": 2, "replicas": replicas, "updatedReplicas": updated}
    status["conditions"] = [{"type": "Progressing", "status": "True", "reason": reason}] if reason else []
    return {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": replicas, **spec}, "status": status}


def stateful_set(updated=3, current="a", update="b", replicas=3, **strategy):
    status = {"replicas": replicas, "updatedReplicas": updated, "currentRevision": current, "updateRevision": update}
    spec = {"replicas": replicas, "updateStrategy": {"type": "RollingUpdate", **strategy}}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "spec": spec, "status": status}


def argo(current="b", stable="a", **status):
    status = {"currentPodHash": current, "stableRS": stable, "replicas": 5, "updatedReplicas": 1, **status}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "spec": {"replicas": 5}, "status": status}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (deployment(replicas=5, updated=1, reason="ReplicaSetUpdated"), Rollout(1, 5)),
        (deployment(replicas=5, updated=1, reason="ProgressDeadlineExceeded"), Rollout(1, 5)),
        (deployment(replicas=5, updated=1, reason="DeploymentPaused", paused=True), Rollout(1, 5)),
        (deployment(updated=4, reason="ReplicaSetUpdated"), Rollout(4, 4)),
        (stateful_set(updated=1), Rollout(1, 3)),
        (stateful_set(updated=3), Rollout(3, 3)),  # the last one is not Ready yet
        (stateful_set(updated=1, rollingUpdate={"partition": 1}), Rollout(1, 3)),
        (argo(), Rollout(1, 5)),
        (argo(stable=None), Rollout(1, 5)),
    ],
)
def test_in_progress(raw, expected):
    assert rollout_of(raw) == expected


@pytest.mark.parametrize(
    "raw",
    [
        deployment(),
        deployment(reason=None),
        {**deployment(), "spec": {"replicas": 9}},  # a raise: pods are missing, none is of an old kind
        deployment(reason="DeploymentPaused", paused=True),
        stateful_set(current="a", update="a"),
        stateful_set(updated=0, type="OnDelete"),
        stateful_set(updated=2, rollingUpdate={"partition": 1}),  # done, as far as it was asked to go
        argo(current="a"),
        {**argo(current="a"), "spec": {"replicas": 50}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {}},
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "status": {"replicas": 3}},
        {"apiVersion": "example.com/v1", "kind": "Deployment", "status": {"replicas": 3}},
        {},
    ],
)
def test_none(raw):
    assert rollout_of(raw) is None
