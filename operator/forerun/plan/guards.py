"""The guards of a plan: an ordered chain over the raises of one stretch, each passes, caps, moves or holds.

A guard is a function of `GuardInput` that returns verdicts; none is a pass. The order is: freshness, bounds, ramp,
freeze, steadiness, pools, ladder, approval, budget. What moves a raise in time comes before what holds it against the
previous plan, so that planning again moves nothing twice; the budget comes last, because only then is known what a plan
costs. Rollout in progress belongs before `freeze`: one function and one line in `GUARDS`.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

from forerun.domain.reason import Hold, Reason
from forerun.domain.stock import Ask
from forerun.domain.storefront import Tier
from forerun.plan.cost import fits_budget
from forerun.plan.executable import is_approved
from forerun.plan.ladder import rung_raises
from forerun.plan.pools import pools
from forerun.plan.raises import Raises, capped, rising, top
from forerun.plan.ramp import ramped, spacing_seconds
from forerun.plan.steadiness import Held, Open, held_raises, settled, steadied, unchanged
from forerun.plan.verdicts import Cap, Guard, Guarded, GuardInput, Move, Note, Share, Verdict, cap_of
from forerun.plan.windows import before_freeze, second_of

_BUDGET_ROUNDS = 14  # halvings: the share of the surplus that fits, to 1 in 16,000


def freshness(given: GuardInput) -> tuple[Verdict, ...]:
    """A tier whose need is not known is held as it was planned; it is never lowered to what is known."""
    return tuple(given.unknown.values())


def bounds(given: GuardInput) -> tuple[Verdict, ...]:
    """MaxReplicas is a ceiling for what we ask; a baseline above it stays."""
    return tuple(
        cap_of(given, tier, max(given.baseline(tier.name), tier.max_replicas), Reason.MAX_REPLICAS)
        for tier, raises in given.raised()
        if top(raises, 0) > tier.max_replicas
    )


def ramp(given: GuardInput) -> tuple[Verdict, ...]:
    """Raises larger than the policy allows are split, earlier; what the tier depends on moves by as much."""
    percent = given.policy.max_step_up_percent
    if percent is None:
        return ()
    earlier: dict[str, int] = {}
    moves = []
    for tier, raises in given.raised():
        shift = max((earlier.get(name, 0) for name in given.order.consumers[tier.name]), default=0)
        shifted = tuple(step._replace(at=step.at - shift) for step in raises)
        spacing = spacing_seconds(given.order.leads[tier.name])
        split = ramped(shifted, given.baseline(tier.name), percent, spacing)
        earlier[tier.name] = shift + _earlier_by(shifted, split, given.baseline(tier.name))
        moves.append(Move(tier.name, split))
    return tuple(moves)


def _earlier_by(raises: Raises, split: Raises, baseline: int) -> int:
    """Seconds by which the first step of any raise precedes the raise itself."""
    earlier, before = 0, baseline
    for step in raises:
        first = next((s.at for s in split if s.floor > before), step.at)
        earlier, before = max(earlier, step.at - first), step.floor
    return earlier


def freeze(given: GuardInput) -> tuple[Verdict, ...]:
    """A raise due inside a freeze window is taken just before it, and what its tier depends on before that."""
    if not given.frozen:
        return ()
    moves = []
    for tier, raises in given.raised():
        ahead = given.order.ahead[tier.name]
        moved = (step._replace(at=_thawed(given, step.at + ahead)[tier.name]) for step in raises)
        moves.append(Move(tier.name, rising(moved, given.baseline(tier.name))))
    return tuple(moves)


def _thawed(given: GuardInput, demand_at: int) -> dict[str, int]:
    """When each tier is raised for demand at `demand_at`, once its own and its consumers' freezes are kept clear of."""
    times: dict[str, int] = {}
    for tier, _ in given.raised():
        ahead = given.order.ahead
        after = [times[c] + ahead[c] for c in given.order.consumers[tier.name] if c in times]
        times[tier.name] = before_freeze(min([demand_at, *after]) - ahead[tier.name], given.frozen)
    return times


def steadiness(given: GuardInput) -> tuple[Verdict, ...]:
    """What was planned for unchanged campaigns stays until they begin; then it changes only where it is worth it."""
    held = held_raises(given.previous, given.stretch, given.now)
    begun = given.now >= given.stretch.start
    if begun and not _steadies_inside(given):
        return ()
    known = (tier for tier in given.storefront.tiers if tier.name in given.states and tier.name not in given.unknown)
    # a rung is held against a wobble of what is missing; where nothing is missing any more, it is not needed
    asked = (tier for tier in known if (tier.rung_of is not None) == given.of_rungs)
    kept = (
        tier for tier in asked if begun or (tier.name in held and (not given.of_rungs or given.raises.get(tier.name)))
    )
    return tuple(_steady(given, tier, held.get(tier.name), begun=begun) for tier in kept)


