"""What a campaign's status is made from, taken out of the StorefrontState; no I/O."""

from datetime import datetime
from typing import Any

from forerun.api.convert import start_up_to, stored_time
from forerun.api.windows import current_or_next, latest_before
from forerun.controllers.state import Room, StorefrontState, Tally
from forerun.domain.campaign import Campaign, Occurrence, Phase
from forerun.domain.capacity import CapacityPlan
from forerun.domain.forecast import Peak
from forerun.domain.observation import LeadTime
from forerun.domain.storefront import Storefront, Tier
from forerun.observe.campaign_status import CampaignView, LastOutcome, TierView
from forerun.plan.lead_time import lead_from, source_of
from forerun.plan.phase import CapacityReadiness, PhaseInput, capacity_ready, phase_of

AT_REST = frozenset({Phase.COMPLETED, Phase.SUSPENDED})


def make_view(
    state: StorefrontState, campaign: Campaign, approved: frozenset[tuple[str, int]], now: datetime
) -> CampaignView:
    """One campaign as its owner sees it."""
    given = PhaseInput(
        now=now,
        campaign=campaign,
        occurrence=_occurrence(state, campaign, now),
        storefront=state.storefront,
        plan=state.plan,
        tiers=state.tiers,
        ledger=state.ledger,
        approved=approved,
    )
    phase = phase_of(given)
    name, resting = campaign.key.name, phase in AT_REST
    readiness = capacity_ready(given)
    peak = _peak(state, name, given.occurrence)
    return CampaignView(
        campaign=campaign,
        phase=phase,
        occurrence=given.occurrence,
        peak=peak,
        planned=peak is not None and state.plan is not None and not resting,
        capacity_ready=readiness.ready and not resting,
        tiers=() if resting else _tiers(readiness),
        holds=() if resting else state.holds,
        kept=_kept(state, name),
        next_raise=_next_raise(state.plan, name, now),
        last_outcome=_outcome(state, name, now),
    )


def tier_statuses(storefront: Storefront, state: StorefrontState) -> list[dict[str, Any]]:
    """`status.tiers` of the Storefront: what was measured of those of which anything was."""
    shown = []
    for tier in storefront.tiers:
        told = {**_lead_time(tier, state.lead_times.get(tier.name)), **_room(state.rooms.get(tier.name))}
        if told:
            shown.append({"name": tier.name, **told})
    return shown


def _lead_time(tier: Tier, measured: LeadTime | None) -> dict[str, Any]:
    if measured is None:
        return {}
    return {
        "leadTimeSeconds": str(round(lead_from(measured, tier.lead_time_seconds))),
        "leadTimeSamples": measured.samples,
        "leadTimeSource": source_of(measured, tier.lead_time_seconds).value,
        "startUp": start_up_to(measured, str(tier.target)),
    }


def _room(room: Room | None) -> dict[str, Any]:
    if room is None or room.wanted is None:
        return {}
    until = stored_time(room.wanted.until)
    return {"capacityAhead": {"provision": room.provision.value, "replicas": room.wanted.replicas, "until": until}}


def _occurrence(state: StorefrontState, campaign: Campaign, now: datetime) -> Occurrence | None:
    """The occurrence that the state works on, else the next, else the last."""
    worked_on = (item.occurrence for item in state.campaigns if item.campaign.key == campaign.key)
    return next(worked_on, None) or current_or_next(campaign.schedule, now) or latest_before(campaign.schedule, now)


def _peak(state: StorefrontState, name: str, occurrence: Occurrence | None) -> Peak | None:
    for forecast in (state.forecast, state.proposed_forecast):
        for peak in forecast.peaks if forecast else ():
            if peak.campaign == name and peak.occurrence == occurrence:
                return peak
    return None


def _tiers(readiness: CapacityReadiness) -> tuple[TierView, ...]:
    """Tiers of which it is known what the start requires of them."""
    return tuple(
        TierView(tier.tier, tier.floor, tier.ready, tier.required)
        for tier in readiness.tiers
        if tier.floor is not None and tier.required is not None
    )


def _kept(state: StorefrontState, name: str) -> tuple[tuple[str, int], ...]:
    floors = {tier.tier: tier.floor for tier in state.tiers}
    return tuple(
        (entry.tier, floors.get(entry.tier, entry.peak))
        for entry in state.ledger
        if entry.kept and name in entry.campaigns
    )


def _next_raise(plan: CapacityPlan | None, name: str, now: datetime) -> datetime | None:
    steps = plan.steps if plan else ()
    return min((step.at for step in steps if name in step.campaigns and step.at > now), default=None)


def _outcome(state: StorefrontState, name: str, now: datetime) -> LastOutcome | None:
    tally = state.tallies.get(name)
    if tally is None or tally.occurrence.end > now or not tally.samples:
        return None
    peak = _peak(state, name, tally.occurrence)
    if peak is None:
        return None
    return LastOutcome(
        forecast_peak_rps=peak.p50_rps,
        actual_peak_rps=tally.peak_rps if tally.since_start else None,
        unserved_percent=_unserved_percent(tally),
        replica_hours=state.plan.cost.replica_hours if state.plan else 0.0,
    )


def _unserved_percent(tally: Tally) -> float | None:
    """None where the campaign was not watched from its start."""
    return 100.0 * tally.unserved / tally.demand if tally.since_start and tally.demand > 0 else None
