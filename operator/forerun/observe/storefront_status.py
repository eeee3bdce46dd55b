"""The status of a Storefront: whether it is accepted, what is held, what was measured."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from forerun.domain.observation import LeadTime
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
    retired = next((hold for hold in holds if hold.reason is Reason.INGRESS_RETIRED), None)
    warnings = [] if retired is None else [Condition("IngressRetired", True, retired.reason, hold_sentence(retired))]
    ready = Condition("Ready", accepted.status, accepted.reason, accepted.message)
    told = [ready, accepted, *warnings]
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
        "conditions": merge_conditions(existing.get("conditions") or [], told, storefront.generation, now),
    }
    return status if learnt is None else {**status, "learnt": learnt}


def _field(storefront: Storefront, hold: Hold) -> str:
    for position, tier in enumerate(storefront.tiers):
        if tier.name == hold.subject:
            return f"spec.tiers[{position}].targetRef"
    return "spec.demand.metricsSourceRef.name"
