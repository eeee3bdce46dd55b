"""Paths of a live window begin where demand stands now: what was measured in the last minutes says it best."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from forerun.forecast.slots import column, padded
from forerun.forecast.units import Unit

# log: a path that is further off is wrong, not off: how it goes on says nothing. Soon after the start few can be told
# apart from those that only begin later; a quarter of the window after it, most can. Judgement.
_LEAST_OFF, _MOST_OFF, _TOLD_APART = 0.15, 1.5, 0.5
_LEAST_POINTS, _LEAST_SPREAD = 3, 1e-6  # for a line with a slope


def anchored(total: Tensor, units: Sequence[Unit], low: Tensor, high: Tensor, fading: Tensor) -> Tensor:
    """Every path [units, cells, paths], each with its unit's `floor_rps` in it, led to where demand stands now.

    Sizes and levels are believed over the whole window; the present is known better. A straight line through the logs
    of measured over expected, per path, gives how far off it is now. That is taken off with the gain of a Kalman
    filter, as far as paths err by more than demand's own noise explains, and fades as `fading` [units, cells] does.
    """
    if all(unit.seen is None or unit.seen.lately is None for unit in units):
        return total
    lately = [unit.seen.lately if unit.seen else None for unit in units]
    nothing = np.empty(0)
    times = padded([one.times if one else nothing for one in lately], 0.0)
    demand = padded([one.demand if one else nothing for one in lately], float("nan"))
    span = column([one.span if one else 1.0 for one in lately])
    now = column([unit.seen.now if unit.seen else 0.0 for unit in units])
    floor = column([unit.floor_rps for unit in units])[:, :, None]
    measured = ~demand.isnan()
    expected = _at(total, low, high, times)
    seen = demand.nan_to_num(0.0)[:, :, None] + floor
    off = torch.log(seen.clamp_min(1e-9)) - torch.log(expected.clamp_min(1e-9))
    variance = column([one.noise_log_sd**2 if one else 1.0 for one in lately])
    level = _at_present((times - now) / span, off, measured.float(), variance)
    most = column([_most_off(unit) for unit in units])
    return total * torch.exp(torch.minimum(torch.maximum(level, -most), most)[:, None, :] * fading[:, :, None])


def _most_off(unit: Unit) -> float:
    """By how much a path may be off, as a log: more, the longer the window that began last is open."""
    if unit.seen is None:
        return 0.0
    ages = [(unit.seen.now - term.start) / term.window for term in unit.terms if term.start <= unit.seen.now]
    return float(np.clip(_MOST_OFF * min(ages, default=0.0) / _TOLD_APART, _LEAST_OFF, _MOST_OFF))


def _at(total: Tensor, low: Tensor, high: Tensor, times: Tensor) -> Tensor:
    """Each path at the given times [units, points], linear between the middles of its cells."""
    middle = 0.5 * (low + high)
    step = (high[:, :1] - low[:, :1]).clamp_min(1e-9)
    cells = ((high > low).sum(dim=1, keepdim=True) - 1).clamp_min(0)
    place = torch.minimum(((times - middle[:, :1]) / step).clamp_min(0.0), cells.float())
    before = place.floor().long()
    share = (place - before)[:, :, None]
    index = before[:, :, None].expand(-1, -1, total.shape[2])
    after = torch.minimum(before + 1, cells)[:, :, None].expand(-1, -1, total.shape[2])
    return torch.gather(total, 1, index) * (1.0 - share) + torch.gather(total, 1, after) * share


def _at_present(x: Tensor, off: Tensor, weight: Tensor, variance: Tensor) -> Tensor:
    """The value at x = 0 of the line through `off` [units, points, paths], times its gain; [units, paths]."""
    count, first, second = ((weight * x**power).sum(dim=1, keepdim=True) for power in (0, 1, 2))
    spread = count * second - first**2
    sloped = ((count >= _LEAST_POINTS) & (spread > _LEAST_SPREAD)).float()
    spread = torch.where(sloped > 0, spread, torch.ones_like(spread))
    total, crossed = ((off * (weight * x**power)[:, :, None]).sum(dim=1) for power in (0, 1))
    level = sloped * (total * second - first * crossed) / spread + (1.0 - sloped) * total / count.clamp_min(1.0)
    error = variance * (sloped * second / spread + (1.0 - sloped) / count.clamp_min(1.0))
    return torch.where(count > 0, _gain(level, error) * level, torch.zeros_like(level))


def _gain(error: Tensor, variance: Tensor) -> Tensor:
    """The share of the paths' squared error [units, paths] that the noise of the estimate does not explain."""
    squared = error.square().mean(dim=1, keepdim=True)
    return (1.0 - variance / squared.clamp_min(1e-12)).clamp_(0.0, 1.0)
