"""How long Pods take to become Ready, and what they spend it on, from what the cluster shows. Pure."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from forerun.domain.observation import LeadTime, PartTime, Start, StartPart

LONGEST_START_SECONDS = 3600.0  # what waited longer, waited for a quota or a person
COLD_WAIT_SECONDS = 15.0  # a scheduler takes well below a second: who waited so long had no node
KEPT_OF_A_KIND = 20  # newest starts, cold and warm; from 20 on, p95 by nearest rank is not the longest any more

_FEWEST = 3
_LONE = 4.0  # times the next longest: one start so far off was held up by something else
_UID_LENGTH = 13
_PULLED = re.compile(r"in ([0-9.hmsµun]+)(?: \(([0-9.hmsµun]+) including waiting\))?")
_DURATION = re.compile(r"([0-9]+(?:[.][0-9]+)?)(h|ms|m|s|µs|us|ns)")
_UNIT_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6, "us": 1e-6, "ns": 1e-9}

Raw = Mapping[str, Any]


def starts_of(pods: Iterable[Raw], events: Iterable[Raw], since: datetime) -> tuple[Start, ...]:
    """The starts of Pods created since `since`; `events` are the kubelet's `Pulled` ones (core/v1), as far as known.

    Only Pods that are Ready and never restarted count: after a restart or a failed probe the Ready condition shows
    the recovery, not the start. (A probe that failed once without a restart cannot be told apart: it reads too long,
    never too short, and what was seen of the Pod before that is kept.)
    """
    pulled = _pulls(events)
    found = (_start(pod, pulled, since) for pod in pods)
    return tuple(start for start in found if start is not None)


def remembered(known: Iterable[Start], seen: Iterable[Start], since: datetime) -> tuple[Start, ...]:
    """Both without doubles, what was seen first of a Pod; the newest of each kind, ascending by creation.

    Its images are the exception: their Events may come later than the Pod's own status.
    """
    by_pod = {start.pod: start for start in known}
    for start in seen:
        old = by_pod.setdefault(start.pod, start)
        if old.part(StartPart.IMAGE_PULL) is None and old.seconds == start.seconds:
            by_pod[start.pod] = start
    newest = sorted((start for start in by_pod.values() if start.created >= since), key=lambda s: (s.created, s.pod))
    kept = [start for cold in (True, False) for start in [s for s in newest if is_cold(s) is cold][-KEPT_OF_A_KIND:]]
    return tuple(sorted(kept, key=lambda start: (start.created, start.pod)))


def is_cold(start: Start) -> bool:
    """Whether it had to wait for a node, or to pull an image: what the first Pod on a new node has to do."""
    wait, pull = start.part(StartPart.NODE_WAIT), start.part(StartPart.IMAGE_PULL)
    return (wait or 0.0) >= COLD_WAIT_SECONDS or bool(pull)


def lead_time(starts: Sequence[Start]) -> LeadTime | None:
    """p50 and p95 of the starts, of the cold ones among them, and of the parts; None below three starts.

    With fewer than 20 samples p95 is the longest, unless it is alone: one start of more than four times the next
    longest (and more than a minute) is left out of three or more. Two of them are not.
    """
    if len(starts) < _FEWEST:
        return None
    seconds = sorted(start.seconds for start in starts)
    cold = sorted(start.seconds for start in starts if is_cold(start))
    return LeadTime(
        p50_seconds=_nearest_rank(seconds, 0.5),
        p95_seconds=_p95(seconds),
        samples=len(seconds),
        cold_p95_seconds=_p95(cold) if cold else None,
        cold_samples=len(cold),
        parts=tuple(part for name in StartPart if (part := _part_time(starts, name)) is not None),
        starts=tuple(starts),
    )


def _part_time(starts: Sequence[Start], name: StartPart) -> PartTime | None:
    known = sorted(seconds for start in starts if (seconds := start.part(name)) is not None)
    return PartTime(name, _nearest_rank(known, 0.5), _p95(known), len(known)) if known else None


def _p95(ordered: Sequence[float]) -> float:
    lone = len(ordered) >= _FEWEST and ordered[-1] > _LONE * max(ordered[-2], COLD_WAIT_SECONDS)
    return _nearest_rank(ordered[:-1] if lone else ordered, 0.95)


def _nearest_rank(ordered: Sequence[float], level: float) -> float:
    return ordered[min(len(ordered) - 1, math.ceil(level * len(ordered)) - 1)]


def _start(pod: Raw, pulled: Mapping[str, float], since: datetime) -> Start | None:
    metadata, status = _mapping(pod.get("metadata")), _mapping(pod.get("status"))
    created = _moment(metadata.get("creationTimestamp"))
    if created is None or created < since or metadata.get("deletionTimestamp") or _has_restarted(status):
        return None
    ready = _since(status, "Ready")
    if ready is None or not 0 <= (ready - created).total_seconds() <= LONGEST_START_SECONDS:
        return None
    uid = str(metadata.get("uid") or "")
    parts = _parts(created, ready, _since(status, "PodScheduled"), _running(status), pulled.get(uid))
    return Start(uid[:_UID_LENGTH], created, (ready - created).total_seconds(), parts)


def _parts(
    created: datetime, ready: datetime, scheduled: datetime | None, running: datetime | None, pull: float | None
) -> tuple[tuple[StartPart, float], ...]:
    """What is known of the parts; a clock that runs backwards makes a part unknown, not negative."""
    spans = (
        (StartPart.NODE_WAIT, _seconds(created, scheduled)),
        (StartPart.IMAGE_PULL, pull),
        (StartPart.CONTAINER_START, _seconds(scheduled, running)),
        (StartPart.WARM_UP, _seconds(running, ready)),
    )
    return tuple((part, seconds) for part, seconds in spans if seconds is not None and seconds >= 0)


def _seconds(before: datetime | None, after: datetime | None) -> float | None:
    return None if before is None or after is None else (after - before).total_seconds()


def _running(status: Raw) -> datetime | None:
    """When the last container began to run; None where one does not say."""
    begun = [
        _moment(_mapping(_mapping(_mapping(container).get("state")).get("running")).get("startedAt"))
        for container in status.get("containerStatuses") or ()
    ]
    known = [moment for moment in begun if moment is not None]
    return max(known) if known and len(known) == len(begun) else None


def _pulls(events: Iterable[Raw]) -> dict[str, float]:
    """Seconds that each Pod (by UID) spent on pulling images; 0 where all were there already."""
    spent: dict[str, float] = {}
    for event in events:
        uid = str(_mapping(event.get("involvedObject")).get("uid") or "")
        if uid and event.get("reason") == "Pulled":
            spent[uid] = spent.get(uid, 0.0) + _pull_seconds(str(event.get("message") or ""))
    return spent


def _pull_seconds(message: str) -> float:
    """Of the kubelet's words: 'Successfully pulled image "x" in 1.2s (3.4s including waiting). Image size: ...'."""
    if not message.startswith("Successfully pulled"):
        return 0.0
    # the name of the image may have an "in 5s" of its own
    found = _PULLED.search(message, message.rfind('"') + 1)
    if found is None:
        return 0.0
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in _DURATION.findall(found[2] or found[1]))


def _has_restarted(status: Raw) -> bool:
    return any(_mapping(container).get("restartCount") for container in status.get("containerStatuses") or ())


def _since(status: Raw, wanted: str) -> datetime | None:
    """When the condition became true; None where it is not, or says no time."""
    for condition in map(_mapping, status.get("conditions") or ()):
        if condition.get("type") == wanted and condition.get("status") == "True":
            return _moment(condition.get("lastTransitionTime"))
    return None


def _mapping(value: object) -> Raw:
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
