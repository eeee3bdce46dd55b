"""Response kernels: the shape of a campaign's demand over time, 1 at its peak, 0 before its onset.

Each kernel is unimodal: it rises until `mode` and does not rise after it, so that its maximum over a grid
cell is its value at the point of the cell nearest to the mode. Times are seconds of the real world (a
rehearsal multiplies its own by the compression); `x` is the time since the onset, `window` the declared
length, `shape` a positive factor on the time constant. Arguments broadcast; results are in [0, 1].
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from forerun.domain.campaign import CampaignType

TimeScale = Callable[[Tensor, Tensor], Tensor]  # (window, shape) -> seconds
Curve = Callable[[Tensor, Tensor, Tensor], Tensor]  # (x, window, shape) -> [0, 1]


@dataclass(frozen=True, slots=True)
class Kernel:
    mode: TimeScale
    curve: Curve


def _rise(x: Tensor, mode: Tensor) -> Tensor:
    return (x / mode).clamp(0.0, 1.0)


def _after_window(x: Tensor, window: Tensor, scale: Tensor) -> Tensor:
    """1 inside the window, exponential decay with the given time constant after it."""
    return torch.exp(-(x - window).clamp_min(0.0) / scale)


def _tv_mode(window: Tensor, shape: Tensor) -> Tensor:
    return torch.full_like(window * shape, 13.0)


def tv_spot(x: Tensor, window: Tensor, shape: Tensor) -> Tensor:
    """Rise to 13 s after the spot, then exponential with tau = 120 s / ln 4 = 87 s.

    13 s: Kitts et al. on search bursts after TV adverts; 75 % of the extra searches within two minutes
    (studies of TV adverts and search), from which tau is derived.
    """
    mode = _tv_mode(window, shape)
    return _rise(x, mode) * torch.exp(-(x - mode).clamp_min(0.0) / (87.0 * shape))


def _influencer_mode(window: Tensor, shape: Tensor) -> Tensor:
    return torch.full_like(window * shape, 60.0)


def influencer(x: Tensor, window: Tensor, shape: Tensor) -> Tensor:
    """Relaxation (1 + x / 300 s)^-1.4 after a minute of rise.

    Exponent 1 + theta with theta = 0.4: the exogenous subcritical class of Crane and Sornette 2008
    (arXiv:0803.2189). The flat first five minutes follow the memory kernel of SEISMIC (arXiv:1506.02594).
    """
    mode = _influencer_mode(window, shape)
    scale = 300.0 * shape
    return _rise(x, mode) * (1.0 + (x - mode).clamp_min(0.0) / (scale + mode)).pow(-1.4)


def _omori_integral(x: Tensor, scale: Tensor, power: float) -> Tensor:
    """Integral of (1 + y / scale)^-power over [0, x]; 0 for x < 0."""
    return scale / (power - 1.0) * (1.0 - (1.0 + x.clamp_min(0.0) / scale).pow(1.0 - power))


def _sent(x: Tensor, sending: Tensor, scale: Tensor, power: float) -> Tensor:
    """A constant send rate over `sending` seconds, convolved with Omori's law; its mode is the end of the sending."""
    response = _omori_integral(x, scale, power) - _omori_integral(x - sending, scale, power)
    return response / _omori_integral(sending, scale, power)


def _newsletter_mode(window: Tensor, shape: Tensor) -> Tensor:
    return (0.2 * window + 0.0 * shape).clamp(1.0, 3600.0)


def newsletter(x: Tensor, window: Tensor, shape: Tensor) -> Tensor:
    """Send rate convolved with Omori's law (1 + x / 20 min)^-1.5.

    The form is that of human response times (Crane and Sornette 2008); no usable public percentile was found
    for its constants, so they are a judgement: sending takes a fifth of the window, an hour at most.
    """
    return _sent(x, _newsletter_mode(window, shape), 1200.0 * shape, 1.5)


def _push_mode(window: Tensor, shape: Tensor) -> Tensor:
    return (0.1 * window + 0.0 * shape).clamp(1.0, 300.0)


def push_notification(x: Tensor, window: Tensor, shape: Tensor) -> Tensor:
    """As `newsletter`, quicker: (1 + x / 3 min)^-1.8 after at most five minutes of sending. Constants: judgement."""
    return _sent(x, _push_mode(window, shape), 180.0 * shape, 1.8)


def _flash_mode(window: Tensor, shape: Tensor) -> Tensor:
    return (0.05 * window + 0.0 * shape).clamp(1.0, 10.0)


