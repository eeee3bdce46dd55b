"""What a forecast says before a campaign, and how it follows what is seen."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from forerun.domain.campaign import CampaignType, Expected, Occurrence, Overlap
from forerun.domain.forecast import LEVELS, Forecast, ForecastRequest
from forerun.domain.observation import DemandSeries
from forerun.domain.reason import Hold, Reason
from forerun.forecast.model import forecast_all

MEDIAN, P90, P99 = LEVELS.index(0.5), LEVELS.index(0.9), LEVELS.index(0.99)


def one(request, compression=1.0):
    answer = forecast_all([request], compression)[0]
    assert isinstance(answer, Forecast), answer
    return answer


def quantile_at(forecast, at, level):
    for segment in forecast.segments:
        if segment.start <= at < segment.end:
            return segment.quantiles[int((at - segment.start).total_seconds() / segment.step_seconds)][level]
    raise AssertionError(f"nothing covers {at}")


def test_nothing_known_is_a_hold_that_names_the_remedy(scene):
    answer = forecast_all([scene.request(scene.window(multiplier=3.0))])[0]
    assert isinstance(answer, Hold)
    assert answer.reason is Reason.DEMAND_UNKNOWN
    assert "expected.peak" in answer.detail


def test_no_windows_is_an_empty_forecast(scene):
    assert one(scene.request(history=scene.history())).segments == ()


def test_declared_peak_alone_gives_its_own_quantiles(scene):
    forecast = one(scene.request(scene.window(type=CampaignType.FLASH_SALE, peak_rps=12000.0)))
    peak = forecast.peaks[0]
    assert forecast.basis == "declared"
    assert 10000 < peak.p50_rps < 16000
    # 0.35 of log error at the 0.99 quantile is a factor of 2.26, and each cell has noise of its own
    assert 1.8 < peak.p99_rps / peak.p50_rps < 3.5


def test_declared_multiplier_scales_the_usual_demand_of_the_hour(scene):
    peak = one(scene.request(scene.window(multiplier=3.0), history=scene.history())).peaks[0]
    assert 2.2 * 90 < peak.p50_rps < 4.0 * 110


def test_declared_numbers_narrow_the_prior(scene):
    def width(**expected):
        peak = one(scene.request(scene.window(**expected), history=scene.history())).peaks[0]
        return peak.p99_rps / peak.p50_rps

    assert width(multiplier=3.0) < 0.75 * width()
    assert width(multiplier=3.0, peak_rps=300.0) < width(multiplier=3.0)


def test_audience_is_weak_evidence_in_the_right_direction(scene):
    peaks = [
        one(scene.request(scene.window(type=CampaignType.NEWSLETTER, audience=n), history=scene.history())).peaks[0]
        for n in (1_000, 20_000_000)
    ]
    assert peaks[0].p50_rps < 300 < peaks[1].p50_rps


def test_without_a_campaign_effect_demand_is_the_baseline(scene):
    forecast = one(scene.request(scene.window(multiplier=1.0), history=scene.history()))
    middle = scene.start + timedelta(hours=1)
    assert quantile_at(forecast, middle, MEDIAN) == pytest.approx(100.0, rel=0.25)


@pytest.mark.parametrize("kind", list(CampaignType))
def test_every_type_peaks_inside_its_window_above_the_usual(scene, kind):
    peak = one(scene.request(scene.window(type=kind), history=scene.history())).peaks[0]
    assert scene.start <= peak.at <= scene.start + timedelta(hours=2)
    assert 115 < peak.p50_rps < peak.p90_rps < peak.p99_rps


def test_a_burst_shorter_than_a_cell_is_not_averaged_away(scene):
    short = one(scene.request(scene.window(type=CampaignType.TV_SPOT, hours=0.2, peak_rps=5000.0))).peaks[0]
    day = one(scene.request(scene.window(type=CampaignType.TV_SPOT, hours=24, peak_rps=5000.0))).peaks[0]
    assert day.p50_rps == pytest.approx(short.p50_rps, rel=0.2)


def events(scene, count, multiplier):
    """`count` past weekly windows whose demand was `multiplier` times the usual."""
    past = [scene.window(start=scene.start - timedelta(days=7 * (i + 1))) for i in range(count)]

    def demand(at):
        base = 100.0
        inside = any(w.occurrence.contains(at) for w in past)
        return base * multiplier if inside else base

    return past, scene.history(days=7 * count + 3, demand=demand)


@pytest.mark.parametrize("multiplier", [5.0, 1.0, 0.5])
def test_past_occurrences_teach_the_size_even_nil_and_negative(scene, multiplier):
    past, history = events(scene, 4, multiplier)
    forecast = one(scene.request(scene.window(), history=history, past=past))
    assert "past" in forecast.basis
    assert quantile_at(forecast, scene.start + timedelta(minutes=90), MEDIAN) == pytest.approx(
        100 * multiplier, rel=0.25
    )


def test_more_occurrences_make_it_surer(scene):
    widths = []
    for count in (0, 1, 4):
        past, history = events(scene, max(count, 1), 3.0)
        peak = one(scene.request(scene.window(), history=history, past=past[:count])).peaks[0]
        widths.append(peak.p99_rps / peak.p50_rps)
    assert widths[0] > widths[1] > widths[2]


def test_past_events_are_masked_in_the_baseline(scene):
    past = [scene.window(start=scene.start - timedelta(days=i + 1), multiplier=9.0) for i in range(14)]

    def demand(at):
        return 900.0 if any(w.occurrence.contains(at) for w in past) else 100.0

    # another type: what those events did must not leak into what is usual at this hour
    window = scene.window(type=CampaignType.SEASONAL_SALE, multiplier=1.0)
    hour = scene.start + timedelta(hours=1)
    masked = quantile_at(one(scene.request(window, history=scene.history(demand=demand), past=past)), hour, MEDIAN)
    quiet = quantile_at(one(scene.request(window, history=scene.history(demand=lambda at: 100.0))), hour, MEDIAN)
    leaking = quantile_at(one(scene.request(window, history=scene.history(demand=demand))), hour, MEDIAN)
    assert masked == pytest.approx(quiet, rel=0.1)
    assert leaking > 3 * quiet


def live(scene, demand, minutes, multiplier=3.0, hours=2.0):
    now = scene.start + timedelta(minutes=minutes)
    recent = scene.series(scene.start - timedelta(hours=2), now, 15.0, demand)
    window = scene.window(multiplier=multiplier, hours=hours)
    return now, one(scene.request(window, now=now, history=scene.history(), recent=recent))


def test_a_tenfold_spike_is_followed(scene):
    def demand(at):
        return 3000.0 if at >= scene.start else 90.0

    now, forecast = live(scene, demand, 15)
    assert "live" in forecast.basis
    ahead = quantile_at(forecast, now + timedelta(minutes=5), MEDIAN)
    assert ahead == pytest.approx(3000.0, rel=0.35)
    assert quantile_at(forecast, now + timedelta(minutes=5), P99) > 3000.0


def test_an_absent_event_brings_the_forecast_down_to_the_usual(scene):
    now, forecast = live(scene, lambda at: 100.0, 80)
    assert quantile_at(forecast, now + timedelta(minutes=5), MEDIAN) < 160
    before = one(scene.request(scene.window(multiplier=3.0), history=scene.history()))
    assert forecast.peaks[0].p99_rps < 0.75 * before.peaks[0].p99_rps


def test_a_late_spike_is_still_expected_and_then_followed(scene):
    onset = scene.start + timedelta(minutes=40)

    def demand(at):
        return 100.0 if at < onset else 600.0

    now, early = live(scene, demand, 30)
    assert quantile_at(early, now + timedelta(minutes=30), P99) > 200  # it may still come
    now, late = live(scene, demand, 60)
    assert quantile_at(late, now + timedelta(minutes=5), MEDIAN) == pytest.approx(600.0, rel=0.35)


def test_an_early_spike_is_followed_from_the_start_on(scene):
    """Sent a quarter of an hour too early: at the start the worst is there already."""
    onset = scene.start - timedelta(minutes=15)

    def demand(at):
        return 100.0 if at < onset else 600.0

    now, after = live(scene, demand, 5)
    assert quantile_at(after, now + timedelta(minutes=5), MEDIAN) == pytest.approx(600.0, rel=0.35)


def test_one_outlier_among_the_samples_moves_little(scene):
    now = scene.start + timedelta(minutes=40)
    clean = scene.series(scene.start - timedelta(hours=2), now, 15.0, lambda at: 300.0 if at >= scene.start else 95.0)
    values = list(clean.values)
    values[-20] = 9e9
    window = scene.window(multiplier=3.0)
    pair = [
        one(scene.request(window, now=now, history=scene.history(), recent=recent)).peaks[0].p50_rps
        for recent in (clean, replace(clean, values=tuple(values)))
    ]
    assert pair[1] == pytest.approx(pair[0], rel=0.1)


def test_before_the_start_only_the_level_is_corrected_and_within_bounds(scene):
    def at_ratio(ratio):
        now = scene.start - timedelta(minutes=10)
        recent = scene.series(now - timedelta(hours=2), now, 60.0, lambda at: usual_times(at, ratio))
        return (
            one(scene.request(scene.window(multiplier=3.0), now=now, history=scene.history(), recent=recent))
            .peaks[0]
            .p50_rps
        )

    from math import pi, sin

    def usual_times(at, ratio):
        return ratio * (100.0 + 50.0 * sin(2 * pi * (at.hour + at.minute / 60 - 9) / 24))

    plain, more, absurd = at_ratio(1.0), at_ratio(1.5), at_ratio(1000.0)
    assert 1.1 < more / plain < 1.6
    assert 5.0 < absurd / plain < 40.0  # an hour of it is real, or nobody can tell; but not without end


def test_nothing_after_now_is_looked_at(scene):
    history = scene.history(now=scene.start + timedelta(days=1))
    changed = replace(history, values=tuple(v if i < 13 * 288 - 12 else 1e6 for i, v in enumerate(history.values)))
    window = scene.window(multiplier=3.0)
    now = history.start + timedelta(seconds=(13 * 288 - 12) * 300.0)
    assert one(scene.request(window, now=now, history=history)) == one(scene.request(window, now=now, history=changed))


def test_equal_requests_get_equal_answers_alone_or_among_others(scene):
    request = scene.request(scene.window(multiplier=3.0), history=scene.history())
    others = [scene.request(scene.window(name=f"shop/c{i}", hours=1.0 + i, peak_rps=900.0)) for i in range(5)]
    assert forecast_all([*others, request])[-1] == one(request) == one(request)


def test_the_grid_and_the_draws_stay_as_time_passes(scene):
    window, history = scene.window(peak_rps=900.0), scene.history()
    early, later = (
        one(scene.request(window, history=history, now=scene.start - timedelta(minutes=m))) for m in (300, 60)
    )
    assert [s.start for s in early.segments] == [s.start for s in later.segments]
    assert later.peaks[0].p99_rps == pytest.approx(early.peaks[0].p99_rps, rel=1e-2)


def both(scene, overlap, priorities=(0, 0), sizes=(1000.0, 700.0)):
    a = scene.window("shop/a", CampaignType.SEASONAL_SALE, peak_rps=sizes[0], overlap=overlap, priority=priorities[0])
    b = scene.window("shop/b", CampaignType.SEASONAL_SALE, peak_rps=sizes[1], overlap=overlap, priority=priorities[1])
    middle = scene.start + timedelta(minutes=80)
    history = scene.history()
    return [
        quantile_at(one(scene.request(*windows, history=history)), middle, MEDIAN) for windows in ((a,), (b,), (a, b))
    ]


def test_sum_campaigns_add_up_in_demand(scene):
    a, b, together = both(scene, Overlap.SUM)
    assert together == pytest.approx(a + b - 100, rel=0.1)


def test_max_campaigns_do_not_add_up(scene):
    a, b, together = both(scene, Overlap.MAX)
    assert a * 0.95 < together < 0.85 * (a + b)


def test_the_exclusive_campaign_of_highest_priority_replaces_the_other(scene):
    _, b, together = both(scene, Overlap.EXCLUSIVE, priorities=(1, 5))
    assert together == pytest.approx(b, rel=0.02)


def test_a_rehearsal_is_the_same_in_compressed_time(scene):
    """A day in 144 s: the same shop, 600 times faster, has the same quantiles."""
    c = 600.0
    epoch = datetime(2026, 11, 20, tzinfo=UTC)

    def squeezed(at):
        return epoch + (at - epoch) / c

    real = scene.request(scene.window(type=CampaignType.INFLUENCER, multiplier=4.0), history=scene.history())
    window = real.upcoming[0]
    fast_window = replace(
        window, occurrence=Occurrence(squeezed(window.occurrence.start), squeezed(window.occurrence.end))
    )
    history = DemandSeries(squeezed(real.history.start), 300.0 / c, real.history.values)
    fast = ForecastRequest("shop/main", squeezed(real.now), history, None, (fast_window,))
    a, b = one(real).peaks[0], one(fast, c).peaks[0]
    assert (b.p50_rps, b.p99_rps) == pytest.approx((a.p50_rps, a.p99_rps), rel=0.1)


def test_bad_history_is_refused_or_answered_with_width(scene):
    widths = {}
    for name, values in {
        "one": (100.0,),
        "constant": (100.0,) * 4032,
        "zeros": (0.0,) * 4032,
        "gaps": tuple(100.0 if i % 7 else math.nan for i in range(4032)),
        "negative": tuple(100.0 if i % 7 else -5.0 for i in range(4032)),
        "absurd": tuple(100.0 if i % 7 else 1e18 for i in range(4032)),
    }.items():
        history = DemandSeries(scene.start - timedelta(seconds=300.0 * len(values)), 300.0, values)
        forecast = one(scene.request(scene.window(multiplier=1.0), now=scene.start, history=history))
        row = forecast.segments[0].quantiles[5]
        assert all(0 <= x < 1e6 for x in row), name
        widths[name] = row[P99] / max(row[MEDIAN], 1e-9)
    assert widths["one"] > 1.3 * widths["constant"]
    for values in ((), (math.nan,) * 100, (-1.0,) * 100, (math.inf,) * 100):
        history = DemandSeries(scene.start - timedelta(days=1), 300.0, values)
        answer = forecast_all([scene.request(scene.window(), history=history)])[0]
        assert isinstance(answer, Hold) and answer.reason is Reason.DEMAND_UNKNOWN


def test_recent_alone_is_a_baseline(scene):
    now = scene.start - timedelta(minutes=5)
    recent = scene.series(now - timedelta(hours=1), now, 15.0, lambda at: 100.0)
    forecast = one(scene.request(scene.window(multiplier=3.0), now=now, recent=recent))
    assert forecast.basis == "recent+declared"
    assert 180 < forecast.peaks[0].p50_rps < 500


def test_declared_numbers_that_cannot_be_are_no_evidence(scene):
    plain = one(scene.request(scene.window(), history=scene.history())).peaks
    for expected in (
        Expected(peak_rps=math.inf),
        Expected(multiplier=math.nan),
        Expected(audience=0),
        Expected(peak_rps=-3.0),
    ):
        window = replace(scene.window(), expected=expected)
        assert one(scene.request(window, history=scene.history())).peaks == plain


def test_hundreds_of_overlapping_windows_are_answered(scene):
    windows = [scene.window(f"shop/c{i}", start=scene.start + timedelta(minutes=i), multiplier=1.1) for i in range(120)]
    forecast = one(scene.request(*windows, history=scene.history()))
    assert sum(len(s.quantiles) for s in forecast.segments) <= 240
    assert len(forecast.peaks) == 120
