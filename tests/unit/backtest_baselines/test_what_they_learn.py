"""Each baseline finds what it is there to find, and no more."""

import numpy as np
import pytest

from forerun.backtest.baselines import lightgbm_quantiles, missing
from forerun.backtest.baselines.kind_profile import KindProfile
from forerun.backtest.baselines.lightgbm_quantiles import LightgbmQuantiles
from forerun.backtest.baselines.mstl import Mstl
from forerun.backtest.baselines.prophet_events import ProphetEvents
from forerun.backtest.baselines.seasonal_naive import SeasonalNaive
from forerun.backtest.scores import score
from forerun.domain.forecast import LEVELS

from .samples import made

MEDIAN = LEVELS.index(0.5)


def peak_ratios(model, asked):
    """Median of the peak over the actual peak, for each decision."""
    said = model.predict(asked)
    return [prediction.peak[MEDIAN] / max(d.actual) for prediction, d in zip(said, asked, strict=True)]


def needs(name):
    if name in missing():
        pytest.skip(f"{name}: its library is not installed (make bench-forecast brings it)")


def test_seasonal_naive_repeats_a_week_exactly():
    (asked,) = made(3600.0, uplift=1.0, noise=0.0)[-1:]
    (prediction,) = SeasonalNaive().predict([asked])
    rows = np.array(prediction.window)
    assert rows == pytest.approx(np.tile(np.array(asked.actual)[:, None], len(LEVELS)))
    assert prediction.peak == pytest.approx([max(asked.actual)] * len(LEVELS))


def test_seasonal_naive_knows_no_events():
    assert all(ratio < 0.5 for ratio in peak_ratios(SeasonalNaive(), made(3600.0)[:2]))


@pytest.mark.parametrize("step", [300.0, 3600.0])
@pytest.mark.parametrize("uplift", [0.5, 1.0, 3.0])
def test_kind_profile_learns_what_the_kind_does(step, uplift):
    ratios = peak_ratios(KindProfile(), made(step, uplift=uplift)[3:])
    assert all(0.85 < ratio < 1.15 for ratio in ratios), ratios


def test_kind_profile_says_the_usual_before_the_first_event():
    (first,) = made(3600.0)[:1]
    (prediction,) = KindProfile().predict([first])
    assert prediction.peak[MEDIAN] == pytest.approx(max(first.actual) / 3.0, rel=0.15)


def test_kind_profile_covers_what_comes():
    asked = made(300.0, noise=0.1)[3:]
    scores = score(asked, KindProfile().predict(asked))
    assert 0.8 < scores.coverage[LEVELS.index(0.9)] <= 1.0
    assert scores.coverage[LEVELS.index(0.99)] > 0.93


def test_earlier_events_do_not_become_the_usual():
    # every event on the same weekday and hour: four weeks of it would be the usual if they were not masked
    weekly = made(3600.0, event_days=(16, 23, 30, 37, 44))[-1]
    (prediction,) = KindProfile().predict([weekly])
    assert prediction.peak[MEDIAN] / max(weekly.actual) == pytest.approx(1.0, abs=0.15)


def test_mstl_follows_day_and_week():
    needs("mstl")
    asked = made(3600.0, uplift=1.0)[-2:]
    assert all(0.85 < ratio < 1.2 for ratio in peak_ratios(Mstl(), asked))


def test_prophet_and_lightgbm_learn_what_the_kind_does():
    asked = made(3600.0)[-2:]
    for model in (ProphetEvents(), LightgbmQuantiles()):
        needs(model.name)
        assert all(0.75 < ratio < 1.3 for ratio in peak_ratios(model, asked)), model.name


def test_levels_between_the_trained_ones_lie_between():
    trained = np.sort(np.random.default_rng(1).normal(size=(3, len(lightgbm_quantiles._TRAINED))), axis=1)
    found = lightgbm_quantiles._at_levels(trained)
    for column, level in enumerate(lightgbm_quantiles._TRAINED):
        assert found[:, LEVELS.index(level)] == pytest.approx(trained[:, column])
    assert (np.diff(found, axis=1) >= 0).all()
