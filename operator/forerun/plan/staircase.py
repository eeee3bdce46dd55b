"""One stretch of the plan: from demand to the steps of every tier, up and down again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from forerun.domain.capacity import TierState
from forerun.domain.forecast import Forecast
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Tier, TierRelease
from forerun.plan.cost import added_seconds
from forerun.plan.demand import Merge, Record, rising_demand
from forerun.plan.guards import Cap, Guarded, GuardInput, guarded
from forerun.plan.inputs import PlanInput
from forerun.plan.lead_time import required
from forerun.plan.order import Order
from forerun.plan.raises import Raise, Raises, rising, top
from forerun.plan.release import percent_per_minute, way_down
from forerun.plan.sizing import at_least, wanted_replicas
from forerun.plan.windows import Stretch, after_freeze, second_of

_NEAR_SECONDS, _NEAR_MERGE_SECONDS = 300.0, 60.0
_WINDOW_SHARE = 8  # raises within an eighth of a window are one


class Stair(NamedTuple):
    """From `at` (seconds since 1970) on `tier` has `floor`."""

    at: int
    tier: str
    floor: int
    reason: Reason
    campaigns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Staircase:
    """The steps of all tiers in one stretch, by time, with what stands against them."""

    stretch: Stretch
    stairs: tuple[Stair, ...]
    raises: Mapping[str, Raises]
    replica_seconds: Mapping[str, int]  # above the baseline, per tier
    peak_rps: float = 0.0
    caps: tuple[Cap, ...] = ()
    risks: tuple[Hold, ...] = ()
    holds: tuple[Hold, ...] = ()


@dataclass(frozen=True, slots=True)
class Ground:
    """What all stretches of one plan share."""

    given: PlanInput
    states: Mapping[str, TierState]
    order: Order
    forecast: Forecast
    frozen: tuple[tuple[int, int], ...]
    proposal: bool
    coarser: int = 1  # how many times longer raises are merged, and fewer rounds there are on the way down


def staircase(ground: Ground, stretch: Stretch) -> Staircase:
    """The floors of one stretch: sized, early enough, in order, guarded, and given back."""
    given = ground.given
    now = second_of(given.now)
    merge = _merge(ground, stretch, now)
    records = rising_demand(ground.forecast, stretch, given.policy.service_level, merge, now)
    if isinstance(records, Hold):
        everything = {tier.name for tier in given.storefront.tiers}
        return Staircase(stretch, _as_planned(ground, stretch, everything), {}, {}, holds=(records,))
    needed = {tier.name: _raises(ground, stretch, tier, records) for tier in given.storefront.tiers}
    percent = _percent_down(ground, stretch)
    after = guarded(
        GuardInput(
            now=now,
            storefront=given.storefront,
            states=ground.states,
            policy=given.policy,
            stretch=stretch,
            order=ground.order,
            raises={name: raises for name, raises in needed.items() if not isinstance(raises, Hold)},
            unknown={name: hold for name, hold in needed.items() if isinstance(hold, Hold)},
            percent_down=percent,
            frozen=ground.frozen,
            previous=given.previous,
            approved=given.approved,
            proposal=ground.proposal,
            merge_seconds=merge.near_seconds,
        )
    )
    stairs = _stairs(ground, stretch, after, percent)
    seconds = _replica_seconds(ground, stretch, stairs)
    held = _as_planned(ground, stretch, {hold.subject for hold in after.holds})
    stairs = tuple(sorted((*stairs, *held), key=lambda stair: stair.at))
    peak = records[-1].door_rps
    return Staircase(stretch, stairs, after.raises, seconds, peak, after.caps, after.risks, after.holds)


def _as_planned(ground: Ground, stretch: Stretch, tiers: set[str]) -> tuple[Stair, ...]:
    """What the previous plan has for these tiers and campaigns: it stays while nothing better is known."""
    previous = ground.given.previous
    if previous is None or ground.proposal:
        return ()
    names = set(stretch.names)
    return tuple(
        Stair(second_of(step.at), step.tier, step.floor, step.reason, step.campaigns)
        for step in previous.steps
        if step.tier in tiers and step.tier in ground.states and not names.isdisjoint(step.campaigns)
    )


def _merge(ground: Ground, stretch: Stretch, now: int) -> Merge:
    """Near is what follows the start, or the present inside the window, within two leads or a few minutes."""
    far = _merge_seconds(ground, stretch)
    ahead = max(ground.order.ahead.values(), default=0)
    until = max(now, stretch.start) + max(2 * ahead, _NEAR_SECONDS)
    return Merge(min(far, ground.coarser * _NEAR_MERGE_SECONDS), far, until)


def _merge_seconds(ground: Ground, stretch: Stretch) -> float:
    window = stretch.hold_until - stretch.start
    return ground.coarser * max(ground.order.longest_lead_seconds, window / _WINDOW_SHARE)


def _percent_down(ground: Ground, stretch: Stretch) -> float:
    asked = [sc.campaign.release.max_step_percent_per_minute for sc in stretch.campaigns]
    return percent_per_minute(asked, ground.given.policy.max_step_down_percent_per_minute)


def _raises(ground: Ground, stretch: Stretch, tier: Tier, records: Sequence[Record]) -> Raises | Hold:
    """When `tier` has to have which floor, so that it is Ready for every record of the demand, in its turn."""
    state = ground.states.get(tier.name)
    if state is None:
        return Hold(
            Reason.TARGET_NOT_FOUND, tier.name, detail="the target of the tier is not known; nothing is planned"
        )
    if tier.memory_growth is not None:
        return ()  # its pods grow, not their number
    needs: list[tuple[float, int]] = []
    for record in records:
        wanted = wanted_replicas(tier, record.door_rps)
        if isinstance(wanted, Hold):
            return wanted
        needs.append((float(record.at), max(state.baseline, at_least(tier, wanted))))
    ahead = ground.order.ahead[tier.name]
    steps = required(needs, float(stretch.hold_until), float(ahead))
    # all campaigns of the stretch ask for it: what one has raised stays for those that are still open after it
    return rising((Raise(int(at), floor, stretch.names) for at, floor in steps), state.baseline)


def _stairs(ground: Ground, stretch: Stretch, after: Guarded, percent: float) -> tuple[Stair, ...]:
    reasons = {cap.tier: cap for cap in after.caps}
    stairs = [
        Stair(step.at, name, step.floor, _reason(step, reasons.get(name)), step.campaigns)
        for name, raises in after.raises.items()
        for step in raises
    ]
    storefront = ground.given.storefront
    baselines = {name: state.baseline for name, state in ground.states.items()}
    tops = {name: top(raises, baselines[name]) for name, raises in after.raises.items()}
    names = stretch.names
    stairs.extend(
        Stair(after_freeze(stretch.hold_until, ground.frozen), tier.name, tops[tier.name], Reason.KEPT, names)
        for tier in storefront.tiers
        if tier.release is TierRelease.NEVER and tops.get(tier.name, 0) > baselines.get(tier.name, 0)
    )
    rounds = max(1, 20 // ground.coarser)
    downs = way_down(storefront, baselines, tops, stretch.hold_until, percent, ground.frozen, rounds)
    stairs.extend(Stair(down.at, down.tier, down.floor, Reason.RELEASING, names) for down in downs)
    return tuple(sorted(stairs, key=lambda stair: stair.at))


def _reason(step: Raise, cap: Cap | None) -> Reason:
    return cap.reason if cap and step.floor >= cap.fits else Reason.CAMPAIGN


def _replica_seconds(ground: Ground, stretch: Stretch, stairs: Sequence[Stair]) -> dict[str, int]:
    floors: dict[str, list[tuple[int, int]]] = {}
    for stair in stairs:
        if stair.reason is not Reason.KEPT:
            floors.setdefault(stair.tier, []).append((stair.at, stair.floor))
    return {
        name: added_seconds(steps, ground.states[name].baseline, stretch.hold_until) for name, steps in floors.items()
    }
