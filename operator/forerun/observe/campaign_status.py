"""The status of a Campaign: what `kubectl get`, `wait` and `describe` show."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from forerun.domain.campaign import Campaign, Occurrence
from forerun.domain.forecast import Peak
from forerun.domain.reason import Hold, Reason, Refusal
from forerun.observe.conditions import Condition, merge_conditions, timestamp
from forerun.observe.words import hold_sentence, rps

DEGRADING = frozenset(
    {
        Reason.METRIC_STALE,
        Reason.METRIC_ABSURD,
        Reason.METRICS_UNREACHABLE,
        Reason.FORECAST_UNAVAILABLE,
        Reason.CAPACITY_SHORT,
        Reason.MAX_REPLICAS,
        Reason.BUDGET_EXCEEDED,
        Reason.LATE,
        Reason.DRIFTED,
        Reason.CONTESTED,
        Reason.LEDGER_REGRESSED,
        Reason.TARGET_NOT_FOUND,
        Reason.TARGET_NOT_SCALABLE,
        Reason.TARGET_CLAIMED_TWICE,
        Reason.AUTOSCALER_AMBIGUOUS,
        Reason.FORBIDDEN,
        Reason.API_UNAVAILABLE,
        Reason.METRICS_SOURCE_NOT_FOUND,
        Reason.DEMAND_UNKNOWN,
    }
)


@dataclass(frozen=True, slots=True)
class TierView:
    """One tier as a campaign's owner sees it; None is unknown."""

    name: str
    floor: int
    ready: int | None
    required: int


@dataclass(frozen=True, slots=True)
class LastOutcome:
    forecast_peak_rps: float
    actual_peak_rps: float | None
    unserved_percent: float | None
    replica_hours: float


@dataclass(frozen=True, slots=True)
class CampaignView:
    """Everything the status is made from."""

    campaign: Campaign
    phase: str
    occurrence: Occurrence | None = None
    peak: Peak | None = None
    planned: bool = False
    capacity_ready: bool = False
    tiers: tuple[TierView, ...] = ()
    holds: tuple[Hold, ...] = ()
    kept: tuple[tuple[str, int], ...] = ()  # tier and the floor that stays
    next_raise: datetime | None = None
    last_outcome: LastOutcome | None = None


def accepted_status(existing: Mapping[str, Any], generation: int, now: datetime) -> dict[str, Any]:
    """Status of an object of which nothing more is to be told than that it is accepted."""
    conditions = [Condition(kind, status=True, reason="Accepted") for kind in ("Ready", "Accepted")]
    merged = merge_conditions(existing.get("conditions") or [], conditions, generation, now)
    return {"observedGeneration": generation, "conditions": merged}


def refused_status(
    refusal: Refusal, existing: Mapping[str, Any], generation: int, now: datetime, phase: str | None
) -> dict[str, Any]:
    """Status of an object that is not accepted: reason, field and remedy in one line."""
    message = f"{refusal.field}: {refusal.remedy}"
    conditions = [
        Condition("Ready", status=False, reason=Reason.INVALID, message=message),
        Condition("Accepted", status=False, reason=Reason.INVALID, message=message),
    ]
    status: dict[str, Any] = {
        "observedGeneration": generation,
        "conditions": merge_conditions(existing.get("conditions") or [], conditions, generation, now),
    }
    if phase is not None:
        status |= {"phase": phase, "summary": {"reason": f"{Reason.INVALID}: {refusal.field}"}}
    return status


