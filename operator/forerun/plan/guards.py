"""The guards of a plan: an ordered chain over the raises of one stretch, each passes, caps, moves or holds.

A guard is a function of `GuardInput` that returns verdicts; none is a pass. The order is: freshness, bounds, ramp,
rollout, freeze, steadiness, pools, approval, budget. What moves a raise in time comes before what holds it against the
previous plan, so that planning again moves nothing twice; the budget comes last, because only then is known what a plan
costs. Quota belongs after `pools`: one function and one line in `GUARDS`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from forerun.domain.capacity import CapacityPlan, TierState
from forerun.domain.policy import Policy
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Storefront, Tier
from forerun.plan.cost import fits_budget
from forerun.plan.executable import is_approved
from forerun.plan.order import Order
from forerun.plan.raises import Raises, capped, rising, top
from forerun.plan.ramp import ramped, spacing_seconds
from forerun.plan.steadiness import Held, Open, held_raises, settled, steadied, unchanged
from forerun.plan.windows import Stretch, before_freeze, second_of

_BUDGET_ROUNDS = 14  # halvings: the share of the surplus that fits, to 1 in 16,000


@dataclass(frozen=True, slots=True)
class Cap:
    """No floor of `tier` above `fits`; it wanted `want`."""

    tier: str
    fits: int
    want: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Move:
    """The raises of `tier` at other times, or more of them."""

    tier: str
    raises: Raises


@dataclass(frozen=True, slots=True)
class Risk:
    """Nothing is changed, but this stands against it."""

    risk: Hold


Verdict = Cap | Move | Risk | Hold


@dataclass(frozen=True, slots=True)
class GuardInput:
    """The raises of one stretch as the guards before have left them, and what they are judged by."""

    now: int
    storefront: Storefront
    states: Mapping[str, TierState]
    policy: Policy
    stretch: Stretch
    order: Order
    raises: Mapping[str, Raises]
    unknown: Mapping[str, Hold]  # tiers whose need could not be sized
    percent_down: float  # of the surplus per minute
    frozen: tuple[tuple[int, int], ...] = ()
    previous: CapacityPlan | None = None
    approved: frozenset[tuple[str, int]] = frozenset()
    proposal: bool = False  # the plan as it would be if everybody approved
    merge_seconds: float = 0.0  # raises so close together are one

    def baseline(self, tier: str) -> int:
        return self.states[tier].baseline

    def surplus(self, tier: str) -> int:
        """Replicas above the baseline at the highest floor."""
        return top(self.raises.get(tier, ()), self.baseline(tier)) - self.baseline(tier)

    def raised(self) -> list[tuple[Tier, Raises]]:
        """Tiers with raises, consumers first."""
        tiers = reversed(self.storefront.tiers)
        return [(tier, self.raises[tier.name]) for tier in tiers if self.raises.get(tier.name)]


Guard = Callable[[GuardInput], tuple[Verdict, ...]]


@dataclass(frozen=True, slots=True)
class Guarded:
    """What is left of the raises, with every cap and hold on the way."""

    raises: dict[str, Raises]
    caps: tuple[Cap, ...] = ()
    risks: tuple[Hold, ...] = ()
    holds: tuple[Hold, ...] = ()


def freshness(given: GuardInput) -> tuple[Verdict, ...]:
    """A tier whose need is not known is held as it was planned; it is never lowered to what is known."""
    return tuple(given.unknown.values())


def bounds(given: GuardInput) -> tuple[Verdict, ...]:
    """MaxReplicas is a ceiling for what we ask; a baseline above it stays."""
    return tuple(
        _cap(given, tier, max(given.baseline(tier.name), tier.max_replicas), Reason.MAX_REPLICAS)
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


def rollout(given: GuardInput) -> tuple[Verdict, ...]:
    """A raise that falls into a rollout of the target's own is carried out all the same, and is told.

    The rollout may outlast the start, and a raise adds pods of the old kind too; so to hold it would only risk the
    start. What is lowered waits for the rollout's end: see `lowering`.
    """
    risks = []
    for tier, raises in given.raised():
        state = given.states[tier.name]
        soon = given.now + given.order.ahead[tier.name]
        if state.rollout is not None and any(step.at <= soon and step.floor > state.floor for step in raises):
            risks.append(Risk(Hold(Reason.ROLLOUT_IN_PROGRESS, tier.name, state.rollout.numbers)))
    return tuple(risks)


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
    return tuple(_steady(given, tier, held.get(tier.name), begun=begun) for tier in known if tier.name in held or begun)


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


def pools(given: GuardInput) -> tuple[Verdict, ...]:
    """The accelerators of a pool are divided in proportion to what is wanted above the baselines."""
    caps: list[Cap] = []
    for pool in given.policy.pools:
        tiers = [t for t in given.storefront.tiers if t.accelerator and t.accelerator.pool == pool.name]
        caps.extend(_divided(given, [t for t in tiers if t.name in given.states], pool.capacity))
    return tuple(caps)


def _divided(given: GuardInput, tiers: list[Tier], capacity: int) -> list[Cap]:
    """A cap for each of `tiers` that gets less than it wants of the pool they share."""
    each = {tier.name: _accelerators(tier) for tier in tiers}
    surplus = {tier.name: given.surplus(tier.name) for tier in tiers}
    free = max(0, capacity - _used(each, {tier.name: given.baseline(tier.name) for tier in tiers}))
    wanted = _used(each, surplus)
    if wanted <= free:
        return []
    share = {name: count * free // wanted for name, count in surplus.items()}
    left = free - _used(each, share)
    short = [tier for tier in tiers if each[tier.name] and share[tier.name] < surplus[tier.name]]
    caps = []
    for tier in short:  # rounding leaves a few: to the first that can use them
        more = min(left // each[tier.name], surplus[tier.name] - share[tier.name])
        left -= more * each[tier.name]
        # one that so gets all it wants is capped at just that, which `guarded` takes for a pass
        caps.append(_cap(given, tier, given.baseline(tier.name) + share[tier.name] + more, Reason.CAPACITY_SHORT))
    return caps


def _used(each: Mapping[str, int], replicas: Mapping[str, int]) -> int:
    """Accelerators of that many replicas per tier."""
    return sum(each[name] * count for name, count in replicas.items())


def _accelerators(tier: Tier) -> int:
    return max(0, tier.accelerator.per_replica) if tier.accelerator else 0


def approval(given: GuardInput) -> tuple[Verdict, ...]:
    """Above the policy's number of replicas a campaign has to be approved; until then the rest is only proposed."""
    most = given.policy.require_approval_above_replicas
    if most is None or given.proposal:
        return ()
    if all(is_approved(sc.campaign, given.approved) for sc in given.stretch.campaigns):
        return ()
    return tuple(
        _cap(given, tier, max(given.baseline(tier.name), most), Reason.APPROVAL_REQUIRED)
        for tier, raises in given.raised()
        if top(raises, 0) > max(given.baseline(tier.name), most)
    )


