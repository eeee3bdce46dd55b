"""What stands and who asks for it: the facts of one moment that raising and lowering share."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from forerun.domain.capacity import CapacityPlan, Step, TierState, Window
from forerun.domain.ledger import LedgerEntry
from forerun.domain.observation import Measurement, Sample
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Tier
from forerun.plan.executable import is_executable
from forerun.plan.inputs import DueInput
from forerun.plan.sizing import bounded, size, wanted_for_calls
from forerun.plan.steadiness import GIVEN_BACK
from forerun.plan.windows import window_of

EVIDENCE_SECONDS = 60.0  # a step down a minute, on a minute's evidence


@dataclass(frozen=True, slots=True)
class Moment:
    """One `DueInput`, looked through once for all tiers."""

    given: DueInput
    windows: tuple[Window, ...]  # of executable campaigns, not over yet
    states: dict[str, TierState]
    entries: dict[str, LedgerEntry]
    live: Sample | Hold  # the newest measurement, if it is fresh and sane

    @property
    def now(self) -> datetime:
        return self.given.now

    @property
    def frozen(self) -> bool:
        return any(window.contains(self.now) for window in self.given.policy.freeze_windows)


@dataclass(frozen=True, slots=True)
class Standing:
    """One tier at one moment."""

    tier: Tier
    state: TierState
    entry: LedgerEntry | None
    baseline: int
    owed: int  # by the plan, for windows that are not over; at least the baseline
    asking: tuple[Window, ...]  # the windows that ask for the floor now
    live_need: int | None  # what fresh live demand needs, with headroom; None: unknown

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(window.campaign for window in self.asking))


def moment(given: DueInput) -> Moment:
    windows = tuple(
        window
        for sc in given.campaigns
        if is_executable(sc.campaign, given.approved)
        for window in (window_of(sc),)
        if given.now < window.hold_until
    )
    live = given.live[-1] if given.live else None
    return Moment(
        given=given,
        windows=windows,
        states={state.tier: state for state in given.tiers},
        entries={entry.tier: entry for entry in given.ledger},
        live=_unmeasured() if live is None else fresh(live, given.now, given.metric_max_age_seconds),
    )


def _unmeasured() -> Hold:
    return Hold(Reason.DEMAND_UNKNOWN, detail="demand has not been measured yet")


def fresh(measurement: Measurement, now: datetime, max_age_seconds: float) -> Sample | Hold:
    """The measurement if it is a sane number from now or shortly before; else why it is none."""
    if isinstance(measurement, Hold):
        return measurement
    if not (math.isfinite(measurement.value) and measurement.value >= 0):
        return Hold(Reason.METRIC_ABSURD, detail="the metric is not a finite number >= 0")
    age = (now - measurement.at).total_seconds()
    # one from the future is as wrong as an old one; clocks may differ by as much as a sample may be old
    if abs(age) > max_age_seconds:
        return Hold(Reason.METRIC_STALE, numbers={"age_seconds": age})
    return measurement


def evidence(moment: Moment) -> tuple[Sample, ...] | Hold:
    """The last measurements that a floor may come down on, newest first, if all are fresh; else why they are none.

    There are `evidence_samples` of them or more, and they reach back `EVIDENCE_SECONDS` or more: a dip that is over
    sooner, as when an exporter has restarted and its rate is not whole yet, has a sample from before it among them.
    There is no gap: the newest is fresh now, each other one when the one after it was taken. A source that repeats
    itself, time and all, has stopped looking.
    """
    given = moment.given
    wanted = max(1, given.evidence_samples)
    samples: list[Sample] = []
    for measurement in reversed(given.live):
        seen_at = samples[-1].at if samples else given.now
        sample = fresh(measurement, seen_at, given.metric_max_age_seconds)
        if isinstance(sample, Hold):
            return sample
        if not samples or sample.at < seen_at:
            samples.append(sample)
        elif len(samples) == 1:
            age = (given.now - sample.at).total_seconds()
            return Hold(Reason.METRIC_STALE, numbers={"age_seconds": age}, detail="the source repeats its last answer")
        if len(samples) >= wanted and (samples[0].at - sample.at).total_seconds() >= EVIDENCE_SECONDS:
            return tuple(samples)
    numbers: dict[str, float] = {"samples": len(samples), "wanted": wanted}
    return Hold(Reason.DEMAND_UNKNOWN, numbers=numbers, detail=f"samples of {EVIDENCE_SECONDS:g} s have to agree first")


def standing(moment: Moment, tier: Tier, state: TierState) -> Standing:
    baseline = max(0, state.baseline)
    step = owed_step(moment.given.plan, tier.name, moment.now)
    planned = set(step.campaigns) if step else set()
    owing = {window.campaign for window in moment.windows} & planned
    asking = tuple(w for w in moment.windows if w.campaign in owing or w.occurrence.start <= moment.now)
    owed = max(baseline, min(step.floor, tier.max_replicas)) if step and owing else baseline
    entry = moment.entries.get(tier.name)
    return Standing(tier, state, entry, baseline, owed, asking, _live_need(moment, tier))


def _live_need(moment: Moment, tier: Tier) -> int | None:
    need = moment.live if isinstance(moment.live, Hold) else size(tier, moment.live.value)
    return None if isinstance(need, Hold) else need


def target_of(here: Standing) -> int:
    """Live demand counts where some window asks; on the way down it is `lowering` that looks at it."""
    live = here.live_need if here.asking and here.live_need is not None else 0
    return max(here.baseline, here.owed, live)


def owed_step(plan: CapacityPlan | None, tier: str, now: datetime) -> Step | None:
    """The step of the plan that asks for a floor now; None where there is none or it only gives back."""
    last: Step | None = None
    for step in plan.steps if plan else ():
        if step.tier == tier and step.at <= now:
            last = step
    return None if last is None or last.reason in GIVEN_BACK else last


def own_need(tier: Tier, state: TierState) -> int:
    """What the second signals need: the tier's own demand, and its autoscaler's metrics; 0 where they are silent."""
    recommended = min(state.autoscaler_recommends or 0, tier.max_replicas)
    if state.own_demand_rps is None:
        return recommended
    wanted = wanted_for_calls(tier, state.own_demand_rps)
    return recommended if isinstance(wanted, Hold) else max(recommended, bounded(tier, wanted))


def hold_until(windows: Sequence[Window]) -> datetime | None:
    return max((window.hold_until for window in windows), default=None)


def expiry(windows: Sequence[Window], grace_seconds: float) -> datetime | None:
    """When a raise for these windows is given back even if nothing is known any more."""
    last = hold_until(windows)
    seconds = max(0.0, grace_seconds) if math.isfinite(grace_seconds) else 0.0
    return None if last is None else last + timedelta(seconds=seconds)
