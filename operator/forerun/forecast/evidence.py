"""What is believed of one campaign's size before it starts: prior, past occurrences, declared numbers.

All is carried as normal beliefs about `log(1 + A)`, the log of the multiplier. Pure, no torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, isfinite, log, log1p, sqrt
from typing import TypeGuard

from forerun.domain.campaign import Expected
from forerun.forecast.priors import AUDIENCE_LOG_SD, BETWEEN_LOG_SD, MULTIPLIER_LOG_SD, PEAK_LOG_SD, Prior

_SMALLEST, _LARGEST = 1e-9, 1e12  # a declared number beyond is an error in the unit, not evidence


@dataclass(frozen=True, slots=True)
class Belief:
    """A normal belief: mean and standard deviation."""

    mean: float
    sd: float


def pooled(beliefs: Sequence[Belief]) -> Belief:
    """Precision-weighted mean; the sd grows where they contradict each other (Birge ratio, 1932)."""
    weights = [belief.sd**-2 for belief in beliefs]
    mean = sum(weight * belief.mean for weight, belief in zip(weights, beliefs, strict=True)) / sum(weights)
    chi2 = sum(weight * (belief.mean - mean) ** 2 for weight, belief in zip(weights, beliefs, strict=True))
    birge = max(1.0, chi2 / max(1, len(beliefs) - 1))
    return Belief(mean, sqrt(min(birge, 9.0) / sum(weights)))


def learnt(prior: Prior, past: Sequence[Belief]) -> Belief:
    """The next occurrence's size after `past` ones of the same type on the same shop: normal-normal pooling."""
    start = Belief(prior.log_multiplier_mean, prior.log_multiplier_sd)
    if not past:
        return start
    count = len(past)
    average = sum(belief.mean for belief in past) / count
    scatter = sum((belief.mean - average) ** 2 for belief in past)
    # three pseudo-observations of the judged spread: two equal events do not prove that all are equal
    between2 = (3.0 * BETWEEN_LOG_SD**2 + scatter) / (3.0 + max(0, count - 1))
    weights = [1.0 / (between2 + belief.sd**2) for belief in past]
    precision = start.sd**-2 + sum(weights)
    total = start.mean * start.sd**-2 + sum(w * belief.mean for w, belief in zip(weights, past, strict=True))
    return Belief(total / precision, sqrt(1.0 / precision + between2))


def declared_beliefs(expected: Expected, prior: Prior, usual_rps: float, kernel_seconds: float) -> list[Belief]:
    """What marketing declared, as beliefs about the log multiplier.

    `usual_rps` is the baseline where the kernel peaks, `kernel_seconds` the kernel's integral over its window:
    an audience becomes extra requests, spread over the kernel. Numbers that cannot be are no evidence.
    """
    beliefs = []
    if _positive(expected.peak_rps):
        beliefs.append(Belief(log(expected.peak_rps / usual_rps), PEAK_LOG_SD))
    if _positive(expected.multiplier):
        beliefs.append(Belief(log(expected.multiplier), MULTIPLIER_LOG_SD))
    if _positive(expected.audience):
        extra_rps = expected.audience * prior.requests_per_person / max(kernel_seconds, 1.0)
        ratio = extra_rps / usual_rps
        # the error is in A; carried over to log(1 + A) it shrinks where A is small
        beliefs.append(Belief(log1p(ratio), max(0.3, AUDIENCE_LOG_SD * ratio / (1.0 + ratio))))
    return beliefs


def _positive(number: float | None) -> TypeGuard[float]:
    return number is not None and isfinite(number) and _SMALLEST <= number <= _LARGEST


def size(known: Belief, declared: Sequence[Belief]) -> Belief:
    """Both together. Where they contradict, the prior yields: what marketing knows of this event is newer."""
    if not declared:
        return known
    told = pooled(declared)
    conflict = (told.mean - known.mean) / sqrt(told.sd**2 + known.sd**2)
    trusted = 1.0 / known.sd**2 / max(1.0, conflict**2 / 4.0) ** 2
    precision = told.sd**-2 + trusted
    mean = (told.mean * told.sd**-2 + known.mean * trusted) / precision
    return Belief(mean, precision**-0.5)


def peak_share(expected: Expected, belief: Belief) -> float:
    """How much of `belief` rests on a declared peak, in [0, 1].

    A peak is absolute: where usual demand turns out higher than thought, its multiplier is lower.
    """
    return min(1.0, belief.sd**2 / PEAK_LOG_SD**2) if _positive(expected.peak_rps) else 0.0


def usual_from_declared(expected: Expected, known: Belief) -> float | None:
    """Usual demand in requests/s where nothing was measured: the declared peak over the multiplier."""
    if not _positive(expected.peak_rps):
        return None
    told = [Belief(log(expected.multiplier), MULTIPLIER_LOG_SD)] if _positive(expected.multiplier) else []
    return exp(log(expected.peak_rps) - max(size(known, told).mean, 0.0))
