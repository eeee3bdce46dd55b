"""The ramp: no single raise larger than the policy's share of the floor that stands there."""

import math
from collections.abc import Sequence

from forerun.plan.raises import Raise, Raises, rising

_LONGEST_SPACING_SECONDS = 60.0
_MOST_STEPS = 12  # of one raise in the plan; what is thinned out, `due` puts between


def next_floor(floor: int, percent: float | None) -> int | None:
    """The highest floor that one raise from `floor` may reach; None: no limit. At least one replica more."""
    if percent is None or not math.isfinite(percent):
        return None
    return max(floor + 1, math.floor(floor * (1 + max(0.0, percent) / 100) + 1e-9))


def spacing_seconds(lead_seconds: float) -> int:
    """Time between two raises of one ramp: let one come up before the next, at most a minute."""
    return math.ceil(min(_LONGEST_SPACING_SECONDS, max(1.0, lead_seconds)))


def ramped(raises: Raises, baseline: int, percent: float | None, spacing: int) -> Raises:
    """`raises` split into steps that the policy allows, earlier in time, so that each one still lands by its time."""
    if next_floor(baseline, percent) is None:
        return raises
    pending = list(raises)
    steps: list[Raise] = []
    while pending:
        step = pending.pop()
        while True:
            steps.append(step)
            needed = _floor_before(step.floor, baseline, percent)
            if needed <= baseline or (pending and _serves(pending[-1], step.at - spacing, needed)):
                break
            # what was planned in between comes with the split step; it is not lost, only earlier
            moved = [pending.pop() for _ in range(_count_after(pending, step.at - spacing))]
            step = Raise(step.at - spacing, max([needed, *(m.floor for m in moved)]), step.campaigns)
    return _thinned(rising(steps, baseline), raises)


def _serves(step: Raise, by: int, needed: int) -> bool:
    return step.at <= by and step.floor >= needed


def _count_after(pending: Sequence[Raise], second: int) -> int:
    return sum(1 for step in pending if step.at >= second)


def _floor_before(floor: int, baseline: int, percent: float | None) -> int:
    """The lowest floor from which one raise may reach `floor`; the baseline where that is enough."""
    low, high = baseline, floor - 1
    while low < high:
        middle = (low + high) // 2
        reach = next_floor(middle, percent)
        if reach is None or reach >= floor:
            high = middle
        else:
            low = middle + 1
    return max(low, baseline)


def _thinned(steps: Raises, raises: Raises) -> Raises:
    """At most a dozen steps between two that were asked for."""
    if len(steps) <= _MOST_STEPS + len(raises):
        return steps
    stride = math.ceil(len(steps) / _MOST_STEPS)
    asked = {(step.at, step.floor) for step in raises}
    return tuple(step for i, step in enumerate(steps) if i % stride == 0 or (step.at, step.floor) in asked)
