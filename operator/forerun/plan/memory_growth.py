"""Memory in place of replicas: whether the pods of a tier are to be larger now."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from forerun.domain.capacity import TierState
from forerun.domain.storefront import Storefront, Tier, TierRelease
from forerun.plan.inputs import DueInput
from forerun.plan.order import order_of
from forerun.plan.standing import moment


@dataclass(frozen=True, slots=True)
class Growth:
    """What the pods of one tier are to have: more (`grown`), what they had (`given_back`), or neither is due."""

    grown: bool = False
    given_back: bool = False
    expires: datetime | None = None
    campaigns: tuple[str, ...] = ()


def growth_of(given: DueInput, tier: Tier, grown_pods: int) -> Growth:
    """Larger from the tier's turn before a start until the hold is over; smaller after it only with release: Gradual.

    The turn is the one that its replicas would have: before its consumers, by its own lead. `grown_pods` is how many
    carry our mark: where there are none, nothing is to be given back. In a freeze nothing is due.
    """
    present = moment(given)
    if tier.memory_growth is None or present.frozen:
        return Growth()
    ahead = _ahead_seconds(given.storefront, present.states, tier)
    asking = [
        window
        for window in present.windows
        if window.occurrence.start - timedelta(seconds=ahead) <= given.now < window.hold_until
    ]
    if asking:
        last = max(window.hold_until for window in asking)
        expires = last + timedelta(seconds=max(0.0, given.expiry_grace_seconds))
        return Growth(grown=True, expires=expires, campaigns=tuple(window.campaign for window in asking))
    return Growth(given_back=grown_pods > 0 and tier.release is TierRelease.GRADUAL)


def _ahead_seconds(storefront: Storefront, states: Mapping[str, TierState], tier: Tier) -> int:
    return order_of(storefront, states).ahead.get(tier.name, 0)
