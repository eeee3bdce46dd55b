"""The way down, one tier at a time: on what is known, in order, in steps, and never below what is needed."""

from collections.abc import Sequence
from dataclasses import replace

from forerun.domain.capacity import FloorDecision, TierState
from forerun.domain.ledger import LedgerEntry, Owner
from forerun.domain.observation import Sample
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Tier, TierRelease
from forerun.plan.release import STEP_SECONDS, kept_for_consumers, minute_worth, percent_per_minute
from forerun.plan.sizing import filled_replicas, size
from forerun.plan.standing import Moment, Standing, evidence, expiry, own_need, standing, target_of

_RISING = 1.05  # by more than demand's own noise, over the samples that a floor may come down on


def lowered(present: Moment, here: Standing, entry: LedgerEntry, target: int) -> FloorDecision | Hold | None:
    """A lower floor, whole release at the baseline, a Hold, or None while a step is not due yet.

    `target` is what the floor may come down to by plan. Rules, in this order: a tier that is never released stays; no
    writes in a freeze; nothing without a fresh measurement, until the entry has expired; inside a window only on
    evidence; consumers first; at most the policy's share of the surplus in a minute.
    """
    if here.state.floor <= here.baseline:
        return _given_back(present, here, entry)
    if here.tier.release is TierRelease.NEVER:
        return None if here.asking else _hold(here, Reason.KEPT, here.baseline)
    expired = not here.asking and present.now >= entry.expires
    refused = _refused(present, here, target, expired=expired)
    least = refused or _least(present, here, entry, target, expired=expired)
    if isinstance(least, Hold):
        return least
    if least >= here.state.floor:
        return None if here.asking else _hold(here, Reason.LIVE_DEMAND, least)
    return _after_consumers(present, here, entry, least, expired=expired)


def _after_consumers(
    present: Moment, here: Standing, entry: LedgerEntry, least: int, *, expired: bool
) -> FloorDecision | Hold | None:
    """The step that is left where consumers go first."""
    kept = _kept_for_consumers(present, here, entry)
    step = max(least, here.state.floor - _worth(present, here, entry))
    # part of a step would use up the whole minute: it waits until consumers have freed all of it that they will
    if kept >= here.state.floor or kept > max(step, _kept_for_consumers(present, here, entry, in_the_end=True)):
        return _hold(here, Reason.CONSUMER_NOT_RELEASED, least)
    return _stepped(present, here, entry, max(step, kept), expired=expired)


def _given_back(present: Moment, here: Standing, entry: LedgerEntry) -> FloorDecision | None:
    """Nothing of ours stands any more: close the entry, unless it was written ahead of a raise still to come."""
    if any(window.campaign in entry.campaigns for window in present.windows):
        return None
    return FloorDecision(
        here.tier.name, here.baseline, Reason.RELEASING, release=True, campaigns=entry.campaigns, expires=entry.expires
    )


def _hold(here: Standing, reason: Reason, want: int) -> Hold:
    return Hold(reason, here.tier.name, {"floor": here.state.floor, "want": want, "baseline": here.baseline})


def _refused(present: Moment, here: Standing, target: int, *, expired: bool) -> Hold | None:
    """What stands against lowering anything at all."""
    if present.frozen:
        return _hold(here, Reason.FREEZE_WINDOW, target)
    if present.given.plan is None and present.windows:
        return Hold(Reason.FORECAST_UNAVAILABLE, here.tier.name, detail="there is no plan yet; floors are held")
    if isinstance(present.live, Hold) and not expired:
        return replace(present.live, subject=here.tier.name)
    return None


def _least(present: Moment, here: Standing, entry: LedgerEntry, target: int, *, expired: bool) -> int | Hold:
    """The lowest floor that what is known about demand allows."""
    if here.asking:
        return _evident(present, here, target)
    if expired or isinstance(present.live, Hold) or entry.owner is not Owner.SCALE:
        return target  # an autoscaler keeps scaling above the floor, on its own metric
    # nobody else scales this target: it keeps what demand fills, without headroom, so that it does come home
    samples = evidence(present)
    if isinstance(samples, Hold):
        return replace(samples, subject=here.tier.name)
    filled = [filled_replicas(here.tier, sample.value) for sample in samples]
    return max([target, *(min(count, here.tier.max_replicas) for count in filled if not isinstance(count, Hold))])


