"""The live correction of a chunk: every campaign that has begun is updated on what was seen since the start."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from forerun.forecast import live
from forerun.forecast.levels import level_share, ordinary
from forerun.forecast.slots import Slot, column, combined, make_draw, make_slots, padded
from forerun.forecast.units import Seen, Unit

PARTICLES = 128
_MOST_BINS = 12  # that are weighed
_CARRIED = 0.5  # of what an occurrence was larger than believed, over to the next one of the same campaign
_SWEEPS = 2  # over campaigns that are live together
_LAST_BINS = 3  # what the paths miss in these is carried on, fading
_MOST_MISSED = 1.5  # log: x4.5
_TRUSTED = 0.8  # of what was missed: the rest is noise
_NOTHING = Seen(np.empty(0), np.empty(0), np.empty(0), 0.0)


@dataclass(frozen=True, slots=True)
class Corrected:
    """`level` (log), `rows` of ordinary days and what the paths miss now go with the reordered `slots`; all
    [units, paths].

    Where demand is below a path, `below` is the log of its share (0 or less); where it is above, `above` is by how
    much, in requests/s: it adds up, so that it does not swell what a path expects to come on top.
    """

    slots: list[Slot]
    level: Tensor
    rows: Tensor
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


def corrected(units: Sequence[Unit], paths: int) -> Corrected:
    """Sizes, delays, shapes and levels of `paths` paths after the evidence; every unit has been seen.

    A few paths, drawn evenly for themselves, are weighed and moved, and then stand for all.
    """
    few = min(PARTICLES, paths)
    level, rows = ordinary(units, few)
    slots = make_slots(units, few, level)
    level = level * level_share(units, slots)
    updated, log_weight = posterior(units, slots, level)
    chosen = live.resampled(live.tempered(log_weight), paths)
    below, above = _missed(units, updated, level)
    draw = [make_draw(units, index, paths) for index in range(len(slots))]
    return Corrected(
        [slot.reordered(chosen, normal) for slot, normal in zip(updated, draw, strict=True)],
        torch.gather(level, 1, chosen),
        torch.gather(rows, 1, chosen),
        torch.gather(below, 1, chosen),
        torch.gather(above, 1, chosen),
    )


def posterior(units: Sequence[Unit], slots: Sequence[Slot], level: Tensor) -> tuple[list[Slot], Tensor]:
    """The slots with their beliefs about m after the evidence, and the log-weights of the paths [units, paths]."""
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
            told = _told(slot, others, replace(evidence, weight=evidence.weight * begun), noise)
            mean, sd = torch.where(begun, told.mean, slot.mean), torch.where(begun, told.sd, slot.sd)
            shift = _CARRIED * (mean - updated[index].mean)
            updated[index] = replace(updated[index], mean=mean, sd=sd)
            updated = _carried(updated, index, shift, evidence.now)
            log_weight = torch.where(begun, told.log_weight, log_weight)
    return updated, log_weight


def _told(slot: Slot, others: Sequence[Slot], evidence: _Evidence, noise: Tensor) -> live.Posterior:
    """What the evidence says of one slot once `others` have explained their part; `noise` (log-sd) is [units]."""
    # occurrences of one campaign do not add up: what is seen is the larger one's
    sizes = [other.expected * (1.0 - _alike(slot, other)) for other in others]
    explained = combined(others, sizes, evidence.times, None)
    return live.posterior(
        slot.kernel(evidence.times),
        evidence.ratio - 1.0 - explained,
        evidence.ratio,
        evidence.weight,
        slot.mean,
        slot.spread,
        noise,
    )


def _carried(slots: Sequence[Slot], index: int, shift: Tensor, now: Tensor) -> list[Slot]:
    """The slots, later occurrences of the campaign of `slots[index]` moved by `shift` [units, paths]."""
    moved = list(slots)
    for place, other in enumerate(slots):
        if place != index and bool((alike := _next_of(slots[index], other, now)).any()):
            moved[place] = replace(other, mean=other.mean + alike * shift)
    return moved


def _next_of(slot: Slot, other: Slot, now: Tensor) -> Tensor:
    """1 where `other` is a later occurrence of the same campaign and has not begun, [units, 1]."""
    return _alike(slot, other) * ((other.start[:, None] > now) & (other.present[:, None] > 0)).float()


def _alike(slot: Slot, other: Slot) -> Tensor:
    """1 where both are of the same campaign, [units, 1]."""
    return torch.tensor([float(a.seed == b.seed) for a, b in zip(slot.terms, other.terms, strict=True)])[:, None]


def _evidence(units: Sequence[Unit], level: Tensor) -> _Evidence:
    seen = [unit.seen or _NOTHING for unit in units]
    now, floor = column([s.now for s in seen]), column([unit.floor_rps for unit in units])
    real = padded([np.ones_like(s.times) for s in seen], 0.0)
    rows = [padded([getattr(s, name) for s in seen], 0.0) for name in ("times", "usual", "demand")]
    real, (times, usual, demand) = _grouped(real, rows)
    ages = torch.where(real > 0.0, (now - times).clamp_min(0.0), -1.0)
    memory = column([s.memory for s in seen])
    expected = (usual + floor)[:, :, None] * torch.exp(level)[:, None, :]
    ratio = ((demand + floor)[:, :, None] / expected).clamp_(0.0, 1e17)
    return _Evidence(times, live.bin_weights(ages, memory), expected, ratio, now)


def _grouped(real: Tensor, rows: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Neighbouring bins as one where there are many: together they say the same. [units, bins]; `real` counts."""
    bins = real.shape[1]
    size = -(-bins // _MOST_BINS)
    if size <= 1:
        return real, list(rows)
    short = (0, -bins % size)
    count = torch.nn.functional.pad(real, short).unflatten(1, (-1, size)).sum(dim=2)
    sums = [torch.nn.functional.pad(row * real, short).unflatten(1, (-1, size)).sum(dim=2) for row in rows]
    return count, [total / count.clamp_min(1.0) for total in sums]


def _missed(units: Sequence[Unit], slots: Sequence[Slot], level: Tensor) -> tuple[Tensor, Tensor]:
    """`below` and `above`: what was seen against what each path expected in the last bins, bounded."""
    evidence = _evidence([_lately(unit) for unit in units], level)
    expected = 1.0 + combined(slots, [slot.expected for slot in slots], evidence.times, None)
    log_ratio = torch.log(evidence.ratio.clamp_min(1e-6)) - torch.log(expected.clamp_min(1e-6))
    bins = torch.tensor([unit.seen.times.size if unit.seen else 0 for unit in units])[:, None]
    last = (torch.arange(log_ratio.shape[1])[None, :] < bins).float()[:, :, None]
    count = last.sum(dim=1).clamp_min(1.0)
    missed = _TRUSTED * ((log_ratio * last).sum(dim=1) / count).clamp(-_MOST_MISSED, _MOST_MISSED)
    path = (expected.clamp_min(0.0) * evidence.usual * last).sum(dim=1) / count
    return missed.clamp_max(0.0), torch.expm1(missed.clamp_min(0.0)) * path


def _lately(unit: Unit) -> Unit:
    if unit.seen is None:
        return unit
    last = slice(-_LAST_BINS, None)
    seen = unit.seen
    return replace(unit, seen=replace(seen, times=seen.times[last], demand=seen.demand[last], usual=seen.usual[last]))
