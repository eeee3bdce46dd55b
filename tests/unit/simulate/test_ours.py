"""The policy `forerun` in the arena: the operator's promises on the virtual clock, with the real forecast."""

from functools import cache

import numpy as np
import pytest

from forerun.domain.campaign import Expected, ReleaseRule
from forerun.forecast.worker import answer
from forerun.simulate.ours import Forerun
from forerun.simulate.policy import known_of
from forerun.simulate.scenario import World

from .arena_world import arm, busy_days, campaign, run, scenario, tier

START, END = 360, 720  # ticks of the window: 30 minutes from the thirtieth
TICKS = 1300
PATIENCE = 24  # ticks: a policy is asked every 15 s, and a step down takes a minute


def sale(factor=6.0, known=None, declared=6.0):
    """Demand that really is `factor` times the usual in the window, of which `declared` times were declared."""
    door = 100.0 * np.random.default_rng(3).lognormal(0.0, 0.02, TICKS)
    rise = np.clip((np.arange(TICKS) - START) / 24.0, 0.0, 1.0) * (np.arange(TICKS) < END)
    return scenario(
        door * (1.0 + (factor - 1.0) * rise),
        tier(lead_time_seconds=120.0),
        campaigns=(campaign(1800, 1800, expected=Expected(multiplier=declared), release=ReleaseRule(120.0, 50.0)),),
        history=busy_days(10),
        known=np.ones(TICKS, bool) if known is None else known,
    )


@cache
def floors_of(factor=6.0, target=0.8, cut_from=None):
    known = np.ones(TICKS, bool)
    if cut_from is not None:
        known[cut_from:] = False
    made = sale(factor, known)
    policy = Forerun(known_of(made, World(), target))
    (result,) = run([arm(made, policy, target)], World(), lambda requests: answer(requests, 1.0))
    assert result.verdict is None
    return result.recorded["web"]


@pytest.mark.parametrize(("target", "left"), [(0.8, 2), (None, 11)])
def test_capacity_is_ready_before_the_start_and_given_back(target, left):
    """Where nobody else scales the target, it keeps what the usual demand fills."""
    seen = floors_of(target=target)
    assert seen.floor[0] == 2
    assert seen.ready[START] * 10.0 > 600.0
    assert seen.floor[START : END - PATIENCE].min() * 10.0 > 550.0
    assert 2 <= seen.floor[-1] <= left


def test_while_demand_rises_no_floor_comes_down():
    rising = floors_of().floor[START : START + 24]
    assert (np.diff(rising) >= 0).all()


def test_a_campaign_that_brings_nothing_is_on_its_way_down_soon():
    seen = floors_of(factor=1.0)
    up = seen.floor[START]
    first = START + int(np.argmax(seen.floor[START:] < up))
    assert up > 20
    assert first <= START + PATIENCE
    assert seen.floor[END] < up / 2


def test_without_a_metric_no_floor_comes_down():
    """The metric is lost a minute after the start, for ever: what stands then stays or rises."""
    seen = floors_of(factor=1.0, cut_from=START + 12)
    assert (np.diff(seen.floor[START + 36 :]) >= 0).all()
    assert seen.floor[-1] > 20


def test_ticks_wider_than_samples_are_evidence_too():
    """A day in ticks of a minute: a campaign that brings nothing is given back as in narrow ones."""
    made = scenario(
        100.0 * np.ones(400),
        tier(lead_time_seconds=120.0),
        tick_seconds=60.0,
        campaigns=(campaign(7200, 14400, expected=Expected(multiplier=6.0)),),
        history=busy_days(10),
    )
    policy = Forerun(known_of(made, World(), 0.8))
    (result,) = run([arm(made, policy, 0.8)], World(), lambda requests: answer(requests, 1.0))
    floor = result.recorded["web"].floor
    assert floor[120] > 20
    assert floor[180] < floor[120] / 2


def test_leaving_out_decisions_changes_nothing(monkeypatch):
    """`decide` is asked only where it can have something to say; asked every time, it says the same."""
    sparing = floors_of().floor
    monkeypatch.setattr(Forerun, "_is_quiet", lambda *_: False)
    floors_of.cache_clear()
    try:
        assert (floors_of().floor == sparing).all()
    finally:
        floors_of.cache_clear()
