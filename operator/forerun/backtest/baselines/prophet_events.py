"""Prophet with regressors for each kind of event, lag by lag."""

import importlib
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from forerun.backtest.baselines.sampled import PATHS, prediction, with_measured
from forerun.backtest.baselines.view import DAY_SECONDS, Array, View
from forerun.backtest.decision import Decision, Prediction

_FITTED_STEP_SECONDS = 900.0  # finer data is fitted as means over this
_MOST_DAYS = {"sub-hourly": 56, "hourly": 400, "daily": 1460}
_LAGS = 16  # regressors per kind over the window, at most one per bin
_LEAST_DAYS = 2.0
_HIGHEST = 5.0  # times what was ever measured: a trend may run away
_DAILY_ORDER = 12  # Fourier terms; the default of 4 cannot follow a rush hour


class ProphetEvents:
    """Prophet on the square root of demand within a day (counts: even noise), on its log from day to day (spikes and
    trends multiply, no bin is empty); refitted for every decision.

    Each kind of event has one regressor per slice of its window. A day has one shape on working days and one at
    weekends from two weeks on; Prophet's own samples are the paths. It knows nothing of the present level.
    """

    name = "prophet"

    def predict(self, decisions: Sequence[Decision]) -> list[Prediction]:
        return [_predict(decision) for decision in decisions]


def _predict(decision: Decision) -> Prediction:
    view = View.of(decision)
    span = "daily" if view.day == 1 else "sub-hourly" if view.step_seconds < 3600.0 else "hourly"
    first = max(0, view.known - _MOST_DAYS[span] * view.day)
    width = max(1, round(_FITTED_STEP_SECONDS / view.step_seconds)) if span == "sub-hourly" else 1
    times, values = _thinned(view.times[first : view.known], view.values[first : view.known], width)
    known = np.isfinite(values)
    times, values = times[known], values[known]
    if values.size < 3 or times[-1] - times[0] < _LEAST_DAYS * DAY_SECONDS:
        seen = view.values[np.isfinite(view.values)]
        drawn = np.resize(seen, PATHS) if seen.size else np.zeros(PATHS)  # too little to fit: anything seen so far
        return prediction(decision, with_measured(view, np.tile(drawn[:, None], (1, view.bins))))
    if span == "daily":
        paths = np.exp(_samples(view, times, np.log(values + view.floor))) - view.floor
    else:
        paths = np.maximum(_samples(view, times, np.sqrt(values)), 0.0) ** 2
    return prediction(decision, with_measured(view, np.clip(paths, 0.0, _HIGHEST * float(values.max()))))


def _thinned(times: Array, values: Array, width: int) -> tuple[Array, Array]:
    """Means of `width` bins each, at the first one's time; the oldest few are left out where they do not divide."""
    size = times.size // width * width
    if width == 1 or not size:
        return times, values
    rows = values[-size:].reshape(-1, width)
    finite = np.isfinite(rows)
    counts = finite.sum(axis=1)
    means = np.where(finite, rows, 0.0).sum(axis=1) / np.maximum(counts, 1)
    return times[-size::width], np.where(counts > 0, means, np.nan)


def _lagged(view: View, times: Array) -> dict[str, Array]:
    """Regressor name -> 1 where a bin lies in that slice of the window of an event of that kind."""
    lags = min(_LAGS, view.bins)
    width = view.bins * view.step_seconds / lags
    begun = [(view.kind, index) for index in (*view.events, view.zero)] + list(view.others)
    kinds = sorted({kind for kind, _ in begun})
    inside = np.zeros((len(kinds), lags, times.size))
    for kind, index in begun:
        slices = np.floor((times - view.times[index]) / width + 1e-6)
        lies = (slices >= 0) & (slices < lags)
        inside[kinds.index(kind), slices[lies].astype(np.int64), np.flatnonzero(lies)] = 1.0
    return {f"kind{kind}_{lag}": inside[kind, lag] for kind in range(len(kinds)) for lag in range(lags)}


def _samples(view: View, times: Array, values: Array) -> Array:
    """(PATHS, bins) of what `values` are of demand."""
    pandas = importlib.import_module("pandas")
    past, ahead = _lagged(view, times), view.times[view.window]
    future = _lagged(view, ahead)
    seen = [name for name, column in past.items() if column.any()]
    covered = float(times[-1] - times[0]) / DAY_SECONDS
    model = _model(view.day > 1, covered)
    for name in seen:
        model.add_regressor(name, standardize=False)
    model.fit(_frame(pandas, times, past, seen).assign(y=values), seed=0)
    np.random.seed(0)  # noqa: NPY002 - what Prophet draws from
    drawn = model.predictive_samples(_frame(pandas, ahead, future, seen))["yhat"]
    return np.asarray(drawn, dtype=np.float64).T


def _model(within_days: bool, covered_days: float) -> Any:
    _silence()
    prophet = importlib.import_module("prophet")
    weeks, years = covered_days >= 14.0, covered_days / 365.0
    model = prophet.Prophet(
        daily_seasonality=_DAILY_ORDER if within_days and not weeks else False,
        weekly_seasonality=(6 if within_days else 3) if weeks else False,
        yearly_seasonality=False if years < 1.0 else 4 if years < 2.0 else 10,
        uncertainty_samples=PATHS,
    )
    for name in ("working", "weekend") if within_days and weeks else ():
        model.add_seasonality(name=f"daily_{name}", period=1, fourier_order=_DAILY_ORDER, condition_name=name)
    return model


def _silence() -> None:
    """Prophet and its parts tell of every fit, and of plots that nobody asked for."""
    for name in ("prophet", "prophet.plot", "cmdstanpy"):
        logging.getLogger(name).disabled = True


def _frame(pandas: Any, times: Array, columns: dict[str, Array], names: Sequence[str]) -> Any:
    """One row per time, with the regressors and whether it is a weekend; the epoch began on a Thursday."""
    weekend = (times // DAY_SECONDS + 3) % 7 >= 5
    moments = {"ds": pandas.to_datetime(times, unit="s"), "weekend": weekend, "working": ~weekend}
    return pandas.DataFrame(moments | {name: columns[name] for name in names})
