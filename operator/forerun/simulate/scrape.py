"""What the metrics pipeline shows of demand at each tick: scraped, averaged and late."""

import numpy as np

from forerun.simulate.scenario import BoolArray, FloatArray, IntArray, World, ticks_of


def shown(demand_rps: FloatArray, known: BoolArray, tick_seconds: float, world: World) -> FloatArray:
    """`rate(requests_total[rate_seconds])` as it can be read at the begin of each tick, [ticks]; NaN is missing.

    A counter is scraped every `scrape_seconds`, but not while nothing is `known`. Of the scrapes inside the range the
    first and the last make the rate, as in Prometheus; where there are fewer than two, there is none. So a short gap
    is bridged. Not as in Prometheus: no guess at what lies between the scrapes and the ends of the range. Ticks wider
    than the scrape interval have one scrape each, and the range is never less than two scrapes.
    """
    scrape = max(1, ticks_of(world.scrape_seconds, tick_seconds))
    reach = max(ticks_of(world.rate_seconds, tick_seconds), 2 * scrape)
    last_of, next_of = _scrapes(known, scrape)
    read_at = np.arange(demand_rps.size) - ticks_of(world.delay_seconds, tick_seconds)
    last = np.where(read_at >= 0, last_of[np.maximum(read_at, 0)], -1)
    first = next_of[np.maximum(read_at - reach + 1, 0)]  # the range is open at its begin
    usable = first < last
    counter = np.concatenate([[0.0], np.cumsum(demand_rps)])
    width = np.where(usable, last - first, 1)
    rate = (counter[np.where(usable, last, 0)] - counter[np.where(usable, first, 0)]) / width
    return np.where(usable, rate, np.nan)


def _scrapes(known: BoolArray, scrape: int) -> tuple[IntArray, IntArray]:
    """For each tick the last scrape at its begin or before (-1: none), and the first one at its begin or after."""
    ticks = np.arange(known.size)
    done = known & (ticks % scrape == 0)
    last = np.maximum.accumulate(np.where(done, ticks, -1))
    following = np.minimum.accumulate(np.where(done, ticks, known.size)[::-1])[::-1]
    return last, following
