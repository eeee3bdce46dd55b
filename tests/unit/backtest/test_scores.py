"""Scores against numbers worked out by hand."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forerun.backtest.decision import Decision, Prediction
from forerun.backtest.scores import SCORED, crps, is_measured, peak_error, pinball, score
from forerun.domain.forecast import LEVELS, ForecastRequest
from forerun.domain.reason import Hold, Reason

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
NAN = float("nan")


def decision(*actual, kind="drop"):
    now = START - timedelta(minutes=15)
    request = ForecastRequest("t", now, None, None, ())
    return Decision("t", kind, "one", now, START, 300.0, request, tuple(map(float, actual)))


def flat(value, bins, peak=None, minutes=2.5):
    row = (float(value),) * len(LEVELS)
    top = row if peak is None else (float(peak),) * len(LEVELS)
    return Prediction((row,) * bins, top, START + timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("actual", "quantile", "level", "loss"),
    [
        (10.0, 8.0, 0.9, 1.8),
        (8.0, 10.0, 0.9, 0.2),
        (10.0, 8.0, 0.5, 1.0),
        (8.0, 8.0, 0.025, 0.0),
        (0.0, 4.0, 0.25, 3.0),
    ],
)
def test_pinball_by_hand(actual, quantile, level, loss):
    assert pinball(np.array(actual), np.array([quantile]), [level])[0] == pytest.approx(loss)


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.sampled_from(LEVELS))
def test_pinball_is_never_negative_and_nil_only_at_the_truth(actual, quantile, level):
    loss = pinball(np.array(actual), np.array([quantile]), [level])[0]
    assert loss >= 0.0
    assert (loss == 0.0) == (actual == quantile)


def test_crps_of_a_single_value_is_its_distance_but_for_the_ends_that_are_left_out():
    # exact over all levels: |5 - 3|; the part of the integral of 2 * a * 2 from 0.005 to 0.999
    assert crps(np.array(5.0), np.full(len(LEVELS), 3.0)) == pytest.approx(2.0 * (0.999**2 - 0.005**2))


def test_crps_of_the_uniform_distribution_comes_near_the_exact_one():
    # exact: for y in the middle of [0, 1], the integral of (F - 1{x >= y})^2 is 1/12; the trapezoids cut its corners
    assert 0.8 / 12 < crps(np.array(0.5), np.array(LEVELS)) < 1 / 12


def test_a_single_guess_is_scored_by_hand():
    found = score([decision(4.0, 6.0, NAN, 2.0)], [flat(3.0, 4, peak=7.0)])
    mean_level = sum(SCORED) / len(SCORED)
    assert found.events == 1
    assert found.peak_pinball == pytest.approx(1 - mean_level)  # 7 said, 6 came
    assert found.window_pinball == pytest.approx((1 * mean_level + 3 * mean_level + 1 * (1 - mean_level)) / 3)
    assert found.coverage[LEVELS.index(0.9)] == pytest.approx(1 / 3)
    assert found.coverage_peak[LEVELS.index(0.9)] == 1.0
    assert found.peak_time_error_seconds == 300.0  # the middle of bin 1, said in the middle of bin 0
    assert found.over_forecast == pytest.approx(1 / 6)


def test_quantiles_are_taken_at_their_own_levels():
    rows = tuple(100.0 * level for level in LEVELS)
    found = score([decision(60.0)], [Prediction((rows,), rows, START + timedelta(seconds=150))])
    by_hand = np.mean([max(a * (60 - 100 * a), (a - 1) * (60 - 100 * a)) for a in SCORED])
    assert found.peak_pinball == found.window_pinball == pytest.approx(by_hand)
    assert found.coverage == tuple(float(100 * level >= 60) for level in LEVELS)


def test_an_event_measured_by_less_than_half_does_not_count():
    assert is_measured(decision(1.0, NAN))
    assert not is_measured(decision(1.0, NAN, NAN))
    found = score([decision(1.0, NAN, NAN), decision(2.0, 2.0)], [flat(9.0, 3), flat(2.0, 2)])
    assert (found.events, found.unmeasured, found.missing, found.peak_pinball) == (1, 1, 0, 0.0)


def test_what_a_model_does_not_answer_is_counted_as_missing():
    found = score([decision(2.0), decision(2.0)], [Hold(Reason.DEMAND_UNKNOWN), flat(2.0, 1)])
    assert (found.events, found.missing) == (1, 1)


def test_no_event_gives_no_figure():
    found = score([decision(NAN)], [flat(1.0, 1)])
    assert (found.events, found.unmeasured, found.peak_pinball, found.coverage) == (0, 1, None, None)


def test_a_peak_of_nothing_has_no_relative_error():
    found = score([decision(0.0, 0.0)], [flat(1.0, 2)])
    assert (found.events, found.over_forecast) == (1, None)
    assert np.isnan(peak_error(decision(0.0), flat(1.0, 1)))
    assert peak_error(decision(4.0), flat(3.0, 1)) == 0.25
