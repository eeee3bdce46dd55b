"""Whether a target is in the middle of a rollout: pure reading of raw objects.

A scale of a finished workload is none: what counts is pods of an old template that are still there, or new ones that
have not become available for the first time.
"""

from collections.abc import Callable, Mapping
from typing import Any

from forerun.domain.target import Rollout

Raw = Mapping[str, Any]

# Reasons of a Deployment's Progressing condition with which nothing moves. A scale leaves the first one as it is.
_AT_REST = ("NewReplicaSetAvailable", "DeploymentPaused")


def rollout_of(raw: Raw) -> Rollout | None:
    """The rollout that a Deployment, StatefulSet or Argo Rollout is in; None where it is in none, or does not say."""
    group = str(raw.get("apiVersion", "")).rpartition("/")[0]
    judge = _JUDGES.get((group, str(raw.get("kind"))))
    status = raw.get("status") or {}
    if judge is None or not status or not judge(raw.get("spec") or {}, status):
        return None
    return Rollout(int(status.get("updatedReplicas") or 0), _count(raw, status))


def _count(raw: Raw, status: Raw) -> int:
    return int(status.get("replicas") or (raw.get("spec") or {}).get("replicas") or 0)


def _deployment(_: Raw, status: Raw) -> bool:
    """Old pods are there, also where it is paused or stuck; or the new ones are not available yet."""
    if _replicas(status) > int(status.get("updatedReplicas") or 0):
        return True
    conditions = {found.get("type"): found for found in status.get("conditions") or ()}
    reason = (conditions.get("Progressing") or {}).get("reason")
    return reason is not None and reason not in _AT_REST


def _stateful_set(spec: Raw, status: Raw) -> bool:
    """Two revisions, and a controller that moves pods to the newer one, as far down as its partition."""
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete" or status.get("currentRevision") == status.get("updateRevision"):
        return False
    partition = int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
    return partition == 0 or int(status.get("updatedReplicas") or 0) < _replicas(status) - partition


def _argo_rollout(_: Raw, status: Raw) -> bool:
    """What runs is not what was promoted last; its phase alone also says Progressing for a scale."""
    return status.get("currentPodHash") != status.get("stableRS")


def _replicas(status: Raw) -> int:
    return int(status.get("replicas") or 0)


_JUDGES: Mapping[tuple[str, str], Callable[[Raw, Raw], bool]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("argoproj.io", "Rollout"): _argo_rollout,
}
