"""Warm-ups, rule by rule."""

from dataclasses import replace

import pytest
from tests.properties.plan_world import at, make_campaign, make_state
from tests.properties.test_plan_warm_up import ASKED, DROP, PLAN, RAISED_AT, SHOP, TOP, due, judged, record

from forerun.domain.observation import Sample
from forerun.domain.reason import Hold, Reason
from forerun.domain.warm_up import JobSeen, Warmth
from forerun.plan.phase import PhaseInput, capacity_ready, phase_of
from forerun.plan.warm_up import WarmUpSeen, judge_warm_ups

BEGAN = RAISED_AT + 120
ENDED = JobSeen(at(BEGAN), at(BEGAN + 60))
RUNNING = JobSeen(at(BEGAN))


def ratios(*values, last=BEGAN + 80):
    return tuple(Sample(at(last - 5 * (len(values) - 1 - i)), value) for i, value in enumerate(values))


def at_80(seen):
    return judged(BEGAN + 80, seen)


def test_the_job_is_begun_once_the_raise_is_ready():
    verdict = judged(BEGAN, WarmUpSeen())
    assert verdict.starts_job
    assert verdict.warmth is Warmth.COLD
    assert (verdict.record.campaign, verdict.record.start, verdict.record.began_at) == ("drop", at(3600), at(BEGAN))
    assert verdict.record.job.startswith("main-cache-warm-")
    assert (verdict.hold.reason, verdict.hold.numbers) == (Reason.WARMING_UP, {"wanted": 0.9})


def test_nothing_is_begun_while_nothing_is_owed():
    assert judged(RAISED_AT - 1, WarmUpSeen()).warmth is Warmth.NOT_ASKED


def test_a_job_that_runs_is_not_begun_again_and_is_not_warm_whatever_the_ratio():
    verdict = at_80(WarmUpSeen(record(BEGAN), RUNNING, ratios(0.99, 0.99)))
    assert (verdict.warmth, verdict.starts_job) == (Warmth.COLD, False)


def test_two_fresh_samples_after_the_job_make_it_warm():
    verdict = at_80(WarmUpSeen(record(BEGAN), ENDED, ratios(0.91, 0.92)))
    assert verdict.warmth is Warmth.WARM
    assert verdict.hold is None
    assert (verdict.record.ended_at, verdict.record.warm_at) == (ENDED.ended_at, at(BEGAN + 80))


@pytest.mark.parametrize(
    "seen_ratios",
    [
        (),
        ratios(0.95),
        ratios(0.95, 0.89),
        ratios(0.95, float("nan")),
        (*ratios(0.95, 0.95), Hold(Reason.METRICS_UNREACHABLE)),
        ratios(0.95, 0.95, last=BEGAN + 60),  # from before the Job ended
        (ratios(0.95)[0],) * 3,  # one sample, seen three times
    ],
)
def test_less_than_that_is_not_warm(seen_ratios):
    assert at_80(WarmUpSeen(record(BEGAN), ENDED, seen_ratios)).warmth is Warmth.COLD


def test_what_was_warm_stays_so_in_silence_and_not_when_samples_agree_that_it_is_cold():
    warm = record(BEGAN, ended_at=ENDED.ended_at, warm_at=at(BEGAN + 70))
    assert at_80(WarmUpSeen(warm, ENDED, (Hold(Reason.METRIC_ABSURD),))).warmth is Warmth.WARM
    assert at_80(WarmUpSeen(warm, ENDED, ratios(0.95, 0.4))).warmth is Warmth.WARM
    assert at_80(WarmUpSeen(warm, ENDED, ratios(0.3, 0.4))).warmth is Warmth.COLD


def test_without_a_hit_ratio_the_job_s_success_decides():
    shop = replace(SHOP, tiers=(replace(SHOP.tiers[0], warm_up=replace(ASKED, hit_ratio_query=None)), SHOP.tiers[1]))
    seen = WarmUpSeen(record(BEGAN), ENDED)
    assert judged(BEGAN + 80, seen, shop=shop).warmth is Warmth.WARM
    failed = judged(BEGAN + 80, WarmUpSeen(record(BEGAN), replace(ENDED, failed=True)), shop=shop)
    assert (failed.warmth, failed.hold.reason) == (Warmth.COLD, Reason.WARM_UP_FAILED)


def test_without_a_job_the_ratio_since_ready_decides():
    shop = replace(SHOP, tiers=(replace(SHOP.tiers[0], warm_up=replace(ASKED, job_template=None)), SHOP.tiers[1]))
    begun = judged(BEGAN, WarmUpSeen(), shop=shop)
    assert (begun.record.job, begun.starts_job) == (None, False)
    assert judged(BEGAN + 80, WarmUpSeen(begun.record, None, ratios(0.95, 0.95)), shop=shop).warmth is Warmth.WARM


def test_after_the_time_out_it_says_so_and_may_still_become_warm():
    late = judged(BEGAN + 300, WarmUpSeen(record(BEGAN), RUNNING))
    assert (late.warmth, late.hold.reason) == (Warmth.TIMED_OUT, Reason.CACHE_COLD)
    assert "has not ended" in late.hold.detail
    seen = WarmUpSeen(record(BEGAN), ENDED, ratios(0.95, 0.95, last=BEGAN + 400))
    assert judged(BEGAN + 400, seen).warmth is Warmth.WARM


def test_no_job_is_begun_once_the_window_is_open():
    verdict = judged(3601, WarmUpSeen())
    assert (verdict.record.job, verdict.starts_job) == (None, False)


def test_a_later_occurrence_is_warmed_anew_and_an_open_one_is_not_disturbed_by_it():
    old = replace(record(BEGAN), start=at(0))
    assert judged(BEGAN, WarmUpSeen(old)).record.start == at(3600)
    far = make_campaign("later", 30_000, 33_000)
    given_now = due(5000)
    (verdict,) = judge_warm_ups(
        replace(given_now, campaigns=(DROP, far)), {"cache": WarmUpSeen(record(BEGAN, warm_at=at(BEGAN + 70)))}
    )
    assert verdict.record.campaign == "drop"
    assert verdict.warmth is Warmth.WARM


@pytest.mark.parametrize(
    ("warmth", "ready"),
    [(Warmth.NOT_ASKED, False), (Warmth.COLD, False), (Warmth.TIMED_OUT, False), (Warmth.WARM, True)],
)
def test_capacity_is_ready_only_when_warm(warmth, ready):
    tiers = tuple(make_state(tier, 2, 20, ready=20, warmth=warmth) for tier in SHOP.tiers)
    given_now = PhaseInput(at(3500), DROP.campaign, DROP.occurrence, SHOP, PLAN, tiers)
    assert capacity_ready(given_now).ready is ready
    assert phase_of(given_now) == ("Armed" if ready else "Warming")
    assert TOP <= 20
