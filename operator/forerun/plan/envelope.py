"""Several stretches in one plan: where they overlap the highest floor holds, and the whole stays short."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from forerun.domain.capacity import Step
from forerun.domain.reason import Reason
from forerun.plan.staircase import Stair, Staircase
from forerun.plan.steadiness import GIVEN_BACK
from forerun.plan.windows import moment_of

MOST_STEPS = 200


def envelope(cases: Sequence[Staircase], baselines: Mapping[str, int]) -> tuple[Step, ...]:
    """The highest floor per tier that some stretch asks for, by time; a step only where it or its meaning changes.

    What is asked for wins over what is only expected on the way down or kept: a later stretch that begins to ask ends
    the way down of those before it, whose floors `due` lowers at its own pace. So the plan always says what is owed.
    """
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
            _put(standing.setdefault(stair.tier, {}), i, stair)
            changed[stair.tier] = None
        for tier in changed:
            best = max(standing[tier].values(), key=lambda stair: (not _given_back(stair), stair.floor, stair.at))
            state = (best.floor, best.reason is Reason.KEPT)
            if state != last.get(tier, (baselines[tier], False)):
                last[tier] = state
                steps.append(Step(moment_of(at), tier, best.floor, best.reason, best.campaigns))
    return tuple(steps)


def _put(standing: dict[int, Stair], i: int, stair: Stair) -> None:
    """The stair of stretch `i` stands from now on, unless a later stretch has begun to ask."""
    if not _given_back(stair):
        for before in [j for j, other in standing.items() if j < i and _given_back(other)]:
            del standing[before]
    elif any(j > i for j in standing):
        standing.pop(i, None)
        return
    standing[i] = stair


def _given_back(stair: Stair) -> bool:
    return stair.reason in GIVEN_BACK


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
