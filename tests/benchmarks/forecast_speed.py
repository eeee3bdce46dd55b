"""How fast the forecast is on one thread: rows for the table of `forecast.py`."""

import asyncio
import math
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import torch

from forerun.domain.campaign import CampaignType, Expected, Occurrence
from forerun.domain.forecast import EventWindow, ForecastRequest
from forerun.domain.observation import DemandSeries
from forerun.forecast import correction, paths
from forerun.forecast.baseline import fit_tables, tabulate
from forerun.forecast.lessons import learn
from forerun.forecast.levels import level_share, ordinary
from forerun.forecast.observed import observe
from forerun.forecast.process import ForecastProcess
from forerun.forecast.slots import make_slots
from forerun.forecast.terms import make_plans
from forerun.forecast.units import Unit

START = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)
SERIES, CAMPAIGNS, TOGETHER = 256, 1000, 16
FITTED_TOGETHER = 16
REPEATS = 5
GOAL_FITS, GOAL_TICK_MICROSECONDS, GOAL_PATHS = 2000.0, 100.0, 1000.0
TYPES = (CampaignType.FLASH_SALE, CampaignType.NEWSLETTER, CampaignType.CUSTOM)


@dataclass(frozen=True)
class Row:
    """One line of the table; `met` is None where there is no goal."""

    name: str
    figure: str
    goal: str
    met: bool | None


def speed() -> list[Row]:
    """On the CPU, one thread; the best of a few repeats, as other work on the machine only ever adds time."""
    torch.set_num_threads(1)
    random = np.random.default_rng(7)
    histories = [history(random, START) for _ in range(SERIES)]
    fits = SERIES / best(lambda: fit_all(histories))
    before = units([request(index, histories, live=False) for index in range(CAMPAIGNS)])
    live = units([request(index, histories, live=True) for index in range(CAMPAIGNS)])
    with torch.inference_mode():
        tick = best(lambda: tick_all(live)) / len(live) * 1e6
        path = len(before) / best(lambda: paths.simulate(before))
    cells = sum(unit.low.size for unit in before) / len(before)
    started, rss = asyncio.run(worker())
    return [
        Row(
            "baseline fit, 5 min x 28 d, from values to profile and residuals",
            f"{fits:,.0f} series/s",
            f">= {GOAL_FITS:,.0f}",
            fits >= GOAL_FITS,
        ),
        Row(
            f"posterior tick, {CAMPAIGNS:,} campaigns",
            f"{tick:.0f} microseconds each",
            f"<= {GOAL_TICK_MICROSECONDS:g}",
            tick <= GOAL_TICK_MICROSECONDS,
        ),
        Row(
            f"full quantile paths, {paths.PATHS} paths x {cells:.0f} cells",
            f"{path:,.0f} /s",
            f">= {GOAL_PATHS:,.0f}",
            path >= GOAL_PATHS,
        ),
        Row("worker: ready after, of which most is importing torch", f"{started:.1f} s", "-", None),
        Row("worker: RSS after its first answer", f"{rss / 2**20:.0f} MiB", "-", None),
    ]


def best(work: Callable[[], object]) -> float:
    """Seconds of the quickest of `REPEATS` runs."""
    found = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return min(found)


def history(random: np.random.Generator, until: datetime) -> DemandSeries:
    bins = 28 * 288
    hours = np.arange(bins) / 12.0
    level = np.repeat(np.exp(0.1 * random.standard_normal(28)), 288)
    values = (100.0 + 50.0 * np.sin(hours * math.pi / 12.0)) * level * np.exp(0.1 * random.standard_normal(bins))
    return DemandSeries(until - timedelta(days=28), 300.0, array("d", values))


def fit_all(histories: Sequence[DemandSeries]) -> None:
    for chunk in chunks(histories, FITTED_TOGETHER):
        fit_tables([tabulate(series, (), START.timestamp(), 86400.0) for series in chunk])


def chunks(things: Sequence, size: int) -> Iterator[Sequence]:
    for first in range(0, len(things), size):
        yield things[first : first + size]


def request(index: int, histories: Sequence[DemandSeries], *, live: bool) -> ForecastRequest:
    """A campaign of four hours with two earlier ones of its kind; live: twenty minutes after its start."""
    kind = TYPES[index % len(TYPES)]

    def window(start: datetime) -> EventWindow:
        end = start + timedelta(hours=4)
        return EventWindow(f"shop/{index}", kind, Occurrence(start, end), Expected(multiplier=3.0))

    now = START + timedelta(minutes=20 if live else -15)
    recent = DemandSeries(now - timedelta(hours=2), 60.0, array("d", [250.0] * 120)) if live else None
    past = tuple(window(START - timedelta(days=days)) for days in (7, 14))
    return ForecastRequest(f"shop/{index}", now, histories[index % SERIES], recent, (window(START),), past)


def units(requests: Sequence[ForecastRequest]) -> list[Unit]:
    shops = [observe(request, 1.0) for request in requests]
    lessons = [learn(request, shop) for request, shop in zip(requests, shops, strict=True)]
    return [unit for plan in make_plans(requests, shops, lessons, 1.0) if plan for unit in plan.units]


def tick_all(live: Sequence[Unit]) -> None:
    """What a new sample costs: draws, likelihood of what was seen, and the new belief of every particle."""
    for chunk in chunks(live, TOGETHER):
        level, _ = ordinary(chunk, correction.PARTICLES)
        slots = make_slots(chunk, correction.PARTICLES, level)
        correction.posterior(chunk, slots, level * level_share(chunk, slots))


async def worker() -> tuple[float, int]:
    """(seconds until it is ready, resident bytes after an answer)."""
    process = ForecastProcess(threads=1)
    began = time.perf_counter()
    await process.start()
    try:
        await process.forecast([request(0, [history(np.random.default_rng(1), START)], live=False)])
        return time.perf_counter() - began, process.rss_bytes() or 0
    finally:
        await process.close()
