"""A plan from the objects of files and a trace, as the operator would make it from the cluster. Pure."""

from datetime import datetime, timedelta
from typing import Any

from forerun.api.windows import current_or_next, past_occurrences
from forerun.cli.failure import BadInput
from forerun.cli.files import Objects
from forerun.domain.campaign import Campaign, Key, Mode, ScheduledCampaign
from forerun.domain.capacity import CapacityPlan, TierState
from forerun.domain.forecast import EventWindow, Forecast, ForecastRequest
from forerun.domain.observation import DemandSeries
from forerun.domain.policy import Policy
from forerun.domain.storefront import Storefront, Tier
from forerun.forecast.grid import tail_end
from forerun.plan.inputs import PlanInput
from forerun.plan.planner import make_plan

Scheduled = tuple[ScheduledCampaign, ...]


def end_of(series: DemandSeries) -> datetime:
    """The end of the last bin."""
    return series.start + timedelta(seconds=series.step_seconds * len(series.values))


def scheduled_of(objects: Objects, storefront: Storefront, now: datetime, files: str) -> Scheduled:
    """The campaigns with the occurrence that is or comes next. BadInput where one belongs to another Storefront."""
    scheduled = []
    for campaign in objects.campaigns:
        if _storefront_of(campaign) != storefront.key:
            raise BadInput(
                f"{files}: Campaign {campaign.key}: spec.storefrontRef.name: no Storefront "
                f"{_storefront_of(campaign)} in the files; add it"
            )
        occurrence = current_or_next(campaign.schedule, now)
        if occurrence is not None and not campaign.suspend:
            scheduled.append(ScheduledCampaign(campaign, occurrence))
    return tuple(scheduled)


def forecast_request(
    objects: Objects, storefront: Storefront, scheduled: Scheduled, series: DemandSeries | None, now: datetime
) -> ForecastRequest:
    """What the forecast may see at `now`: nothing measured or learnt after it."""
    history = _before(series, now)
    lessons = objects.lessons.get(storefront.key, ())
    return ForecastRequest(
        storefront=str(storefront.key),
        now=now,
        history=history,
        recent=None,
        upcoming=tuple(EventWindow.of(item) for item in scheduled),
        past=_past(objects, history, now),
        experience=tuple(lesson for lesson in lessons if tail_end(lesson.window) <= now),
    )


def _past(objects: Objects, history: DemandSeries | None, now: datetime) -> tuple[EventWindow, ...]:
    """Windows within the history that are over, oldest first; those of suspended campaigns were not sent."""
    if history is None:
        return ()
    windows = [
        EventWindow.of(ScheduledCampaign(campaign, occurrence))
        for campaign in objects.campaigns
        if not campaign.suspend
        for occurrence in past_occurrences(campaign.schedule, history.start, now)
    ]
    return tuple(sorted(windows, key=lambda window: (window.occurrence, window.campaign)))


def plan_of(
    objects: Objects, storefront: Storefront, scheduled: Scheduled, forecast: Forecast | None, now: datetime
) -> CapacityPlan:
    """The plan, with what waits for an approval or is a Preview as proposed."""
    executable = [item for item in scheduled if item.campaign.mode is Mode.AUTOMATIC]
    return make_plan(
        PlanInput(
            now=now,
            storefront=storefront,
            campaigns=scheduled,
            forecast=forecast if executable else None,
            proposed_forecast=forecast if len(executable) < len(scheduled) else None,
            tiers=tuple(_tier_state(tier, objects) for tier in storefront.tiers),
            policy=objects.policies[0] if objects.policies else Policy(),
            previous=None,
            approved=frozenset(),
        )
    )


def _storefront_of(campaign: Campaign) -> Key:
    return Key(campaign.key.namespace, campaign.storefront)


def _tier_state(tier: Tier, objects: Objects) -> TierState:
    baseline = _baseline(tier, objects)
    return TierState(tier.name, baseline, baseline, None, None, tier.lead_time_seconds)


def _baseline(tier: Tier, objects: Objects) -> int:
    """From the target's autoscaler, else the target, where the files hold them; else the tier's minReplicas."""
    baseline = tier.min_replicas or 1
    for raw in objects.others:
        spec: dict[str, Any] = raw.get("spec") or {}
        if raw["kind"] == "HorizontalPodAutoscaler" and _scales(spec) == tier.target.name:
            return int(spec.get("minReplicas") or 1)
        if (raw["kind"], raw.get("metadata", {}).get("name")) == (tier.target.kind, tier.target.name):
            baseline = int(spec.get("replicas", 1))
    return baseline


def _scales(spec: dict[str, Any]) -> str | None:
    return (spec.get("scaleTargetRef") or {}).get("name")


def _before(series: DemandSeries | None, now: datetime) -> DemandSeries | None:
    """Only what was measured before `now`."""
    if series is None:
        return None
    count = int((now - series.start).total_seconds() // series.step_seconds)
    kept = series.values[: max(0, count)]
    return DemandSeries(series.start, series.step_seconds, kept) if kept else None
