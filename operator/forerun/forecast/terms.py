"""From requests to units: each upcoming window becomes a term with a belief about its size."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import median

import numpy as np
import torch

from forerun.domain.campaign import CampaignType
from forerun.domain.forecast import EventWindow, ForecastRequest
from forerun.forecast import kernels
from forerun.forecast.baseline import Array, flat_baseline
from forerun.forecast.draws import seed_of
from forerun.forecast.evidence import (
    Belief,
    declared_beliefs,
    learnt,
    peak_share,
    pooled,
    size,
    usual_from_declared,
)
from forerun.forecast.grid import GridSegment, make_grid
from forerun.forecast.learning import Experience, experience
from forerun.forecast.observed import Shop, cell_edges, highest_usual, measured_cells, seen_since
from forerun.forecast.priors import PRIORS
from forerun.forecast.remaining import followed
from forerun.forecast.units import Seen, Term, Unit

_LARGEST_POISSON = 1.0  # variance: where less than one request falls into a cell, the normal form ends


@dataclass(frozen=True, slots=True)
class Plan:
    """What one request asks to be simulated: `units[i]` over `grid[i]`, whose terms are `windows[i]`, in order."""

    basis: str
    grid: tuple[GridSegment, ...]
    windows: tuple[tuple[EventWindow, ...], ...]
    units: tuple[Unit, ...]


def make_plans(
    requests: Sequence[ForecastRequest], shops: Sequence[Shop | None], time_compression: float
) -> list[Plan | None]:
    """One plan per request; None where nothing at all is known of its demand."""
    learnt_of = experience(requests, shops)
    plans: list[Plan | None] = []
    for request, shop, known in zip(requests, shops, learnt_of, strict=True):
        beliefs = {kind: learnt(PRIORS[kind], known.get(kind, ())) for kind in CampaignType}
        base = shop or _declared_shop(request, beliefs, time_compression)
        plans.append(_plan(request, base, beliefs, known) if base else None)
    return plans


def _declared_shop(
    request: ForecastRequest, beliefs: dict[CampaignType, Belief], time_compression: float
) -> Shop | None:
    told = [usual_from_declared(window.expected, beliefs[window.type]) for window in request.upcoming]
    usual = [rps for rps in told if rps is not None]
    if not usual:
        return None
    now = request.now.timestamp()
    baseline = flat_baseline(median(usual), now, 86400.0 / time_compression)
    return Shop(now, time_compression, baseline, "declared", None)


def _plan(request: ForecastRequest, shop: Shop, beliefs: dict[CampaignType, Belief], known: Experience) -> Plan:
    grid = make_grid(request.upcoming, shop.time_compression)
    # the last of a unit's terms wins where several exclude each other
    ordered = tuple(tuple(sorted(s.windows, key=lambda w: (w.priority, w.campaign))) for s in grid)
    units = tuple(_unit(segment, windows, shop, beliefs) for segment, windows in zip(grid, ordered, strict=True))
    return Plan(_basis(request, shop, known, units), grid, ordered, units)


def _basis(request: ForecastRequest, shop: Shop, known: Experience, units: Sequence[Unit]) -> str:
    """In the order of what is worth most: the series, what was learnt, what was declared; "live" where it corrects."""
    parts = [shop.basis]
    if any(known.get(window.type) for window in request.upcoming):
        parts.append("past")
    told = any(w.expected.peak_rps or w.expected.multiplier or w.expected.audience for w in request.upcoming)
    if shop.basis != "declared":
        parts.append("declared" if told else "prior")
    if any(unit.seen for unit in units):
        parts.append("live")
    return "+".join(parts)


def _unit(
    segment: GridSegment, windows: Sequence[EventWindow], shop: Shop, beliefs: dict[CampaignType, Belief]
) -> Unit:
    low, high = cell_edges(segment.start, segment.step_seconds, segment.cells)
    origin, scale = segment.start.timestamp(), shop.time_compression
    usual = highest_usual(shop, low, high)
    base = shop.baseline
    terms = tuple(_term(window, shop, beliefs[window.type], origin) for window in windows)
    seen = _seen(windows, shop, origin)
    if seen is not None:
        cells, covered = measured_cells(shop, low, high)
        seen = replace(seen, cells=cells, covered=(covered - origin) * scale)
        seen = followed(seen, terms, base.floor_rps, base.residual_log_sd)
    return Unit(
        low=(low - origin) * scale,
        high=(high - origin) * scale,
        usual=usual,
        floor_rps=base.floor_rps,
        level_log_sd=shop.level_log_sd(low),
        residual=_residual(shop, usual, segment.step_seconds),
        residual_log_sd=_noise(shop, seen),
        terms=terms,
        seen=seen,
    )


def _seen(windows: Sequence[EventWindow], shop: Shop, origin: float) -> Seen | None:
    begun = [w.occurrence for w in windows if w.occurrence.start.timestamp() <= shop.now]
    if not begun:
        return None
    longest = max((o.end - o.start).total_seconds() for o in begun) * shop.time_compression
    return seen_since(shop, min(o.start for o in begun).timestamp(), origin, longest)


def _poisson(usual_rps: float, seconds: float) -> float:
    """Relative variance of a count."""
    return min(_LARGEST_POISSON, 1.0 / max(usual_rps * seconds, 1e-9))


def _residual(shop: Shop, usual: Array, step_seconds: float) -> Array:
    """The baseline's residual table, widened where a cell is finer than what it was measured on."""
    base = shop.baseline
    middle = float(np.median(usual)) + base.floor_rps
    finer = max(0.0, _poisson(middle, step_seconds) - _poisson(middle, base.step_seconds))
    return np.asarray((base.residual * np.sqrt(1.0 + finer / base.residual_log_sd**2)).clip(-6.0, 6.0))


