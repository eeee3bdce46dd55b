"""What people use today, as floors that are known before the scenario begins. The HPA above them is the arena's.

Each is set the way a careful team would: it knows the past, the declared numbers and how long pods take.
"""

import math
from datetime import datetime, timedelta

import numpy as np

from forerun.api.windows import occurrences
from forerun.domain.campaign import Campaign, Occurrence
from forerun.domain.observation import DemandSeries
from forerun.domain.storefront import Tier
from forerun.simulate.policy import Known
from forerun.simulate.scenario import IntArray

_CRON_SLACK_SECONDS = 60.0  # a cron expression has whole minutes
_WEEK, _DAY = timedelta(days=7), timedelta(days=1)


def no_floors(known: Known, factor: float) -> dict[str, IntArray]:  # noqa: ARG001  # the same form as the others
    """`hpa` and `hpa-rps`: minReplicas stays as it is."""
    return {}


def cron_floors(known: Known, factor: float) -> dict[str, IntArray]:
    """`keda-cron`: for each event, from a lead time before its start to its end, `factor` times the size expected."""
    floors = baselines(known)
    for campaign, occurrence in events_of(known):
        peak = expected_peak_rps(known, campaign, occurrence)
        for tier in known.storefront.tiers:
            early = timedelta(seconds=lead_seconds(known, tier) + _CRON_SLACK_SECONDS)
            first, last = _tick(known, occurrence.start - early), _tick(known, occurrence.end)
            size = replicas_for(tier, factor * peak)
            floors[tier.name][first:last] = np.maximum(floors[tier.name][first:last], size)
    return floors


def static_floors(known: Known, factor: float) -> dict[str, IntArray]:
    """`static`: all the time, `factor` times the peak of the last event of the kind; else of what is expected."""
    peaks = [known.last_peak_rps] if known.last_peak_rps is not None else []
    peaks = peaks or [expected_peak_rps(known, campaign, occurrence) for campaign, occurrence in events_of(known)]
    floors = baselines(known)
    for tier in known.storefront.tiers:
        floors[tier.name] = np.maximum(floors[tier.name], replicas_for(tier, factor * max(peaks, default=0.0)))
    return floors


def expected_peak_rps(known: Known, campaign: Campaign, occurrence: Occurrence) -> float:
    """What a team expects at the door: the declared peak, the declared multiple of the usual, or the last event's."""
    expected = campaign.expected
    if expected.peak_rps is not None:
        return expected.peak_rps
    usual = usual_peak_rps(known.history, occurrence)
    if expected.multiplier is not None:
        return expected.multiplier * usual
    return usual if known.last_peak_rps is None else known.last_peak_rps


def usual_peak_rps(history: DemandSeries | None, occurrence: Occurrence) -> float:
    """The highest demand in the same hours a week before; where that was not measured, a day before, else ever."""
    if history is None:
        return 0.0
    values = np.array(history.values)
    for back in (_WEEK, _DAY):
        first, last = (_bin(history, moment - back) for moment in (occurrence.start, occurrence.end))
        seen = values[max(0, first) : max(0, last + 1)]
        if np.isfinite(seen).any():
            return float(np.nanmax(seen))
    return float(np.nanmax(values)) if np.isfinite(values).any() else 0.0


def replicas_for(tier: Tier, door_rps: float) -> int:
    """Replicas that serve so much at the door, within the tier's bounds; 0 where its capacity is not known."""
    capacity = tier.capacity_per_replica_rps
    if not capacity or not math.isfinite(door_rps):
        return 0
    return min(tier.max_replicas, math.ceil(door_rps * tier.demand_per_request / capacity - 1e-9))


def events_of(known: Known) -> list[tuple[Campaign, Occurrence]]:
    """Every occurrence that touches the scenario, of the campaigns that are not suspended."""
    until = known.start + timedelta(seconds=known.ticks * known.tick_seconds)
    return [
        (campaign, occurrence)
        for campaign in known.campaigns
        if not campaign.suspend
        for occurrence in occurrences(campaign.schedule, known.start, until)
    ]


def baselines(known: Known) -> dict[str, IntArray]:
    """Each tier's minReplicas at each tick, as floors to raise."""
    tiers = known.storefront.tiers
    return {t.name: np.full(known.ticks, 1 if t.min_replicas is None else t.min_replicas) for t in tiers}


def lead_seconds(known: Known, tier: Tier) -> float:
    """Until nearly every pod that is asked for is Ready."""
    return tier.lead_time_seconds * known.start_up_spread


def _tick(known: Known, when: datetime) -> int:
    return int(np.clip((when - known.start).total_seconds() // known.tick_seconds, 0, known.ticks))


def _bin(history: DemandSeries, when: datetime) -> int:
    return int((when - history.start).total_seconds() // history.step_seconds)
