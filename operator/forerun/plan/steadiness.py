"""Hysteresis against the plan before: ahead of its start a campaign's floors never go down on a wobble.

What is only planned, and not due, follows the forecast down as well as up. Once the campaign has begun, evidence
decides, both ways; but a plan is not rewritten for less than it is worth.
"""

import math
from dataclasses import dataclass

from forerun.domain.capacity import CapacityPlan, Step
from forerun.domain.reason import Reason
from forerun.plan.raises import Raise, Raises, floor_at, rising
from forerun.plan.windows import Stretch, second_of

GIVEN_BACK = frozenset({Reason.RELEASING, Reason.KEPT, Reason.BASELINE, Reason.SUSPENDED, Reason.EXPIRED})

CAPPED = frozenset({Reason.MAX_REPLICAS, Reason.CAPACITY_SHORT, Reason.BUDGET_EXCEEDED, Reason.APPROVAL_REQUIRED})

_SMALL_CHANGE = 1.05  # before the start, a rise within 5 % of what is planned is not worth a new plan
_SMALL_RISE, _SMALL_FALL = 1.02, 0.97  # inside a window a plan decides what stands the next minutes


@dataclass(frozen=True, slots=True)
class Held:
    """What one tier had planned; `was_capped`: it wanted more than that."""

    raises: Raises
    was_capped: bool


def held_raises(previous: CapacityPlan | None, stretch: Stretch, now: int) -> dict[str, Held]:
    """What the previous plan raised per tier for the campaigns of `stretch`, unchanged and not over.

    Without those whose generation is another now: an edited, suspended or deleted campaign holds nothing.
    """
    if previous is None or now >= stretch.hold_until:
        return {}
    names = unchanged(previous, stretch)
    runs: dict[str, list[Raise]] = {}
    for step in previous.steps:
        _follow(runs.setdefault(step.tier, []), step, names, stretch.hold_until)
    return {tier: Held(rising(run, -1), _was_capped(previous, tier)) for tier, run in runs.items() if run}


def unchanged(previous: CapacityPlan, stretch: Stretch) -> set[str]:
    """The names of the campaigns that the previous plan was made for as they are now."""
    generations = set(previous.generations)
    campaigns = (sc.campaign for sc in stretch.campaigns)
    return {c.key.name for c in campaigns if (c.key.name, c.generation) in generations}


def _was_capped(plan: CapacityPlan, tier: str) -> bool:
    return any(step.tier == tier and step.reason in CAPPED for step in plan.steps)


def _follow(run: list[Raise], step: Step, names: set[str], until: int) -> None:
    """Only the last run of raises counts: what was given back before belongs to an earlier occurrence."""
    second = second_of(step.at)
    if second >= until:
        return
    if step.reason in GIVEN_BACK:
        run.clear()
    elif step.campaigns and names.issuperset(step.campaigns):
        run.append(Raise(second, step.floor, step.campaigns))


def steadied(fresh: Raises, held: Raises, baseline: int, now: int, *, was_capped: bool) -> Raises:
    """What is due of `held` stays; of what is not due yet, changes of less than 5 % are not made.

    What was capped is compared as it is: the guards after this one cap it again, and say so again.
    """
    if not held or fresh == held:
        return fresh
    tolerated, fallen = (1.0, 1.0) if was_capped else (_SMALL_CHANGE, 1.0 / _SMALL_CHANGE)
    stands = floor_at(held, now, baseline)

    def chosen(second: int) -> int:
        before, after = floor_at(held, second, baseline), floor_at(fresh, second, baseline)
        if second <= now or after > before:
            return before if after <= before * tolerated else after
        return max(stands, after) if after < before * fallen else before

    steps = sorted({*fresh, *held}, key=lambda step: step.at)
    return rising((step._replace(floor=chosen(step.at)) for step in steps), baseline)


@dataclass(frozen=True, slots=True)
class Open:
    """A stretch that has begun, as one tier sees it; times in seconds since 1970."""

    now: int
    last_call: int  # a raise after this could not be Ready before the last window's end
    merge_seconds: float  # raises so close together are one
    names: tuple[str, ...]  # of the campaigns that ask


def settled(fresh: Raises, held: Raises, baseline: int, opened: Open, *, was_capped: bool) -> Raises:
    """What is planned inside a window, with no more changes than the forecast is worth.

    A floor stays as it was held unless the new need is more than 5 % above it (demand that is there already raises at
    once anyway, see `due`), or well below. What is past stays as it was planned, raises to come are few, and what is
    only forecast raises nothing after the last call.
    """
    if fresh == held:
        return fresh
    tolerated = 1.0 if was_capped else _SMALL_RISE

    def chosen(second: int) -> int:
        before, after = floor_at(held, second, baseline), floor_at(fresh, second, baseline)
        if after > before:
            # one that is held for a little later is moved when it comes near: until then the forecast wobbles
            soon = floor_at(held, second + (second - opened.now) // 2, baseline)
            return before if after <= soon * tolerated or second > opened.last_call else after
        # a raise that is only put off a little is no fall
        after = floor_at(fresh, second + math.ceil(opened.merge_seconds), baseline)
        return after if after <= before * _SMALL_FALL else before

    present = chosen(opened.now)
    ground = held if present >= floor_at(held, opened.now, baseline) else fresh
    past = [step for step in ground if step.at <= opened.now]
    times = sorted({step.at for step in (*fresh, *held) if step.at > opened.now})
    ahead = rising((Raise(at, chosen(at), ()) for at in times), max(present, floor_at(past, opened.now, baseline)))
    steps = (*past, Raise(opened.now, present, ()), *_merged(ahead, held, opened.merge_seconds))
    return rising((step._replace(campaigns=opened.names) for step in steps), baseline)


def _merged(ahead: Raises, held: Raises, merge_seconds: float) -> Raises:
    """A raise that is new and close behind another is taken with it: earlier and fewer."""
    known = {(step.at, step.floor) for step in held}
    merged: list[Raise] = []
    for step in ahead:
        if merged and (step.at, step.floor) not in known and step.at <= merged[-1].at + merge_seconds:
            merged[-1] = merged[-1]._replace(floor=step.floor)
        else:
            merged.append(step)
    return tuple(merged)
