"""What is believed of one campaign's size before it starts: prior, past occurrences, declared numbers.

All is carried as normal beliefs about `log(1 + A)`, the log of the multiplier. Pure, no torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, isfinite, log, log1p, sqrt
from typing import TypeGuard

from forerun.domain.campaign import Expected
from forerun.forecast.priors import (
    AUDIENCE_LOG_SD,
    BETWEEN_LOG_SD,
    BIAS_LOG_SD,
    MULTIPLIER_LOG_SD,
    PEAK_LOG_SD,
    Prior,
)

_PRIOR_SCORES = 2.0  # occurrences' worth of the judged error of declarations
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


def learnt(prior: Prior, past: Sequence[tuple[float, Belief]]) -> Belief:
    """The next occurrence's size after `past` ones of the same type on the same shop: normal-normal pooling.

    Each comes with a weight, at most 1, of how much it says about the next one.
    """
    start = Belief(prior.log_multiplier_mean, prior.log_multiplier_sd)
    count = sum(weight for weight, _ in past)
    if count <= 0.0:
        return start
    average = sum(weight * belief.mean for weight, belief in past) / count
    scatter = sum(weight * (belief.mean - average) ** 2 for weight, belief in past)
    # three pseudo-observations of the judged spread: two equal events do not prove that all are equal
    between2 = (3.0 * BETWEEN_LOG_SD**2 + scatter) / (3.0 + max(0.0, count - 1.0))
    weights = [weight / (between2 + belief.sd**2) for weight, belief in past]
    precision = start.sd**-2 + sum(weights)
    total = start.mean * start.sd**-2 + sum(w * belief.mean for w, (_, belief) in zip(weights, past, strict=True))
    return Belief(total / precision, sqrt(1.0 / precision + between2))


@dataclass(frozen=True, slots=True)
class Trust:
    """What earlier declarations were worth: by how much they were off (log of actual over declared), and its spread.

    `sd` replaces a declaration's own error where anything was scored; None where nothing was.
    """

    bias: float = 0.0
    sd: float | None = None


def trust(scores: Sequence[tuple[float, float]]) -> Trust:
    """From (weight, log of actual over declared size) of earlier occurrences; shrunk to no bias while they are few."""
    total = sum(weight for weight, _ in scores)
    if total <= 0.0:
        return Trust()
    mean = sum(weight * score for weight, score in scores) / total
    scatter = sum(weight * (score - mean) ** 2 for weight, score in scores)
    variance = (_PRIOR_SCORES * MULTIPLIER_LOG_SD**2 + scatter) / (_PRIOR_SCORES + total)
    precision = BIAS_LOG_SD**-2 + total / variance
    return Trust(mean * (total / variance) / precision, sqrt(variance + 1.0 / precision))


def trusted(beliefs: Sequence[Belief], known: Trust) -> list[Belief]:
    """Declared sizes, corrected for how far earlier ones were off."""
    if known.sd is None:
        return list(beliefs)
    return [Belief(belief.mean + known.bias, max(known.sd, 0.5 * belief.sd)) for belief in beliefs]


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
