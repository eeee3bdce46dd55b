"""What earlier occurrences did is found, whatever its shape, and expected of the next one."""

import dataclasses
from datetime import timedelta

import pytest

from forerun.domain.campaign import CampaignType
from forerun.domain.forecast import CURVE_POINTS, LEVELS
from forerun.forecast.model import forecast_all

MEDIAN, P90 = LEVELS.index(0.5), LEVELS.index(0.9)


def one(request):
    (answer,) = forecast_all([request])
    return answer


def flat(at):
    return 100.0


class Past:
    """Past windows on several days, with an effect `times(share of the window)` on a flat demand of 100/s."""

    def __init__(self, scene, times, count=5, hours=(2.0,), **declared):
        self.scene = scene
        self.windows = [
            scene.window(start=scene.start - timedelta(days=2 * (i + 1)), hours=hours[i % len(hours)], **declared)
            for i in range(count)
        ]
        self.times = times

    def demand(self, at):
        for window in self.windows:
            start, end = window.occurrence.start, window.occurrence.end
            if start <= at < end + 0.25 * (end - start):
                return 100.0 * self.times((at - start) / (end - start))
        return 100.0

    def request(self, *windows, **more):
        now = self.scene.start - timedelta(hours=1)
        return self.scene.request(
            *windows,
            now=now,
            history=self.scene.history(days=28, now=now, demand=self.demand),
            past=self.windows,
            **more,
        )


def medians(answer):
    (segment,) = answer.segments
    return [row[MEDIAN] for row in segment.quantiles]


def test_a_nil_event_is_not_inflated(scene):
    answer = one(Past(scene, lambda _: 1.0).request(scene.window()))
    assert answer.peaks[0].p50_rps < 1.1 * 104.0
    assert answer.peaks[0].p90_rps < 1.6 * 104.0


def test_a_negative_event_is_expected_below_the_usual(scene):
    answer = one(Past(scene, lambda u: 0.5 if u < 1 else 1.0, count=8).request(scene.window()))
    inside = medians(answer)[4:20]
    assert max(inside) < 75.0


def test_an_effect_at_the_end_is_found(scene):
    """Nothing at the start, four times the usual after four fifths of the window."""
    answer = one(Past(scene, lambda u: 4.0 if 0.8 <= u < 1.0 else 1.0).request(scene.window()))
    rows = medians(answer)
    cells = len(rows)  # the window and a quarter more
    late = rows[int(0.82 * cells / 1.25) : int(0.96 * cells / 1.25)]
    assert min(late) > 250.0
    assert max(rows[: int(0.7 * cells / 1.25)]) < 130.0
    start = answer.peaks[0].occurrence.start
    assert timedelta(minutes=90) < answer.peaks[0].at - start < timedelta(minutes=125)


def test_an_effect_at_the_end_is_found_in_windows_of_other_lengths(scene):
    past = Past(scene, lambda u: 4.0 if 0.8 <= u < 1.0 else 1.0, count=6, hours=(1.5, 2.5))
    answer = one(past.request(scene.window(hours=4.0)))
    assert answer.peaks[0].at - scene.start > timedelta(hours=3)


def test_a_peak_after_the_end_is_found(scene):
    answer = one(Past(scene, lambda u: 3.0 if u >= 1.02 else 1.0).request(scene.window()))
    rows = medians(answer)
    assert max(rows[-6:]) > 200.0
    assert max(rows[:40]) < 150.0


def test_what_marketing_always_declares_too_high_is_corrected(scene):
    past = Past(scene, lambda u: 2.0 if u < 1 else 1.0, count=6, multiplier=10.0)
    next_one = scene.window(multiplier=10.0)
    told = one(past.request(next_one)).peaks[0].p50_rps
    new_shop = one(scene.request(next_one, history=scene.history(demand=flat))).peaks[0].p50_rps
    assert told < 320.0 < new_shop


def test_what_was_declared_rightly_is_trusted_more_than_the_mean(scene):
    """Twice a small one, twice a large one, each as declared: the next large one is expected large."""
    small = Past(scene, lambda u: 2.0 if u < 1 else 1.0, count=6, multiplier=2.0)
    large = scene.window(multiplier=6.0)
    answer = one(small.request(large))
    assert answer.peaks[0].p50_rps > 300.0


def test_lessons_come_back_once_and_serve_without_the_history(scene):
    past = Past(scene, lambda u: 3.0 if u < 1 else 1.0)
    asked = past.request(scene.window())
    first = one(asked)
    assert [lesson.window for lesson in first.learnt] == past.windows
    assert all(len(lesson.log_uplift) == CURVE_POINTS for lesson in first.learnt)
    again = one(dataclasses.replace(asked, experience=first.learnt))
    assert again.learnt == ()
    assert again.peaks == first.peaks
    now = scene.start - timedelta(hours=1)
    short = scene.request(scene.window(), now=now, history=scene.history(days=1.5, now=now, demand=flat))
    forgetful, taught = one(short), one(dataclasses.replace(short, experience=first.learnt))
    assert taught.peaks[0].p50_rps == pytest.approx(first.peaks[0].p50_rps, rel=0.25)
    (sure,), (unsure,) = taught.peaks, forgetful.peaks
    assert sure.p90_rps / sure.p50_rps < 0.7 * unsure.p90_rps / unsure.p50_rps
    assert "past" in taught.basis.split("+")


def test_with_nothing_to_come_what_is_over_is_still_learnt(scene):
    past = Past(scene, lambda u: 3.0 if u < 1 else 1.0)
    answer = one(past.request())
    assert (answer.segments, len(answer.learnt)) == ((), 5)


def test_a_window_that_was_hardly_measured_teaches_nothing(scene):
    past = Past(scene, lambda u: 3.0)
    asked = past.request(scene.window())
    values = list(asked.history.values)
    begin = round((past.windows[0].occurrence.start - asked.history.start).total_seconds() / 300)
    values[begin : begin + 20] = [float("nan")] * 20
    history = dataclasses.replace(asked.history, values=tuple(values))
    answer = one(dataclasses.replace(asked, history=history))
    assert [lesson.window for lesson in answer.learnt] == past.windows[1:]


def test_other_types_teach_nothing(scene):
    past = Past(scene, lambda u: 9.0 if u < 1 else 1.0)
    other = scene.window(type=CampaignType.NEWSLETTER, multiplier=2.0)
    answer = one(past.request(other))
    assert answer.peaks[0].p50_rps < 300.0


def test_two_campaigns_at_once_share_what_they_did(scene):
    """Each of two simultaneous ones is taught half of the fivefold demand: together they make it again."""
    past = Past(scene, lambda u: 5.0 if u < 1 else 1.0)
    twins = [dataclasses.replace(window, campaign="shop/twin") for window in past.windows]
    both = (scene.window(), scene.window(name="shop/twin"))
    asked = past.request(*both)
    answer = one(dataclasses.replace(asked, past=(*asked.past, *twins)))
    assert answer.peaks[0].p50_rps == pytest.approx(500.0, rel=0.3)
