"""Where a campaign stands in its life, and whether its capacity is there: the go/no-go gate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from forerun.domain.campaign import Campaign, Occurrence, Phase, ScheduledCampaign
from forerun.domain.capacity import CapacityPlan, Step, TierState
from forerun.domain.ledger import LedgerEntry
from forerun.domain.storefront import Storefront, Tier, TierRelease
from forerun.plan.executable import is_executable
from forerun.plan.order import lead_seconds
from forerun.plan.steadiness import GIVEN_BACK
from forerun.plan.windows import window_of


@dataclass(frozen=True, slots=True)
class TierReadiness:
    tier: str
    floor: int | None  # that stands there; None: unknown
    required: int | None  # Ready replicas that the start requires; None: unknown
    ready: int | None

    @property
    def is_ready(self) -> bool:
        return self.required is not None and self.ready is not None and self.ready >= self.required


@dataclass(frozen=True, slots=True)
class CapacityReadiness:
    """Ready where every tier has as many Ready replicas as the start requires; unknown is not ready."""

    ready: bool
    tiers: tuple[TierReadiness, ...]


@dataclass(frozen=True, slots=True)
class PhaseInput:
    """What the phase of one campaign follows from. `occurrence` None: no window is open, held or to come."""

    now: datetime
    campaign: Campaign
    occurrence: Occurrence | None
    storefront: Storefront | None
    plan: CapacityPlan | None
    tiers: tuple[TierState, ...] = ()
    ledger: tuple[LedgerEntry, ...] = ()
    approved: frozenset[tuple[str, int]] = frozenset()
    accepted: bool = True


def phase_of(given: PhaseInput) -> Phase:
    """The phase at `now`: level-triggered, so it does not depend on what it was before."""
    if not given.accepted:
        return Phase.REJECTED
    if given.campaign.suspend:
        return Phase.SUSPENDED
    if given.occurrence is None or given.now >= given.occurrence.end:
        return Phase.RELEASING if _is_releasing(given) else Phase.COMPLETED
    if given.now >= given.occurrence.start:
        return Phase.LIVE
    return _phase_before(given, given.occurrence)


def _phase_before(given: PhaseInput, occurrence: Occurrence) -> Phase:
    """Scheduled, Warming or Armed; Releasing while an earlier occurrence is still being given back."""
    raises = [step for step in _asked(given.plan, given.campaign) if step.at < occurrence.end]
    begun = any(step.at <= given.now for step in raises)
    if not begun and _has_surplus(given):
        return Phase.RELEASING
    if (begun or not raises) and capacity_ready(given).ready:
        return Phase.ARMED
    return Phase.WARMING if begun else Phase.SCHEDULED


def _is_releasing(given: PhaseInput) -> bool:
    """The end is over, and it is held or a surplus still stands that is to be given back."""
    if not is_executable(given.campaign, given.approved) or given.occurrence is None:
        return _has_surplus(given)
    held = given.now < window_of(ScheduledCampaign(given.campaign, given.occurrence)).hold_until
    return _has_surplus(given) or (held and bool(_entries(given)))


def _has_surplus(given: PhaseInput) -> bool:
    """Whether a floor of this campaign's stands above its baseline, other than what is kept on purpose."""
    floors = {state.tier: state for state in given.tiers}
    return any(
        entry.tier not in floors or floors[entry.tier].floor > floors[entry.tier].baseline for entry in _entries(given)
    )


def _entries(given: PhaseInput) -> list[LedgerEntry]:
    never = {
        tier.name for tier in (given.storefront.tiers if given.storefront else ()) if tier.release is TierRelease.NEVER
    }
    name = given.campaign.key.name
    return [e for e in given.ledger if name in e.campaigns and not e.kept and e.tier not in never]


def capacity_ready(given: PhaseInput) -> CapacityReadiness:
    """What each tier has against what the start of the occurrence requires."""
    if given.storefront is None or given.occurrence is None:
        return CapacityReadiness(ready=False, tiers=())
    states = {state.tier: state for state in given.tiers}
    tiers = tuple(_readiness(given, given.occurrence, tier, states.get(tier.name)) for tier in given.storefront.tiers)
    rows = {tier.tier: tier for tier in tiers}
    ready = (_is_served(given.storefront, tier, rows) for tier in given.storefront.tiers if tier.rung_of is None)
    return CapacityReadiness(ready=all(ready), tiers=tiers)


def _is_served(storefront: Storefront, tier: Tier, rows: Mapping[str, TierReadiness]) -> bool:
    """Whether a tier and its rungs are Ready each, or serve together what they have to serve together."""
    ladder = (tier, *storefront.rungs(tier.name))
    if all(rows[step.name].is_ready for step in ladder):
        return True
    serving = [(step.capacity_per_replica_rps, rows[step.name]) for step in ladder if not step.is_sink]
    if len(serving) < 2 or any(c is None or row.required is None or row.ready is None for c, row in serving):
        return False
    required = sum((c or 0.0) * (row.required or 0) for c, row in serving)
    return sum((c or 0.0) * (row.ready or 0) for c, row in serving) >= required


def _readiness(given: PhaseInput, occurrence: Occurrence, tier: Tier, state: TierState | None) -> TierReadiness:
    if state is None:
        return TierReadiness(tier.name, None, None, None)
    required = None
    if _is_planned(given, tier.name):
        lead = lead_seconds(state, tier.lead_time_seconds)
        required = required_at_start(given.plan, tier.name, occurrence, state.baseline, lead)
    return TierReadiness(tier.name, state.floor, required, state.ready)


def _is_planned(given: PhaseInput, tier: str) -> bool:
    """Whether the plan was made from this campaign as it stands, is carried out, and holds back nothing of it."""
    name, plan = given.campaign.key.name, given.plan
    if plan is None or not is_executable(given.campaign, given.approved):
        return False
    held = {hold.subject for hold in plan.holds}
    return (name, given.campaign.generation) in plan.generations and held.isdisjoint({tier, name, plan.storefront})


def required_at_start(
    plan: CapacityPlan | None, tier: str, occurrence: Occurrence, baseline: int, lead_seconds: float
) -> int:
    """Replicas of `tier` that have to be Ready when the occurrence starts.

    The last raise of the plan that can be Ready by then: one that begins less than a lead before the start is for
    demand that comes later. Where none begins so early, the first one counts: it is late, not needless.
    """
    steps = plan.steps if plan else ()
    raises = [step for step in steps if step.tier == tier and step.at <= occurrence.start]
    floors = [_asked_floor(step, baseline) for step in raises]
    in_time = occurrence.start - timedelta(seconds=lead_seconds)
    early = sum(1 for step in raises if step.at <= in_time)
    standing = floors[max(0, early - 1) : early]  # what the last step in time leaves, if there is one
    return next((floor for floor in (*standing, *floors[early:]) if floor > baseline), baseline)


def _asked_floor(step: Step, baseline: int) -> int:
    return baseline if step.reason in GIVEN_BACK else max(baseline, step.floor)


def _asked(plan: CapacityPlan | None, campaign: Campaign) -> Sequence[Step]:
    name = campaign.key.name
    return [s for s in (plan.steps if plan else ()) if name in s.campaigns and s.reason not in GIVEN_BACK]
