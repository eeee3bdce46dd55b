"""Warm-ups as they are stored in the CapacityPlan's status."""

from collections.abc import Iterable, Mapping
from typing import Any

from forerun.api.ledgers import stored_time
from forerun.api.models_plan import WarmUpStatus
from forerun.api.refusals import parsed
from forerun.domain.reason import Refusal
from forerun.domain.warm_up import WarmUpRecord


def warm_ups_to(records: Iterable[WarmUpRecord]) -> list[dict[str, Any]]:
    """The records as `status.warmUps`."""
    return [_record_to(record) for record in records]


def warm_ups_from(status: Mapping[str, Any]) -> tuple[WarmUpRecord, ...]:
    """The records that can be read; one that cannot is begun anew, which at worst warms twice."""
    written = status.get("warmUps")
    if not isinstance(written, list):
        return ()
    found = (parsed(WarmUpStatus, value, "CapacityPlan", "status.warmUps") for value in written)
    return tuple(_record_from(value) for value in found if not isinstance(value, Refusal))


def _record_to(record: WarmUpRecord) -> dict[str, Any]:
    times = {"endedAt": record.ended_at, "warmAt": record.warm_at}
    return {
        "tier": record.tier,
        "campaign": record.campaign,
        "start": stored_time(record.start),
        "beganAt": stored_time(record.began_at),
        "failed": record.failed,
        **({"job": record.job} if record.job is not None else {}),
        **{name: stored_time(at) for name, at in times.items() if at is not None},
    }


def _record_from(found: WarmUpStatus) -> WarmUpRecord:
    return WarmUpRecord(
        tier=found.tier,
        campaign=found.campaign,
        start=found.start,
        began_at=found.began_at,
        job=found.job,
        ended_at=found.ended_at,
        failed=found.failed,
        warm_at=found.warm_at,
    )
