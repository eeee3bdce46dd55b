"""The arena's generated shops: their days and weeks, their noise, and four weeks of history.

Nothing here knows the forecast: no code and no prior is shared with it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
DAY_SECONDS = 86_400.0
HISTORY_STEP_SECONDS = 300.0
HISTORY_BINS = 28 * 288
_SLOTS = 7 * 288  # the season's table: five minutes each, from Monday 00:00 local time (1970-01-05 was one)
_MONDAY_SECONDS = 4 * DAY_SECONDS


@dataclass(frozen=True, slots=True)
class Shop:
    """What stays the same about a shop."""

    mean_rps: float  # over a week
    offset_seconds: float  # local time - UTC
    season: Array  # [2016] factor by five minutes of the local week; mean 1
    growth: float  # of log demand over 28 days
    day_sd: float  # of a day's log level
    slow_sd: float  # log, correlated over hours
    slow_seconds: float
    fast_sd: float  # log, correlated over a minute or so
    fast_seconds: float
    wobble_sd: float  # log, of a campaign's addition alone
    calls_per_visit: float  # calls come in groups: counts vary more than Poisson's
    declares: float  # what marketing says / what comes, in the middle

    def usual_rps(self, at: Array, since: float) -> Array:
        """Demand without noise and campaigns by epoch seconds; growth counts from `since`."""
        slot = (at + self.offset_seconds - _MONDAY_SECONDS) / 300.0 - 0.5
        season = np.interp(slot % _SLOTS, np.arange(_SLOTS + 1.0), np.append(self.season, self.season[0]))
        growth = np.exp(self.growth * (at - since) / (28.0 * DAY_SECONDS))
        return np.asarray(self.mean_rps * season * growth, dtype=np.float64)

    def counted(self, rate_rps: Array, step_seconds: float, rng: np.random.Generator) -> Array:
        """Calls that really come, as a rate: whole visits, each of several calls."""
        visits = rng.poisson(rate_rps * (step_seconds / self.calls_per_visit))
        return np.asarray(visits * (self.calls_per_visit / step_seconds), dtype=np.float64)


def draw_shop(rng: np.random.Generator) -> Shop:
    """Base demand 20 to 2,000 requests/s, any time zone; a third of the shops declare with a bias."""
    bias = float(np.exp(rng.choice((-1.0, 1.0)) * rng.uniform(0.3, 0.9)))
    return Shop(
        mean_rps=_between(rng, 20.0, 2000.0),
        offset_seconds=1800.0 * float(rng.integers(-24, 25)),
        season=_season(rng),
        growth=float(rng.normal(0.0, 0.1)),
        day_sd=_between(rng, 0.02, 0.1),
        slow_sd=_between(rng, 0.02, 0.1),
        slow_seconds=_between(rng, 1800.0, 14_400.0),
        fast_sd=_between(rng, 0.01, 0.08),
        fast_seconds=_between(rng, 30.0, 180.0),
        wobble_sd=_between(rng, 0.02, 0.12),
        calls_per_visit=float(rng.uniform(1.0, 4.0)),
        declares=bias if rng.random() < 1.0 / 3.0 else 1.0,
    )


def _season(rng: np.random.Generator) -> Array:
    """A week of factors: humps at hours of the shop's own, other ones at the weekend, and quiet nights."""
    hours = np.asarray((np.arange(288) + 0.5) / 12.0, dtype=np.float64)
    night = _between(rng, 0.05, 0.4)
    at, width = np.array([10.5, 13.5, 20.0]) + rng.normal(0.0, 1.0, 3), rng.uniform(1.5, 4.0, 3)

    def day(weights: Array, later: float) -> Array:
        away = (hours[:, None] - at - later + 12.0) % 24.0 - 12.0
        humps = (np.exp(-0.5 * (away / width) ** 2) * weights).sum(axis=1)
        return np.asarray(night + (1.0 - night) * humps / humps.max(), dtype=np.float64)

    workday = day(rng.dirichlet(np.full(3, 1.5)), 0.0)
    weekend = day(rng.dirichlet(np.full(3, 1.5)), float(rng.uniform(-0.5, 2.0))) * _between(rng, 0.55, 1.7)
    week: Array = np.stack([workday] * 5 + [weekend] * 2) * np.exp(rng.normal(0.0, 0.06, (7, 1)))
    table = (week + (np.roll(week, 1, axis=0) - week) * _lingering(hours * 3600.0)).ravel()
    return np.asarray(table / table.mean(), dtype=np.float64)


def _lingering(second_of_day: Array) -> Array:
    """How much of yesterday is still about: all at midnight, nothing from five in the morning on."""
    night = np.clip(second_of_day / 18_000.0, 0.0, 1.0)
    return np.asarray(1.0 - night * night * (3.0 - 2.0 * night), dtype=np.float64)


