"""The live correction of a chunk: every campaign that has begun is updated on what was seen since the start."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from forerun.forecast import live
from forerun.forecast.slots import Slot, column, combined, padded
from forerun.forecast.units import Seen, Unit

_SWEEPS = 2  # over campaigns that are live together
_LAST_BINS = 3  # what the paths miss in these is carried on, fading
_MOST_MISSED = 1.5  # log: x4.5
_TRUSTED = 0.8  # of what was missed: the rest is noise
_NOTHING = Seen(np.empty(0), np.empty(0), np.empty(0), 0.0)


@dataclass(frozen=True, slots=True)
class Corrected:
    """`level` (log) and what the paths miss now go with the reordered `slots`; all [units, paths].

    Where demand is below a path, `below` is the log of its share (0 or less); where it is above, `above` is by how
    much, in requests/s: it adds up, so that it does not swell what a path expects to come on top.
    """

    slots: list[Slot]
    level: Tensor
    below: Tensor
    above: Tensor


@dataclass(frozen=True, slots=True)
class _Evidence:
    """`times`, `weight` [units, bins]; `usual` and `ratio` = demand / usual [units, bins, paths]; `now` [units, 1]."""

    times: Tensor
    weight: Tensor
    usual: Tensor
    ratio: Tensor
    now: Tensor


def corrected(units: Sequence[Unit], slots: Sequence[Slot], level: Tensor) -> Corrected:
    """Sizes, delays, shapes and levels after the evidence; units without any stay as they were."""
    evidence = _evidence(units, level)
    noise = torch.tensor([unit.residual_log_sd for unit in units])
    updated = list(slots)
    log_weight = torch.zeros_like(level)
    for _ in range(_SWEEPS if len(slots) > 1 else 1):
        for index, slot in enumerate(slots):
            begun = (slot.start[:, None] <= evidence.now) & (slot.present[:, None] > 0)
            if not bool(begun.any()):
                continue
            others = [other for place, other in enumerate(updated) if place != index]
            explained = combined(others, [other.expected for other in others], evidence.times, None)
            told = live.posterior(
                slot.kernel(evidence.times),
                evidence.ratio - 1.0 - explained,
                evidence.ratio,
                evidence.weight * begun,
                slot.mean,
                slot.sd,
                noise,
            )
            updated[index] = replace(updated[index], mean=told.mean, sd=told.sd)
            log_weight = torch.where(begun, told.log_weight, log_weight)
    chosen = live.resampled(live.tempered(log_weight))
    updated = [slot.reordered(chosen) for slot in updated]
    level = torch.gather(level, 1, chosen)
    return Corrected(updated, level, *_missed(units, updated, level))


def _evidence(units: Sequence[Unit], level: Tensor) -> _Evidence:
    seen = [unit.seen or _NOTHING for unit in units]
    times, now = padded([s.times for s in seen], 0.0), column([s.now for s in seen])
    real = padded([np.ones_like(s.times) for s in seen], 0.0) > 0
    ages = torch.where(real, (now - times).clamp_min(0.0), -1.0)
    memory = column([s.memory for s in seen])
    floor = column([unit.floor_rps for unit in units])
    usual = (padded([s.usual for s in seen], 1.0) + floor)[:, :, None] * torch.exp(level)[:, None, :]
    demand = (padded([s.demand for s in seen], 0.0) + floor)[:, :, None]
    return _Evidence(times, live.bin_weights(ages, memory), usual, (demand / usual).clamp(0.0, 1e17), now)


def _missed(units: Sequence[Unit], slots: Sequence[Slot], level: Tensor) -> tuple[Tensor, Tensor]:
    """`below` and `above`: what was seen against what each path expected in the last bins, bounded."""
    evidence = _evidence(units, level)
    expected = 1.0 + combined(slots, [slot.expected for slot in slots], evidence.times, None)
    log_ratio = torch.log(evidence.ratio.clamp_min(1e-6)) - torch.log(expected.clamp_min(1e-6))
    bins = torch.tensor([unit.seen.times.size if unit.seen else 0 for unit in units])[:, None]
    place = torch.arange(log_ratio.shape[1])[None, :]
    last = ((place < bins) & (place >= bins - _LAST_BINS)).float()[:, :, None]
    count = last.sum(dim=1).clamp_min(1.0)
    missed = _TRUSTED * ((log_ratio * last).sum(dim=1) / count).clamp(-_MOST_MISSED, _MOST_MISSED)
    path = (expected.clamp_min(0.0) * evidence.usual * last).sum(dim=1) / count
    return missed.clamp_max(0.0), torch.expm1(missed.clamp_min(0.0)) * path
