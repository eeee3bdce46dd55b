"""What is due now: level-triggered, from the plan, live demand and the ledger."""

from datetime import timedelta

from forerun.domain.capacity import FloorDecision, TierState
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Tier
from forerun.plan.inputs import DueInput
from forerun.plan.lowering import lowered
from forerun.plan.order import lead_seconds
from forerun.plan.ramp import next_floor
from forerun.plan.standing import Moment, Standing, expiry, moment, owed_step, standing, target_of


def decide(given: DueInput) -> tuple[FloorDecision | Hold, ...]:
    """One decision or Hold (its `subject` is the tier) for each tier that is not simply at rest.

    The target is the highest of the baseline, what the plan owes for windows that are not over, and what live demand
    needs where a window is open or the tier is raised for one that comes; at most maxReplicas. Below it, the floor is
    raised at once; above it, lowered by the rules of `lowering`. Asked twice, it answers the same.
    """
    present = moment(given)
    outcomes = (_decide_tier(present, tier) for tier in given.storefront.tiers)
    return tuple(outcome for outcome in outcomes if outcome is not None)


def _decide_tier(present: Moment, tier: Tier) -> FloorDecision | Hold | None:
    state = present.states.get(tier.name)
    entry = present.entries.get(tier.name)
    if state is None:
        return Hold(Reason.TARGET_NOT_FOUND, tier.name) if entry is not None else None
    if entry is not None and (entry.contested or entry.drifted):
        return Hold(Reason.CONTESTED if entry.contested else Reason.DRIFTED, tier.name)
    here = standing(present, tier, state)
    if entry is None and not here.asking:
        return None  # nothing of ours, and nobody asks
    return _moved(present, here, target_of(here))


def _moved(present: Moment, here: Standing, target: int) -> FloorDecision | Hold | None:
    """Up, down or at rest."""
    if target > here.state.floor:
        return _raised(present, here, target)
    if here.entry is None:
        return None
    if target < here.state.floor or not here.asking:
        return lowered(present, here, here.entry, target)
    return _renewed(present, here)


def _raised(present: Moment, here: Standing, target: int) -> FloorDecision | Hold:
    name, floor = here.tier.name, here.state.floor
    if present.frozen:
        return Hold(Reason.FREEZE_WINDOW, name, {"want": target, "floor": floor})
    waiting = _waiting(present, here)
    if waiting is not None:
        return waiting
    room = present.given.room.get(name, target)
    if room <= floor < target:
        return Hold(Reason.WAITING_FOR_DONOR, name, {"want": target, "fits": room, "floor": floor})
    # the policy's largest step is for what was planned; demand that is already there does not wait
    step = next_floor(max(0, floor), present.given.policy.max_step_up_percent)
    live = (here.live_need or 0) if here.asking else 0
    allowed = target if step is None else max(min(target, step), live)
    floor = max(here.baseline, min(target, allowed, room))
    reason = Reason.CAMPAIGN if target == here.owed > here.baseline else Reason.LIVE_DEMAND
    if here.tier.rung_of is not None:
        reason = Reason.FALLBACK
    if not here.asking:
        reason = Reason.BASELINE
    return FloorDecision(
        name, floor, reason, campaigns=here.names, expires=expiry(here.asking, present.given.expiry_grace_seconds)
    )


def _waiting(present: Moment, here: Standing) -> Hold | None:
    """A consumer waits for what it depends on, as long as it can still be Ready by the start."""
    start = min((window.occurrence.start for window in here.asking), default=None)
    if start is None:
        return None
    lead = lead_seconds(here.state, here.tier.lead_time_seconds)
    if present.now >= start - timedelta(seconds=lead):
        return None
    for name in here.tier.depends_on:
        state = present.states.get(name)
        needed = _needed(present, name, state)
        if state is not None and needed is not None and (state.ready is None or state.ready < needed):
            numbers: dict[str, float] = {"want": needed}
            if state.ready is not None:
                numbers["ready"] = state.ready
            return Hold(Reason.WAITING_FOR_DEPENDENCY, here.tier.name, numbers, detail=name)
    return None


def _needed(present: Moment, name: str, state: TierState | None) -> int | None:
    """What a dependency is owed by now; None where it is owed nothing above its baseline."""
    step = owed_step(present.given.plan, name, present.now)
    if state is None or step is None or step.floor <= state.baseline:
        return None
    return step.floor


def _renewed(present: Moment, here: Standing) -> FloorDecision | None:
    """A raise that stands already, for a window that outlives its expiry: the ledger has to say so."""
    expires = expiry(here.asking, present.given.expiry_grace_seconds)
    if here.entry is None or expires is None or here.owed <= here.baseline or here.state.floor <= here.baseline:
        return None
    if here.entry.expires >= max(window.hold_until for window in here.asking):
        return None
    return FloorDecision(here.tier.name, here.state.floor, Reason.CAMPAIGN, campaigns=here.names, expires=expires)