def campaign_status(view: CampaignView, existing: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The whole status; equal to `existing` where nothing changed, so that nothing is written."""
    generation = view.campaign.generation
    status: dict[str, Any] = {
        "phase": view.phase,
        "observedGeneration": generation,
        "summary": _summary(view),
        "tiers": [_tier(tier) for tier in view.tiers],
        "holds": [{"tier": hold.subject, "reason": hold.reason, "message": hold_sentence(hold)} for hold in view.holds],
        "kept": [{"tier": tier, "floor": floor} for tier, floor in view.kept],
        "conditions": merge_conditions(existing.get("conditions") or [], conditions_of(view), generation, now),
    }
    if view.occurrence:
        status["occurrence"] = {"start": timestamp(view.occurrence.start), "end": timestamp(view.occurrence.end)}
    if view.peak:
        peak = view.peak
        status["forecast"] = {
            "peak": {name: _decimal(value) for name, value in _quantiles(peak)},
            "peakAt": timestamp(peak.at),
        }
    if view.last_outcome:
        status["lastOutcome"] = _outcome(view.last_outcome)
    elif existing.get("lastOutcome"):
        status["lastOutcome"] = existing["lastOutcome"]
    return status


def conditions_of(view: CampaignView) -> list[Condition]:
    """Every condition, so that `kubectl wait` never hangs on one that is missing."""
    degraded = next((hold for hold in view.holds if hold.reason in DEGRADING), None)
    contested = next((hold for hold in view.holds if hold.reason is Reason.CONTESTED), None)
    # kstatus: Ready as soon as it is accepted and nothing is owed now that is not there
    owed = view.phase in {"Warming", "Live"} and not view.capacity_ready
    return [
        Condition("Ready", status=not owed, reason=view.phase, message=_story(view)),
        Condition("Accepted", status=True, reason="Accepted"),
        _planned(view),
        Condition("CapacityReady", view.capacity_ready, *_capacity(view)),
        Condition("Live", view.phase == "Live", view.phase),
        Condition("Released", *_released(view)),
        Condition("Degraded", True, degraded.reason, hold_sentence(degraded))
        if degraded
        else Condition("Degraded", status=False, reason="AsPlanned"),
        Condition("Contested", True, contested.reason, hold_sentence(contested))
        if contested
        else Condition("Contested", status=False, reason="Uncontested"),
    ]


def _planned(view: CampaignView) -> Condition:
    if view.planned:
        return Condition("Planned", status=True, reason="Planned", message=_plan_words(view))
    hold = view.holds[0] if view.holds else None
    if view.phase in {"Completed", "Suspended"}:
        return Condition("Planned", status=False, reason=view.phase)
    return Condition(
        "Planned", status=False, reason=hold.reason if hold else "Pending", message=hold_sentence(hold) if hold else ""
    )


def _capacity(view: CampaignView) -> tuple[str, str]:
    if view.phase in {"Completed", "Suspended", "Releasing"}:
        return view.phase, ""
    missing = [tier for tier in view.tiers if (tier.ready or 0) < tier.required]
    words = ", ".join(f"{tier.name} {_known(tier.ready)}/{tier.required}" for tier in (missing or view.tiers))
    if view.capacity_ready:
        return "AllTiersReady", f"Ready at what the start requires: {words}"
    if view.phase == "Scheduled" and view.next_raise:
        return "Scheduled", f"the first floor is raised at {timestamp(view.next_raise)}"
    return "WaitingForReplicas", words


def _released(view: CampaignView) -> tuple[bool, str]:
    if view.kept:
        return False, "Kept"
    return view.phase in {"Completed", "Scheduled", "Suspended"}, view.phase


def _story(view: CampaignView) -> str:
    if view.phase == "Scheduled" and view.occurrence:
        return f"starts at {timestamp(view.occurrence.start)}; nothing is owed now"
    if view.phase == "Armed":
        return "every tier is Ready at its floor"
    return ""


def _plan_words(view: CampaignView) -> str:
    tiers = ", ".join(f"{tier.name} {tier.required}" for tier in view.tiers)
    if not view.peak:
        return tiers
    peak = view.peak
    return (
        f"peak {rps(peak.p50_rps)} (p99 {rps(peak.p99_rps)}) about {timestamp(peak.at)}; required at the start: {tiers}"
    )


def _summary(view: CampaignView) -> dict[str, str]:
    """The words of the printer columns."""
    summary = {"reason": _column_reason(view)}
    if view.tiers:
        ready = sum(min(tier.ready or 0, tier.required) for tier in view.tiers)
        summary["ready"] = f"{ready}/{sum(tier.required for tier in view.tiers)}"
    if view.peak:
        summary["peak"] = rps(view.peak.p99_rps)
    return summary


def _column_reason(view: CampaignView) -> str:
    degraded = next((hold for hold in view.holds if hold.reason in DEGRADING), None)
    if degraded:
        return str(degraded.reason)
    return str(view.holds[0].reason) if view.holds else view.phase


def _tier(tier: TierView) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": tier.name, "floor": tier.floor, "required": tier.required}
    if tier.ready is not None:
        shown["ready"] = tier.ready
    return shown


def _outcome(outcome: LastOutcome) -> dict[str, str]:
    shown = {
        "forecastPeak": _decimal(outcome.forecast_peak_rps),
        "replicaHours": _decimal(outcome.replica_hours),
    }
    if outcome.actual_peak_rps is not None:
        shown["actualPeak"] = _decimal(outcome.actual_peak_rps)
    if outcome.unserved_percent is not None:
        shown["unservedPercent"] = _decimal(outcome.unserved_percent)
    return shown


def _quantiles(peak: Peak) -> tuple[tuple[str, float], ...]:
    return (("p50", peak.p50_rps), ("p90", peak.p90_rps), ("p99", peak.p99_rps))


def _decimal(value: float) -> str:
    """Three significant digits: a wobble of the forecast below that is not worth a write."""
    rounded = float(f"{value:.3g}")
    return str(int(rounded)) if rounded == int(rounded) else str(rounded)


def _known(value: int | None) -> str:
    return "?" if value is None else str(value)