def flash_sale(x: Tensor, window: Tensor, shape: Tensor) -> Tensor:
    """Near-step opening (10 s at most), hyperbolic tail while stock runs out, gone soon after the end.

    An opening within 1-10 s is what practitioners report; the hyperbola 1 / (1 + x / h) with h a sixth of the
    window is a judgement.
    """
    mode = _flash_mode(window, shape)
    tail = 1.0 / (1.0 + (x - mode).clamp_min(0.0) / (window / 6.0 * shape))
    return _rise(x, mode) * tail * _after_window(x, window, 0.05 * window)


def _seasonal_mode(window: Tensor, shape: Tensor) -> Tensor:
    return torch.minimum(0.05 * window * shape, 0.5 * window)


def seasonal_sale(x: Tensor, window: Tensor, shape: Tensor) -> Tensor:
    """Ramp, plateau until the end, then a fall; the hours of the day come from the baseline. Constants: judgement."""
    return _rise(x, _seasonal_mode(window, shape)) * _after_window(x, window, 0.05 * window)


_BASS_P, _BASS_Q = 0.03, 0.38
_BASS_MODE = 6.190  # ln(q / p) / (p + q), in the model's own time units


def _launch_mode(window: Tensor, shape: Tensor) -> Tensor:
    return torch.minimum(0.15 * window * shape, window)


def product_launch(x: Tensor, window: Tensor, shape: Tensor) -> Tensor:
    """Density of the Bass diffusion model (Bass 1969), p = 0.03, q = 0.38 (average of Sultan, Farley, Lehmann 1990).

    Time is rescaled so that the mode falls at 15 % of the window; that place is a judgement.
    """
    time = x.clamp_min(0.0) / _launch_mode(window, shape) * _BASS_MODE
    decay = torch.exp(-(_BASS_P + _BASS_Q) * time)
    density = (_BASS_P + _BASS_Q) ** 2 / _BASS_P * decay / (1.0 + _BASS_Q / _BASS_P * decay).square()
    peak = (_BASS_P + _BASS_Q) ** 2 / (4.0 * _BASS_Q)
    return torch.where(x >= 0.0, (density / peak).clamp_max(1.0), torch.zeros_like(density))


def _custom_place(shape: Tensor) -> Tensor:
    """Log-normal `shape` of log-sd 1 is mapped to a uniform place in [0, 1]."""
    return 0.5 * (1.0 + torch.erf(torch.log(shape) / 2.0**0.5))


def _custom_mode(window: Tensor, shape: Tensor) -> Tensor:
    """Anywhere from 5 % to 115 % of the window."""
    return window * (0.05 + 1.1 * _custom_place(shape))


def custom(x: Tensor, window: Tensor, shape: Tensor) -> Tensor:
    """A slow rise to a broad plateau whose peak may come late, even after the end. Judgement: nothing is known.

    It begins at 0.4: people gather before a known hour, whatever it is that starts then. What had its peak early may
    last up to 15 % longer than declared: few declared ends are kept.
    """
    mode = _custom_mode(window, shape)
    rise = 0.4 * (x >= 0.0) + 0.6 * _rise(x, mode)
    ends = torch.maximum(mode, window * (1.15 - 0.15 * _custom_place(shape)))
    return rise * _after_window(x, ends, 0.2 * window)


KERNELS: dict[CampaignType, Kernel] = {
    CampaignType.FLASH_SALE: Kernel(_flash_mode, flash_sale),
    CampaignType.INFLUENCER: Kernel(_influencer_mode, influencer),
    CampaignType.NEWSLETTER: Kernel(_newsletter_mode, newsletter),
    CampaignType.PUSH_NOTIFICATION: Kernel(_push_mode, push_notification),
    CampaignType.TV_SPOT: Kernel(_tv_mode, tv_spot),
    CampaignType.PRODUCT_LAUNCH: Kernel(_launch_mode, product_launch),
    CampaignType.SEASONAL_SALE: Kernel(_seasonal_mode, seasonal_sale),
    CampaignType.CUSTOM: Kernel(_custom_mode, custom),
}


def highest(kind: CampaignType, low: Tensor, high: Tensor, window: Tensor, shape: Tensor) -> Tensor:
    """The kernel's maximum over each cell `[low, high]`, so that a burst shorter than a cell is not averaged away."""
    kernel = KERNELS[kind]
    mode = kernel.mode(window, shape)
    return kernel.curve(torch.minimum(torch.maximum(mode, low), high), window, shape)


def at(kind: CampaignType, x: Tensor, window: Tensor, shape: Tensor) -> Tensor:
    """The kernel at `x` seconds after the onset."""
    return KERNELS[kind].curve(x, window, shape)
