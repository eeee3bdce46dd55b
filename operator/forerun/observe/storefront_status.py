"""The status of a Storefront: whether it is accepted, what is held, what was measured."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Storefront
from forerun.observe.conditions import Condition, merge_conditions
from forerun.observe.words import hold_sentence

REFUSING = frozenset(
    {
        Reason.TARGET_NOT_FOUND,
        Reason.TARGET_NOT_SCALABLE,
        Reason.TARGET_CLAIMED_TWICE,
        Reason.AUTOSCALER_AMBIGUOUS,
        Reason.METRICS_SOURCE_NOT_FOUND,
    }
)


def storefront_status(
    storefront: Storefront,
    holds: tuple[Hold, ...],
    tiers: Sequence[Mapping[str, Any]],
    learnt: Mapping[str, Any] | None,
    existing: Mapping[str, Any],
    now: datetime,
) -> dict[str, Any]:
    """The whole status; equal to `existing` where nothing changed. `tiers` and `learnt` go in as they are."""
    refusing = next((hold for hold in holds if hold.reason in REFUSING), None)
    if refusing is None:
        accepted = Condition("Accepted", status=True, reason="Accepted")
    else:
        message = f"{_field(storefront, refusing)}: {hold_sentence(refusing)}"
        accepted = Condition("Accepted", status=False, reason=refusing.reason, message=message)
    ready = Condition("Ready", accepted.status, accepted.reason, accepted.message)
    status = {
        "observedGeneration": storefront.generation,
        "tiers": [*tiers],
        "summary": {"reason": accepted.reason},
        "conditions": merge_conditions(existing.get("conditions") or [], [ready, accepted], storefront.generation, now),
    }
    return status if learnt is None else {**status, "learnt": learnt}


def _field(storefront: Storefront, hold: Hold) -> str:
    for position, tier in enumerate(storefront.tiers):
        if tier.name == hold.subject:
            return f"spec.tiers[{position}].targetRef"
    return "spec.demand.metricsSourceRef.name"