def _by_day(shop: Shop, at: Array, log_of_day: Callable[[int], Array]) -> Array:
    """Factor [like `at`] from the logarithms of that many days' levels, without a jump at midnight."""
    local = at + shop.offset_seconds
    day = (local // DAY_SECONDS).astype(int)
    levels = log_of_day(int(day[-1] - day[0]) + 2)
    today = day - day[0] + 1
    mixed = levels[today] + (levels[today - 1] - levels[today]) * _lingering(local % DAY_SECONDS)
    return np.asarray(np.exp(mixed), dtype=np.float64)


def regular(start: float, step_seconds: float, count: int) -> Array:
    """The middles of steps from an epoch second on [count]."""
    return np.asarray(start + (np.arange(count) + 0.5) * step_seconds, dtype=np.float64)


def autocorrelated(rng: np.random.Generator, count: int, step_seconds: float, memory_seconds: float) -> Array:
    """A stationary first-order autoregressive path [count] with unit variance, made in frequency on a circle."""
    keep = float(np.exp(-step_seconds / memory_seconds))
    size = -(-(count + int(5.0 * memory_seconds / step_seconds)) // 512) * 512  # the seam lies in what is cut off
    turn = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    path = np.fft.irfft(np.fft.rfft(rng.standard_normal(size)) / (1.0 - keep * turn), size)
    return np.asarray(path[:count] * np.sqrt(1.0 - keep * keep), dtype=np.float64)


def slow_level(shop: Shop, start: float, bins: int, rng: np.random.Generator) -> Array:
    """Factor on demand [bins of 300 s from `start`]: good and bad days, and what goes on for hours."""
    at = regular(start, HISTORY_STEP_SECONDS, bins)
    days = _by_day(shop, at, lambda count: rng.normal(0.0, shop.day_sd, count))
    slow = np.exp(shop.slow_sd * autocorrelated(rng, bins, HISTORY_STEP_SECONDS, shop.slow_seconds))
    return np.asarray(days * slow, dtype=np.float64)


def history_rps(shop: Shop, start: float, added_rps: Array, level: Array, rng: np.random.Generator) -> Array:
    """Four weeks as measured [8064]: odd days, bursts nobody declared, an outage now and then, and NaN for gaps."""
    at = regular(start, HISTORY_STEP_SECONDS, HISTORY_BINS)
    odd = _by_day(shop, at, lambda count: rng.normal(0.0, 0.35, count) * (rng.random(count) < 0.04))
    usual = shop.usual_rps(at, start + HISTORY_BINS * HISTORY_STEP_SECONDS)
    noise = np.exp(0.5 * shop.fast_sd * rng.standard_normal(HISTORY_BINS))
    rate = (usual * odd * _bursts(rng) + added_rps) * level * noise
    values = shop.counted(rate * _outages(rng), HISTORY_STEP_SECONDS, rng)
    values[_gaps(rng)] = np.nan
    return values


def added_to_history(added_rps: Callable[[Array], Array], history_start: float, start: float, until: float) -> Array:
    """A campaign's addition, mean over each bin of the history [8064], looked at between two epoch seconds."""
    out = np.zeros(HISTORY_BINS)
    first = max(int((start - history_start) // HISTORY_STEP_SECONDS), 0)
    last = min(int((until - history_start) // HISTORY_STEP_SECONDS) + 1, HISTORY_BINS)
    parts = 12
    from_seconds = history_start + first * HISTORY_STEP_SECONDS
    at = regular(from_seconds, HISTORY_STEP_SECONDS / parts, (last - first) * parts)
    out[first:last] = added_rps(at).reshape(-1, parts).mean(axis=1)
    return out


def _bursts(rng: np.random.Generator) -> Array:
    """Factor: traffic that nobody declared (a crawler, a mention), 15 min to 2 h each."""
    factor = np.ones(HISTORY_BINS)
    for _ in range(rng.poisson(0.7)):
        at, bins = int(rng.integers(HISTORY_BINS)), int(rng.integers(3, 25))
        window = factor[at : at + bins]
        window += (_between(rng, 1.3, 4.0) - 1.0) * np.exp(-3.0 * np.arange(window.size) / bins)
    return factor


def _outages(rng: np.random.Generator) -> Array:
    """Factor: the shop was down or half down, 10 to 90 min, at one shop of five."""
    factor = np.ones(HISTORY_BINS)
    if rng.random() < 0.2:
        at, bins = int(rng.integers(HISTORY_BINS)), int(rng.integers(2, 19))
        factor[at : at + bins] = rng.uniform(0.0, 0.3)
    return factor


def _gaps(rng: np.random.Generator) -> NDArray[np.bool_]:
    """Where nothing was measured: 10 min to 6 h at two shops of five, single bins at one of five."""
    gone = np.zeros(HISTORY_BINS, dtype=bool)
    if rng.random() < 0.4:
        for at in rng.integers(0, HISTORY_BINS, int(rng.integers(1, 5))):
            gone[at : at + int(_between(rng, 2.0, 72.0))] = True
    if rng.random() < 0.2:
        gone |= rng.random(HISTORY_BINS) < 0.005
    return gone


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    """Log-uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
