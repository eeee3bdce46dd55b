"""The peer `mean-forecast`: what Prophet expects of the hour and of campaigns like these, as the floor all along.

Set up as a careful engineer would: the square root of demand (its noise is even), a shape of the day on working days
and one at weekends, and regressors for each kind of event, slice by slice of its window and of a quarter of it before
and after. It knows past events of a kind, but no declared numbers, and nothing of what is measured once the scenario
has begun.
"""

import importlib
import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any

import numpy as np

from forerun.domain.campaign import Occurrence
from forerun.domain.observation import DemandSeries
from forerun.simulate.peers import baselines, events_of, lead_seconds, replicas_for
from forerun.simulate.policy import Known
from forerun.simulate.scenario import FloatArray, IntArray

_FITTED_STEP_SECONDS = 900.0  # finer history is fitted as means over this
_DAY_SECONDS = 86400.0
_LEAST_DAYS = 2.0
_SLICES, _AROUND = 16, 4  # of a window, and as wide ones before and after it: regressors for each kind of event
_HIGHEST = 5.0  # times what was ever measured: a trend may run away
_DAILY_ORDER = 12  # Fourier terms; the default of 4 cannot follow a rush hour


class NotInstalledError(ImportError):
    """Prophet is not there; the message says how it comes."""


def mean_floors(known: Known, factor: float) -> dict[str, IntArray]:
    """The floors of `mean-forecast`. Raises NotInstalledError."""
    return floors_of(known, mean_demand(known), factor)


def mean_demand(known: Known) -> FloatArray:
    """What Prophet expects at the door at each tick, requests/s; NaN where it can say nothing. Takes seconds.

    Depends on neither lead time nor factor nor the autoscaler's target. Raises NotInstalledError.
    """
    if find_spec("prophet") is None:
        raise NotInstalledError(
            "mean-forecast needs prophet, which is not installed; `pip install 'forerun[backtest]'` brings it"
        )
    unknown = np.full(known.ticks, np.nan)
    if known.history is None:
        return unknown
    fitted = _fitted(known.history)
    if fitted.times.size < 3 or fitted.times[-1] - fitted.times[0] < _LEAST_DAYS * _DAY_SECONDS:
        return unknown
    try:
        expected = _expected(known, fitted)
    except Exception as error:  # noqa: BLE001  # a peer that fails has no forecast; the arena goes on
        logging.getLogger(__name__).warning("%s: Prophet failed: %s: %s", known.name, type(error).__name__, error)
        return unknown
    return np.clip(expected, 0.0, _HIGHEST * float(fitted.values.max()))


def floors_of(known: Known, demand_rps: FloatArray, factor: float) -> dict[str, IntArray]:
    """At each tick `factor` times the highest demand expected until pods asked for now are Ready; never below
    minReplicas, and minReplicas where no demand is known.
    """
    floors = baselines(known)
    for tier in known.storefront.tiers:
        highest = _highest_ahead(demand_rps, math.ceil(lead_seconds(known, tier) / known.tick_seconds))
        needed = np.array([replicas_for(tier, factor * rps) for rps in highest.tolist()], dtype=np.int64)
        floors[tier.name] = np.maximum(floors[tier.name], needed)
    return floors


def _highest_ahead(demand_rps: FloatArray, ticks: int) -> FloatArray:
    """The highest of each tick and the next `ticks`; NaN where none of them is known."""
    padded = np.concatenate([np.nan_to_num(demand_rps, nan=-1.0), np.full(ticks, -1.0)])
    highest = np.lib.stride_tricks.sliding_window_view(padded, ticks + 1).max(axis=1)
    return np.where(highest < 0.0, np.nan, highest)


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    """Means of measured demand [n] over `step_seconds`, and the middles of those stretches, in seconds of the epoch."""

    times: FloatArray
    values: FloatArray
    step_seconds: float


def _fitted(history: DemandSeries) -> _Fitted:
    """Stretches in which nothing was measured are left out, and the oldest bins where they do not divide."""
    width = max(1, round(_FITTED_STEP_SECONDS / history.step_seconds))
    size = len(history.values) // width * width
    left = len(history.values) - size
    rows = np.array(history.values[left:]).reshape(-1, width)
    measured = np.isfinite(rows)
    some = measured.any(axis=1)
    means = np.where(measured, rows, 0.0)[some].sum(axis=1) / measured[some].sum(axis=1)
    step = width * history.step_seconds
    middles = _epoch(history.start) + left * history.step_seconds + (np.arange(some.size) + 0.5) * step
    return _Fitted(np.asarray(middles[some]), np.asarray(means), step)


