"""Campaigns of a batch as tensors, and how they combine. The paths stand last."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from forerun.domain.campaign import CampaignType, Overlap
from forerun.domain.forecast import CURVE_POINTS, CURVE_SPAN
from forerun.forecast import draws, kernels
from forerun.forecast.evidence import Belief
from forerun.forecast.units import Term, Unit

ABSENT = Term(CampaignType.CUSTOM, 0.0, 1.0, Belief(0.0, 1.0), Overlap.SUM, 0, 0)
_KNOWN_DELAY = 0.15  # of the type's: when a past occurrence showed its effect is known better


@dataclass(frozen=True, slots=True)
class Slot:
    """The j-th campaign of every unit in a chunk; `present` is 0 where a unit has fewer.

    `mean` and `sd` believe in m = log(1 + A), `spread` is the sd of that belief before data; with `delay` (seconds),
    `shape`, the course `source` that a path follows (-1: the type's kernel) and the standard normal `draw` behind the
    amplitude they are [units, paths]. `uplift` [units, courses * CURVE_POINTS] are the courses, None where no unit
    has any. `steady` [units, paths] is 1 where ordinary noise is to be put around the path. The others are [units].
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
    spread: Tensor
    source: Tensor
    steady: Tensor
    uplift: Tensor | None

    @property
    def expected(self) -> Tensor:
        """The amplitude A at the belief's mean, [units, paths]."""
        return torch.expm1(self.mean)

    @property
    def drawn(self) -> Tensor:
        """The amplitude A of each path, [units, paths]."""
        return torch.expm1((self.mean + self.sd * self.draw).clamp(-6.0, 40.0))

    def kernel(self, low: Tensor, high: Tensor | None = None) -> Tensor:
        """The kernel at `low` [units, points], or over `[low, high]`; [units, points, paths].

        Of a type's kernel it is the maximum there, of a course the mean.
        """
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
        if self.uplift is not None:
            value = torch.where(self.source[:, None, :] >= 0, self._course(low, high), value)
        return value * self.present[:, None, None]

    def _course(self, low: Tensor, high: Tensor | None) -> Tensor:
        if high is None:
            return self._course_at(low)
        slices = ((high - low) / self.window[:, None]).max() * (CURVE_POINTS / CURVE_SPAN)
        points = 1 if slices <= 1.0 else 3
        found = self._course_at(low + (high - low) * (0.5 / points))
        for point in range(1, points):
            found = found + self._course_at(low + (high - low) * ((point + 0.5) / points))
        return found / points

    def _course_at(self, times: Tensor) -> Tensor:
        """The course of each path, linear between the middles of slices, 0 before the start and after the last one."""
        assert self.uplift is not None
        scale = CURVE_POINTS / CURVE_SPAN / self.window[:, None, None]
        since = (times - self.start[:, None])[:, :, None]
        place = (since - self.delay[:, None, :]) * scale
        inside = (since >= 0.0) & (place < CURVE_POINTS)
        below = (place - 0.5).clamp(0.0, CURVE_POINTS - 1.001)
        index = below.long()
        share = below - index
        index = index + (self.source.clamp_min(0) * CURVE_POINTS)[:, None, :]
        flat = index.reshape(index.shape[0], -1)
        lower = torch.gather(self.uplift, 1, flat).reshape(index.shape)
        upper = torch.gather(self.uplift, 1, flat + 1).reshape(index.shape)
        return (lower + share * (upper - lower)) * inside

    def having(self, overlap: Overlap) -> Tensor:
        """Which units' campaign overlaps so; [units, 1, 1]."""
        return torch.tensor([term.overlap is overlap for term in self.terms])[:, None, None]

    def reordered(self, chosen: Tensor, draw: Tensor) -> "Slot":
        """The paths picked by `chosen` [units, paths], with `draw` of their own, so that twins differ in amplitude."""
        names = ("delay", "shape", "mean", "sd", "spread", "source", "steady")
        return replace(self, draw=draw, **{name: torch.gather(getattr(self, name), 1, chosen) for name in names})


def make_slots(units: Sequence[Unit], paths: int, level: Tensor) -> list[Slot]:
    """As many slots as the unit with most campaigns has; `level` [units, paths] is the log level of each path."""
    return [_slot(units, index, paths, level) for index in range(max(len(unit.terms) for unit in units))]


def make_draw(units: Sequence[Unit], index: int, paths: int) -> Tensor:
    """The standard normal behind the amplitudes of the campaigns at `index`, [units, paths]."""
    order = draws.orders([term.seed for term in _terms(units, index)], paths)
    return draws.normal_strata(paths)[order[:, 0]]


def _terms(units: Sequence[Unit], index: int) -> tuple[Term, ...]:
    return tuple(unit.terms[index] if index < len(unit.terms) else ABSENT for unit in units)


def _slot(units: Sequence[Unit], index: int, paths: int, level: Tensor) -> Slot:
    terms = _terms(units, index)
    order = draws.orders([term.seed for term in terms], paths)
    delay, shape = draws.delays_and_shapes(terms, order, paths)
    mean = column([term.belief.mean for term in terms]) - column([term.absolute for term in terms]) * level
    sd = column([term.belief.sd for term in terms]).expand(-1, paths)
    source = draws.sources(terms, order, paths)
    slot = Slot(
        terms=terms,
        present=torch.tensor([float(term is not ABSENT) for term in terms]),
        start=torch.tensor([term.start for term in terms]),
        window=torch.tensor([term.window for term in terms]),
        delay=delay,
        shape=shape,
        draw=draws.normal_strata(paths)[order[:, 0]],
        mean=mean,
        sd=sd,
        spread=sd,
        source=source,
        steady=torch.ones_like(sd),
        uplift=None,
    )
    return _with_courses(slot) if bool((source >= 0).any()) else slot


def _with_courses(slot: Slot) -> Slot:
    most = max(len(term.courses.share) for term in slot.terms if term.courses)
    uplift = np.zeros((len(slot.terms), most, CURVE_POINTS), dtype=np.float32)
    numbers = np.zeros((3, len(slot.terms), most), dtype=np.float32)
    last = np.zeros(len(slot.terms), dtype=np.int64)
    for index, term in enumerate(slot.terms):
        if term.courses is not None:
            count = len(term.courses.share)
            last[index] = count - 1
            uplift[index, :count] = term.courses.uplift
            numbers[:, index, :count] = (term.courses.mean, term.courses.sd, term.courses.spread)
    follows = slot.source >= 0
    at = slot.source.clamp_min(0)
    mean, sd, spread = (torch.gather(torch.as_tensor(table), 1, at) for table in numbers)
    noisy = follows & (slot.source != torch.as_tensor(last)[:, None])
    return replace(
        slot,
        delay=torch.where(follows, _KNOWN_DELAY * slot.delay, slot.delay),
        mean=torch.where(follows, mean, slot.mean),
        sd=torch.where(follows, sd, slot.sd),
        spread=torch.where(follows, spread, slot.spread),
        steady=(~noisy).float(),
        uplift=torch.as_tensor(uplift.reshape(len(slot.terms), -1)),
    )


def column(numbers: Sequence[float]) -> Tensor:
    """[units, 1]"""
    return torch.tensor(numbers, dtype=torch.float32)[:, None]


def padded(rows: Sequence[npt.NDArray[np.float64]], filler: float) -> Tensor:
    """Rows of different length as one table."""
    table = np.full((len(rows), max(row.size for row in rows)), filler, dtype=np.float32)
    for index, row in enumerate(rows):
        table[index, : row.size] = row
    return torch.as_tensor(table)


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
