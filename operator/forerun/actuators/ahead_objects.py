"""The objects that make room for pods before they come: pure, from the target's own pod template."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from forerun.domain.campaign import Key
from forerun.domain.storefront import Provision, Tier

Raw = dict[str, Any]

BUFFER_VERSION, BUFFER_KIND = "autoscaling.x-k8s.io/v1beta1", "CapacityBuffer"
KINDS: tuple[tuple[str, str], ...] = (
    ("apps/v1", "Deployment"),
    ("apps/v1", "DaemonSet"),
    (BUFFER_VERSION, BUFFER_KIND),  # before its PodTemplate: while it is there, it may be asked for
    ("v1", "PodTemplate"),
)
STOREFRONT_LABEL, TIER_LABEL = "forerun.dev/storefront", "forerun.dev/capacity-ahead"
EXPIRES_ANNOTATION, DIGEST_ANNOTATION = "forerun.dev/expires", "forerun.dev/digest"
_LABEL_LENGTH = 63
_NAME_LENGTH = 52  # a DaemonSet's pods get eleven characters more
_PLACED = ("nodeSelector", "tolerations", "schedulerName", "runtimeClassName", "resourceClaims")
_TINY = {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"memory": "32Mi"}}


@dataclass(frozen=True, slots=True)
class Means:
    """What the platform gives for it: the image of a pause container, and a PriorityClass of negative value."""

    image: str
    priority_class: str


def objects_for(
    owner: Raw, key: Key, tier: Tier, target: Raw, replicas: int, expires: datetime, provision: Provision, means: Means
) -> list[Raw]:
    """Room for `replicas` pods like the target's, as manifests; `owner` is the CapacityPlan, with which they go.

    Empty where the target has no pod template to go by.
    """
    template = _template_of(target)
    if template is None:
        return []
    made: list[Raw] = []
    pod = placeholder_pod(template, means)
    if provision is Provision.BUFFER:
        made.append(
            _object("v1", "PodTemplate", {"template": {"metadata": {"labels": _labels(key, tier)}, "spec": pod}})
        )
        reference = {"podTemplateRef": {"name": name_of(key, tier)}, "replicas": replicas}
        made.append(_object(BUFFER_VERSION, BUFFER_KIND, {"spec": reference}))
    elif provision is Provision.PLACEHOLDERS:
        made.append(_object("apps/v1", "Deployment", {"spec": _workload(key, tier, pod) | {"replicas": replicas}}))
    if tier.ahead is not None and tier.ahead.pulls_images:
        made.append(_object("apps/v1", "DaemonSet", {"spec": _workload(key, tier, pulling_pod(template, means))}))
    return [_owned(raw, owner, key, tier, expires) for raw in made]


def name_of(key: Key, tier: Tier) -> str:
    """The name of all objects of one tier: of at most 52 characters, and of no other tier's."""
    whole = f"forerun-{key.name}-{tier.name}"
    if len(whole) <= _NAME_LENGTH and "." not in whole:
        return whole
    mark = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f"{whole.replace('.', '-')[: _NAME_LENGTH - 9].rstrip('-')}-{mark}"


def storefront_label(name: str) -> str:
    """A Storefront's name as the value of a label: at most 63 characters, and no other Storefront's."""
    if len(name) <= _LABEL_LENGTH:
        return name
    return f"{name[: _LABEL_LENGTH - 9].rstrip('-.')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def placeholder_pod(template: Mapping[str, Any], means: Means) -> Raw:
    """A pod that takes the same room on the same nodes as the target's, does nothing, and gives way to any other."""
    sidecars = [c for c in template.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    containers = [
        _pause(f"place-{number}", means.image, container.get("resources") or {})
        for number, container in enumerate((*template["containers"], *sidecars))
    ]
    return _pod(template, means, containers)


def pulling_pod(template: Mapping[str, Any], means: Means) -> Raw:
    """A pod that has the kubelet pull the target's images, as volumes that nothing mounts; it takes next to no room."""
    images = dict.fromkeys(
        str(container["image"])
        for container in (*(template.get("initContainers") or ()), *template["containers"])
        if container.get("image")
    )
    volumes = [
        {"name": f"image-{number}", "image": {"reference": image, "pullPolicy": "IfNotPresent"}}
        for number, image in enumerate(images)
    ]
    pod = _pod(template, means, [_pause("pulled", means.image, _TINY)])
    pod.pop("resourceClaims", None)  # it needs no device
    return pod | {"volumes": volumes}


def digest_of(raw: Raw) -> str:
    """What an object says, but for when it expires: equal digests need no write."""
    said = {name: value for name, value in raw.items() if name not in ("metadata", "apiVersion", "kind")}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def _template_of(target: Raw) -> Mapping[str, Any] | None:
    """The pod spec of a workload; None where there is none at the usual place."""
    node: object = target
    for name in ("spec", "template", "spec"):
        node = node.get(name) if isinstance(node, Mapping) else None
    return node if isinstance(node, Mapping) and node.get("containers") else None


def _pod(template: Mapping[str, Any], means: Means, containers: list[Raw]) -> Raw:
    affinity = (template.get("affinity") or {}).get("nodeAffinity")
    pod: Raw = {name: template[name] for name in _PLACED if template.get(name)}
    if affinity:
        pod["affinity"] = {"nodeAffinity": affinity}
    if template.get("imagePullSecrets"):
        pod["imagePullSecrets"] = template["imagePullSecrets"]
    return pod | {
        "priorityClassName": means.priority_class,
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65535,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": containers,
    }


def _pause(name: str, image: str, resources: Mapping[str, Any]) -> Raw:
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "resources": dict(resources),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }


def _workload(key: Key, tier: Tier, pod: Raw) -> Raw:
    labels = _labels(key, tier)
    return {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}


def _labels(key: Key, tier: Tier) -> dict[str, str]:
    """None of the target's own: no Service and no selector may take a placeholder for one of its pods."""
    return {STOREFRONT_LABEL: storefront_label(key.name), TIER_LABEL: tier.name}


def _object(api_version: str, kind: str, said: Raw) -> Raw:
    return {"apiVersion": api_version, "kind": kind, **said}


def _owned(raw: Raw, owner: Raw, key: Key, tier: Tier, expires: datetime) -> Raw:
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    }
    metadata = {
        "name": name_of(key, tier),
        "namespace": key.namespace,
        "labels": {"app.kubernetes.io/managed-by": "forerun", **_labels(key, tier)},
        "annotations": {
            EXPIRES_ANNOTATION: expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
            DIGEST_ANNOTATION: digest_of(raw),
        },
        "ownerReferences": [reference],
    }
    return {**raw, "metadata": metadata}
