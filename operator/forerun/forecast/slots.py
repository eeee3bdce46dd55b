"""Campaigns of a batch as tensors, and how they combine. The paths stand last."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from forerun.domain.campaign import CampaignType, Overlap
from forerun.forecast import draws, kernels
from forerun.forecast.evidence import Belief
from forerun.forecast.units import Term, Unit

ABSENT = Term(CampaignType.CUSTOM, 0.0, 1.0, Belief(0.0, 1.0), Overlap.SUM, 0, 0)


@dataclass(frozen=True, slots=True)
class Slot:
    """The j-th campaign of every unit in a chunk; `present` is 0 where a unit has fewer.

    `mean` and `sd` believe in m = log(1 + A); with `delay` (seconds), `shape` and the standard normal `draw`
    behind the amplitude they are [units, paths]; the others are [units].
    """

    terms: tuple[Term, ...]
    present: Tensor
    start: Tensor
    window: Tensor
    delay: Tensor
    shape: Tensor
    draw: Tensor
    mean: Tensor
    sd: Tensor

    @property
    def expected(self) -> Tensor:
        """The amplitude A at the belief's mean, [units, paths]."""
        return torch.expm1(self.mean)

    @property
    def drawn(self) -> Tensor:
        """The amplitude A of each path, [units, paths]."""
        return torch.expm1((self.mean + self.sd * self.draw).clamp(-6.0, 40.0))

    def kernel(self, low: Tensor, high: Tensor | None = None) -> Tensor:
        """The kernel at `low` [units, points], or its maximum over `[low, high]`; [units, points, paths]."""
        value = torch.empty(low.shape[0], low.shape[1], self.delay.shape[1])
        for kind in {term.type for term in self.terms}:
            chosen = [index for index, term in enumerate(self.terms) if term.type is kind]
            rows = slice(None) if len(chosen) == len(self.terms) else torch.tensor(chosen)
            window, shape = self.window[rows][:, None, None], self.shape[rows][:, None, :]
            onset = self.start[rows][:, None, None] + self.delay[rows][:, None, :]
            since = low[rows][:, :, None] - onset
            if high is None:
                value[rows] = kernels.at(kind, since, window, shape)
            else:
                value[rows] = kernels.highest(kind, since, high[rows][:, :, None] - onset, window, shape)
        return value * self.present[:, None, None]

    def having(self, overlap: Overlap) -> Tensor:
        """Which units' campaign overlaps so; [units, 1, 1]."""
        return torch.tensor([term.overlap is overlap for term in self.terms])[:, None, None]

    def reordered(self, chosen: Tensor) -> "Slot":
        """The paths picked by `chosen` [units, paths]; the draw stays, so that twins differ in amplitude."""
        names = ("delay", "shape", "mean", "sd")
        return replace(self, **{name: torch.gather(getattr(self, name), 1, chosen) for name in names})


def make_slots(units: Sequence[Unit], level: Tensor) -> list[Slot]:
    """As many slots as the unit with most campaigns has; `level` [units, paths] is the log level of each path."""
    return [_slot(units, index, level) for index in range(max(len(unit.terms) for unit in units))]


def _slot(units: Sequence[Unit], index: int, level: Tensor) -> Slot:
    paths = level.shape[1]
    terms = tuple(unit.terms[index] if index < len(unit.terms) else ABSENT for unit in units)
    order = draws.orders([term.seed for term in terms], paths)
    delay, shape = draws.delays_and_shapes(terms, order, paths)
    return Slot(
        terms=terms,
        present=torch.tensor([float(term is not ABSENT) for term in terms]),
        start=torch.tensor([term.start for term in terms]),
        window=torch.tensor([term.window for term in terms]),
        delay=delay,
        shape=shape,
        draw=draws.normal_strata(paths)[order[:, 0]],
        mean=column([term.belief.mean for term in terms]) - column([term.absolute for term in terms]) * level,
        sd=column([term.belief.sd for term in terms]).expand(-1, paths),
    )


def column(numbers: Sequence[float]) -> Tensor:
    """[units, 1]"""
    return torch.tensor(numbers, dtype=torch.float32)[:, None]


def padded(rows: Sequence[npt.NDArray[np.float64]], filler: float) -> Tensor:
    """Rows of different length as one table."""
    table = np.full((len(rows), max(row.size for row in rows)), filler, dtype=np.float32)
    for index, row in enumerate(rows):
        table[index, : row.size] = row
    return torch.from_numpy(table)


def combined(slots: Sequence[Slot], amplitudes: Sequence[Tensor], low: Tensor, high: Tensor | None) -> Tensor:
    """The uplift of all campaigns together at points or over cells, [units, points, paths].

    Sum campaigns add up; a Max campaign counts only where it exceeds them (and other Max ones); an Exclusive one
    replaces all others inside its window, the last of the slots winning. After its window its tail adds up.
    """
    total = torch.zeros(low.shape[0], low.shape[1], amplitudes[0].shape[1] if amplitudes else 1)
    if all(term.overlap is Overlap.SUM for slot in slots for term in slot.terms):
        for slot, amplitude in zip(slots, amplitudes, strict=True):
            total += amplitude[:, None, :] * slot.kernel(low, high)
        return total
    end = low if high is None else high
    summed = torch.zeros(low.shape[0], low.shape[1], 1, dtype=torch.bool)
    largest, alone = torch.full_like(total, -torch.inf), torch.full_like(total, -torch.inf)
    for slot, amplitude in zip(slots, amplitudes, strict=True):
        uplift = amplitude[:, None, :] * slot.kernel(low, high)
        begun = ((end > slot.start[:, None]) & (slot.present[:, None] > 0))[:, :, None]
        inside = begun & (low < (slot.start + slot.window)[:, None])[:, :, None]
        maximum, replaces = slot.having(Overlap.MAX), slot.having(Overlap.EXCLUSIVE) & inside
        adds = ~maximum & ~replaces
        total += torch.where(adds, uplift, 0.0)
        summed |= adds & begun
        largest = torch.where(maximum & begun, torch.maximum(largest, uplift), largest)
        alone = torch.where(replaces, uplift, alone)
    exceeding = torch.where(summed, torch.maximum(total, largest), largest)
    total = torch.where(torch.isinf(largest), total, exceeding)
    return torch.where(torch.isinf(alone), total, alone)
