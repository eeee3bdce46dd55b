"""Paths of a live window follow what was seen: known cells are what was measured, the rest stays below the ceiling."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from forerun.forecast import draws
from forerun.forecast.baseline import Array
from forerun.forecast.slots import Slot, column, combined, padded
from forerun.forecast.units import Course, Unit

_MEMORY = 1.0 / 6.0  # of the longest window: how long the correction of what was missed lasts
_DRIFT_LOG_SD = 0.06  # of demand, half a window ahead, in a shop without surprises; judgement
_SEASON_SECONDS = 12 * 3600.0  # a window so long follows the usual hours of the day; a short one hardly
_OPEN = Course(float("inf"), 0.0, 1.0, 0.0, 1.0)


def noise_share(unit: Unit) -> Array:
    """A live window's noise as a share of the history's residual in each cell, [cells], at most 1.

    The residual holds whole hours off the profile; those a live window has just been corrected for. What is near has
    the noise of the last samples, what is far that of the window so far.
    """
    if unit.seen is None or unit.seen.noise_log_sd is None:
        return np.ones(unit.low.size)
    far = min(1.0, unit.seen.noise_log_sd / unit.residual_log_sd)
    if unit.seen.lately is None:
        return np.full(unit.low.size, far)
    near = min(far, unit.seen.lately.noise_log_sd / unit.residual_log_sd)
    memory = _MEMORY * max(term.window for term in unit.terms)
    return np.asarray(far + (near - far) * np.exp(-np.clip(unit.low - unit.seen.now, 0.0, None) / memory))


def fading_of(units: Sequence[Unit], low: Tensor, high: Tensor) -> Tensor:
    """Share of what was missed lately that holds in each cell, [units, cells]: 1 now, less before and after."""
    now = column([unit.seen.now if unit.seen else 0.0 for unit in units])
    memory = column([_MEMORY * max(term.window for term in unit.terms) for unit in units])
    distance = torch.maximum((low - now).clamp_min(0.0), (now - high).clamp_min(0.0))
    return torch.exp(-distance / memory)


def bounded(total: Tensor, units: Sequence[Unit], slots: Sequence[Slot], low: Tensor, high: Tensor) -> Tensor:
    """Demand [units, cells, paths] under the ceiling of each unit's course; campaigns still to begin come on top."""
    courses = [_course(unit) for unit in units]
    if all(course is _OPEN for course in courses):
        return total
    now = _now(units)
    usual = padded([unit.usual for unit in units], 0.0) + column([unit.floor_rps for unit in units])
    ceiling = _line(courses, usual, now, high)[:, :, None].expand_as(total)
    later = [slot for slot in slots if bool(_to_come(slot, now).any())]
    if later:
        ceiling = ceiling + _coming(later, now, low, high) * usual[:, :, None]
    return torch.minimum(total, ceiling)


def _coming(later: Sequence[Slot], now: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """What campaigns that are still to begin add, as multiples of usual demand."""
    amplitudes = [slot.drawn.clamp_min(0.0) * _to_come(slot, now) for slot in later]
    return combined(later, amplitudes, low, high).clamp_min(0.0)


def _line(courses: Sequence[Course], usual: Tensor, now: Tensor, high: Tensor) -> Tensor:
    """The ceiling [units, cells]: what is there now and its slope, following the hours of the day in long windows."""
    window = column([course.window for course in courses])
    ahead = (torch.minimum(high, column([course.until for course in courses])) - now).clamp_min(0.0)
    line = column([course.anchor_rps for course in courses]) + column([course.slope for course in courses]) * ahead
    season = (usual / column([course.usual_rps for course in courses])).clamp_min(1.0)
    return line * season.pow((window / _SEASON_SECONDS).clamp_max(1.0))


def _course(unit: Unit) -> Course:
    return (unit.seen.course if unit.seen else None) or _OPEN


def _now(units: Sequence[Unit]) -> Tensor:
    return column([unit.seen.now if unit.seen else 0.0 for unit in units])


def drifting(total: Tensor, units: Sequence[Unit], high: Tensor) -> Tensor:
    """What nobody foresees: each path leaves its course as a random walk would, in live units only.

    By as much as this shop's demand leaves its usual hours, after half a window.
    """
    now = _now(units)
    half = column([0.5 * max(term.window for term in unit.terms) for unit in units])
    log_sd = column([np.hypot(_DRIFT_LOG_SD, unit.residual_log_sd) if unit.seen else 0.0 for unit in units])
    spread = log_sd * ((high - now).clamp_min(0.0) / half).clamp_max(1.0).sqrt()
    return total.mul_(torch.exp(spread[:, :, None] * draws.level_order(total.shape[2])))


def _to_come(slot: Slot, now: Tensor) -> Tensor:
    return ((slot.start[:, None] > now) & (slot.present[:, None] > 0)).float()


def known(total: Tensor, units: Sequence[Unit], low: Tensor, high: Tensor) -> Tensor:
    """Cells that are over carry what was measured; of the one that runs, what was seen is the least."""
    measured = _measured(units, low.shape[1])[:, :, None]
    covered = _covered(units)
    over = (high <= covered * (1.0 + 1e-6))[:, :, None] & ~measured.isnan()
    running = ((low < covered) & (high > covered))[:, :, None] & ~measured.isnan()
    total = torch.where(running, torch.maximum(total, measured), total)
    return torch.where(over, measured.expand_as(total), total)


def _covered(units: Sequence[Unit]) -> Tensor:
    """Until when demand was measured, [units, 1]."""
    return column([unit.seen.covered if unit.seen else -float("inf") for unit in units])


def _measured(units: Sequence[Unit], cells: int) -> Tensor:
    """What was measured in each cell, [units, cells]; NaN where nothing was."""
    nothing = np.empty(0)
    measured = padded([unit.seen.cells if unit.seen else nothing for unit in units], float("nan"))
    short = cells - measured.shape[1]
    return torch.nn.functional.pad(measured, (0, short), value=float("nan")).clamp(0.0, 1e15)
