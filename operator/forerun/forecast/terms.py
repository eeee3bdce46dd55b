"""From requests to units: each upcoming window becomes a term with a belief about its size."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import exp
from statistics import median

import numpy as np
import torch

from forerun.domain.campaign import CampaignType, Overlap
from forerun.domain.forecast import EventWindow, ForecastRequest, Lesson
from forerun.forecast import kernels
from forerun.forecast.baseline import Array, flat_baseline
from forerun.forecast.curves import Courses, Weighed, courses, lesson_size, slice_middles
from forerun.forecast.draws import seed_of
from forerun.forecast.evidence import (
    Belief,
    declared_beliefs,
    learnt,
    peak_share,
    pooled,
    size,
    trust,
    trusted,
    usual_from_declared,
)
from forerun.forecast.grid import GridSegment, make_grid
from forerun.forecast.observed import Shop, cell_edges, highest_usual, lately, measured_cells, seen_since
from forerun.forecast.priors import PRIORS
from forerun.forecast.relevance import relevant
from forerun.forecast.remaining import followed
from forerun.forecast.residuals import residual_paths
from forerun.forecast.units import Seen, Term, Unit

_LEVEL_FORGOTTEN_DAYS = 2.0  # ahead: what a lesson's own scatter does not hold, as it was read minutes before its start
_READ_LOG_SD = 0.15  # of a size that was read off the history
_LARGEST_POISSON = 1.0  # variance: where less than one request falls into a cell, the normal form ends


@dataclass(frozen=True, slots=True)
class Plan:
    """What one request asks to be simulated: `units[i]` over `grid[i]`, whose terms are `windows[i]`, in order."""

    basis: str
    grid: tuple[GridSegment, ...]
    windows: tuple[tuple[EventWindow, ...], ...]
    units: tuple[Unit, ...]


def make_plans(
    requests: Sequence[ForecastRequest],
    shops: Sequence[Shop | None],
    lessons: Sequence[Sequence[Lesson]],
    time_compression: float,
) -> list[Plan | None]:
    """One plan per request, whose shop and lessons stand at the same place; None where nothing at all is known."""
    plans: list[Plan | None] = []
    for request, shop, known in zip(requests, shops, lessons, strict=True):
        base = shop or _declared_shop(request, time_compression)
        plans.append(_plan(request, base, known) if base else None)
    return plans


def _declared_shop(request: ForecastRequest, time_compression: float) -> Shop | None:
    told = [usual_from_declared(window.expected, learnt(PRIORS[window.type], ())) for window in request.upcoming]
    usual = [rps for rps in told if rps is not None]
    if not usual:
        return None
    now = request.now.timestamp()
    baseline = flat_baseline(median(usual), now, 86400.0 / time_compression)
    return Shop(now, time_compression, baseline, "declared", None, now, (0.0, 0.0))


def _plan(request: ForecastRequest, shop: Shop, lessons: Sequence[Lesson]) -> Plan:
    grid = make_grid(request.upcoming, shop.time_compression, _measured_step(request, shop))
    # the last of a unit's terms wins where several exclude each other
    ordered = tuple(tuple(sorted(s.windows, key=lambda w: (w.priority, w.campaign))) for s in grid)
    known = {window: _Known.of(window, shop, lessons) for window in request.upcoming}
    units = tuple(_unit(segment, windows, shop, known) for segment, windows in zip(grid, ordered, strict=True))
    return Plan(_basis(request, shop, known, units), grid, ordered, units)


def _measured_step(request: ForecastRequest, shop: Shop) -> float:
    """The finest step on which demand was measured, in seconds; 0 where it was not."""
    steps = [series.step_seconds for series in (request.history, request.recent) if series is not None]
    return min(steps) if shop.basis != "declared" and steps else 0.0


def _basis(request: ForecastRequest, shop: Shop, known: Mapping[EventWindow, "_Known"], units: Sequence[Unit]) -> str:
    """In the order of what is worth most: the series, what was learnt, what was declared; "live" where it corrects."""
    parts = [shop.basis]
    if any(one.weighed for one in known.values()):
        parts.append("past")
    told = any(w.expected.peak_rps or w.expected.multiplier or w.expected.audience for w in request.upcoming)
    if shop.basis != "declared":
        parts.append("declared" if told else "prior")
    if any(unit.seen for unit in units):
        parts.append("live")
    return "+".join(parts)


def _unit(
    segment: GridSegment, windows: Sequence[EventWindow], shop: Shop, known: Mapping[EventWindow, "_Known"]
) -> Unit:
    low, high = cell_edges(segment.start, segment.step_seconds, segment.cells)
    origin, scale = segment.start.timestamp(), shop.time_compression
    usual = highest_usual(shop, low, high)
    base = shop.baseline
    often = Counter(window.campaign for window in windows)
    terms = tuple(_term(window, shop, known[window], origin, often[window.campaign] > 1) for window in windows)
    seen = _seen(windows, shop, origin)
    if seen is not None:
        cells, covered = measured_cells(shop, low, high)
        seen = replace(seen, cells=cells, covered=(covered - origin) * scale)
        seen = followed(seen, terms, base.floor_rps, base.residual_log_sd)
    ahead_days = max(0.0, origin - shop.origin) / base.day_seconds
    return Unit(
        low=(low - origin) * scale,
        high=(high - origin) * scale,
        usual=usual,
        floor_rps=base.floor_rps,
        residual=residual_paths(base, shop.origin, low, high, usual),
        finer_log_sd=_finer(shop, usual, segment.step_seconds),
        level_share=1.0 - exp(-ahead_days / _LEVEL_FORGOTTEN_DAYS),
        residual_log_sd=_noise(shop, seen),
        terms=terms,
        seen=seen,
    )


def _seen(windows: Sequence[EventWindow], shop: Shop, origin: float) -> Seen | None:
    begun = [w.occurrence for w in windows if w.occurrence.start.timestamp() <= shop.now]
    if not begun:
        return None
    longest = max((o.end - o.start).total_seconds() for o in begun) * shop.time_compression
    start = min(o.start for o in begun).timestamp()
    seen = seen_since(shop, start, origin, longest)
    return None if seen is None else replace(seen, lately=lately(shop, start, origin, longest))


def _poisson(usual_rps: float, seconds: float) -> float:
    """Relative variance of a count."""
    return min(_LARGEST_POISSON, 1.0 / max(usual_rps * seconds, 1e-9))


def _finer(shop: Shop, usual: Array, step_seconds: float) -> float:
    """Log-sd of a cell where it is finer than what the baseline was measured on: fewer requests scatter more."""
    base = shop.baseline
    middle = float(np.median(usual)) + base.floor_rps
    return float(max(0.0, _poisson(middle, step_seconds) - _poisson(middle, base.step_seconds)) ** 0.5)


def _noise(shop: Shop, seen: Seen | None) -> float:
    """Log-sd of one bin of what was seen."""
    if seen is None or shop.measured is None:
        return shop.baseline.residual_log_sd
    counted = float(np.median(seen.demand)) + shop.baseline.floor_rps
    return float(np.hypot(shop.baseline.residual_log_sd, _poisson(counted, shop.measured.step_seconds) ** 0.5))


@dataclass(frozen=True, slots=True)
class _Known:
    """What is believed of one window's size, and how it may go."""

    belief: Belief
    courses: Courses | None
    weighed: tuple[Weighed, ...]

    @classmethod
    def of(cls, window: EventWindow, shop: Shop, lessons: Sequence[Lesson]) -> "_Known":
        prior, base = PRIORS[window.type], shop.baseline
        start = window.occurrence.start.timestamp()
        seconds = (window.occurrence.end - window.occurrence.start).total_seconds()
        declared = _declared(window, shop)
        only = shop.basis == "declared" and window.expected.peak_rps
        weighed = relevant(window, lessons, base.day_seconds) if shop.basis != "declared" else ()
        if not weighed or seconds <= 0.0:
            known = learnt(prior, ())
            return cls(pooled(declared) if only and declared else size(known, declared), None, ())
        sizes = [lesson_size(one, _then(one.lesson, shop), base.pivot_rps, base.floor_rps) for one in weighed]
        declared = trusted(declared, trust(_misses(weighed, sizes, shop)))
        past = [(one.weight, Belief(found, _READ_LOG_SD)) for one, found in zip(weighed, sizes, strict=True)]
        usual = shop.usual(slice_middles(start, seconds))
        ways = courses(weighed, usual, base.pivot_rps, base.floor_rps, declared)
        return cls(size(learnt(prior, past), declared), ways, weighed)


