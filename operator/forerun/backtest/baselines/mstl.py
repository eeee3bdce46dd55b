"""statsforecast's MSTL: several seasons taken off by LOESS, exponential smoothing on the rest."""

import importlib
import warnings
from collections.abc import Sequence

import numpy as np

from forerun.backtest.baselines.sampled import PATHS, filled, prediction, with_measured
from forerun.backtest.baselines.view import Array, View
from forerun.backtest.decision import Decision, Prediction

_MOST_DAYS = {True: 28, False: 56}  # of sub-hourly, of hourly data: four and eight of the longest season
_DAILY_DAYS = 1460


class Mstl:
    """MSTL with AutoETS(ZZN) on log demand, refitted for every decision; paths are ETS simulations with resampled
    errors. The seasons are a day and a week (a week and a year of daily bins) where the data covers them twice.

    LOESS is evaluated at every tenth of a day and interpolated, as R's `stl` does by default: 20 times faster, the
    same figures to three digits. Knows no events.
    """

    name = "mstl"

    def predict(self, decisions: Sequence[Decision]) -> list[Prediction]:
        return [_predict(decision) for decision in decisions]


def _predict(decision: Decision) -> Prediction:
    view = View.of(decision)
    days = _DAILY_DAYS if view.day == 1 else _MOST_DAYS[view.step_seconds < 3600.0]
    seen = view.values[max(0, view.known - days * view.day) : view.known]
    first = np.flatnonzero(np.isfinite(seen))
    if first.size < 2 * max(view.day, 7):
        level = float(np.nanmean(seen)) if first.size else 0.0
        return prediction(decision, np.full((PATHS, view.bins), level))
    logs = np.log(without_gaps(seen[first[0] :], view) + view.floor)
    ahead = view.values.size - view.known
    paths = np.full((PATHS, view.bins), np.nan)
    if ahead:
        simulated = np.exp(_simulated(logs, _seasons(view, logs.size), ahead)) - view.floor
        paths[:, max(view.bins - ahead, 0) :] = simulated[:, max(ahead - view.bins, 0) :]
    highest = 5.0 * float(np.nanmax(seen))  # smoothing of logs may run away
    return prediction(decision, with_measured(view, np.clip(paths, 0.0, highest)))


def without_gaps(values: Array, view: View) -> Array:
    """Gaps become what was measured a week before, and where nothing was, a straight line."""
    found = values.copy()
    for begin in range(view.week, found.size, view.week):  # week by week, so that a filled week fills the next
        part = slice(begin, min(begin + view.week, found.size))
        earlier = found[begin - view.week : begin][: part.stop - part.start]
        found[part] = np.where(np.isfinite(found[part]), found[part], earlier)
    return np.asarray(filled(found, 0.0)[0])


def _seasons(view: View, size: int) -> list[int]:
    wanted = (7, 365) if view.day == 1 else (view.day, view.week)
    return [season for season in wanted if size >= 2 * season + 1] or [wanted[0]]


def _simulated(logs: Array, seasons: list[int], ahead: int) -> Array:
    """(PATHS, ahead) of log demand."""
    models = importlib.import_module("statsforecast.models")
    jump = max(1, seasons[0] // 10)
    model = models.MSTL(seasons, stl_kwargs={"trend_jump": jump, "low_pass_jump": jump})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # statsmodels on convergence, statsforecast on resampled errors
        model.fit(logs)
        trend = model.trend_forecaster
        seasonal = model.predict(ahead)["mean"] - trend.predict(ahead)["mean"]
        steps = trend.simulate(ahead, PATHS, seed=0, error_distribution="bootstrap")
    return np.asarray(seasonal + steps, dtype=np.float64)
