"""Hysteresis against the plan before: ahead of its start a campaign's floors never go down on a wobble."""

from dataclasses import dataclass

from forerun.domain.capacity import CapacityPlan, Step
from forerun.domain.reason import Reason
from forerun.plan.raises import Raise, Raises, floor_at, rising
from forerun.plan.windows import Stretch, second_of

GIVEN_BACK = frozenset({Reason.RELEASING, Reason.KEPT, Reason.BASELINE, Reason.SUSPENDED, Reason.EXPIRED})

CAPPED = frozenset({Reason.MAX_REPLICAS, Reason.CAPACITY_SHORT, Reason.BUDGET_EXCEEDED, Reason.APPROVAL_REQUIRED})

_SMALL_CHANGE = 1.05  # a rise within 5 % of what is planned is not worth a new plan


@dataclass(frozen=True, slots=True)
class Held:
    """What one tier had planned; `was_capped`: it wanted more than that."""

    raises: Raises
    was_capped: bool


def held_raises(previous: CapacityPlan | None, stretch: Stretch, now: int) -> dict[str, Held]:
    """What the previous plan raised per tier for the campaigns of `stretch`, unchanged and not yet begun.

    Empty once the first of them has begun (from there on, evidence decides), and without those whose generation is
    another now: an edited, suspended or deleted campaign holds nothing.
    """
    if previous is None or now >= stretch.start:
        return {}
    generations = set(previous.generations)
    campaigns = (sc.campaign for sc in stretch.campaigns)
    names = {c.key.name for c in campaigns if (c.key.name, c.generation) in generations}
    runs: dict[str, list[Raise]] = {}
    for step in previous.steps:
        _follow(runs.setdefault(step.tier, []), step, names, stretch.hold_until)
    return {tier: Held(rising(run, -1), _was_capped(previous, tier)) for tier, run in runs.items() if run}


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


def steadied(fresh: Raises, held: Raises, baseline: int, *, was_capped: bool) -> Raises:
    """The higher of both at each time, without rises of less than 5 % over what is held.

    What was capped is compared as it is: the guards after this one cap it again, and say so again.
    """
    if not held or fresh == held:
        return fresh
    tolerated = 1.0 if was_capped else _SMALL_CHANGE
    merged = []
    for step in sorted({*fresh, *held}, key=lambda step: step.at):
        before, after = floor_at(held, step.at, baseline), floor_at(fresh, step.at, baseline)
        merged.append(step._replace(floor=before if after <= before * tolerated else after))
    return rising(merged, baseline)
