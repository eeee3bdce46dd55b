"""How much a lesson says about the window at hand. Pure, no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

from forerun.domain.forecast import EventWindow, Lesson
from forerun.forecast.priors import BETWEEN_LOG_SD

_OTHER_CAMPAIGN = 0.3  # of the same type against the same series; judgement
_HALF_LIFE_DAYS = 1000.0  # of a lesson; judgement
_HOURS_APART = 1.5  # in the time of day, to count a third; judgement
_OTHER_DAY = 0.4  # of a working day against a weekend; judgement
_ANY_HOUR = 0.5  # over 1 + lessons: with few, those of another hour are better than none


@dataclass(frozen=True, slots=True)
class Weighed:
    """A lesson and how much it says about the window at hand, at most 1."""

    lesson: Lesson
    weight: float


def relevant(window: EventWindow, lessons: Sequence[Lesson], day_seconds: float) -> list[Weighed]:
    """The lessons of the window's type, weighed by series, age and time of day."""
    alike = [lesson for lesson in lessons if lesson.window.type is window.type]
    any_hour = _ANY_HOUR / (1.0 + len(alike))
    return [Weighed(lesson, _weight(window, lesson, any_hour, day_seconds)) for lesson in alike]


def _weight(window: EventWindow, lesson: Lesson, any_hour: float, day_seconds: float) -> float:
    series = 1.0 if lesson.window.campaign == window.campaign else _OTHER_CAMPAIGN
    start, then = window.occurrence.start.timestamp(), lesson.window.occurrence.start.timestamp()
    days = abs(start - then) / day_seconds
    apart = abs((days + 0.5) % 1.0 - 0.5) * 24.0
    hour = any_hour + (1.0 - any_hour) * exp(-apart / _HOURS_APART)
    if _is_weekend(start, day_seconds) != _is_weekend(then, day_seconds):
        hour *= _OTHER_DAY
    sure = BETWEEN_LOG_SD**2 / (BETWEEN_LOG_SD**2 + lesson.noise_log_sd**2)
    return sure * series * hour * exp(-log(2.0) * days / _HALF_LIFE_DAYS)


def _is_weekend(moment: float, day_seconds: float) -> bool:
    """Saturday or Sunday, UTC; day 0 of the epoch was a Thursday."""
    return (int(moment // day_seconds) + 3) % 7 >= 5
