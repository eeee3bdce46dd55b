"""The order of tiers: a consumer is raised only when what it depends on is to be Ready."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from forerun.domain.capacity import TierState
from forerun.domain.storefront import Storefront

# Added to a measured lead: pods are measured from their creation to Ready, but before that the autoscaler has to sync
# and the controllers have to create them. An autoscaler's own period is not known here; judgement.
CONTROLLER_SECONDS = 5.0

_LONGEST_LEAD_SECONDS = 7 * 86400.0


@dataclass(frozen=True, slots=True)
class Order:
    """How long before the demand each tier is raised, in whole seconds, and who waits for whom."""

    leads: Mapping[str, float]  # scale request to Ready
    ahead: Mapping[str, int]  # raise of the tier to demand at the door, margin included
    margins: Mapping[str, int]  # of that, slack: the tier itself and those after it
    consumers: Mapping[str, tuple[str, ...]]  # of a tier, direct

    @property
    def longest_lead_seconds(self) -> float:
        return max(self.leads.values(), default=0.0)


def order_of(storefront: Storefront, states: Mapping[str, TierState]) -> Order:
    """Leads added up along the dependencies, from the door inwards.

    A tier without consumers is Ready a margin before the demand; every other one when the first of its consumers is
    raised: `ready_by(d) = min over consumers of raise_at`, `raise_at = ready_by - lead`. Ready means warm as well,
    where a tier asks for a warm-up: its time-out comes on top of its lead.
    """
    leads = {tier.name: lead_seconds(states.get(tier.name), tier.lead_time_seconds) for tier in storefront.tiers}
    consumers: dict[str, tuple[str, ...]] = {tier.name: () for tier in storefront.tiers}
    for tier in storefront.tiers:
        for dependency in tier.depends_on:
            consumers[dependency] = (*consumers.get(dependency, ()), tier.name)
    ahead: dict[str, int] = {}
    margins: dict[str, int] = {}
    for tier in reversed(storefront.tiers):
        after = [name for name in consumers[tier.name] if name in ahead]
        last = max(after, key=lambda name: ahead[name], default=None)
        margins[tier.name] = _margin_seconds(leads[tier.name]) if last is None else margins[last]
        ready_before = margins[tier.name] if last is None else ahead[last]
        ahead[tier.name] = ready_before + math.ceil(leads[tier.name] + tier.warm_up_seconds)
    return Order(leads, ahead, margins, consumers)


def lead_seconds(state: TierState | None, declared: float) -> float:
    """Scale request to Ready: the measured p95 and `CONTROLLER_SECONDS`, else the declared lead time, else none.

    A state carries the declared number until there is a measured one: what equals it is taken for declared.
    """
    measured = state.lead_time_seconds if state else math.nan
    known = declared if measured == declared else measured + CONTROLLER_SECONDS
    for seconds in (known, declared):
        if math.isfinite(seconds) and seconds >= 0:
            return min(seconds, _LONGEST_LEAD_SECONDS)
    return 0.0


def _margin_seconds(lead: float) -> int:
    """Slack for the last tier: a quarter of its lead, from 1 s to 30 s."""
    return math.ceil(min(30.0, max(1.0, 0.25 * lead)))
