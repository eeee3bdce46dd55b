"""`forerun plan`: the CapacityPlan that the operator would write; touches no cluster."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import click
import yaml
from rich.console import Console
from rich.table import Table

from forerun.api.convert import plan_to_spec
from forerun.api.windows import current_or_next, past_occurrences
from forerun.cli.failure import BadInput
from forerun.cli.files import Objects, instant, load
from forerun.domain.campaign import Mode, ScheduledCampaign
from forerun.domain.capacity import CapacityPlan, TierState
from forerun.domain.forecast import EventWindow, Forecast, ForecastRequest
from forerun.domain.observation import DemandSeries
from forerun.domain.policy import Policy
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Storefront, Tier
from forerun.forecast.process import ForecastProcess
from forerun.observe.words import hold_sentence, rps
from forerun.plan.inputs import PlanInput
from forerun.plan.planner import make_plan
from forerun.signals.trace import TraceError, read_trace

SHORT = frozenset(
    {Reason.CAPACITY_SHORT, Reason.MAX_REPLICAS, Reason.BUDGET_EXCEEDED, Reason.LATE, Reason.DEMAND_UNKNOWN}
)


@click.command()
@click.option(
    "-f", "--file", "files", multiple=True, required=True, help="YAML: Storefront, Campaigns, policies, targets."
)
@click.option("--history", metavar="CSV", help="Trace of past demand (timestamp,requests).")
@click.option("--now", metavar="T", help="Decide as at this time; default: the end of the history, else the present.")
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
def plan(files: tuple[str, ...], history: str | None, now: str | None, output: str) -> None:
    """Print the plan; exit code 1 where it falls short."""
    objects = load(files)
    if len(objects.storefronts) != 1:
        raise BadInput(f"{', '.join(files)}: Storefront: {len(objects.storefronts)} found; give exactly one")
    storefront = objects.storefronts[0]
    series = _history(history)
    moment = instant(now, "--now") if now else (_end(series) if series else datetime.now(UTC))
    scheduled = _scheduled(objects, storefront, moment, ", ".join(files))
    forecast = _forecast_of(objects, storefront, scheduled, series, moment) if scheduled else None
    made = _make(objects, storefront, scheduled, forecast, moment)
    _print(storefront, made, forecast, output)
    if any(risk.reason in SHORT for risk in (*made.risks, *made.holds)):
        raise SystemExit(1)


def _forecast_of(
    objects: Objects,
    storefront: Storefront,
    scheduled: tuple[ScheduledCampaign, ...],
    series: DemandSeries | None,
    now: datetime,
) -> Forecast:
    request = ForecastRequest(
        storefront=str(storefront.key),
        now=now,
        history=_before(series, now),
        recent=None,
        upcoming=tuple(_window(item) for item in scheduled),
        past=_past(objects, storefront, now),
    )
    forecast = asyncio.run(_forecast(request))
    if isinstance(forecast, Hold):
        raise BadInput(f"{storefront.key}: {hold_sentence(forecast)}; give --history or spec.expected.peak")
    return forecast


def _make(
    objects: Objects,
    storefront: Storefront,
    scheduled: tuple[ScheduledCampaign, ...],
    forecast: Forecast | None,
    now: datetime,
) -> CapacityPlan:
    policy = objects.policies[0] if objects.policies else Policy()
    executable = tuple(item for item in scheduled if item.campaign.mode is Mode.AUTOMATIC)
    return make_plan(
        PlanInput(
            now=now,
            storefront=storefront,
            campaigns=scheduled,
            forecast=forecast if executable else None,
            proposed_forecast=forecast if len(executable) < len(scheduled) else None,
            tiers=tuple(_tier_state(tier, objects) for tier in storefront.tiers),
            policy=policy,
            previous=None,
            approved=frozenset(),
        )
    )


async def _forecast(request: ForecastRequest) -> Forecast | Hold:
    process = ForecastProcess(threads=1, time_compression=1.0)
    await process.start()
    try:
        return (await process.forecast([request]))[0]
    finally:
        await process.close()


def _scheduled(objects: Objects, storefront: Storefront, now: datetime, files: str) -> tuple[ScheduledCampaign, ...]:
    scheduled = []
    for campaign in objects.campaigns:
        if campaign.storefront != storefront.key.name or campaign.key.namespace != storefront.key.namespace:
            raise BadInput(
                f"{files}: Campaign {campaign.key}: spec.storefrontRef.name: no Storefront "
                f"{campaign.key.namespace}/{campaign.storefront} in the files; add it"
            )
        occurrence = current_or_next(campaign.schedule, now)
        if occurrence is not None and not campaign.suspend:
            scheduled.append(ScheduledCampaign(campaign, occurrence))
    return tuple(scheduled)


def _past(objects: Objects, storefront: Storefront, now: datetime) -> tuple[EventWindow, ...]:
    since = datetime(2000, 1, 1, tzinfo=UTC)
    return tuple(
        _window(ScheduledCampaign(campaign, occurrence))
        for campaign in objects.campaigns
        if campaign.storefront == storefront.key.name
        for occurrence in past_occurrences(campaign.schedule, since, now)
    )


def _window(item: ScheduledCampaign) -> EventWindow:
    campaign = item.campaign
    return EventWindow(
        campaign.key.name, campaign.type, item.occurrence, campaign.expected, campaign.overlap, campaign.priority
    )


def _tier_state(tier: Tier, objects: Objects) -> TierState:
    """The baseline from the target or its autoscaler, where the files hold them; else the tier's minReplicas."""
    baseline = tier.min_replicas or 1
    for raw in objects.others:
        spec: dict[str, Any] = raw.get("spec") or {}
        reference = spec.get("scaleTargetRef") or {}
        if raw["kind"] == "HorizontalPodAutoscaler" and reference.get("name") == tier.target.name:
            baseline = int(spec.get("minReplicas") or 1)
            break
        if raw["kind"] == tier.target.kind and raw.get("metadata", {}).get("name") == tier.target.name:
            baseline = int(spec.get("replicas", 1))
    return TierState(tier.name, baseline, baseline, None, None, tier.lead_time_seconds)


