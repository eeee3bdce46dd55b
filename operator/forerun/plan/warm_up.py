"""The gate between Ready and warm: when a warm-up begins, when it is done, and when nobody waits for it any more.

It never holds the tier's own raise, and its consumers no longer than its time-out. Unknown is not warm.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from forerun.domain.capacity import TierState, Window
from forerun.domain.observation import Measurement, Sample
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Storefront, Tier
from forerun.domain.warm_up import JobSeen, Warmth, WarmUp, WarmUpRecord
from forerun.plan.inputs import DueInput
from forerun.plan.order import lead_seconds
from forerun.plan.phase import required_at_start
from forerun.plan.standing import Moment, fresh, moment, standing

AGREEING_SAMPLES = 2  # that a cache is warm, or no longer is, one sample alone does not say
_LONGEST_NAME = 63  # a Job's name is a label of its pods


@dataclass(frozen=True, slots=True)
class WarmUpSeen:
    """What is known of one tier's warm-up: what was begun, its Job, and the last hit ratios, newest last."""

    record: WarmUpRecord | None = None
    job: JobSeen | None = None
    hit_ratios: tuple[Measurement, ...] = ()


@dataclass(frozen=True, slots=True)
class WarmUpVerdict:
    """`record` is what is to be remembered from now on; None: nothing. `starts_job`: its Job is not there yet."""

    tier: str
    warmth: Warmth
    record: WarmUpRecord | None = None
    starts_job: bool = False
    hold: Hold | None = None


_NOT_SEEN = WarmUpSeen()


def judge_warm_ups(given: DueInput, seen: Mapping[str, WarmUpSeen]) -> tuple[WarmUpVerdict, ...]:
    """One verdict for each tier that asks for a warm-up and whose target is known. Asked twice, it answers the same."""
    present = moment(given)
    return tuple(
        _judge(present, tier, tier.warm_up, state, seen.get(tier.name, _NOT_SEEN))
        for tier in given.storefront.tiers
        if tier.warm_up is not None and (state := present.states.get(tier.name)) is not None
    )


def with_warmth(tiers: Sequence[TierState], verdicts: Sequence[WarmUpVerdict]) -> tuple[TierState, ...]:
    warmth = {verdict.tier: verdict.warmth for verdict in verdicts}
    return tuple(replace(tier, warmth=warmth.get(tier.tier, Warmth.NOT_ASKED)) for tier in tiers)


def job_name(storefront: Storefront, tier: str, campaign: str, start: datetime) -> str:
    """The same name for the same occurrence, so that a second attempt meets the first."""
    identity = f"{storefront.uid}\n{tier}\n{campaign}\n{start.isoformat()}"
    suffix = f"-warm-{hashlib.sha256(identity.encode()).hexdigest()[:10]}"
    return f"{storefront.key.name}-{tier}"[: _LONGEST_NAME - len(suffix)].rstrip("-.").replace(".", "-") + suffix


def _judge(present: Moment, tier: Tier, asked: WarmUp, state: TierState, seen: WarmUpSeen) -> WarmUpVerdict:
    window = _occasion(standing(present, tier, state).asking, present.now)
    if window is None:
        return WarmUpVerdict(tier.name, Warmth.NOT_ASKED)
    record = seen.record
    if record is not None and (record.campaign, record.start) == (window.campaign, window.occurrence.start):
        return _judged(present, tier, asked, record, seen)
    lead = lead_seconds(state, tier.lead_time_seconds)
    required = required_at_start(present.given.plan, tier.name, window.occurrence, state.baseline, lead)
    if required <= state.baseline:
        return WarmUpVerdict(tier.name, Warmth.NOT_ASKED)
    if state.ready is None or state.ready < required:
        return WarmUpVerdict(tier.name, Warmth.COLD)
    return _judged(present, tier, asked, _begun(present, tier, asked, window), _NOT_SEEN)


