"""Conditions after the Kubernetes API conventions; lastTransitionTime moves only with the status."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from forerun.domain.reason import Hold, Reason
from forerun.observe.words import hold_sentence


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition; `status` None is "Unknown"."""

    type: str
    status: bool | None
    reason: str
    message: str = ""


def stock_unknown(holds: Iterable[Hold]) -> Condition:
    """Whether some accelerator pool has nobody knows what: it neither limits the plan nor counts as empty."""
    for hold in holds:
        if hold.reason is Reason.STOCK_UNKNOWN:
            return Condition("StockUnknown", True, hold.reason, hold_sentence(hold))
    return Condition("StockUnknown", status=False, reason="NothingUnknown")


def timestamp(at: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, as the API server writes it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def merge_conditions(
    existing: Sequence[Mapping[str, Any]], conditions: Sequence[Condition], generation: int, now: datetime
) -> list[dict[str, Any]]:
    """The list to store: equal to `existing` where nothing changed, so that nothing is written."""
    known = {str(old.get("type")): old for old in existing}
    merged = []
    for condition in conditions:
        status = "Unknown" if condition.status is None else str(condition.status)
        old = known.get(condition.type, {})
        since = old.get("lastTransitionTime") if old.get("status") == status else None
        merged.append(
            {
                "type": condition.type,
                "status": status,
                "reason": condition.reason,
                "message": condition.message[:1024],
                "observedGeneration": generation,
                "lastTransitionTime": since or timestamp(now),
            }
        )
    return merged