def _steady(given: GuardInput, tier: Tier, held: Held | None, *, begun: bool) -> Move:
    """The raises of one tier, moved no further from those that are held than it is worth."""
    base, before = given.states[tier.name].baseline, held or Held((), was_capped=False)
    # bounds and freezes may be newer than what is held
    kept = capped(before.raises, max(base, tier.max_replicas))
    kept = rising((s._replace(at=before_freeze(s.at, given.frozen)) for s in kept), base)
    fresh = given.raises.get(tier.name, ())
    if begun:
        return Move(tier.name, settled(fresh, kept, base, _open(given, tier.name), was_capped=before.was_capped))
    return Move(tier.name, steadied(fresh, kept, base, was_capped=before.was_capped))


def _steadies_inside(given: GuardInput) -> bool:
    """Whether an open window's plan is to be kept steady: one that is carried out, was made before and is not over."""
    return not given.proposal and given.now < given.stretch.hold_until and _planned_before(given)


def _planned_before(given: GuardInput) -> bool:
    """Whether the previous plan was made for all campaigns of the stretch as they are now."""
    return given.previous is not None and unchanged(given.previous, given.stretch) >= set(given.stretch.names)


def _open(given: GuardInput, tier: str) -> Open:
    end = max(second_of(sc.occurrence.end) for sc in given.stretch.campaigns)
    return Open(
        now=before_freeze(given.now, given.frozen),
        last_call=end - math.ceil(given.order.leads.get(tier, 0.0)),
        merge_seconds=given.merge_seconds,
        names=given.stretch.names,
    )


def approval(given: GuardInput) -> tuple[Verdict, ...]:
    """Above the policy's number of replicas a campaign has to be approved; until then the rest is only proposed."""
    most = given.policy.require_approval_above_replicas
    if most is None or given.proposal:
        return ()
    if all(is_approved(sc.campaign, given.approved) for sc in given.stretch.campaigns):
        return ()
    return tuple(
        cap_of(given, tier, max(given.baseline(tier.name), most), Reason.APPROVAL_REQUIRED)
        for tier, raises in given.raised()
        if top(raises, 0) > max(given.baseline(tier.name), most)
    )


def budget(given: GuardInput) -> tuple[Verdict, ...]:
    """Floors are capped by one share of their surplus, the largest with which the plan fits the campaigns' budget."""
    raised = given.raised()

    def caps(share: float) -> tuple[Cap, ...]:
        return tuple(
            cap_of(given, tier, base + int((top(raises, base) - base) * share), Reason.BUDGET_EXCEEDED)
            for tier, raises in raised
            for base in (given.baseline(tier.name),)
        )

    def fits(share: float) -> bool:
        limited = {cap.tier: capped(given.raises[cap.tier], cap.fits) for cap in caps(share)}
        return fits_budget(
            given.storefront, given.states, given.stretch, limited, given.policy, given.percent_down, given.frozen
        )

    if not raised or fits(1.0):
        return ()
    low, high = 0.0, 1.0
    for _ in range(_BUDGET_ROUNDS):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return caps(low)


def ladder(given: GuardInput) -> tuple[Verdict, ...]:
    """What a tier may not have is planned on its rungs, with the same guards as a tier's own raises."""
    rungs = tuple(tier for tier in given.storefront.tiers if tier.rung_of is not None)
    if not rungs:
        return ()
    mine = replace(given, storefront=replace(given.storefront, tiers=rungs), raises=rung_raises(given), of_rungs=True)
    after = _chained(mine, (bounds, ramp, freeze, steadiness))
    return (*(Move(name, raises) for name, raises in after.raises.items()), *after.caps)


GUARDS: tuple[Guard, ...] = (freshness, bounds, ramp, freeze, steadiness, pools, ladder, approval, budget)


def guarded(given: GuardInput) -> Guarded:
    """The raises after all guards; what each of them had to say about it."""
    return _chained(given, GUARDS)


def _chained(given: GuardInput, guards: tuple[Guard, ...]) -> Guarded:
    after = Guarded(dict(given.raises))
    for guard in guards:
        for verdict in guard(replace(given, raises=after.raises, shares=(*given.shares, *after.shares))):
            after = _applied(after, verdict, given)
    return after


def _applied(after: Guarded, verdict: Verdict, given: GuardInput) -> Guarded:
    raises, changed = after.raises, after
    match verdict:
        case Hold():
            left = {name: steps for name, steps in raises.items() if name != verdict.subject}
            changed = replace(after, raises=left, holds=(*after.holds, verdict))
        case Move():
            changed = replace(after, raises={**raises, verdict.tier: verdict.raises})
        case Share():
            most = max(step.fits for step in verdict.ceilings)
            cut = _cut(raises, verdict.tier, most, given)
            changed = replace(after, raises=cut, shares=(*after.shares, verdict))
        case Note():
            changed = replace(after, notes=(*after.notes, verdict.risk))
        case Cap() if verdict.fits < verdict.want:
            cut = _cut(raises, verdict.tier, verdict.fits, given)
            changed = replace(after, raises=cut, caps=(*after.caps, verdict))
        case Ask():
            changed = replace(after, asks=(*after.asks, verdict))
    return changed


def _cut(raises: Mapping[str, Raises], tier: str, fits: int, given: GuardInput) -> dict[str, Raises]:
    return {**raises, tier: rising(capped(raises[tier], fits), given.baseline(tier))}