def _evident(present: Moment, here: Standing, target: int) -> int | Hold:
    """Inside a window: what the last samples all allow, and no second signal contradicts."""
    samples = evidence(present)
    if isinstance(samples, Hold):
        return replace(samples, subject=here.tier.name)
    if _is_rising(samples):
        return here.state.floor  # the way up is no time to learn how far it goes
    least = target
    for sample in samples:
        need = size(here.tier, sample.value)
        if isinstance(need, Hold):
            return need
        least = max(least, need)
    if least >= here.state.floor:
        return least
    own = own_need(here.tier, here.state)
    if here.state.autoscaler_wants_less is False or own >= here.state.floor:
        return _hold(here, Reason.SIGNALS_DISAGREE, least)
    return max(least, own)


def _is_rising(samples: Sequence[Sample]) -> bool:
    """Whether the newest of the samples (newest first) lies well above the lowest of them."""
    return samples[0].value > _RISING * min(sample.value for sample in samples)


def _kept_for_consumers(present: Moment, here: Standing, entry: LedgerEntry, *, in_the_end: bool = False) -> int:
    """The floor that has to stay because consumers of this tier have not given back as much of theirs.

    Those that are never released, drifted or contested hold nobody up: nothing will move them. `in_the_end`: what is
    left of it once consumers have come down as far as is known to be allowed now.
    """
    fractions = []
    for consumer in present.given.storefront.consumers(here.tier.name):
        theirs, state = present.entries.get(consumer.name), present.states.get(consumer.name)
        if theirs is None or state is None or theirs.drifted or theirs.contested:
            continue
        surplus = theirs.peak - state.baseline
        if consumer.release is TierRelease.GRADUAL and surplus > 0:
            floor = _comes_down_to(present, consumer, state, theirs) if in_the_end else state.floor
            fractions.append(min(1.0, (floor - state.baseline) / surplus))
    return here.baseline + kept_for_consumers(max(0, entry.peak - here.baseline), fractions)


def _comes_down_to(present: Moment, tier: Tier, state: TierState, entry: LedgerEntry) -> int:
    """How far a consumer may come down by what is known now; where it is held, not at all."""
    here = standing(present, tier, state)
    target, expired = target_of(here), not here.asking and present.now >= entry.expires
    refused = _refused(present, here, target, expired=expired)
    least = refused or _least(present, here, entry, target, expired=expired)
    if isinstance(least, Hold):
        return state.floor
    return min(state.floor, max(least, _kept_for_consumers(present, here, entry, in_the_end=True)))


def _worth(present: Moment, here: Standing, entry: LedgerEntry) -> int:
    """Replicas that one minute may give back."""
    held_by = {*entry.campaigns, *here.names}
    campaigns = [sc.campaign for sc in present.given.campaigns if sc.campaign.key.name in held_by]
    percent = percent_per_minute(
        (campaign.release.max_step_percent_per_minute for campaign in campaigns),
        present.given.policy.max_step_down_percent_per_minute,
    )
    return minute_worth(max(entry.peak, here.state.floor) - here.baseline, percent)


def _stepped(present: Moment, here: Standing, entry: LedgerEntry, floor: int, *, expired: bool) -> FloorDecision | None:
    """One step down to `floor`: a minute's worth of the surplus, a minute after the last write or later.

    A whole step a minute, not a trickle: any minute then holds one step at most, and a release is few writes.
    """
    if (present.now - entry.changed_at).total_seconds() < STEP_SECONDS:
        return None
    held_by = {*entry.campaigns, *here.names}
    suspended = any(sc.campaign.suspend for sc in present.given.campaigns if sc.campaign.key.name in held_by)
    floor = max(floor, here.baseline)
    lasting = expiry(here.asking, present.given.expiry_grace_seconds) or entry.expires
    return FloorDecision(
        here.tier.name,
        floor,
        _reason(here, expired=expired, suspended=suspended),
        release=floor <= here.baseline,
        campaigns=here.names or entry.campaigns,
        expires=max(lasting, entry.expires),
    )


def _reason(here: Standing, *, expired: bool, suspended: bool) -> Reason:
    if expired:
        return Reason.EXPIRED
    if here.asking:
        return Reason.EVIDENCE
    return Reason.SUSPENDED if suspended else Reason.RELEASING
