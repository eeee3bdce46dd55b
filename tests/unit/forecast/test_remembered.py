"""What is remembered between two refreshes is what would be computed anew."""

import gc
import weakref
from datetime import UTC, datetime, timedelta

import numpy as np

from forerun.domain.campaign import CampaignType, Expected, Occurrence
from forerun.domain.forecast import CURVE_POINTS, EventWindow, Lesson
from forerun.domain.observation import DemandSeries
from forerun.forecast import residuals
from forerun.forecast.baseline import fit_baseline
from forerun.forecast.relevance import _relevant, relevant
from forerun.forecast.remembered import Remembered

NOON = datetime(2026, 10, 25, 12, 0, tzinfo=UTC)


class Long:
    """Something that is keyed by identity."""


def test_an_answer_is_made_once_and_the_one_not_asked_for_longest_gives_way():
    made: list[str] = []
    answers: Remembered[str] = Remembered(2)

    def ask(key: str) -> str:
        return answers.of(key, None, lambda: made.append(key) or key.upper())

    assert [ask(key) for key in ("a", "b", "a", "c", "a", "b")] == ["A", "B", "A", "C", "A", "B"]
    assert made == ["a", "b", "c", "b"]


def test_none_is_an_answer():
    made: list[int] = []
    answers: Remembered[None] = Remembered(2)
    for _ in range(3):
        assert answers.of("a", None, lambda: made.append(1)) is None
    assert made == [1]


def test_what_is_keyed_by_identity_lives_as_long_as_its_answer():
    answers: Remembered[int] = Remembered(1)
    first = Long()
    gone = weakref.ref(first)
    answers.of(id(first), first, lambda: 1)
    del first
    gc.collect()
    assert gone() is not None
    answers.of("another", None, lambda: 2)
    gc.collect()
    assert gone() is None


def window(days: int, kind=CampaignType.NEWSLETTER) -> EventWindow:
    start = NOON - timedelta(days=days)
    return EventWindow("shop/letter", kind, Occurrence(start, start + timedelta(hours=4)), Expected())


def lessons(seed: int) -> list[Lesson]:
    rng = np.random.default_rng(seed)
    kinds = (CampaignType.NEWSLETTER, CampaignType.CUSTOM)
    return [
        Lesson(window(7 * n + 1, kinds[n % 2]), 100.0, 0.1, tuple(rng.normal(0.5, 0.2, CURVE_POINTS).tolist()))
        for n in range(8)
    ]


def test_lessons_weigh_the_same_when_they_are_asked_again():
    for known in (lessons(1), lessons(2), lessons(1), lessons(1)[:5]):
        alike = tuple(one for one in known if one.window.type is CampaignType.NEWSLETTER)
        found = relevant(window(0), known, 86400.0)
        assert found == _relevant.__wrapped__(window(0), alike, 86400.0)
        assert [one.lesson for one in found] == list(alike)
    assert relevant(window(0, CampaignType.TV_SPOT), lessons(1), 86400.0) == ()


def test_ordinary_days_are_the_same_when_they_are_asked_again():
    def base(seed: int):
        values = np.random.default_rng(seed).uniform(50.0, 150.0, 28 * 288)
        series = DemandSeries(NOON - timedelta(days=28), 300.0, tuple(values.tolist()))
        return fit_baseline(series, (), NOON.timestamp(), 86400.0)

    first, second = base(1), base(2)
    for base_, cells, later in ((first, 48, 0), (second, 48, 0), (first, 24, 0), (first, 48, 0), (first, 48, 600)):
        low = NOON.timestamp() + later + 300.0 * np.arange(cells)
        usual = base_.at(low)
        found = residuals.residual_paths(base_, NOON.timestamp() + later, low, low + 300.0, usual)
        residuals._stretches.__init__(128)
        assert np.array_equal(residuals.residual_paths(base_, NOON.timestamp() + later, low, low + 300.0, usual), found)
