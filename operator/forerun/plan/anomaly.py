"""Attack is not campaign: a signal that stops paid capacity from following demand, never the planned floor."""

from dataclasses import replace

from forerun.domain.observation import Sample
from forerun.domain.reason import Hold, Reason
from forerun.plan.inputs import DueInput
from forerun.plan.standing import Moment, Standing, fresh


def is_vetoed(given: DueInput) -> bool:
    """Whether the signal is there, fresh, and above its threshold. A silent feed vetoes nothing."""
    asked = given.storefront.anomaly
    if asked is None or given.anomaly is None:
        return False
    seen = fresh(given.anomaly, given.now, given.metric_max_age_seconds)
    return isinstance(seen, Sample) and seen.value > asked.threshold


def silence(given: DueInput) -> Hold | None:
    """That the signal is asked for and says nothing: there is no veto, and whoever counts on one has to know."""
    if given.storefront.anomaly is None or given.anomaly is None:
        return None
    seen = fresh(given.anomaly, given.now, given.metric_max_age_seconds)
    if isinstance(seen, Sample):
        return None
    return replace(seen, reason=Reason.ANOMALY_FEED_SILENT, subject=given.storefront.key.name, numbers={})


def vetoed(present: Moment, here: Standing, target: int) -> int | Hold:
    """`target`, or what of it was planned; a Hold where live demand alone asks for more than stands."""
    planned = max(here.baseline, here.owed)
    if not here.asking or target <= max(planned, here.state.floor) or not is_vetoed(present.given):
        return target
    if planned > here.state.floor:
        return planned
    return Hold(Reason.ANOMALY, here.tier.name, {"want": target, "floor": here.state.floor})
