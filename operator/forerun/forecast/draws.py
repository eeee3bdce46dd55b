"""The random numbers behind the paths: stratified, and fixed by each campaign's identity.

A path's amplitude, delay and shape depend on the campaign and on nothing else, not on `now` and not on what
else is asked in the same call: equal requests give equal answers, and a plan does not wobble from tick to tick.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from forerun.forecast.units import Term

_NOISE_SEED = 20


def seed_of(text: str) -> int:
    """A stable seed: Python's own hash differs between processes."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


@lru_cache(maxsize=8)
def strata(paths: int) -> Tensor:
    """The middles of `paths` equal slices of (0, 1)."""
    return (torch.arange(paths, dtype=torch.float64) + 0.5) / paths


@lru_cache(maxsize=8)
def normal_strata(paths: int) -> Tensor:
    """Standard normal quantiles at the strata: no gap in the tail that an unlucky draw would leave."""
    return (torch.erfinv(2.0 * strata(paths) - 1.0) * 2.0**0.5).float()


@lru_cache(maxsize=8)
def heavy_strata(paths: int) -> Tensor:
    """Quantiles of Student's t with two degrees of freedom, which has a closed form."""
    level = strata(paths)
    return ((2.0 * level - 1.0) / (2.0 * level * (1.0 - level)).sqrt()).float()


@lru_cache(maxsize=4096)
def _orders(seed: int, paths: int) -> npt.NDArray[np.int16]:
    random = np.random.Generator(np.random.PCG64(seed)).random((4, paths))
    return random.argsort(axis=1).astype(np.int16)


def orders(seeds: Sequence[int], paths: int) -> Tensor:
    """For each seed four independent permutations of the paths; shape [seeds, 4, paths]."""
    return torch.as_tensor(np.stack([_orders(seed, paths) for seed in seeds]).astype(np.int64))


@lru_cache(maxsize=4)
def cell_noise(cells: int, paths: int) -> Tensor:
    """Standard normal numbers, stratified within each cell; shape [cells, paths]."""
    random = np.random.Generator(np.random.PCG64(_NOISE_SEED)).random((cells, paths))
    return normal_strata(paths)[torch.as_tensor(random.argsort(axis=1))]


@lru_cache(maxsize=4)
def level_ranks(paths: int) -> Tensor:
    """The rank of each path's level, in an order of its own; shape [paths]."""
    random = np.random.Generator(np.random.PCG64(_NOISE_SEED + 1)).random(paths)
    return torch.as_tensor(random.argsort())


@lru_cache(maxsize=4)
def level_order(paths: int) -> Tensor:
    """Standard normal level of each path, in the order of `level_ranks`; shape [paths]."""
    return normal_strata(paths)[level_ranks(paths)]


def delays_and_shapes(terms: Sequence[Term], order: Tensor, paths: int) -> tuple[Tensor, Tensor]:
    """(onset after the declared start in seconds, factor on the time constant), each of shape [terms, paths]."""
    early = torch.tensor([term.prior.delay_scale_seconds for term in terms])
    late = torch.tensor([term.prior.delay_scale_window for term in terms])
    middle = torch.tensor([term.prior.delay_seconds for term in terms])
    window = torch.tensor([term.window for term in terms])
    # a delay short against the window even where the type's own is not: declared windows bound what is meant
    middle = torch.minimum(middle, 0.1 * window)[:, None]
    late = torch.minimum(early + late * window, 0.1 * window)[:, None]
    early = torch.minimum(early, 0.1 * window)[:, None]
    tail = heavy_strata(paths)[order[:, 1]]
    # what is sent by hand or waits for something else is late by a share of the plan; early, by a slip of the clock
    delay = middle + torch.where(tail > 0.0, late, early) * tail
    delay = torch.maximum(torch.minimum(delay, 0.75 * window[:, None]), -0.5 * window[:, None])
    log_sd = torch.tensor([term.prior.shape_log_sd for term in terms])[:, None]
    return delay, torch.exp(log_sd * normal_strata(paths)[order[:, 2]])


def sources(terms: Sequence[Term], order: Tensor, paths: int) -> Tensor:
    """Which of its term's courses each path follows, -1 for the type's kernel; shape [terms, paths]."""
    most = max((term.courses.share.size for term in terms if term.courses is not None), default=0)
    if not most:
        return torch.full((len(terms), paths), -1, dtype=torch.int64)
    edges = np.full((len(terms), most), np.inf, dtype=np.float32)
    counts = np.zeros((len(terms), 1), dtype=np.int64)
    for index, term in enumerate(terms):
        if term.courses is not None:
            counts[index] = term.courses.share.size
            edges[index, : term.courses.share.size] = np.cumsum(term.courses.share) * paths
    source = torch.searchsorted(torch.as_tensor(edges), order[:, 3].float() + 0.5)
    return torch.where(source < torch.as_tensor(counts), source, -1)