def budget(given: GuardInput) -> tuple[Verdict, ...]:
    """Floors are capped by one share of their surplus, the largest with which the plan fits the campaigns' budget."""
    raised = given.raised()

    def caps(share: float) -> tuple[Cap, ...]:
        return tuple(
            _cap(given, tier, base + int((top(raises, base) - base) * share), Reason.BUDGET_EXCEEDED)
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


def _cap(given: GuardInput, tier: Tier, fits: int, reason: Reason) -> Cap:
    return Cap(tier.name, fits, top(given.raises[tier.name], given.baseline(tier.name)), reason)


GUARDS: tuple[Guard, ...] = (freshness, bounds, ramp, rollout, freeze, steadiness, pools, approval, budget)


def guarded(given: GuardInput) -> Guarded:
    """The raises after all guards; what each of them had to say about it."""
    raises = dict(given.raises)
    caps: list[Cap] = []
    risks: list[Hold] = []
    holds: list[Hold] = []
    for guard in GUARDS:
        for verdict in guard(replace(given, raises=raises)):
            if isinstance(verdict, Hold):
                raises.pop(verdict.subject, None)
                holds.append(verdict)
            elif isinstance(verdict, Risk):
                risks.append(verdict.risk)
            elif isinstance(verdict, Move):
                raises = {**raises, verdict.tier: verdict.raises}
            elif verdict.fits < verdict.want:
                baseline = given.baseline(verdict.tier)
                raises = {**raises, verdict.tier: rising(capped(raises[verdict.tier], verdict.fits), baseline)}
                caps.append(verdict)
    return Guarded(raises, tuple(caps), tuple(risks), tuple(holds))
