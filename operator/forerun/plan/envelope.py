"""Several stretches in one plan: where they overlap the highest floor holds, and the whole stays short."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from forerun.domain.capacity import Step
from forerun.domain.reason import Reason
from forerun.plan.staircase import Stair, Staircase
from forerun.plan.windows import moment_of

MOST_STEPS = 200


def envelope(cases: Sequence[Staircase], baselines: Mapping[str, int]) -> tuple[Step, ...]:
    """The highest floor per tier over all stretches, by time; a step only where a floor or its meaning changes."""
    events = sorted(
        ((stair.at, i, stair) for i, case in enumerate(cases) for stair in case.stairs),
        key=lambda event: (event[0], event[1]),
    )
    standing: dict[str, dict[int, Stair]] = {}
    last: dict[str, tuple[int, bool]] = {}
    steps: list[Step] = []
    for at, group in groupby(events, key=lambda event: event[0]):
        changed: dict[str, None] = {}
        for _, i, stair in group:
            standing.setdefault(stair.tier, {})[i] = stair
            changed[stair.tier] = None
        for tier in changed:
            best = _best(standing[tier].values(), baselines[tier])
            state = (best.floor, best.reason is Reason.KEPT)
            if state != last.get(tier, (baselines[tier], False)):
                last[tier] = state
                steps.append(Step(moment_of(at), tier, best.floor, best.reason, best.campaigns))
    return tuple(steps)


def _best(stairs: Collection[Stair], baseline: int) -> Stair:
    """The stair that holds: the highest floor; what is merely kept lends its floor, not its meaning."""
    kept = [stair for stair in stairs if stair.reason is Reason.KEPT]
    asked = [stair for stair in stairs if stair.reason is not Reason.KEPT and stair.floor > baseline]
    if not asked:
        return max(kept or stairs, key=lambda stair: (stair.floor, stair.at))
    # of two equal floors the one that is still asked for, not the one on its way down
    owed = max(asked, key=lambda stair: (stair.floor, stair.reason is not Reason.RELEASING))
    return owed._replace(floor=max(stair.floor for stair in (owed, *kept)))


def short_enough(cases: Sequence[Staircase]) -> tuple[Staircase, ...]:
    """At most `MOST_STEPS` in all: the nearest stretches whole, the later ones are planned when they are near.

    A single stretch that is too long loses its expected way down (`due` gives back by rate, not by these steps), and
    then the last of what is left.
    """
    kept: list[Staircase] = []
    left = MOST_STEPS
    for case in cases:
        if len(case.stairs) > left:
            if kept:
                break
            up = tuple(stair for stair in case.stairs if stair.reason is not Reason.RELEASING)
            case = replace(case, stairs=up[:left])  # noqa: PLW2901
        kept.append(case)
        left -= len(case.stairs)
    return tuple(kept)
