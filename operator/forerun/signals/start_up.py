"""How long Pods take to become Ready, from what the cluster shows. Pure."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from forerun.domain.observation import LeadTime

_FEWEST = 3


def lead_time(pods: Sequence[Mapping[str, Any]], since: datetime) -> LeadTime | None:
    """p50 and p95 of creation -> Ready over the Pods created since `since`; None below three of them.

    Only Pods that are Ready and never restarted count: after a restart or a failed probe the Ready condition shows
    the recovery, not the start. (A probe that failed once without a restart cannot be told apart: it reads too long,
    never too short.) With fewer than 20 samples p95 is the longest.
    """
    seconds = sorted(taken for pod in pods if (taken := _start_up_seconds(pod, since)) is not None)
    if len(seconds) < _FEWEST:
        return None
    return LeadTime(_nearest_rank(seconds, 0.5), _nearest_rank(seconds, 0.95), len(seconds))


def _nearest_rank(ordered: Sequence[float], level: float) -> float:
    return ordered[min(len(ordered) - 1, math.ceil(level * len(ordered)) - 1)]


def _start_up_seconds(pod: Mapping[str, Any], since: datetime) -> float | None:
    metadata, status = _mapping(pod.get("metadata")), _mapping(pod.get("status"))
    created = _moment(metadata.get("creationTimestamp"))
    if created is None or created < since or metadata.get("deletionTimestamp") or _has_restarted(status):
        return None
    ready = _ready_since(status)
    return None if ready is None or ready < created else (ready - created).total_seconds()


def _has_restarted(status: Mapping[str, Any]) -> bool:
    return any(_mapping(container).get("restartCount") for container in status.get("containerStatuses") or ())


def _ready_since(status: Mapping[str, Any]) -> datetime | None:
    """When the Ready condition became true; None where it is not, or says no time."""
    for condition in map(_mapping, status.get("conditions") or ()):
        if condition.get("type") == "Ready" and condition.get("status") == "True":
            return _moment(condition.get("lastTransitionTime"))
    return None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _moment(value: object) -> datetime | None:
    """Kubernetes' times are text on the wire; some clients make them datetimes."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value