def _noise(shop: Shop, seen: Seen | None) -> float:
    """Log-sd of one bin of what was seen."""
    if seen is None or shop.measured is None:
        return shop.baseline.residual_log_sd
    counted = float(np.median(seen.demand)) + shop.baseline.floor_rps
    return float(np.hypot(shop.baseline.residual_log_sd, _poisson(counted, shop.measured.step_seconds) ** 0.5))


def _term(window: EventWindow, shop: Shop, known: Belief, origin: float) -> Term:
    start = window.occurrence.start.timestamp()
    length = (window.occurrence.end - window.occurrence.start).total_seconds() * shop.time_compression
    prior = PRIORS[window.type]
    mode, area = _shape(window.type, length)
    peak_at = np.array([start + (min(prior.delay_seconds, 0.1 * length) + mode) / shop.time_compression])
    usual = float(shop.usual(peak_at)[0]) + shop.baseline.floor_rps
    declared = declared_beliefs(window.expected, prior, usual, area / shop.time_compression)
    only = shop.basis == "declared" and window.expected.peak_rps
    belief = pooled(declared) if only and declared else size(known, declared)
    return Term(
        type=window.type,
        start=(start - origin) * shop.time_compression,
        window=length,
        belief=belief,
        overlap=window.overlap,
        priority=window.priority,
        seed=seed_of(f"{window.campaign}|{window.occurrence.start.isoformat()}"),
        absolute=peak_share(window.expected, belief),
    )


@lru_cache(maxsize=1024)
def _shape(kind: CampaignType, length: float) -> tuple[float, float]:
    """(mode, integral over the window) in seconds of the type's kernel at its median time constant."""
    window, shape = torch.tensor(length), torch.tensor(1.0)
    points = (torch.arange(2048) + 0.5) / 2048 * length
    area = float(kernels.at(kind, points, window, shape).mean()) * length
    return float(kernels.KERNELS[kind].mode(window, shape)), area
