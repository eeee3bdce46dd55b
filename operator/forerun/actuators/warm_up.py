"""The warm-up Job: made once from a CronJob's template, seen, deleted when its occasion is over."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from forerun.actuators.holds import hold_of
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Storefront
from forerun.domain.warm_up import JobSeen, WarmUpRecord
from forerun.kube.cluster import Cluster
from forerun.kube.errors import ApiError, Conflict, NotFound

BATCH = "batch/v1"
ALLOWED_LABEL = "forerun.dev/warm-up"  # on the CronJob: whoever may write a Storefront runs no other Job with it
TIER_LABEL, STOREFRONT_LABEL = "forerun.dev/tier", "forerun.dev/storefront"
CAMPAIGN_ANNOTATION, KEYS_ANNOTATION = "forerun.dev/campaign", "forerun.dev/keys"
KEYS_FOLDER, KEYS_FILE = "/var/run/forerun", "keys"
MOST_KEY_BYTES = 200_000  # annotations of one object hold 256 KiB in all
KEPT_SECONDS = 3600  # after it ended, where the template does not say

Raw = dict[str, Any]


async def start_job(
    cluster: Cluster, storefront: Storefront, template: str, record: WarmUpRecord, timeout_seconds: float, keys: str
) -> JobSeen | Hold:
    """Create the Job of this record; one that is there already is the same one. Holds: WarmUpFailed (no such
    template, or it may not be used), Forbidden, Invalid, ApiUnavailable.
    """
    namespace = storefront.key.namespace
    try:
        cron_job = await cluster.get(BATCH, "CronJob", namespace, template)
        if (cron_job["metadata"].get("labels") or {}).get(ALLOWED_LABEL) != "true":
            detail = f"CronJob {template} does not have the label {ALLOWED_LABEL}=true"
            return Hold(Reason.WARM_UP_FAILED, record.tier, detail=detail)
        job = await cluster.create(job_of(cron_job, storefront, record, timeout_seconds, keys))
    except Conflict:
        found = await read_job(cluster, namespace, record)
        return found or Hold(Reason.CONFLICT, record.tier)
    except NotFound:
        return Hold(Reason.WARM_UP_FAILED, record.tier, detail=f"there is no CronJob {template} in this namespace")
    except ApiError as error:
        return hold_of(error, record.tier)
    return seen(job)


async def read_job(cluster: Cluster, namespace: str, record: WarmUpRecord) -> JobSeen | Hold | None:
    """The Job of this record; None where it is not there."""
    try:
        return seen(await cluster.get(BATCH, "Job", namespace, str(record.job)))
    except NotFound:
        return None
    except ApiError as error:
        return hold_of(error, record.tier)


async def delete_job(cluster: Cluster, namespace: str, record: WarmUpRecord) -> Hold | None:
    """Delete the Job and its pods; nothing where it is gone, or is none of ours."""
    try:
        job = await cluster.get(BATCH, "Job", namespace, str(record.job))
        if (job["metadata"].get("labels") or {}).get(TIER_LABEL) == record.tier:
            await cluster.delete(BATCH, "Job", namespace, str(record.job), uid=job["metadata"]["uid"])
    except NotFound:
        pass
    except ApiError as error:
        return hold_of(error, record.tier)
    return None


def seen(job: Mapping[str, Any]) -> JobSeen:
    """Begun, ended, failed: by the Job's own conditions."""
    status = job.get("status") or {}
    created = datetime.fromisoformat(job["metadata"]["creationTimestamp"])
    for condition in status.get("conditions") or ():
        if condition.get("status") == "True" and condition.get("type") in {"Complete", "Failed"}:
            ended = datetime.fromisoformat(condition.get("lastTransitionTime") or job["metadata"]["creationTimestamp"])
            return JobSeen(created, ended, failed=condition["type"] == "Failed")
    return JobSeen(created)


def job_of(
    cron_job: Mapping[str, Any], storefront: Storefront, record: WarmUpRecord, timeout_seconds: float, keys: str
) -> Raw:
    """The Job: the template as it stands, with our name, owner, deadline and, where there are any, the keys as a file.

    It ends with the time-out at the latest, is gone an hour after its end, and goes with its Storefront.
    """
    template = json.loads(json.dumps(cron_job["spec"]["jobTemplate"]))  # a copy to work on
    spec, metadata = template["spec"], template.get("metadata") or {}
    spec.pop("suspend", None)
    deadline = max(1, round(timeout_seconds))
    spec["activeDeadlineSeconds"] = min(deadline, spec.get("activeDeadlineSeconds") or deadline)
    spec.setdefault("ttlSecondsAfterFinished", KEPT_SECONDS)
    if keys:
        _mount_keys(spec["template"], keys)
    owner = {"apiVersion": "forerun.dev/v1alpha1", "kind": "Storefront", "name": storefront.key.name}
    return {
        "apiVersion": BATCH,
        "kind": "Job",
        "metadata": {
            "name": record.job,
            "namespace": storefront.key.namespace,
            "labels": {
                **(metadata.get("labels") or {}),
                TIER_LABEL: record.tier,
                STOREFRONT_LABEL: storefront.key.name[:63].rstrip("-."),
            },
            "annotations": {**(metadata.get("annotations") or {}), CAMPAIGN_ANNOTATION: record.campaign},
            "ownerReferences": [{**owner, "uid": storefront.uid}],
        },
        "spec": spec,
    }


def as_lines(keys: Sequence[str]) -> str:
    """One key a line, as many as an annotation holds; what would be two lines is left out."""
    lines, room = [], MOST_KEY_BYTES
    for key in keys:
        size = len(key.encode()) + 1
        if not key or not key.isprintable():
            continue
        if size > room:
            break
        lines.append(key)
        room -= size
    return "".join(f"{line}\n" for line in lines)


def _mount_keys(pod: Raw, keys: str) -> None:
    """The pod's own annotation as a file: no second object that must be written, owned and deleted."""
    annotations = pod.setdefault("metadata", {}).setdefault("annotations", {})
    annotations[KEYS_ANNOTATION] = keys
    item = {"path": KEYS_FILE, "fieldRef": {"fieldPath": f"metadata.annotations['{KEYS_ANNOTATION}']"}}
    pod["spec"].setdefault("volumes", []).append({"name": "forerun", "downwardAPI": {"items": [item]}})
    for container in pod["spec"].get("containers") or ():
        container.setdefault("volumeMounts", []).append({"name": "forerun", "mountPath": KEYS_FOLDER, "readOnly": True})
