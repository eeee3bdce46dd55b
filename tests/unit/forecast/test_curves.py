"""Courses of past occurrences: how far they lie apart."""

from datetime import UTC, datetime, timedelta

import numpy as np

from forerun.domain.campaign import CampaignType, Expected, Occurrence
from forerun.domain.forecast import CURVE_POINTS, EventWindow, Lesson
from forerun.forecast.curves import Weighed, courses

START = datetime(2026, 5, 25, 5, 0, tzinfo=UTC)
NIGHT = np.full(CURVE_POINTS, 1.0)  # a pivot of a hundred, and hardly anybody there


def lesson(days_ago, *uplifts):
    """One occurrence whose log uplift went through these levels."""
    start = START - timedelta(days=days_ago)
    window = EventWindow("holiday", CampaignType.CUSTOM, Occurrence(start, start + timedelta(hours=12)), Expected())
    curve = np.repeat(uplifts, CURVE_POINTS // len(uplifts))
    return Weighed(Lesson(window, 50.0, 0.1, tuple(curve.tolist())), 1.0)


def test_how_far_down_an_empty_shop_went_does_not_say_how_far_up_it_may_go():
    """On a scale with a pivot a quiet night may go 'below nothing': its logarithm of 1 + A has no end."""
    quiet = [lesson(7, -0.05, 0.0), lesson(14, -0.02, 0.01), lesson(21, 0.01, -0.01)]
    made = courses(quiet, NIGHT, pivot_rps=100.0, floor_rps=0.1, declared=())
    assert made.mean.min() < -2.0
    assert made.spread.max() < 1.5


def test_how_far_apart_those_that_rose_were_counts_whole():
    rose = [lesson(7, 0.2, 1.0), lesson(14, 0.2, 2.5), lesson(21, 0.2, 0.3)]
    made = courses(rose, np.full(CURVE_POINTS, 200.0), pivot_rps=100.0, floor_rps=0.1, declared=())
    assert made.spread.min() > 0.6
