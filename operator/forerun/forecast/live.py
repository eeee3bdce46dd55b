"""What has been seen since the start corrects what was believed: amplitude in closed form, the rest by weights.

Each path keeps its delay, shape and level. Given those, the belief about `m = log(1 + A)` is updated by
Gauss-Newton on the model `demand = usual * (1 + (exp(m) - 1) * k)` (Laplace's approximation of the posterior),
so a tenfold spike is followed even where no path was drawn near it. Paths are then weighed by how well they fit
(Laplace evidence). Rao-Blackwellisation in the sense of Doucet et al. 2000; the noise is relative to the larger
of what is seen and what is expected, which bounds the pull of any one outlier.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

_STEPS = 6  # Gauss-Newton; each moves m by at most one
_MISFIT_LOG_SD = 0.15  # kernels are never quite right; judgement
_MOST_BINS = 6.0  # successive bins err together: so many count as independent, at most
_BINS_PER_MEMORY = 15.0  # judgement
_DOUBT = 4.0  # degrees of freedom of the prior's tail, once data contradict it
_LEAST_SAMPLE = 0.125  # of the paths: an effective sample size below it is mended by tempering
LOWEST, HIGHEST = -4.0, 40.0  # of m; the square of exp(40) still fits a float32


@dataclass(frozen=True, slots=True)
class Posterior:
    """`mean`, `sd` of m and the path's log-weight, each [units, paths]."""

    mean: Tensor
    sd: Tensor
    log_weight: Tensor


def bin_weights(ages: Tensor, memory: Tensor) -> Tensor:
    """Weight of bins by age, [units, bins]; it fades with the time constant `memory` [units, 1], to a tenth.

    Scaled so that they sum to the number of independent bins: one at first, `_MOST_BINS` in the end, as bins that lie
    close together err together. Negative ages are padding.
    """
    weight = torch.exp(-ages.clamp_min(0.0) / memory).clamp_min(0.1) * (ages >= 0.0)
    total = weight.sum(dim=1, keepdim=True)
    elapsed = ages.max(dim=1, keepdim=True).values.clamp_min(0.0)
    independent = (1.0 + _BINS_PER_MEMORY * elapsed / memory).clamp_max(_MOST_BINS)
    return weight * torch.minimum(independent / total.clamp_min(1e-9), torch.ones_like(total))


def posterior(
    kernel: Tensor, uplift: Tensor, ratio: Tensor, weight: Tensor, prior_mean: Tensor, prior_sd: Tensor, noise: Tensor
) -> Posterior:
    """Update m for every path.

    `kernel` and `uplift` (seen / usual - 1, less what other campaigns explain) are [units, bins, paths], as is
    `ratio` = seen / usual; `weight` is [units, bins]; `prior_mean`, `prior_sd` are [units, paths]; `noise`
    (log-sd) is [units].
    """
    centre, spread = prior_mean, prior_sd
    trust = weight[:, :, None] / (noise[:, None, None].square() + _MISFIT_LOG_SD**2)
    prior = spread**-2
    m, precision = centre, prior
    for _ in range(_STEPS):
        slope = torch.exp(m)[:, None, :] * kernel
        off, pull = _misfit(slope - kernel, uplift, ratio, trust)
        pull *= slope
        doubt = prior * (_DOUBT / (_DOUBT + (m - centre).square() * prior))  # less, the further: a Student tail
        precision = (pull * slope).sum(dim=1).add_(doubt)
        gradient = (pull * off).sum(dim=1).sub_(doubt * (m - centre))
        m = (m + (gradient / precision).clamp_(-1.0, 1.0)).clamp_(LOWEST, HIGHEST)
    off, pull = _misfit(torch.expm1(m)[:, None, :] * kernel, uplift, ratio, trust)
    fit = (pull * off.square_()).sum(dim=1)
    distance = ((m - centre) / spread).square() / _DOUBT
    evidence = -0.5 * fit - 0.5 * _DOUBT * torch.log1p(distance) - 0.5 * torch.log(precision * spread.square())
    return Posterior(m, precision.rsqrt(), torch.nan_to_num(evidence, nan=-1e9, neginf=-1e9))


def _misfit(expected: Tensor, uplift: Tensor, ratio: Tensor, trust: Tensor) -> tuple[Tensor, Tensor]:
    """(what is seen beyond what is expected, its precision), each [units, bins, paths]; errors are relative."""
    scale = torch.maximum(expected + 1.0, ratio).clamp_min_(0.1)
    return uplift - expected, trust / scale.square_()


def effective_sample(log_weight: Tensor) -> Tensor:
    """Effective sample size (Kish 1965) of log-weights [units, paths]; [units]."""
    share = torch.softmax(log_weight, dim=1)
    return 1.0 / share.square().sum(dim=1)


def tempered(log_weight: Tensor) -> Tensor:
    """Flatten the weights of a unit until an eighth of its paths still speak."""
    least = _LEAST_SAMPLE * log_weight.shape[1]
    for _ in range(40):
        poor = effective_sample(log_weight) < least
        if not bool(poor.any()):
            break
        log_weight = torch.where(poor[:, None], 0.8 * log_weight, log_weight)
    return log_weight


def resampled(log_weight: Tensor, count: int) -> Tensor:
    """Indices of `count` paths, [units, count]: systematic resampling (Kitagawa 1996), the middle as its one draw."""
    share = torch.softmax(log_weight.double(), dim=1).cumsum(dim=1)
    marks = ((torch.arange(count, dtype=torch.float64) + 0.5) / count).expand(share.shape[0], -1).contiguous()
    return torch.searchsorted(share.contiguous(), marks).clamp_max(log_weight.shape[1] - 1)