def _expected(known: Known, fitted: _Fitted) -> FloatArray:
    """[ticks], straight lines between the middles of stretches as long as the fitted ones."""
    pandas = importlib.import_module("pandas")
    begin = _epoch(known.start)
    seconds = known.ticks * known.tick_seconds
    steps = np.arange(-1, math.ceil(seconds / fitted.step_seconds) + 1) + 0.5
    ahead = np.asarray(begin + steps * fitted.step_seconds, dtype=np.float64)
    windows = _windows(known)
    past, future = _slices(windows, fitted.times), _slices(windows, ahead)
    seen = [name for name, column in past.items() if column.any()]
    model = _model(fitted.step_seconds < _DAY_SECONDS, (fitted.times[-1] - fitted.times[0]) / _DAY_SECONDS)
    for name in seen:
        model.add_regressor(name, standardize=False)
    model.fit(_frame(pandas, fitted.times, past, seen).assign(y=np.sqrt(fitted.values)), seed=0)
    roots = np.asarray(model.predict(_frame(pandas, ahead, future, seen))["yhat"], dtype=np.float64)
    ticks = begin + (np.arange(known.ticks) + 0.5) * known.tick_seconds
    return np.asarray(np.interp(ticks, ahead, np.maximum(roots, 0.0) ** 2), dtype=np.float64)


def _windows(known: Known) -> list[tuple[str, Occurrence]]:
    """Every window with its kind: its campaign's name; its type where the name of one of that type has no past."""
    past = [(window.campaign.rpartition("/")[2], window.type, window.occurrence) for window in known.past]
    ahead = [(campaign.key.name, campaign.type, occurrence) for campaign, occurrence in events_of(known)]
    names = {name for name, _, _ in past}
    by_type = {kind for name, kind, _ in ahead if name not in names}
    return [(f"type {kind}" if kind in by_type else name, occurrence) for name, kind, occurrence in past + ahead]


def _slices(windows: Iterable[tuple[str, Occurrence]], times: FloatArray) -> dict[str, FloatArray]:
    """Regressor name -> 1 where a time lies in that slice of a window of that kind."""
    inside: dict[str, FloatArray] = {}
    for kind, occurrence in windows:
        start, end = _epoch(occurrence.start), _epoch(occurrence.end)
        at = np.floor((times - start) / (end - start) * _SLICES)
        for number in range(-_AROUND, _SLICES + _AROUND):
            column = inside.setdefault(f"{kind} {number}", np.zeros(times.size))
            column[at == number] = 1.0
    return inside


def _model(within_days: bool, covered_days: float) -> Any:
    for name in ("prophet", "prophet.plot", "cmdstanpy"):  # they tell of every fit
        logging.getLogger(name).disabled = True
    prophet = importlib.import_module("prophet")
    weeks, years = covered_days >= 14.0, int(covered_days // 365.0)
    daily = _DAILY_ORDER if within_days else 0
    model = prophet.Prophet(
        daily_seasonality=False if weeks else daily,
        weekly_seasonality=(6 if within_days else 3) if weeks else False,
        yearly_seasonality=(False, 4, 10)[min(years, 2)],
        uncertainty_samples=0,
    )
    if daily and weeks:
        for name in ("working", "weekend"):
            model.add_seasonality(name=f"daily_{name}", period=1, fourier_order=daily, condition_name=name)
    return model


def _frame(pandas: Any, times: FloatArray, columns: dict[str, FloatArray], names: Sequence[str]) -> Any:
    """One row per time, with the regressors and whether it is a weekend; the epoch began on a Thursday."""
    weekend = (times // _DAY_SECONDS + 3) % 7 >= 5
    moments = {"ds": pandas.to_datetime(times, unit="s"), "weekend": weekend, "working": ~weekend}
    return pandas.DataFrame(moments | {name: columns[name] for name in names})


def _epoch(moment: datetime) -> float:
    return moment.astimezone(UTC).timestamp()
