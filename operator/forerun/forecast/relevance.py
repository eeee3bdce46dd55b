"""How much each lesson says about the window at hand: alike in series, hour, kind of day, and not too old. Pure.

How much the hour and the weekend matter differs from shop to shop, so it is learnt too: each way of weighing is judged
by how well it would have foretold every lesson from the others, and all are averaged with those weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from forerun.domain.forecast import EventWindow, Lesson
from forerun.forecast.baseline import Array
from forerun.forecast.curves import SHRINK, Weighed, filled
from forerun.forecast.priors import BETWEEN_LOG_SD

_OTHER_CAMPAIGN = 0.2  # of the same type against the same series; judgement
_HALF_LIFE_DAYS = 1000.0  # of a lesson; judgement
_ANY_HOUR = 0.5  # over 1 + lessons: with few, those of another hour are better than none
# Hours apart, to count a third, and what a weekend counts for a working day: (value, how plausible before data).
_HOURS_APART = ((0.7, 0.2), (1.5, 1.0), (4.0, 0.2), (12.0, 0.2))
_OTHER_DAY = ((0.15, 0.2), (0.4, 1.0), (1.0, 0.2))
_COARSE = 12  # stretches of a curve that are compared
_LEAST_LOSS = 1e-6


@dataclass(frozen=True, slots=True)
class _Pairs:
    """How far apart windows are, [lessons + 1, lessons + 1]; the last is the one at hand."""

    hours: Array
    other_day: Array
    base: Array


def relevant(window: EventWindow, lessons: Sequence[Lesson], day_seconds: float) -> tuple[Weighed, ...]:
    """The lessons of the window's type with their weights, at most 1."""
    alike = tuple(lesson for lesson in lessons if lesson.window.type is window.type)
    return _relevant(window, alike, day_seconds) if alike else ()


@lru_cache(maxsize=512)  # they stay the same from one refresh to the next
def _relevant(window: EventWindow, alike: tuple[Lesson, ...], day_seconds: float) -> tuple[Weighed, ...]:
    pairs = _pairs([*(lesson.window for lesson in alike), window], day_seconds)
    noise = np.array([lesson.noise_log_sd for lesson in alike])
    sure = BETWEEN_LOG_SD**2 / (BETWEEN_LOG_SD**2 + noise**2)
    curves = np.array([filled(lesson.log_uplift) for lesson in alike])
    curves = curves.reshape(len(alike), _COARSE, -1).mean(axis=2)
    ways, scores = [], []
    for (hours, likely), (day, plausible) in product(_HOURS_APART, _OTHER_DAY):
        weights = _weights(pairs, hours, day)[:, :-1] * sure
        ways.append(weights[-1])
        loss = _loss(weights[:-1], curves, pairs.base[-1, :-1])
        # the likelihood of normal errors of unknown size, each lesson counting twice for its hump and its tail
        scores.append(np.log(likely * plausible) - len(alike) * np.log(loss + _LEAST_LOSS))
    shares = np.exp(np.array(scores) - max(scores))
    mixed = (shares / shares.sum()) @ np.array(ways)
    return tuple(Weighed(lesson, float(weight)) for lesson, weight in zip(alike, mixed, strict=True))


def _pairs(windows: Sequence[EventWindow], day_seconds: float) -> _Pairs:
    starts = np.array([window.occurrence.start.timestamp() for window in windows])
    days = np.abs(starts[:, None] - starts[None, :]) / day_seconds
    # Saturday or Sunday, UTC; day 0 of the epoch was a Thursday
    weekend = (np.floor(starts / day_seconds).astype(np.int64) + 3) % 7 >= 5
    series = np.array([window.campaign for window in windows])
    same = series[:, None] == series[None, :]
    return _Pairs(
        hours=np.abs((days + 0.5) % 1.0 - 0.5) * 24.0,
        other_day=(weekend[:, None] != weekend[None, :]).astype(np.float64),
        base=np.where(same, 1.0, _OTHER_CAMPAIGN) * 0.5 ** (days / _HALF_LIFE_DAYS),
    )


def _weights(pairs: _Pairs, hours_apart: float, other_day: float) -> Array:
    any_hour = _ANY_HOUR / pairs.hours.shape[0]
    hour = any_hour + (1.0 - any_hour) * np.exp(-pairs.hours / hours_apart)
    return np.asarray(pairs.base * hour * np.where(pairs.other_day > 0.0, other_day, 1.0))


def _loss(weights: Array, curves: Array, counts: Array) -> float:
    """Mean squared error of each curve foretold from the others; those that count more at hand count more here."""
    others = weights * (1.0 - np.eye(weights.shape[0]))
    foretold = others @ curves / (others.sum(axis=1, keepdims=True) + SHRINK)
    return float(counts @ ((foretold - curves) ** 2).mean(axis=1) / counts.sum())
