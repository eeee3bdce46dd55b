"""What floors above the baseline cost: replica-hours and accelerator-hours."""

from collections.abc import Mapping, Sequence

from forerun.domain.capacity import Cost, TierState
from forerun.domain.policy import Policy
from forerun.domain.storefront import Storefront
from forerun.plan.raises import Raises, top
from forerun.plan.release import way_down
from forerun.plan.windows import Stretch

_SECONDS_PER_HOUR = 3600
_ROUNDING = 1e-9


def added_seconds(stairs: Sequence[tuple[int, int]], baseline: int, until: int) -> int:
    """Replica-seconds above `baseline` of the floors (at, floor), ascending, the last one up to `until`."""
    ends = [at for at, _ in stairs[1:]] + [until]
    return sum(max(0, floor - baseline) * max(0, end - at) for (at, floor), end in zip(stairs, ends, strict=True))


def cost_of(storefront: Storefront, replica_seconds: Mapping[str, int]) -> Cost:
    """The cost of replica-seconds per tier above the baseline."""
    accelerators = sum(
        replica_seconds.get(tier.name, 0) * tier.accelerator.per_replica
        for tier in storefront.tiers
        if tier.accelerator
    )
    return Cost(sum(replica_seconds.values()) / _SECONDS_PER_HOUR, accelerators / _SECONDS_PER_HOUR)


def fits_budget(
    storefront: Storefront,
    states: Mapping[str, TierState],
    stretch: Stretch,
    raises: Mapping[str, Raises],
    policy: Policy,
    percent_down: float,
    frozen: Sequence[tuple[int, int]] = (),
) -> bool:
    """Whether raises, hold and way down of a stretch stay within the budgets of its campaigns, added up.

    A campaign without a budget of its own has the policy's; one without any makes the stretch unlimited, because
    what it shares with others cannot be told apart.
    """
    replica_hours, accelerator_hours = _limits(stretch, policy)
    if replica_hours is None and accelerator_hours is None:
        return True
    baselines = {name: state.baseline for name, state in states.items()}
    tops = {name: top(steps, baselines[name]) for name, steps in raises.items()}
    stairs = {name: [(step.at, step.floor) for step in steps] for name, steps in raises.items()}
    for down in way_down(storefront, baselines, tops, stretch.hold_until, percent_down, frozen):
        stairs[down.tier].append((down.at, down.floor))
    cost = cost_of(
        storefront,
        {name: added_seconds(steps, baselines[name], stretch.hold_until) for name, steps in stairs.items()},
    )
    return _within(cost.replica_hours, replica_hours) and _within(cost.accelerator_hours, accelerator_hours)


def _limits(stretch: Stretch, policy: Policy) -> tuple[float | None, float | None]:
    budgets = [sc.campaign.budget for sc in stretch.campaigns]
    replicas = [policy.replica_hours if b.replica_hours is None else b.replica_hours for b in budgets]
    accelerators = [b.accelerator_hours for b in budgets]
    return _total(replicas), _total(accelerators)


def _total(limits: Sequence[float | None]) -> float | None:
    known = [limit for limit in limits if limit is not None]
    return sum(known) if len(known) == len(limits) else None


def _within(hours: float, limit: float | None) -> bool:
    return limit is None or hours <= limit + _ROUNDING