def _history(path: str | None) -> DemandSeries | None:
    if path is None:
        return None
    try:
        return read_trace(path)
    except TraceError as error:
        raise BadInput(str(error)) from None
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}; give the path of a CSV or CSV.gz trace") from None


def _end(series: DemandSeries) -> datetime:
    return datetime.fromtimestamp(series.start.timestamp() + series.step_seconds * len(series.values), tz=UTC)


def _before(series: DemandSeries | None, now: datetime) -> DemandSeries | None:
    """Only what was measured before `now`."""
    if series is None:
        return None
    count = int((now - series.start).total_seconds() // series.step_seconds)
    kept = series.values[: max(0, count)]
    return DemandSeries(series.start, series.step_seconds, kept) if kept else None


def _print(storefront: Storefront, made: CapacityPlan, forecast: Forecast | None, output: str) -> None:
    if output != "table":
        document = {
            "apiVersion": "forerun.dev/v1alpha1",
            "kind": "CapacityPlan",
            "metadata": {"name": storefront.key.name, "namespace": storefront.key.namespace},
            "spec": plan_to_spec(made),
        }
        text = json.dumps(document, indent=2) if output == "json" else yaml.safe_dump(document, sort_keys=False)
        click.echo(text.rstrip())
        return
    console = Console(soft_wrap=True, highlight=False)
    for peak in forecast.peaks if forecast else ():
        console.print(
            f"{peak.campaign}: peak {rps(peak.p50_rps)} (p90 {rps(peak.p90_rps)}, p99 {rps(peak.p99_rps)}) "
            f"about {peak.at:%Y-%m-%d %H:%M} UTC, from {forecast.basis if forecast else ''}"
        )
    table = Table("At (UTC)", "Tier", "Floor", "Reason", "For", box=None, pad_edge=False)
    for step in made.steps:
        table.add_row(
            f"{step.at:%Y-%m-%d %H:%M:%S}", step.tier, str(step.floor), step.reason, ", ".join(step.campaigns)
        )
    for step in made.proposed:
        table.add_row(
            f"{step.at:%Y-%m-%d %H:%M:%S}", step.tier, str(step.floor), "(proposed)", ", ".join(step.campaigns)
        )
    console.print(table)
    console.print(
        f"adds {made.cost.replica_hours:.1f} replica-hours, {made.cost.accelerator_hours:.1f} accelerator-hours"
    )
    for hold in (*made.risks, *made.holds):
        console.print(f"risk: {hold_sentence(hold)}", style="yellow")
