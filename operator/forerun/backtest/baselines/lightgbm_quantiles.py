"""LightGBM's quantile trees on windows of the past, events as covariates."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import NormalDist
from typing import Any

import numpy as np

from forerun.backtest.baselines.kind_profile import KindProfile
from forerun.backtest.baselines.profile import Usual, usual
from forerun.backtest.baselines.view import Array, View
from forerun.backtest.baselines.windows import Rows, bin_rows, peak_row
from forerun.backtest.decision import Decision, Prediction
from forerun.domain.forecast import LEVELS

_TRAINED = (0.005, 0.025, 0.165, 0.25, 0.5, 0.75, 0.835, 0.9, 0.975, 0.99, 0.995)
_LEAST_WINDOWS = 14  # ordinary ones; with fewer there is nothing for trees to learn
_MOST_WINDOWS = 240
_MOST_DAYS = 400
_MOST_EVENTS = 80
_ROWS = 16  # of an ordinary window; an event's bins all count
_HEAVIEST = 10.0  # rows of this kind's events together weigh as much as all others, but none more than this
_COMMON = {
    "objective": "quantile",
    "learning_rate": 0.06,
    "num_iterations": 120,
    "max_bin": 63,
    "feature_pre_filter": False,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "seed": 0,
    "verbosity": -1,
}
_BIN_TREES = {**_COMMON, "num_leaves": 12, "min_data_in_leaf": 20}
_PEAK_TREES = {**_COMMON, "num_leaves": 6, "min_data_in_leaf": 10}

_RowsOf = Callable[[Usual, int, int, str | None], Rows]


class LightgbmQuantiles:
    """One model per level for the bins, another per level for the peak, trained anew for every decision.

    Both learn the log of demand over the usual (four-week median, events masked) from ordinary windows and from those
    of earlier events of every kind; levels between are interpolated and sorted. Before two weeks of ordinary windows
    are known the kind profile answers: trees have nothing to split on. The peak is expected at the highest median.
    """

    name = "lightgbm"

    def predict(self, decisions: Sequence[Decision]) -> list[Prediction]:
        return [_predict(decision) for decision in decisions]


@dataclass(frozen=True, slots=True)
class _Lessons:
    """Grid indices of the first bins of ordinary windows; kind and first bin of earlier events; bins of lead."""

    ordinary: list[int]
    events: list[tuple[str, int]]
    lead: int


def _predict(decision: Decision) -> Prediction:
    view = View.of(decision)
    lead = max(view.zero - view.known, 0)
    lessons = _Lessons(_ordinary(view, lead), _events(view), lead)
    if len(lessons.ordinary) < _LEAST_WINDOWS:
        return KindProfile().predict([decision])[0]
    found = usual(view)
    centre = found.log_usual[view.window]
    thin = max(1, view.bins // _ROWS)
    window = np.exp(centre[:, None] + _quantiles(found, lessons, bin_rows, _BIN_TREES, thin)) - found.floor
    peak = np.exp(centre.max() + _quantiles(found, lessons, peak_row, _PEAK_TREES, 1)[0]) - found.floor
    seen = view.values[view.window, None]
    window = np.maximum(np.where(np.isfinite(seen), seen, window), 0.0)
    peak = np.maximum(peak, window.max(axis=0))  # no bin is above the peak, at any level
    middle = int(window[:, LEVELS.index(0.5)].argmax()) + 0.5
    at = decision.start + timedelta(seconds=middle * decision.step_seconds)
    return Prediction(tuple(map(tuple, window.tolist())), tuple(peak.tolist()), at)


def _ordinary(view: View, lead: int) -> list[int]:
    """At this time of day and a third of a day before, the latest first."""
    found, usable = [], view.usable
    shifts = (0,) if view.day == 1 else (0, view.day // 3)
    for days in range(1, _MOST_DAYS):
        for begin in (view.zero - days * view.day - shift for shift in shifts):
            if begin < usable + lead or begin + view.bins > view.known:
                continue
            if view.masked[begin : begin + view.bins].mean() < 0.25:
                found.append(begin)
    return found[:_MOST_WINDOWS]


def _events(view: View) -> list[tuple[str, int]]:
    """The latest finished ones; of this kind first where there are too many."""
    every = [(view.kind, at) for at in view.events] + list(view.others)
    fit = [(kind, at) for kind, at in every if at >= view.usable and at + view.bins <= view.known]
    return sorted(fit, key=lambda pair: (pair[0] == view.kind, pair[1]))[-_MOST_EVENTS:]


def _quantiles(found: Usual, lessons: _Lessons, rows_of: _RowsOf, settings: dict[str, Any], thin: int) -> Array:
    """(rows of this decision, LEVELS) of the log ratio; ordinary windows give every `thin`-th row."""
    features, targets, own = [], [], []
    for number, begin in enumerate(lessons.ordinary):
        rows = rows_of(found, begin, lessons.lead, None)
        features.append(rows.features[number % thin :: thin])
        targets.append(rows.target[number % thin :: thin])
        own.append(np.zeros(targets[-1].size, dtype=np.bool_))
    for kind, begin in lessons.events:
        rows = rows_of(found, begin, lessons.lead, kind)
        features.append(rows.features)
        targets.append(rows.target)
        own.append(np.full(rows.target.size, kind == found.view.kind))
    target = np.concatenate(targets)
    known = np.isfinite(target)
    mine = np.concatenate(own)[known]
    weights = np.ones(mine.size)
    if mine.any():
        weights[mine] = np.clip((~mine).sum() / mine.sum(), 1.0, _HEAVIEST)
        # a leaf for this kind alone is possible from its first event on
        settings = {**settings, "min_data_in_leaf": int(np.clip(mine.sum(), 3, settings["min_data_in_leaf"]))}
    asked = rows_of(found, found.view.zero, lessons.lead, found.view.kind).features
    return _trained(np.concatenate(features)[known], target[known], weights, asked, settings)


def _trained(features: Array, target: Array, weights: Array, asked: Array, settings: dict[str, Any]) -> Array:
    lightgbm = importlib.import_module("lightgbm")
    columns = []
    for level in _TRAINED:
        data = lightgbm.Dataset(features, target, weight=weights, params=settings)
        booster = lightgbm.train({**settings, "alpha": level}, data)
        columns.append(booster.predict(asked, num_threads=1))
    return _at_levels(np.sort(np.column_stack(columns), axis=1))


def _at_levels(quantiles: Array) -> Array:
    """From `_TRAINED` to LEVELS: linear in the normal score, the last slope going on."""
    score = NormalDist().inv_cdf
    known = np.array([score(level) for level in _TRAINED])
    columns = []
    for wanted in (score(level) for level in LEVELS):
        place = int(np.clip(np.searchsorted(known, wanted) - 1, 0, known.size - 2))
        share = (wanted - known[place]) / (known[place + 1] - known[place])
        columns.append(quantiles[:, place] + share * (quantiles[:, place + 1] - quantiles[:, place]))
    return np.sort(np.column_stack(columns), axis=1)
