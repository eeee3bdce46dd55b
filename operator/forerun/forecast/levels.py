"""Ordinary days behind the paths: which day each path takes after, and how high it lies."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from forerun.forecast import draws
from forerun.forecast.slots import Slot, column
from forerun.forecast.units import Unit

_SMOOTH = 0.25  # of the spread of the days' levels: between them are others; judgement


def ordinary(units: Sequence[Unit], paths: int) -> tuple[Tensor, Tensor]:
    """(log level, row of `residual`) of each path, [units, paths]."""
    ranks = draws.level_ranks(paths)
    rows = torch.stack([ranks * unit.residual.shape[0] // paths for unit in units])
    means = [unit.residual.mean(axis=1) for unit in units]
    table = np.zeros((len(units), max(mean.size for mean in means)), dtype=np.float32)
    for index, mean in enumerate(means):
        table[index, : mean.size] = mean
    spread = column([_SMOOTH * float(mean.std()) for mean in means])
    return torch.gather(torch.as_tensor(table), 1, rows) + spread * draws.cell_noise(1, paths), rows


def steady(slots: Sequence[Slot]) -> Tensor:
    """1 where a path needs ordinary noise put around it, [units, paths]: where no campaign of it brings its own."""
    found = torch.ones_like(slots[0].steady) if slots else torch.ones(1, 1)
    for slot in slots:
        found = found * torch.where(slot.present[:, None] > 0.0, slot.steady, 1.0)
    return found


def level_share(units: Sequence[Unit], slots: Sequence[Slot]) -> Tensor:
    """How much of an ordinary day's level counts in each path, [units, paths]."""
    calm = steady(slots)
    return calm + (1.0 - calm) * column([unit.level_share for unit in units])
