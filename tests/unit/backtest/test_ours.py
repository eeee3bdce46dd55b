"""Forecasts put on the bins of a decision, and the product's own worker asked about the past."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from forerun.backtest.decision import Decision, Prediction
from forerun.backtest.ours import Forerun, batches, prediction_from
from forerun.backtest.splits import decisions, live_decisions
from forerun.domain.campaign import CampaignType, Expected, Occurrence
from forerun.domain.forecast import LEVELS, EventWindow, Forecast, ForecastRequest, Peak, Segment
from forerun.domain.observation import DemandSeries
from forerun.domain.reason import Hold
from forerun.signals.trace import TraceEvent

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
WINDOW = EventWindow("drop", CampaignType.CUSTOM, Occurrence(START, START + timedelta(minutes=10)), Expected())


def decision():
    request = ForecastRequest("t", START - timedelta(minutes=15), None, None, (WINDOW,))
    return Decision("t", "drop", "one", request.now, START, 300.0, request, (1.0, 2.0))


def rows(*middles):
    return tuple(tuple(middle + level for level in LEVELS) for middle in middles)


TOP = rows(50.0)[0]


def forecast(*segments, quantiles=TOP, at=4.0):
    peak = Peak("drop", WINDOW.occurrence, 50.5, 50.9, 50.99, START + timedelta(minutes=at), quantiles)
    return Forecast("t", START, segments, (peak,), "history")


def medians(prediction):
    return [row[LEVELS.index(0.5)] - 0.5 for row in prediction.window]


def test_finer_cells_are_averaged_by_their_share_of_the_bin():
    cells = Segment(START - timedelta(seconds=60), 120.0, rows(0.0, 10.0, 20.0, 30.0, 40.0, 50.0))
    # bin 0 holds 60 s of 0, 120 s of 10 and of 20; bin 1 holds 120 s of 30 and of 40 and 60 s of 50
    assert medians(prediction_from(decision(), forecast(cells))) == pytest.approx([12.0, 38.0])


def test_a_coarser_cell_gives_its_value_to_every_bin():
    assert medians(prediction_from(decision(), forecast(Segment(START, 3600.0, rows(7.0))))) == [7.0, 7.0]


def test_the_peak_is_taken_as_it_was_said_and_its_time_in_the_middle_of_a_bin():
    said = prediction_from(decision(), forecast(Segment(START, 600.0, rows(7.0)), at=6.0))
    assert said.peak == TOP
    assert said.peak_at == START + timedelta(minutes=7.5)


@pytest.mark.parametrize("segments", [(), (Segment(START, 300.0, rows(7.0)),)])
def test_a_window_that_is_not_covered_is_a_hold(segments):
    said = prediction_from(decision(), forecast(*segments))
    assert isinstance(said, Hold)
    assert "a part of the window" in said.detail


def test_a_forecast_without_the_events_peak_is_a_hold():
    bare = replace(forecast(Segment(START, 600.0, rows(7.0))), peaks=())
    assert isinstance(prediction_from(decision(), bare), Hold)


def test_long_histories_go_in_smaller_batches():
    def sizes(lengths):
        asked = [replace(decision().request, history=DemandSeries(START, 300.0, (1.0,) * length)) for length in lengths]
        made = list(batches(asked, 3, 10))
        assert [one for batch in made for one in batch] == asked
        return [len(batch) for batch in made]

    assert sizes([1] * 7) == [3, 3, 1]
    assert sizes([4, 4, 4, 25, 1]) == [2, 1, 1, 1]
    assert sizes([]) == []


def test_no_question_needs_no_worker():
    assert Forerun().predict([]) == []


def ordered(prediction):
    return all(list(row) == sorted(row) and row[0] >= 0.0 for row in (*prediction.window, prediction.peak))


def test_the_worker_answers_and_nothing_after_a_decision_changes_what_it_says(shop):
    made = decisions(shop.trace, shop.events, "shop")
    later = live_decisions(shop.trace, shop.events, "shop")
    said = Forerun().predict([*made, *later])
    assert all(isinstance(one, Prediction) and ordered(one) for one in said)

    moment = made[2].decided_at
    known = int((moment - shop.trace.start).total_seconds() // 60)
    values = np.array(shop.trace.values)
    values[known:] = 1e5 * np.random.default_rng(1).random(values.size - known)
    changed = DemandSeries(shop.trace.start, 60.0, tuple(values.tolist()))
    lies = [
        TraceEvent(one.kind, f"lie {number}", one.start, None, "attendance 1000000")
        for number, one in enumerate(shop.events)
    ]
    again = decisions(changed, lies, "shop")
    assert again[2].actual != made[2].actual
    before = [one for one in made if one.decided_at <= moment]
    # alone and among others: what else is asked must not matter either
    assert Forerun().predict(again[: len(before)]) == said[: len(before)]


def test_nothing_known_is_a_hold_and_not_an_invented_number(shop):
    blank = DemandSeries(shop.trace.start, 60.0, (float("nan"),) * len(shop.trace.values))
    (said,) = Forerun().predict(decisions(blank, shop.events[:1], "shop"))
    assert isinstance(said, Hold)
