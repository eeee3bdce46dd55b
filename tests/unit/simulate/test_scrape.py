"""What the metrics show: a rate over scrapes, late, and missing where Prometheus would have none."""

import numpy as np
import pytest

from forerun.simulate.scenario import World
from forerun.simulate.scrape import shown

TICK = 5.0
USUAL = World(scrape_seconds=15.0, rate_seconds=60.0, delay_seconds=5.0)


def everywhere(size):
    return np.ones(size, dtype=bool)


def seconds(missing):
    """Begin of each stretch of missing ticks and of what follows it, in seconds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], missing, [False]]).astype(int)))
    return [(int(begin * TICK), int(end * TICK)) for begin, end in edges.reshape(-1, 2)]


def test_the_rate_is_the_mean_over_the_scraped_span():
    door = np.random.default_rng(1).uniform(0.0, 500.0, 120)
    metric = shown(door, everywhere(120), TICK, USUAL)
    # at 300 s what was there at 295 s: scrapes at 240 (in the range from 235 on), 255, 270 and 285
    assert metric[60] == pytest.approx(door[48:57].mean())
    assert metric[61] == pytest.approx(door[51:60].mean())  # one scrape later


def test_steady_demand_is_shown_as_it_is():
    metric = shown(np.full(50, 42.0), everywhere(50), TICK, USUAL)
    assert metric[4:] == pytest.approx(42.0)


def test_zero_is_shown_as_zero_not_as_missing():
    assert (shown(np.zeros(50), everywhere(50), TICK, USUAL)[4:] == 0.0).all()


def test_there_is_none_before_the_second_scrape_has_come_through():
    assert seconds(np.isnan(shown(np.ones(50), everywhere(50), TICK, USUAL))) == [(0, 20)]


@pytest.mark.parametrize("delay", [0.0, 5.0, 30.0, 120.0])
def test_a_jump_is_seen_a_scrape_and_the_delay_later(delay):
    door = np.where(np.arange(120) < 60, 10.0, 1000.0)  # at 300 s, in which a scrape falls
    world = World(scrape_seconds=15.0, rate_seconds=60.0, delay_seconds=delay)
    metric = shown(door, everywhere(120), TICK, world)
    assert TICK * np.flatnonzero(metric > 10.0)[0] == 300.0 + 15.0 + delay


def test_a_short_gap_is_bridged_by_the_scrapes_around_it():
    known = everywhere(120)
    known[61:65] = False  # 305 to 325 s: the scrape at 315 s
    assert seconds(np.isnan(shown(np.ones(120), known, TICK, USUAL))) == [(0, 20)]


def test_in_a_long_gap_there_is_none_from_the_last_two_scrapes_leaving_the_range_to_the_second_one_after_it():
    known = everywhere(240)
    known[60:120] = False  # 300 to 600 s; the last scrapes are those at 270 and 285 s
    missing = seconds(np.isnan(shown(np.ones(240), known, TICK, USUAL)))
    # at 335 s one sees (270, 330]: only the scrape at 285 s is in it; those at 600 and 615 s are seen at 620 s
    assert missing == [(0, 20), (335, 620)]


def test_what_came_during_a_gap_is_in_the_counter_after_a_short_one():
    known = everywhere(120)
    known[61:65] = False
    door = np.zeros(120)
    door[61:65] = 90.0
    metric = shown(door, known, TICK, USUAL)
    assert metric[67] == pytest.approx(360.0 / 9.0)  # at 335 s: scrapes at 285 and 330, nine ticks apart


def test_nothing_known_is_nothing_shown():
    assert np.isnan(shown(np.ones(50), ~everywhere(50), TICK, USUAL)).all()


def test_wide_ticks_have_one_scrape_each():
    door = np.arange(20.0)
    metric = shown(door, everywhere(20), 60.0, World(scrape_seconds=15.0, rate_seconds=60.0, delay_seconds=0.0))
    assert np.isnan(metric[0])
    assert metric[1:].tolist() == door[:-1].tolist()


def test_wide_ticks_hide_a_delay_that_is_much_shorter():
    door = np.arange(20.0)
    metric = shown(door, everywhere(20), 60.0, World(delay_seconds=5.0))
    assert metric[1:].tolist() == door[:-1].tolist()


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_shortest_demand(size):
    assert np.isnan(shown(np.ones(size), everywhere(size), TICK, USUAL)).all()