def _then(lesson: Lesson, shop: Shop) -> Array:
    """Usual demand over the slices of a lesson; before the history begins, that of the same hours now."""
    occurrence = lesson.window.occurrence
    start = occurrence.start.timestamp()
    return shop.baseline.at(slice_middles(start, occurrence.end.timestamp() - start))


def _declared(window: EventWindow, shop: Shop, usual_rps: float | None = None) -> list[Belief]:
    """What was declared of a window, one belief or none; `usual_rps` where it peaks is known otherwise."""
    start = window.occurrence.start.timestamp()
    length = (window.occurrence.end - window.occurrence.start).total_seconds() * shop.time_compression
    prior = PRIORS[window.type]
    mode, area = _shape(window.type, length)
    if usual_rps is None:
        peak_at = np.array([start + (min(prior.delay_seconds, 0.1 * length) + mode) / shop.time_compression])
        usual_rps = float(shop.usual(peak_at)[0])
    beliefs = declared_beliefs(
        window.expected, prior, usual_rps + shop.baseline.floor_rps, area / shop.time_compression
    )
    return [pooled(beliefs)] if beliefs else []


def _misses(weighed: Sequence[Weighed], sizes: Sequence[float], shop: Shop) -> list[tuple[float, float]]:
    """(weight, size - what was declared of it) of the lessons for which anything was; `sizes` in the same order."""
    return [
        (one.weight, found - told.mean)
        for one, found in zip(weighed, sizes, strict=True)
        for told in _declared(one.lesson.window, shop, max(one.lesson.usual_rps, 0.0))
    ]


def _term(window: EventWindow, shop: Shop, known: _Known, origin: float, again: bool) -> Term:
    """`again`: the same campaign has another occurrence in this unit; the same people do not come twice at once."""
    start = window.occurrence.start.timestamp()
    length = (window.occurrence.end - window.occurrence.start).total_seconds() * shop.time_compression
    return Term(
        type=window.type,
        start=(start - origin) * shop.time_compression,
        window=length,
        belief=known.belief,
        overlap=Overlap.MAX if again and window.overlap is Overlap.SUM else window.overlap,
        priority=window.priority,
        seed=seed_of(window.campaign if again else f"{window.campaign}|{window.occurrence.start.isoformat()}"),
        absolute=peak_share(window.expected, known.belief),
        courses=known.courses,
    )


@lru_cache(maxsize=1024)
def _shape(kind: CampaignType, length: float) -> tuple[float, float]:
    """(mode, integral over the window) in seconds of the type's kernel at its median time constant."""
    window, shape = torch.tensor(length), torch.tensor(1.0)
    points = (torch.arange(2048) + 0.5) / 2048 * length
    area = float(kernels.at(kind, points, window, shape).mean()) * length
    return float(kernels.KERNELS[kind].mode(window, shape)), area
