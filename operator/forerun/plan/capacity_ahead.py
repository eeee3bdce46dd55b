"""Room ahead of pods: for how many replicas nodes are to be there before the replicas are asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from forerun.domain.campaign import ScheduledCampaign
from forerun.domain.capacity import CapacityPlan, TierState
from forerun.domain.storefront import Storefront, Tier
from forerun.plan.steadiness import GIVEN_BACK
from forerun.plan.windows import window_of


@dataclass(frozen=True, slots=True)
class Ahead:
    """Room for `replicas` of `tier` beyond those that are there; pointless after `until`."""

    tier: str
    replicas: int
    until: datetime


def room_ahead(
    tier: Tier, state: TierState, plan: CapacityPlan | None, campaigns: Sequence[ScheduledCampaign], now: datetime
) -> Ahead | None:
    """The room that `tier` needs now; None where it needs none, or does not ask for any.

    What the plan raises within the next `ahead.lead_seconds`, less what stands: the floor, or the replicas where an
    autoscaler has more. So it shrinks with each raise that is carried out and is gone after the last; a raise that is
    due and held keeps it. A preview or an unapproved campaign has no steps, and so no room.
    """
    if tier.ahead is None or plan is None:
        return None
    until = now + timedelta(seconds=tier.ahead.lead_seconds)
    steps = [step for step in plan.steps if step.tier == tier.name and step.at <= until]
    coming = [step for step in steps if step.at > now and step.reason not in GIVEN_BACK]
    standing = [step for step in steps if step.at <= now][-1:]
    owed = [*(step for step in standing if step.reason not in GIVEN_BACK), *coming]
    highest = max((min(step.floor, tier.max_replicas) for step in owed), default=0)
    replicas = highest - max(state.floor, state.desired or 0)
    ends = _ends(campaigns, {name for step in owed for name in step.campaigns})
    if replicas <= 0 or not ends or max(ends) <= now:
        return None
    return Ahead(tier.name, replicas, max(ends))


def room_moments(storefront: Storefront, plan: CapacityPlan | None) -> list[datetime]:
    """When room has to be looked at: as long before each step of the plan as its tier's nodes take."""
    leads = {tier.name: timedelta(seconds=tier.ahead.lead_seconds) for tier in storefront.tiers if tier.ahead}
    return [step.at - leads[step.tier] for step in (plan.steps if plan else ()) if step.tier in leads]


def _ends(campaigns: Sequence[ScheduledCampaign], names: set[str]) -> list[datetime]:
    """When the windows of these campaigns are over."""
    return [window_of(sc).hold_until for sc in campaigns if sc.campaign.key.name in names]
