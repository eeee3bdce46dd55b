"""The status of a Storefront: whether it is accepted, what is held, what was measured."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from forerun.domain.observation import LeadTime
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Storefront
from forerun.observe.conditions import Condition, merge_conditions, stock_unknown
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
    lead_times: Mapping[str, LeadTime],
    learnt: Mapping[str, Any] | None,
    existing: Mapping[str, Any],
    now: datetime,
) -> dict[str, Any]:
    """The whole status; equal to `existing` where nothing changed. `learnt` goes in as it is."""
    refusing = next((hold for hold in holds if hold.reason in REFUSING), None)
    if refusing is None:
        accepted = Condition("Accepted", status=True, reason="Accepted")
    else:
        message = f"{_field(storefront, refusing)}: {hold_sentence(refusing)}"
        accepted = Condition("Accepted", status=False, reason=refusing.reason, message=message)
    ready = Condition("Ready", accepted.status, accepted.reason, accepted.message)
    conditions = [ready, accepted, _degraded(holds), stock_unknown(holds)]
    status = {
        "observedGeneration": storefront.generation,
        "tiers": [
            {
                "name": tier.name,
                "leadTimeSeconds": str(round(lead_times[tier.name].p95_seconds)),
                "leadTimeSamples": lead_times[tier.name].samples,
            }
            for tier in storefront.tiers
            if tier.name in lead_times
        ],
        "summary": {"reason": accepted.reason},
        "conditions": merge_conditions(existing.get("conditions") or [], conditions, storefront.generation, now),
    }
    return status if learnt is None else {**status, "learnt": learnt}


def _degraded(holds: tuple[Hold, ...]) -> Condition:
    """An accelerator pool falls short of what is planned: told here too, as it concerns the shop, not one campaign."""
    short = next((hold for hold in holds if hold.reason is Reason.CAPACITY_SHORT), None)
    if short is None:
        return Condition("Degraded", status=False, reason="AsPlanned")
    return Condition("Degraded", status=True, reason=short.reason, message=hold_sentence(short))


def _field(storefront: Storefront, hold: Hold) -> str:
    position = rung = -1
    for tier in storefront.tiers:
        position, rung = (position + 1, -1) if tier.rung_of is None else (position, rung + 1)
        if tier.name == hold.subject:
            return f"spec.tiers[{position}].{'targetRef' if rung < 0 else f'fallback[{rung}].targetRef'}"
    return "spec.demand.metricsSourceRef.name"
