"""Paths are led to where demand stands now."""

from datetime import timedelta

import numpy as np
import pytest
import torch

from forerun.domain.campaign import CampaignType, Overlap
from forerun.domain.forecast import LEVELS
from forerun.forecast.anchor import anchored
from forerun.forecast.evidence import Belief
from forerun.forecast.model import forecast_all
from forerun.forecast.units import Lately, Seen, Term, Unit

MEDIAN, P99 = LEVELS.index(0.5), LEVELS.index(0.99)


def ahead(scene, curve, minute, **expected):
    """(median, p99) of the first cell that lies wholly ahead, `minute` minutes after the start."""
    now = scene.start + timedelta(minutes=minute)
    window = scene.window(type=CampaignType.CUSTOM, **expected)

    def demand(at):
        seconds = (at - scene.start).total_seconds()
        return curve(seconds) if seconds >= 0 else 100.0

    recent = scene.series(scene.start - timedelta(hours=2), now, 60.0, demand)
    forecast = forecast_all([scene.request(window, now=now, history=scene.history(), recent=recent)])[0]
    rows = [
        row
        for segment in forecast.segments
        for index, row in enumerate(segment.quantiles)
        if segment.start + timedelta(seconds=index * segment.step_seconds) >= now
    ]
    return rows[0][MEDIAN], rows[0][P99]


@pytest.mark.parametrize("level", [150.0, 400.0, 900.0])
def test_what_has_stood_for_an_hour_is_known_within_a_few_percent(scene, level):
    middle, high = ahead(scene, lambda _: level, 60)
    assert middle == pytest.approx(level, rel=0.05)
    assert high < 1.35 * level


def test_a_slow_ramp_is_not_followed_late(scene):
    """300 requests/s an hour: the next cell begins at the present level, not at the mean of the cells before."""
    middle, _ = ahead(scene, lambda seconds: 200.0 + seconds / 12.0, 60)
    assert middle > 0.97 * 500.0


def test_a_wild_declaration_does_not_stay_once_demand_is_known(scene):
    middle, high = ahead(scene, lambda _: 200.0, 60, multiplier=30.0)
    assert middle == pytest.approx(200.0, rel=0.1)
    assert high < 2.0 * 200.0


CELLS, STEP, WINDOW = 12, 600.0, 7200.0
LOW = np.arange(CELLS) * STEP


def unit(now, demand, noise_log_sd=0.02, kind=CampaignType.CUSTOM):
    """A unit of two hours in cells of ten minutes, whose last five samples were `demand`."""
    nothing = np.zeros(CELLS)
    times = now - np.arange(4, -1, -1) * 60.0
    lately = None if demand is None else Lately(times, np.full(5, demand), 300.0, noise_log_sd)
    seen = Seen(times, np.full(5, 1.0), np.full(5, 1.0), now, lately=lately)
    term = Term(kind, 0.0, WINDOW, Belief(0.0, 1.0), Overlap.SUM, 0, 1)
    return Unit(LOW, LOW + STEP, nothing + 100.0, 0.0, np.zeros((1, CELLS)), 0.0, 1.0, 0.1, (term,), seen)


def led(now, demand, levels, **fields):
    """Flat paths at these levels after they are anchored, [cells, paths]."""
    low = torch.as_tensor(LOW).float()[None, :]
    ahead = (low - now).clamp_min(0.0)
    total = torch.tensor(levels, dtype=torch.float32).expand(1, CELLS, len(levels)).clone()
    return anchored(total, [unit(now, demand, **fields)], low, low + STEP, torch.exp(-ahead / 1200.0))[0]


def test_paths_meet_where_demand_stands_and_part_again_further_on():
    paths = led(5400.0, 200.0, [150.0, 200.0, 260.0])
    assert paths[9].tolist() == pytest.approx([200.0] * 3, rel=0.03)
    assert (paths[11, 2] - paths[11, 0]) > 2 * (paths[9, 2] - paths[9, 0])


def test_noise_is_no_reason_to_move_a_path():
    paths = led(5400.0, 204.0, [199.0, 200.0, 201.0], noise_log_sd=0.3)
    assert paths[9].tolist() == pytest.approx([199.0, 200.0, 201.0])


def test_soon_after_the_start_a_path_that_is_far_off_is_moved_a_little_only():
    """It may be one whose event has not begun: led to the present whole, it would rise from there once more."""
    assert led(300.0, 1000.0, [100.0, 1000.0])[0, 0] == pytest.approx(100.0 * np.exp(0.15), rel=0.02)
    assert led(7000.0, 200.0, [100.0, 200.0])[11, 0] > 180.0


def test_without_late_samples_nothing_moves():
    assert led(5400.0, None, [150.0, 260.0])[9].tolist() == [150.0, 260.0]


def test_a_sudden_campaign_keeps_its_paths_apart():
    """A flash sale restocks: what stands now says little of the next minutes."""
    paths = led(5400.0, 200.0, [150.0, 260.0], kind=CampaignType.FLASH_SALE)
    assert paths[9].tolist() == pytest.approx([150.0, 260.0])
