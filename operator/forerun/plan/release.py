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
    surplus = {
        tier.name: tops[tier.name] - baselines[tier.name]
        for tier in storefront.tiers
        if tier.release is TierRelease.GRADUAL and tops.get(tier.name, 0) > baselines.get(tier.name, 0)
    }
    worth = {name: minute_worth(count, percent) for name, count in surplus.items()}
    rounds = max((math.ceil(count / worth[name]) for name, count in surplus.items()), default=0)
    minutes = max(1, math.ceil(rounds / max(1, most_rounds)))
    remaining = dict(surplus)
    consumers = {tier.name: [c.name for c in storefront.consumers(tier.name)] for tier in storefront.tiers}
    order = [tier.name for tier in reversed(storefront.tiers) if tier.name in surplus]
    steps: list[Down] = []
    at, passed = begin, 0
    while any(remaining.values()):
        at, before = after_freeze(at, frozen), len(steps)
        # the first round is one minute's worth: it is due at once
        share = 1 if passed == 0 else minutes
        for name in order:
            fractions = [remaining[c] / surplus[c] for c in consumers[name] if c in surplus]
            least = kept_for_consumers(surplus[name], fractions)
            left = min(remaining[name], max(least, remaining[name] - worth[name] * share))
            if left < remaining[name]:
                remaining[name] = left
                steps.append(Down(at, name, baselines[name] + left))
        if len(steps) == before:
            break  # tiers that wait for each other: `due` reports them
        passed += 1
        at += STEP_SECONDS * minutes
    return tuple(steps)
