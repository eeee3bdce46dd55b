"""What holds for each baseline, whatever it is; those of libraries where these are installed."""

import math
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from forerun.backtest import baselines
from forerun.backtest.baselines.kind_profile import KindProfile
from forerun.backtest.baselines.lightgbm_quantiles import LightgbmQuantiles
from forerun.backtest.baselines.mstl import Mstl
from forerun.backtest.baselines.prophet_events import ProphetEvents
from forerun.backtest.baselines.seasonal_naive import SeasonalNaive
from forerun.backtest.splits import decisions
from forerun.domain.forecast import LEVELS
from forerun.domain.observation import DemandSeries

from .samples import BEGIN, demand, made

ALL = (SeasonalNaive, KindProfile, Mstl, ProphetEvents, LightgbmQuantiles)


@pytest.fixture(params=ALL, ids=lambda model: model.name)
def model(request):
    if request.param.name in baselines.missing():
        pytest.skip(f"{request.param.name}: its library is not installed (make bench-forecast brings it)")
    return request.param()


def check(decision, prediction):
    window, peak = np.array(prediction.window), np.array(prediction.peak)
    assert window.shape == (decision.bins, len(LEVELS))
    assert peak.shape == (len(LEVELS),)
    for quantiles in (window, peak):
        assert np.isfinite(quantiles).all()
        assert (quantiles >= 0).all()
        assert (np.diff(quantiles, axis=-1) >= 0).all()
    assert decision.start < prediction.peak_at < decision.end


@pytest.mark.parametrize("step", [300.0, 3600.0, 86400.0])
def test_quantiles_are_in_order_and_the_same_each_time(model, step):
    asked = made(step)[::3]
    first = model.predict(asked)
    for decision, prediction in zip(asked, first, strict=True):
        check(decision, prediction)
    assert model.predict(asked[-1:]) == first[-1:]  # alone or among others


def test_what_comes_after_a_decision_changes_nothing(model):
    series, events = demand(3600.0)
    before = decisions(series, events, "made-up")[-2:-1]
    cut = round((before[0].decided_at - series.start).total_seconds() / 3600.0)
    wild = DemandSeries(series.start, 3600.0, (*series.values[:cut], *(9e5 for _ in series.values[cut:])))
    after = decisions(wild, events, "made-up")[-2:-1]
    assert after[0].actual != before[0].actual
    assert model.predict(after) == model.predict(before)


@pytest.mark.parametrize("values", [(5.0,), (5.0,) * 30, (0.0,) * 400, (math.nan,) * 400, (1e18, 0.0) * 200])
def test_poor_histories_get_an_answer(model, values):
    (decision,) = made(3600.0)[-1:]
    start = decision.decided_at - timedelta(hours=len(values))
    request = replace(decision.request, history=DemandSeries(start, 3600.0, values), past=())
    poor = replace(decision, request=request)
    check(poor, model.predict([poor])[0])


def test_gaps_of_a_day_get_an_answer(model):
    series, events = demand(3600.0)
    values = np.array(series.values)
    values[20 * 24 : 21 * 24] = np.nan
    values[-200:-190] = np.nan
    asked = decisions(DemandSeries(BEGIN, 3600.0, tuple(values)), events, "made-up")[-1:]
    check(asked[0], model.predict(asked)[0])


def test_what_was_measured_of_a_running_event_is_certain(model):
    series, events = demand(3600.0)
    (late,) = decisions(series, events, "made-up", decide_seconds=-3 * 3600.0)[-1:]
    (prediction,) = model.predict([late])
    for seen, quantiles in zip(late.actual[:3], prediction.window[:3], strict=True):
        assert quantiles == pytest.approx([seen] * len(LEVELS))
    assert prediction.peak[0] >= 0.999 * max(late.actual[:3])


def test_each_baseline_is_here_or_missing():
    here = [model.name for model in baselines.available()]
    assert sorted([*here, *baselines.missing()]) == sorted(model.name for model in ALL)
    assert here[:2] == ["seasonal-naive", "kind-profile"]


def test_no_library_is_imported_before_it_is_asked():
    program = (
        "import sys; from forerun.backtest import baselines; baselines.available();"
        "print(sorted({'statsforecast', 'prophet', 'lightgbm', 'pandas', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
