"""The way down: how much of a surplus may go at once, and consumers before their dependencies."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from forerun.domain.storefront import Storefront, TierRelease
from forerun.plan.windows import after_freeze

STEP_SECONDS = 60

_DEFAULT_PERCENT = 10.0
_ROUNDING = 1e-9


def percent_per_minute(asked: Iterable[float], policy: float) -> float:
    """The slowest of the campaigns' and the policy's rates; one that is not a number does not count."""
    known = [rate for rate in (*asked, policy) if math.isfinite(rate) and rate >= 0]
    return min(known, default=_DEFAULT_PERCENT)


def minute_worth(surplus: int, percent: float) -> int:
    """Replicas that one minute may give back: the percentage of the whole surplus, at least one."""
    return max(1, math.floor(surplus * percent / 100 + _ROUNDING))


def kept_for_consumers(surplus: int, fractions: Iterable[float]) -> int:
    """Replicas of a dependency's surplus that have to stay while consumers still have `fractions` of theirs."""
    return max(0, math.ceil(surplus * max(fractions, default=0.0) - _ROUNDING))


@dataclass(frozen=True, slots=True)
class Down:
    """From `at` on (seconds since 1970) the floor of `tier` is `floor`, on the expected way down."""

    at: int
    tier: str
    floor: int


def way_down(
    storefront: Storefront,
    baselines: Mapping[str, int],
    tops: Mapping[str, int],
    begin: int,
    percent: float,
    frozen: Sequence[tuple[int, int]] = (),
    most_rounds: int = 20,
) -> tuple[Down, ...]:
    """The steps from `tops` to `baselines`, one round a minute from `begin` on, consumers first within a round.

    Where that would be more than `most_rounds` rounds, several minutes are taken together, at the end of them. No
    step falls into a freeze. Tiers that are never released are left out: they hold nobody up.
    """
    surplus = _surplus(storefront, baselines, tops)
    worth = {name: minute_worth(count, percent) for name, count in surplus.items()}
    rounds = max((math.ceil(count / worth[name]) for name, count in surplus.items()), default=0)
    minutes = max(1, math.ceil(rounds / max(1, most_rounds)))
    consumers = {name: [c.name for c in storefront.consumers(name) if c.name in surplus] for name in surplus}
    remaining = dict(surplus)
    steps: list[Down] = []
    at, share = begin, 1  # the first round is one minute's worth: it is due at once
    while any(remaining.values()):
        at = after_freeze(at, frozen)
        lowered = _round(surplus, remaining, consumers, {name: count * share for name, count in worth.items()})
        if not lowered:
            break  # tiers that wait for each other: `due` reports them
        steps.extend(Down(at, name, baselines[name] + remaining[name]) for name in lowered)
        at, share = at + STEP_SECONDS * minutes, minutes
    return tuple(steps)


def _surplus(storefront: Storefront, baselines: Mapping[str, int], tops: Mapping[str, int]) -> dict[str, int]:
    """Replicas that each tier has to give back, consumers first."""
    return {
        tier.name: tops[tier.name] - baselines[tier.name]
        for tier in reversed(storefront.tiers)
        if tier.release is TierRelease.GRADUAL and tops.get(tier.name, 0) > baselines.get(tier.name, 0)
    }


def _round(
    surplus: Mapping[str, int],
    remaining: dict[str, int],
    consumers: Mapping[str, Sequence[str]],
    allowed: Mapping[str, int],
) -> list[str]:
    """Lower `remaining` by what is `allowed`, consumers first; the tiers that came down."""
    lowered = []
    for name, count in surplus.items():
        least = kept_for_consumers(count, (remaining[c] / surplus[c] for c in consumers[name]))
        left = min(remaining[name], max(least, remaining[name] - allowed[name]))
        if left < remaining[name]:
            remaining[name] = left
            lowered.append(name)
    return lowered
