"""Sample paths of total demand, batched: units of a chunk x cells x paths; the paths stand last, for sorting.

demand(t) = usual(t) * level * (1 + sum_j A_j k_j(t - t_j - d_j)) * swings(t); level and swings are those of an
ordinary day, see `residuals`. A path that follows a past occurrence has that one's swings already.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from forerun.domain.forecast import LEVELS
from forerun.forecast import draws
from forerun.forecast.anchor import anchored
from forerun.forecast.baseline import ABSURD_RPS
from forerun.forecast.correction import Corrected, corrected
from forerun.forecast.following import bounded, drifting, fading_of, known, noise_share
from forerun.forecast.levels import level_share, ordinary, steady
from forerun.forecast.slots import Slot, column, combined, make_slots, padded
from forerun.forecast.units import Unit

PATHS = 512
_LARGEST_CHUNK = 160_000  # elements of one tensor; some ten are alive at once, and are to stay in the cache

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class UnitPaths:
    """`quantiles` [cells, levels] in requests/s; `peaks` [terms, paths]: each path's highest demand inside that
    campaign's window (0 where this unit has none of it), in the cell `peak_cells` [terms, paths].
    """

    quantiles: Floats
    peaks: Floats
    peak_cells: npt.NDArray[np.int64]


def simulate(units: Sequence[Unit], paths: int = PATHS) -> list[UnitPaths]:
    """Quantiles and peaks of every unit, in the order given; memory stays bounded whatever their number."""
    # alike units together: little padding, and a chunk without measurements skips the correction
    order = sorted(range(len(units)), key=lambda i: (units[i].seen is None, len(units[i].terms), units[i].low.size))
    results: dict[int, UnitPaths] = {}
    with torch.inference_mode():
        for chunk in _chunks(units, order, paths):
            results.update(zip(chunk, _simulate([units[index] for index in chunk], paths), strict=True))
    return [results[index] for index in range(len(units))]


def _chunks(units: Sequence[Unit], order: Sequence[int], paths: int) -> Iterator[list[int]]:
    chunk: list[int] = []
    widest = 0
    for index in order:
        unit = units[index]
        wide = max(unit.low.size, 2 * unit.seen.times.size if unit.seen else 0)
        full = (len(chunk) + 1) * max(widest, wide) * paths > _LARGEST_CHUNK
        if chunk and (full or (unit.seen is None) != (units[chunk[0]].seen is None)):
            yield chunk
            chunk, widest = [], 0
        chunk.append(index)
        widest = max(widest, wide)
    if chunk:
        yield chunk


def _simulate(units: Sequence[Unit], paths: int) -> list[UnitPaths]:
    live = any(unit.seen for unit in units)
    state = _state(units, paths, live=live)
    low, high = padded([unit.low for unit in units], 0.0), padded([unit.high for unit in units], 0.0)
    growth = (1.0 + combined(state.slots, [slot.drawn for slot in state.slots], low, high)).clamp_min_(0.0)
    floor = column([unit.floor_rps for unit in units])[:, :, None]
    total = growth.mul_(padded([unit.usual for unit in units], 0.0)[:, :, None] + floor)
    fading = fading_of(units, low, high)[:, :, None] if live else torch.zeros(1, 1, 1)
    total = total.mul_(torch.exp(state.level[:, None, :] + state.below[:, None, :] * fading))
    total = total.add_(state.above[:, None, :] * fading)
    if live:
        total = anchored(total, units, low, high, fading[:, :, 0])
        total = drifting(bounded(total, units, state.slots, low, high), units, high)
    total = total.mul_(_noise(units, state, low.shape[1])).sub_(floor).nan_to_num_(nan=ABSURD_RPS)
    total = total.clamp_(0.0, ABSURD_RPS)
    if live:
        total = known(total, units, low, high)
    return _summaries(units, state.slots, low, high, total)


def _state(units: Sequence[Unit], paths: int, *, live: bool) -> Corrected:
    """Sizes and levels of the paths, as drawn or as corrected by what was seen."""
    if live:
        return corrected(units, paths)
    levels, rows = ordinary(units, paths)
    slots = make_slots(units, paths, levels)
    levels = levels * level_share(units, slots)
    nothing = torch.zeros(len(units), paths)
    return Corrected(slots, levels, rows, nothing, nothing)


def _noise(units: Sequence[Unit], state: Corrected, cells: int) -> Tensor:
    """Each cell's factor for ordinary swings, [units, cells, paths]; in a live window as wide as demand's own noise."""
    most = max(unit.residual.shape[0] for unit in units)
    table = np.zeros((len(units), cells, most), dtype=np.float32)
    for index, unit in enumerate(units):
        swings = unit.residual - unit.residual.mean(axis=1, keepdims=True)
        table[index, : unit.low.size, : swings.shape[0]] = swings.T * noise_share(unit)[:, None]
    paths = state.level.shape[1]
    found = torch.gather(torch.as_tensor(table), 2, state.rows[:, None, :].expand(-1, cells, -1))
    found = found * steady(state.slots)[:, None, :]
    finer = column([unit.finer_log_sd for unit in units])
    if bool((finer > 0.0).any()):
        found = found + finer[:, :, None] * draws.cell_noise(cells, paths)
    return torch.exp_(found)


def _summaries(
    units: Sequence[Unit], slots: Sequence[Slot], low: Tensor, high: Tensor, total: Tensor
) -> list[UnitPaths]:
    peaks, cells = [], []
    for slot in slots:
        inside = (high > slot.start[:, None]) & (low < (slot.start + slot.window)[:, None])
        inside &= high > low  # padding is empty
        highest, where = torch.where(inside[:, :, None], total, -1.0).max(dim=1)
        peaks.append(highest.clamp_min(0.0).cpu().numpy())
        cells.append(where.cpu().numpy())
    table = quantiles(total.cpu().numpy())
    return [
        UnitPaths(
            table[index, : unit.low.size],
            np.stack([peak[index] for peak in peaks[: len(unit.terms)]]),
            np.stack([cell[index] for cell in cells[: len(unit.terms)]]),
        )
        for index, unit in enumerate(units)
    ]


def quantiles(samples: Floats, levels: Sequence[float] = LEVELS) -> Floats:
    """Quantiles over the last axis, linear between the middles of the samples' slices (Hazen 1914); sorts in place.

    NumPy's vectorised sort is some fifty times faster than torch's on the CPU.
    """
    samples.sort(axis=-1)
    count = samples.shape[-1]
    places = np.clip(np.asarray(levels) * count - 0.5, 0, count - 1)
    below = np.floor(places).astype(np.int64)
    share = (places - below).astype(np.float32)
    above = np.minimum(below + 1, count - 1)
    picked = samples[..., below] + share * (samples[..., above] - samples[..., below])
    # rounding of the interpolation must not make a higher level lower
    return np.maximum.accumulate(picked, axis=-1)
