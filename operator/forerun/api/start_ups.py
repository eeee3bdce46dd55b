"""Measured starts as they stand in a Storefront's status, so that a restart forgets none."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from forerun.api.ledgers import stored_time
from forerun.api.models_storefront import StartSpec
from forerun.api.refusals import parsed
from forerun.domain.observation import LeadTime, PartTime, Start, StartPart
from forerun.domain.reason import Refusal

_FIELDS: Mapping[StartPart, str] = {
    StartPart.NODE_WAIT: "nodeWaitSeconds",
    StartPart.IMAGE_PULL: "imagePullSeconds",
    StartPart.CONTAINER_START: "containerStartSeconds",
    StartPart.WARM_UP: "warmUpSeconds",
}


def start_up_to(measured: LeadTime, target: str) -> dict[str, Any]:
    """`status.tiers[].startUp` of what was measured of `target` ("Deployment/web")."""
    stored: dict[str, Any] = {"target": target, "p50Seconds": _whole(measured.p50_seconds)}
    stored["p95Seconds"] = _whole(measured.p95_seconds)
    if measured.cold_p95_seconds is not None:
        stored |= {"coldP95Seconds": _whole(measured.cold_p95_seconds), "coldStarts": measured.cold_samples}
    return stored | {
        "parts": [_part_to(part) for part in measured.parts],
        "recent": [_start_to(start) for start in measured.starts],
    }


def starts_from(status: Mapping[str, Any] | None) -> dict[tuple[str, str], tuple[Start, ...]]:
    """Starts by tier and target, as far as they can be read: somebody else may have written there."""
    tiers = (status or {}).get("tiers")
    found: dict[tuple[str, str], tuple[Start, ...]] = {}
    for tier in tiers if isinstance(tiers, list) else ():
        start_up = tier.get("startUp") if isinstance(tier, Mapping) else None
        if isinstance(start_up, Mapping) and isinstance(start_up.get("recent"), list):
            key = (str(tier.get("name")), str(start_up.get("target")))
            found[key] = tuple(_starts(start_up["recent"]))
    return found


def _starts(written: Iterable[object]) -> Iterable[Start]:
    for value in written:
        read = parsed(StartSpec, value, "Storefront", "status.tiers[].startUp.recent")
        if not isinstance(read, Refusal):
            known = (
                (StartPart.NODE_WAIT, read.node_wait_seconds),
                (StartPart.IMAGE_PULL, read.image_pull_seconds),
                (StartPart.CONTAINER_START, read.container_start_seconds),
                (StartPart.WARM_UP, read.warm_up_seconds),
            )
            parts = tuple((part, float(seconds)) for part, seconds in known if seconds is not None)
            yield Start(read.pod, read.created, float(read.seconds), parts)


def _start_to(start: Start) -> dict[str, Any]:
    stored = {"pod": start.pod, "created": stored_time(start.created), "seconds": _whole(start.seconds)}
    return stored | {_FIELDS[part]: _whole(seconds) for part, seconds in start.parts}


def _part_to(part: PartTime) -> dict[str, Any]:
    return {
        "name": part.part.value,
        "p50Seconds": _whole(part.p50_seconds),
        "p95Seconds": _whole(part.p95_seconds),
        "starts": part.samples,
    }


def _whole(seconds: float) -> int:
    """Whole seconds, upwards: a Pod's own times have no fractions, and a pull of half a second is none of 0."""
    return math.ceil(seconds)
