"""The gate between Ready and warm: it opens on evidence alone, and it holds nobody up for ever."""

import re
from dataclasses import replace

from hypothesis import strategies as st
from tests.properties.plan_world import (
    NOON,
    anything,
    at,
    chain,
    given,
    make_campaign,
    make_entry,
    make_forecast,
    make_state,
    make_storefront,
    make_tier,
)

from forerun.domain.observation import Sample
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Role
from forerun.domain.warm_up import JobSeen, Warmth, WarmUp, WarmUpRecord
from forerun.plan.due import decide
from forerun.plan.inputs import DueInput, PlanInput
from forerun.plan.order import order_of
from forerun.plan.planner import make_plan
from forerun.plan.warm_up import WarmUpSeen, job_name, judge_warm_ups, with_warmth

TIMEOUT = 300.0
DROP = make_campaign()  # 3600 to 7200
ASKED = WarmUp("warm-cache", "hit_ratio", 0.9, TIMEOUT)
SHOP = make_storefront(
    make_tier("cache", role=Role.CACHE, warm_up=ASKED), make_tier("web", depends_on=("cache",), lead_time_seconds=60.0)
)
PLAN = make_plan(
    PlanInput(
        NOON, SHOP, (DROP,), make_forecast((3600, 1200, [900, 900, 900])), tiers=tuple(map(make_state, SHOP.tiers))
    )
)
TOP = max(step.floor for step in PLAN.steps if step.tier == "cache")
RAISED_AT = min((step.at - NOON).total_seconds() for step in PLAN.steps if step.tier == "cache")

moments = st.integers(int(RAISED_AT), 7200)
readings = st.lists(
    st.one_of(
        st.builds(Hold, st.sampled_from([Reason.METRIC_STALE, Reason.METRICS_UNREACHABLE, Reason.DEMAND_UNKNOWN])),
        st.builds(Sample, st.integers(0, 8000).map(at), anything),
    ),
    max_size=8,
).map(tuple)


def due(now, ready=TOP, shop=SHOP, **fields):
    cache = make_state(shop.tier("cache"), 2, TOP, ready=ready)
    others = tuple(make_state(tier) for tier in shop.tiers if tier.name != "cache")
    ledger = (make_entry("cache", TOP),)
    return DueInput(at(now), shop, PLAN, (DROP,), (cache, *others), ledger=ledger, **fields)


def record(began, **fields):
    return WarmUpRecord("cache", "drop", at(3600), at(began), **{"job": "warm", **fields})


def judged(now, seen, **fields):
    (verdict,) = judge_warm_ups(due(now, **fields), {"cache": seen})
    return verdict


@given(moments, moments, readings, st.booleans(), st.booleans())
def test_nobody_waits_longer_than_the_time_out_nor_beyond_what_is_needed_to_be_ready(now, began, ratios, job, ended):
    began = min(began, now)
    seen = WarmUpSeen(
        record(began, job="warm" if job else None),
        JobSeen(at(began), at(now) if ended else None) if job else None,
        ratios,
    )
    given_now = due(now)
    verdicts = judge_warm_ups(given_now, {"cache": seen})
    if now >= began + TIMEOUT:
        assert verdicts[0].warmth is not Warmth.COLD
    outcomes = decide(replace(given_now, tiers=with_warmth(given_now.tiers, verdicts)))
    waiting = [o for o in outcomes if isinstance(o, Hold) and o.reason is Reason.WAITING_FOR_DEPENDENCY]
    if now >= 3600 - 60 or now >= began + TIMEOUT:
        assert not waiting


@given(moments, st.integers(0, 3000), readings)
def test_unknown_is_never_warm(now, since, ratios):
    """Warm takes two fresh samples at the ratio or above it, later than the end of the Job."""
    ended = now - since
    seen = WarmUpSeen(record(ended - 1), JobSeen(at(ended - 1), at(ended)), ratios)
    good = {
        sample.at
        for sample in ratios
        if isinstance(sample, Sample) and sample.value >= 0.9 and abs((at(now) - sample.at).total_seconds()) <= 120
        if sample.at > at(ended)
    }
    if judged(now, seen).warmth is Warmth.WARM:
        assert len(good) >= 2


@given(moments, st.one_of(st.none(), st.integers(0, TOP - 1)), readings)
def test_nothing_begins_before_the_raise_is_ready(now, ready, ratios):
    verdict = judged(now, WarmUpSeen(hit_ratios=ratios), ready=ready)
    assert verdict.record is None
    assert not verdict.starts_job
    assert verdict.warmth is Warmth.COLD


@given(moments, readings, st.booleans())
def test_asked_twice_it_answers_the_same(now, ratios, job):
    first = judged(now, WarmUpSeen(hit_ratios=ratios))
    again = judged(now, WarmUpSeen(first.record, JobSeen(at(now)) if job else None, ratios))
    assert (again.record, again.warmth) == (first.record, first.warmth)


@given(st.integers(1, 1800), st.integers(0, 600))
def test_the_warm_up_s_time_comes_on_top_of_the_lead(timeout, lead):
    plain = make_tier("cache", lead_time_seconds=float(lead))
    warmed = replace(plain, warm_up=replace(ASKED, timeout_seconds=float(timeout)))
    web = make_tier("web", depends_on=("cache",))
    ahead = [order_of(make_storefront(tier, web), {}).ahead for tier in (plain, warmed)]
    assert ahead[1]["cache"] - ahead[0]["cache"] == timeout
    assert ahead[1]["web"] == ahead[0]["web"]


@given(st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,60}[a-z0-9])?", fullmatch=True), st.integers(0, 10**6))
def test_a_job_s_name_is_a_label_and_the_same_for_the_same_occurrence(name, start):
    shop = replace(SHOP, key=replace(SHOP.key, name=name))
    made = job_name(shop, "cache", "drop", at(start))
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", made)
    assert made == job_name(shop, "cache", "drop", at(start))
    assert made != job_name(shop, "cache", "drop", at(start + 1))
    assert made != job_name(replace(shop, uid="made-anew"), "cache", "drop", at(start))


@given(moments)
def test_a_cache_is_not_shrunk_inside_a_campaign(now):
    """Whatever little demand there is, and however many samples agree."""
    shop = chain("cache", role=Role.CACHE)
    quiet = tuple(Sample(at(now - 5 * n), 1.0) for n in range(5, -1, -1))
    state = make_state("cache", 2, TOP + 5)
    outcomes = decide(
        DueInput(at(now), shop, PLAN, (DROP,), (state,), live=quiet, ledger=(make_entry("cache", TOP + 5),))
    )
    assert [o for o in outcomes if not isinstance(o, Hold) and o.floor < TOP + 5] == []


@given(st.lists(st.integers(100, 5000), min_size=3, max_size=12))
def test_a_cache_is_raised_once(demands):
    shop = chain("cache", role=Role.CACHE)
    plan = make_plan(
        PlanInput(
            NOON,
            shop,
            (DROP,),
            make_forecast((3600, 4200 / len(demands), demands)),
            tiers=(make_state(shop.tiers[0]),),
        )
    )
    raises = [step.floor for step in plan.steps if step.reason not in {Reason.RELEASING}]
    assert len(raises) <= 1
