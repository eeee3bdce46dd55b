"""Give a running pod more memory, and what it had back: through pods/resize, without a restart."""

from typing import Any

from forerun.actuators.holds import hold_of
from forerun.actuators.memory import GROWN_LABEL, MEMORY_ANNOTATION, MemoryMark, mark_of, memory_of, resized, same
from forerun.domain.reason import Hold, Reason
from forerun.kube.cluster import Cluster, guard
from forerun.kube.errors import ApiError

RESIZE = "resize"

Raw = dict[str, Any]


async def grow(cluster: Cluster, pod: Raw, mark: MemoryMark, tier: str) -> Raw | Hold:
    """The mark on the pod first, then the memory; each guarded by UID and resourceVersion. The pod after it.

    Nothing is sent where both stand there. Holds: Conflict (somebody wrote in between: read it again), Forbidden,
    Invalid (the server refuses the amount), TargetNotFound, ApiUnavailable.
    """
    metadata, standing = pod["metadata"], mark_of(pod)
    namespace, name = metadata["namespace"], metadata["name"]
    try:
        if standing != mark:
            marks = {"annotations": {MEMORY_ANNOTATION: mark.text()}, "labels": {GROWN_LABEL: "true"}}
            body = {"metadata": {**guard(pod), **marks}}
            pod = await cluster.merge_patch("v1", "Pod", namespace, name, body)
        if not same(memory_of(pod, mark.container) or {}, mark.written):
            pod = await _resize(cluster, pod, mark.container, mark.written)
    except ApiError as error:
        return hold_of(error, tier)
    return pod


async def give_back(cluster: Cluster, pod: Raw, tier: str) -> Hold | None:
    """What the pod had, where what stands there is ours; then the mark goes. Nothing where there is no mark.

    Drifted where somebody else has set it: it stays, and only the mark goes. A resize that the kubelet puts off leaves
    the mark, so that it is tried again.
    """
    mark, metadata = mark_of(pod), pod["metadata"]
    if mark is None:
        return None
    has = memory_of(pod, mark.container) or {}
    drifted = not same(has, mark.written) and not same(has, mark.baseline)
    try:
        if not drifted and not same(has, mark.baseline):
            pod = await _resize(cluster, pod, mark.container, mark.baseline)
        marks = {"annotations": {MEMORY_ANNOTATION: None}, "labels": {GROWN_LABEL: None}}
        body = {"metadata": {**guard(pod), **marks}}
        await cluster.merge_patch("v1", "Pod", metadata["namespace"], metadata["name"], body)
    except ApiError as error:
        return hold_of(error, tier)
    if drifted:
        return Hold(Reason.DRIFTED, tier, detail=f"memory of pod {metadata['name']} was set by someone else; it stays")
    return None


async def grown_pods(cluster: Cluster, namespace: str) -> list[Raw]:
    """The Pods of a namespace that carry our label. Raises ApiError."""
    return await cluster.list("v1", "Pod", namespace, label_selector=GROWN_LABEL)


async def _resize(cluster: Cluster, pod: Raw, container: str, amounts: Any) -> Raw:
    metadata = pod["metadata"]
    body = {"metadata": guard(pod), **resized(pod, container, amounts)}
    return await cluster.merge_patch("v1", "Pod", metadata["namespace"], metadata["name"], body, subresource=RESIZE)
