"""What a campaign's status is made from, taken out of the StorefrontState; no I/O."""

from datetime import datetime

from forerun.api.windows import current_or_next, latest_before
from forerun.controllers.state import StorefrontState, Tally
from forerun.domain.campaign import Campaign, Occurrence, Phase
from forerun.domain.capacity import CapacityPlan
from forerun.domain.forecast import Peak
from forerun.domain.storefront import Storefront
from forerun.observe.campaign_status import CampaignView, LastOutcome, TierView
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
        tiers=() if resting else _tiers(state.storefront, readiness),
        holds=() if resting else state.holds,
        kept=_kept(state, name),
        next_raise=_next_raise(state.plan, name, now),
        last_outcome=_outcome(state, name, now),
    )


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


def _tiers(storefront: Storefront | None, readiness: CapacityReadiness) -> tuple[TierView, ...]:
    """Tiers of which it is known what the start requires of them, with what each rung of a ladder serves."""
    tiers = {tier.name: tier for tier in storefront.tiers} if storefront else {}
    ladders = {tier.rung_of for tier in tiers.values()} - {None}
    views = []
    for row in readiness.tiers:
        if row.floor is None or row.required is None:
            continue
        tier = tiers[row.tier]
        on_ladder = tier.rung_of is not None or tier.name in ladders
        known = on_ladder and row.ready is not None and tier.capacity_per_replica_rps is not None
        serves = (row.ready or 0) * (tier.capacity_per_replica_rps or 0.0) if known else None
        views.append(TierView(row.tier, row.floor, row.ready, row.required, tier.rung_of, serves))
    return tuple(views)


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
