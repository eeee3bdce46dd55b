"""Past occurrences as courses that the next one may take. Pure, no torch.

Each lesson is a course of its own: the mean of all, and this one's way off it. So a set of paths drawn from them has
the usual effect, wherever in the window it falls, and the usual scatter around it. A further course is the mean
itself, for ordinary demand to be put around.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from forerun.domain.forecast import CURVE_POINTS, CURVE_SPAN, Lesson
from forerun.forecast.baseline import Array
from forerun.forecast.evidence import Belief, pooled
from forerun.forecast.priors import BETWEEN_LOG_SD

SHRINK = 0.4  # lessons' worth of "no effect" in the mean; judgement
_UNSEEN = 2.0  # lessons' worth of paths that follow none of them; judgement
_SURE = 20.0  # how fast the mean of the lessons takes the place of the type's kernel
_JITTER_SD = 0.04  # of a course's size: what was is not again to the digit
_LEAST_UPLIFT = 0.05  # below it a course is noise, and its size is not to be scaled up to an event's
_LOWEST = -0.999
_LEAST_SIZE = -0.5  # log(1 + A), for the scatter of sizes
_LARGEST = 12.0  # log


@dataclass(frozen=True, slots=True)
class Weighed:
    """A lesson and how much it says about the window at hand, at most 1."""

    lesson: Lesson
    weight: float


@dataclass(frozen=True, slots=True)
class Courses:
    """`uplift` [courses, CURVE_POINTS] is A k over the slices of a lesson, divided by A; `mean`, `sd` believe in
    log(1 + A), `spread` is how far it may be off once data speak; `share` of the paths, together at most 1. The
    last course carries no noise of its own.
    """

    uplift: Array
    mean: Array
    sd: Array
    spread: Array
    share: Array


def slice_middles(start: float, seconds: float) -> Array:
    """Epoch seconds of the middles of a window's slices."""
    return np.asarray(start + (np.arange(CURVE_POINTS) + 0.5) / CURVE_POINTS * CURVE_SPAN * seconds)


def courses(
    weighed: Sequence[Weighed], usual: Array, pivot_rps: float, floor_rps: float, declared: Sequence[Belief]
) -> Courses | None:
    """The courses of a window whose usual demand over its slices is `usual`; None where there is no lesson."""
    total = sum(one.weight for one in weighed)
    if not weighed or total <= 0.0:
        return None
    weight = np.array([one.weight for one in weighed])
    curves = np.array([filled(one.lesson.log_uplift) for one in weighed])
    middle = (weight[:, None] * curves).sum(axis=0) / (total + SHRINK)
    apart = (curves - middle) * sqrt(1.0 + min(1.0, 1.0 / total))
    growth = (usual + pivot_rps) / (usual + floor_rps)
    uplift = np.maximum(growth * np.expm1(np.vstack([middle + apart, middle[None]])), _LOWEST)
    size = _signed_peak(uplift)
    mean = np.log1p(np.maximum(size, _LOWEST))
    # near an empty shop a logarithm has no end: how far down one went says little of how far up the next may go
    sizes = np.maximum(mean, _LEAST_SIZE)
    off = (sizes[:-1] - sizes[-1]) ** 2
    between = sqrt((_UNSEEN * BETWEEN_LOG_SD**2 + float(weight @ off)) / (_UNSEEN + total))
    unseen = _UNSEEN / (total + _UNSEEN)
    share = np.append(weight / (total + _UNSEEN), unseen * (1.0 - 1.0 / (1.0 + _SURE * total)))
    own = np.append(np.full(len(weighed), _JITTER_SD), min(between, BETWEEN_LOG_SD))
    mean, sd = _with_declared(mean, own, between, declared)
    return Courses(uplift / size[:, None], mean, sd, np.full(mean.shape, max(between, BETWEEN_LOG_SD)), share)


def lesson_size(one: Weighed, usual: Array, pivot_rps: float, floor_rps: float) -> float:
    """log(1 + A) of one lesson at its peak, where usual demand over its slices was `usual`."""
    growth = (usual + pivot_rps) / (usual + floor_rps)
    uplift = np.maximum(growth * np.expm1(filled(one.lesson.log_uplift)), _LOWEST)
    return float(np.log1p(_signed_peak(uplift[None])[0]))


def filled(curve: Sequence[float | None]) -> Array:
    """Slices without a measurement are interpolated; a curve of more or fewer slices is put on ours."""
    values = np.array([np.nan if value is None else value for value in curve], dtype=np.float64)
    known = np.flatnonzero(np.isfinite(values))
    if not known.size:
        return np.zeros(CURVE_POINTS)
    places = (np.arange(CURVE_POINTS) + 0.5) * values.size / CURVE_POINTS - 0.5
    return np.asarray(np.interp(places, known, values[known].clip(-_LARGEST, _LARGEST)))


def _signed_peak(uplift: Array) -> Array:
    """The largest uplift of each row, or where it goes down further than up, the lowest; never quite zero."""
    high, low = uplift.max(axis=1), uplift.min(axis=1)
    signed = np.where(high >= -low, high, low)
    return np.where(np.abs(signed) < _LEAST_UPLIFT, np.where(signed < 0.0, -_LEAST_UPLIFT, _LEAST_UPLIFT), signed)


def _with_declared(mean: Array, sd: Array, between: float, declared: Sequence[Belief]) -> tuple[Array, Array]:
    """Each course moved towards what was declared, as a normal belief would be; the rest of its spread as noise."""
    if not declared:
        return mean, sd
    told = pooled(declared)
    gain = between**2 / (between**2 + told.sd**2)
    noise = between * sqrt(gain * (1.0 - gain))
    return mean + gain * (told.mean - mean), np.hypot((1.0 - gain) * sd, noise)
