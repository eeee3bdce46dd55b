"""Objects of the API server as words of the domain, and back; the one place that others import from.

Every `*_from` takes JSON-like input of any shape and returns a value or a `Refusal`; none
raises. Durations become seconds, decimals become floats, times become aware UTC.
"""

from collections.abc import Mapping
from typing import Any

from forerun.api.ledgers import (
    entry_from_annotation,
    entry_to_annotation,
    ledger_faults,
    ledger_from,
    ledger_to,
    stored_time,
)
from forerun.api.lessons import learnt_with, lessons_from
from forerun.api.models_campaign import Campaign as CampaignObject
from forerun.api.models_campaign import CampaignSpec
from forerun.api.plans import approvals_from, holds_from, holds_to, plan_from, plan_to_spec
from forerun.api.policies import auth_secret_of, metrics_source_from, policy_from, policy_selects
from forerun.api.refusals import checked
from forerun.api.schedules import schedule_from
from forerun.api.start_ups import start_up_to, starts_from
from forerun.api.storefronts import storefront_from
from forerun.domain.campaign import Budget, Campaign, Expected, Key, Mode, Overlap, ReleaseRule
from forerun.domain.reason import Refusal

__all__ = [
    "approvals_from",
    "auth_secret_of",
    "campaign_from",
    "entry_from_annotation",
    "entry_to_annotation",
    "holds_from",
    "holds_to",
    "learnt_with",
    "ledger_faults",
    "ledger_from",
    "ledger_to",
    "lessons_from",
    "metrics_source_from",
    "plan_from",
    "plan_to_spec",
    "policy_from",
    "policy_selects",
    "start_up_to",
    "starts_from",
    "stored_time",
    "storefront_from",
]


def campaign_from(obj: Mapping[str, Any]) -> Campaign | Refusal:
    """A Campaign object as a checked campaign."""
    found = checked(CampaignObject, obj)
    if isinstance(found, Refusal):
        return found
    spec, metadata = found.spec, found.metadata
    key = Key(metadata.namespace, metadata.name)
    schedule = schedule_from(spec.schedule, f"Campaign {key}")
    if isinstance(schedule, Refusal):
        return schedule
    return Campaign(
        key=key,
        uid=metadata.uid,
        generation=metadata.generation,
        storefront=spec.storefront_ref.name,
        type=spec.type,
        schedule=schedule,
        expected=_expected(spec),
        service_level=spec.service_level,
        priority=spec.priority or 0,
        overlap=spec.overlap or Overlap.SUM,
        mode=spec.mode or Mode.AUTOMATIC,
        suspend=bool(spec.suspend),
        release=_release(spec),
        budget=_budget(spec),
    )


def _expected(spec: CampaignSpec) -> Expected:
    if spec.expected is None:
        return Expected()
    return Expected(spec.expected.audience, spec.expected.multiplier, spec.expected.peak)


def _release(spec: CampaignSpec) -> ReleaseRule:
    said = spec.release
    usual = ReleaseRule()
    if said is None:
        return usual
    return ReleaseRule(
        hold_for_seconds=usual.hold_for_seconds if said.hold_for is None else said.hold_for,
        max_step_percent_per_minute=said.max_step_percent or usual.max_step_percent_per_minute,
    )


def _budget(spec: CampaignSpec) -> Budget:
    if spec.budget is None:
        return Budget()
    return Budget(spec.budget.replica_hours, spec.budget.accelerator_hours)
