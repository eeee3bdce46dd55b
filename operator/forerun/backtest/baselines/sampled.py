"""From sample paths to a prediction: window quantiles and the peak's come from the same paths."""

from datetime import timedelta

import numpy as np

from forerun.backtest.baselines.view import Array, View
from forerun.backtest.decision import Decision, Prediction
from forerun.domain.forecast import LEVELS

PATHS = 400  # of each baseline: level 0.99 rests on four of them
JUDGED_LEVELS = (0.005, 0.025, 0.165, 0.25, 0.5, 0.75, 0.835, 0.975, 0.995)


def prediction(decision: Decision, paths: Array) -> Prediction:
    """`paths[p, i]` is the demand in requests/s of bin i in path p; finite."""
    usable = np.maximum(np.nan_to_num(paths, nan=0.0), 0.0)
    window = np.quantile(usable, LEVELS, axis=0).T
    peaks = np.quantile(usable.max(axis=1), LEVELS)
    middle = float(np.median(usable.argmax(axis=1))) + 0.5
    at = decision.start + timedelta(seconds=middle * decision.step_seconds)
    return Prediction(tuple(map(tuple, window.tolist())), tuple(peaks.tolist()), at)


def with_measured(view: View, paths: Array) -> Array:
    """What was already measured of the window is the same in every path."""
    seen = view.values[view.window]
    return np.where(np.isfinite(seen), seen, paths)


def filled(values: Array, fallback: float) -> Array:
    """One row per path; gaps are bridged linearly, a row without any value becomes `fallback`."""
    rows = np.atleast_2d(values).copy()
    columns = np.arange(rows.shape[1])
    for row in rows:
        good = np.isfinite(row)
        if not good.all():
            row[~good] = np.interp(columns[~good], columns[good], row[good]) if good.any() else fallback
    return rows


def cycled(rows: Array, count: int) -> Array:
    """`count` rows, each as often as the others, in turn."""
    return np.asarray(rows[np.arange(count) % rows.shape[0]])


def mean_pinball(seen: Array, paths: Array) -> float:
    """Mean over bins and over the nine judged levels; `seen` is (bins,), `paths` (paths, bins)."""
    levels = np.array(JUDGED_LEVELS)[:, None]
    missed = seen - np.quantile(paths, JUDGED_LEVELS, axis=0)
    return float(np.maximum(levels * missed, (levels - 1.0) * missed).mean())
