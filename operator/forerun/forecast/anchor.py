"""Paths of a live window begin where demand stands now: what was measured in the last minutes says it best."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from forerun.domain.campaign import CampaignType
from forerun.forecast.slots import column, padded
from forerun.forecast.units import Lately, Unit

# log: a path that is further off is wrong, not off: how it goes on says nothing. Soon after the start few can be told
# apart from those that only begin later; a quarter of the window after it, most can. Judgement.
_LEAST_OFF, _MOST_OFF, _TOLD_APART = 0.15, 1.5, 0.5
# these rise, fall and come again within minutes: where demand stands now says little of the next ones
_SUDDEN = frozenset({CampaignType.FLASH_SALE, CampaignType.TV_SPOT, CampaignType.PUSH_NOTIFICATION})
_NOTHING = Lately(np.empty(0), np.empty(0), 1.0, 1.0)
_LEAST_POINTS, _LEAST_SPREAD = 3, 1e-6  # for a line with a slope


def anchored(total: Tensor, units: Sequence[Unit], low: Tensor, high: Tensor, fading: Tensor) -> Tensor:
    """Every path [units, cells, paths], each with its unit's `floor_rps` in it, led to where demand stands now.

    Sizes and levels are believed over the whole window; the present is known better. A straight line through the logs
    of measured over expected, per path, gives how far off it is now. That is taken off with the gain of a Kalman
    filter, as far as paths err by more than demand's own noise explains, and fades as `fading` [units, cells] does.
    """
    lately = [_lately(unit) for unit in units]
    if all(one is _NOTHING for one in lately):
        return total
    level = _off_now(total, units, lately, low, high)
    most = column([_most_off(unit) for unit in units])
    return total * torch.exp(torch.minimum(torch.maximum(level, -most), most)[:, None, :] * fading[:, :, None])


def _off_now(total: Tensor, units: Sequence[Unit], lately: Sequence[Lately], low: Tensor, high: Tensor) -> Tensor:
    """By how much each path is off now, as a log, as far as that is known; [units, paths]."""
    times = padded([one.times for one in lately], 0.0)
    demand = padded([one.demand for one in lately], float("nan"))
    floor = column([unit.floor_rps for unit in units])[:, :, None]
    seen = demand.nan_to_num(0.0)[:, :, None] + floor
    off = torch.log(seen.clamp_min(1e-9)) - torch.log(_at(total, low, high, times).clamp_min(1e-9))
    back = (times - column([_now(unit) for unit in units])) / column([one.span for one in lately])
    variance = column([one.noise_log_sd**2 for one in lately])
    return _at_present(back, off, (~demand.isnan()).float(), variance)


def _lately(unit: Unit) -> Lately:
    return (unit.seen.lately if unit.seen else None) or _NOTHING


def _now(unit: Unit) -> float:
    return unit.seen.now if unit.seen else 0.0


def _most_off(unit: Unit) -> float:
    """By how much a path may be off, as a log: more, the longer the window that began last is open.

    Not at all where one of the campaigns is a sudden one. Measured in the arena on flash sales: J/J* 1.42 in place of
    1.46, and a third of the unserved demand.
    """
    if unit.seen is None or any(term.type in _SUDDEN for term in unit.terms if term.start <= unit.seen.now):
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
