"""What to tell a GitOps tool that reverts a floor of ours: the exact setting, for the kind of target and its name."""

import re

from forerun.domain.storefront import TargetRef

_MANAGER = "forerun"
_PATHS = {
    "HorizontalPodAutoscaler": "[/spec/minReplicas, /spec/maxReplicas]",
    "ScaledObject": "[/spec/minReplicaCount, /spec/maxReplicaCount]",
}
_PLAIN = re.compile("[a-z][a-z0-9.-]*")
_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}  # of YAML 1.1: no names without quotes


def leave_alone(owner: TargetRef) -> str:
    """One line: the settings of Argo CD and of Flux that leave the floor on `owner` to Forerun, as flow-style YAML."""
    group = owner.api_version.rpartition("/")[0]
    kind, name = owner.kind, _scalar(owner.name)
    paths = _PATHS.get(kind, "[/spec/replicas]")
    rule = f"{{paths: {paths}, target: {{kind: {kind}, name: {name}}}}}"
    argo = f"{{group: {group}, kind: {kind}, name: {name}, managedFieldsManagers: [{_MANAGER}]}}"
    return (
        f"Argo CD: add spec.ignoreDifferences: [{argo}] and "
        "spec.syncPolicy.syncOptions: [RespectIgnoreDifferences=true] to the Application; "
        f"Flux HelmRelease: add spec.driftDetection.ignore: [{rule}]; "
        f"Flux Kustomization, 2.9 or later: add spec.ignore: [{rule}]; then suspend and resume the campaign"
    )


def _scalar(name: str) -> str:
    return name if _PLAIN.fullmatch(name) and name not in _WORDS else f'"{name}"'
