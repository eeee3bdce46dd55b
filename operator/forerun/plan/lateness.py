"""What begins too late: raises that can no longer be Ready by the start."""

from collections.abc import Mapping

from forerun.domain.capacity import TierState
from forerun.domain.reason import Hold, Reason
from forerun.plan.order import Order
from forerun.plan.raises import Raises, floor_at
from forerun.plan.windows import Stretch


def late_tiers(
    now: int, stretch: Stretch, raises: Mapping[str, Raises], states: Mapping[str, TierState], order: Order
) -> tuple[Hold, ...]:
    """One `LATE` for each tier that is not raised yet and whose last chance to be Ready by the start has passed.

    `seconds_late` is by how much, counted without the margin: how long after the start the tier may be Ready.
    """
    late = []
    for tier, steps in raises.items():
        state = states[tier]
        latest = stretch.start - order.ahead[tier] + order.margins[tier]
        needed = floor_at(steps, stretch.start, state.baseline)
        standing = state.floor if now < stretch.start else max(state.floor, needed if state.raised else 0)
        if now > latest and standing < needed and now < stretch.hold_until:
            late.append(Hold(Reason.LATE, tier, {"seconds_late": float(now - latest)}))
    return tuple(late)
