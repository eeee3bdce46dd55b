"""What an observer saw, moment by moment, and the same as rows of a timeline. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from forerun.report.timeline import TimelineRow
from forerun.sandbox.demo.scenario import DemoTier

POLICY = "forerun"
_MOST_TURNS = 50


@dataclass(frozen=True, slots=True)
class TierSight:
    """One tier as the API server has it: its floor, the replicas asked for, those Ready. None: not seen."""

    floor: int | None
    desired: int | None
    ready: int | None


@dataclass(frozen=True, slots=True)
class Moment:
    """`demand_rps` is the demand at the door as Prometheus shows it; None: it gave no answer."""

    at: datetime
    demand_rps: float | None
    tiers: Mapping[str, TierSight]


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the story: an Event of the campaign."""

    at: datetime
    reason: str
    note: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step of the CapacityPlan."""

    at: datetime
    tier: str
    floor: int


@dataclass(frozen=True, slots=True)
class Story:
    """What the operator says of the campaign: shown, and not believed by the verdict."""

    phase: str = ""
    peak: tuple[float, float, float] | None = None  # p50, p90, p99 in requests/s at the door
    required: Mapping[str, int] = field(default_factory=dict)
    holds: tuple[str, ...] = ()
    steps: tuple[PlannedStep, ...] = ()
    turns: tuple[Turn, ...] = ()  # oldest first


def timeline(moments: Sequence[Moment], tiers: Sequence[DemoTier]) -> tuple[TimelineRow, ...]:
    """One row for each moment and tier; demand and what was not served in calls/s of the tier."""
    return tuple(_row(moment, tier) for moment in moments for tier in tiers)


def _row(moment: Moment, tier: DemoTier) -> TimelineRow:
    sight = moment.tiers.get(tier.name, TierSight(None, None, None))
    calls = None if moment.demand_rps is None else moment.demand_rps * tier.kind.demand_per_request
    unserved = None if calls is None or sight.ready is None else max(0.0, calls - sight.ready * tier.capacity_rps)
    return TimelineRow(
        policy=POLICY,
        at=moment.at,
        tier=tier.name,
        demand=calls,
        floor=sight.floor,
        desired=sight.desired,
        ready=sight.ready,
        unserved=unserved,
    )


def sights(objects: Mapping[str, Mapping[str, Any]], tiers: Sequence[DemoTier]) -> dict[str, TierSight]:
    """Floor, desired and Ready of each tier from raw objects, keyed `Kind/name`."""
    return {tier.name: _sight(objects, tier) for tier in tiers}


def _sight(objects: Mapping[str, Mapping[str, Any]], tier: DemoTier) -> TierSight:
    workload = objects.get(f"{tier.kind.workload}/{tier.kind.target}")
    if workload is None:
        return TierSight(None, None, None)
    desired = workload["spec"].get("replicas", 1)
    status = workload.get("status") or {}
    ready = status.get("readyReplicas", 0) if "observedGeneration" in status else None
    if not tier.kind.autoscaled:
        return TierSight(desired, desired, ready)
    autoscaler = objects.get(f"HorizontalPodAutoscaler/{tier.kind.target}")
    floor = None if autoscaler is None else autoscaler["spec"].get("minReplicas", 1)
    return TierSight(floor, desired, ready)


def story(campaign: Mapping[str, Any], plan: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> Story:
    """The operator's words from raw objects, empty where it has said nothing yet."""
    status = campaign.get("status") or {}
    turns = sorted((_turn(event) for event in events), key=lambda turn: turn.at)
    return Story(
        phase=status.get("phase") or "",
        peak=_peak(status),
        required={tier["name"]: tier["required"] for tier in status.get("tiers") or [] if "required" in tier},
        holds=tuple(hold.get("message") or hold["reason"] for hold in status.get("holds") or []),
        steps=_steps(plan),
        turns=tuple(turns[-_MOST_TURNS:]),
    )


def _peak(status: Mapping[str, Any]) -> tuple[float, float, float] | None:
    peak = (status.get("forecast") or {}).get("peak")
    return (float(peak["p50"]), float(peak["p90"]), float(peak["p99"])) if peak else None


def _steps(plan: Mapping[str, Any]) -> tuple[PlannedStep, ...]:
    steps = (plan.get("spec") or {}).get("steps") or []
    return tuple(PlannedStep(datetime.fromisoformat(step["at"]), step["tier"], int(step["floor"])) for step in steps)


def _turn(event: Mapping[str, Any]) -> Turn:
    at = event.get("eventTime") or event["metadata"]["creationTimestamp"]
    return Turn(datetime.fromisoformat(at), event["reason"], event.get("note") or "", event.get("type") == "Warning")