def _occasion(asking: Sequence[Window], now: datetime) -> Window | None:
    """The window to be warm for: the next to start, else the last that did."""
    by_start = sorted(asking, key=lambda window: (window.occurrence.start, window.campaign))
    coming = [window for window in by_start if window.occurrence.start > now]
    return next(iter(coming), by_start[-1] if by_start else None)


def _begun(present: Moment, tier: Tier, asked: WarmUp, window: Window) -> WarmUpRecord:
    """Once the window is open, its visitors warm the cache: a Job would only add to what is behind it."""
    start, now = window.occurrence.start, present.now
    runs = asked.job_template is not None and now < start
    name = job_name(present.given.storefront, tier.name, window.campaign, start) if runs else None
    return WarmUpRecord(tier.name, window.campaign, start, began_at=now, job=name)


def _judged(present: Moment, tier: Tier, asked: WarmUp, record: WarmUpRecord, seen: WarmUpSeen) -> WarmUpVerdict:
    if seen.job is not None and seen.job.ended_at is not None and record.ended_at is None:
        record = replace(record, ended_at=seen.job.ended_at, failed=seen.job.failed)
    ratios = _fresh_ratios(present, record, seen)
    record = replace(record, warm_at=_warm_at(present.now, asked, record, ratios))
    starts_job = record.job is not None and record.ended_at is None and seen.job is None
    if record.warm_at is not None:
        return WarmUpVerdict(tier.name, Warmth.WARM, record, starts_job)
    late = present.now >= record.began_at + timedelta(seconds=asked.timeout_seconds)
    warmth = Warmth.TIMED_OUT if late else Warmth.COLD
    hold = _hold(tier.name, asked, record, ratios, late=late)
    return WarmUpVerdict(tier.name, warmth, record, starts_job and not late, hold)


def _fresh_ratios(present: Moment, record: WarmUpRecord, seen: WarmUpSeen) -> tuple[Sample, ...]:
    """The newest samples, newest first, as long as they are fresh, no repetition, and later than the warm-up."""
    since = record.began_at if record.job is None else record.ended_at
    found: list[Sample] = []
    for measurement in reversed(seen.hit_ratios):
        sample = fresh(measurement, present.now, present.given.metric_max_age_seconds)
        if isinstance(sample, Hold) or since is None or sample.at <= since or len(found) == AGREEING_SAMPLES:
            break
        if not found or sample.at < found[-1].at:
            found.append(sample)
    return tuple(found)


def _warm_at(now: datetime, asked: WarmUp, record: WarmUpRecord, ratios: Sequence[Sample]) -> datetime | None:
    """Since when it is warm. Silence takes nothing back: a cache that waits for its visitors has no hit ratio."""
    if asked.hit_ratio_query is None or asked.min_hit_ratio is None:
        return None if record.failed else record.ended_at
    least = asked.min_hit_ratio
    if len(ratios) < AGREEING_SAMPLES:
        return record.warm_at
    if all(sample.value >= least for sample in ratios):
        return record.warm_at or now
    return None if all(sample.value < least for sample in ratios) else record.warm_at


def _hold(tier: str, asked: WarmUp, record: WarmUpRecord, ratios: Sequence[Sample], *, late: bool) -> Hold:
    if record.failed and not late:
        return Hold(Reason.WARM_UP_FAILED, tier, detail=f"look at Job {record.job}")
    numbers = {"hit_ratio": ratios[0].value} if ratios else {}
    if asked.min_hit_ratio is not None:
        numbers["wanted"] = asked.min_hit_ratio
    detail = "" if ratios or asked.hit_ratio_query is None else "its hit ratio is not known"
    if record.job is not None and (record.failed or record.ended_at is None):
        detail = f"Job {record.job} {'failed' if record.failed else 'has not ended'}"
    return Hold(Reason.CACHE_COLD if late else Reason.WARMING_UP, tier, numbers, detail)
