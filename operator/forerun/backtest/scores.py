"""How near a prediction came: pinball loss, CRPS, coverage, the peak's time. Pure numpy.

All losses are in requests/s. NaN bins do not count; an event with less than half its bins measured does not count.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from forerun.backtest.decision import Decision, Prediction
from forerun.domain.forecast import LEVELS
from forerun.domain.reason import Hold

Array = npt.NDArray[np.float64]

# The nine levels of the M5 competition's uncertainty track.
SCORED = (0.005, 0.025, 0.165, 0.25, 0.5, 0.75, 0.835, 0.975, 0.995)
_SCORED = [LEVELS.index(level) for level in SCORED]
_MEDIAN = LEVELS.index(0.5)


@dataclass(frozen=True, slots=True)
class Scores:
    """Figures of one model over some events; None where no event counts.

    `peak_pinball` is the mean over events and the levels `SCORED`, `window_pinball` over all measured bins of all
    events and the same levels, `crps_peak` the mean over events. `coverage[j]` is the share of measured bins at or
    below level `LEVELS[j]`, `coverage_peak[j]` the same of the peaks. `peak_time_error_seconds` is the mean absolute
    error. `over_forecast` is the mean of the peak's median / the actual peak - 1. `unmeasured` counts events with less
    than half their bins measured, `missing` those that the model did not answer; neither is in `events`.
    """

    events: int
    unmeasured: int
    missing: int
    peak_pinball: float | None = None
    window_pinball: float | None = None
    crps_peak: float | None = None
    coverage: tuple[float, ...] | None = None
    coverage_peak: tuple[float, ...] | None = None
    peak_time_error_seconds: float | None = None
    over_forecast: float | None = None


def pinball(actual: Array, quantiles: Array, levels: Sequence[float]) -> Array:
    """The quantile loss (Koenker & Bassett 1978): `max(a * (y - q), (a - 1) * (y - q))`.

    `actual` has any shape, `quantiles` that shape plus one axis over `levels`; the loss has the shape of `quantiles`.
    """
    error = actual[..., None] - quantiles
    level = np.asarray(levels)
    return np.asarray(np.maximum(level * error, (level - 1.0) * error))


def crps(actual: Array, quantiles: Array) -> Array:
    """CRPS as twice the integral of the pinball loss over the level, by the trapezoid rule over `LEVELS`.

    The ends below 0.005 and above 0.999 are left out, and between levels far apart the trapezoids cut the corners: a
    little less than the exact CRPS, alike for every model. Same shapes as `pinball`, with the last axis summed away.
    """
    return np.asarray(2.0 * np.trapezoid(pinball(actual, quantiles, LEVELS), np.asarray(LEVELS), axis=-1))


def is_measured(decision: Decision) -> bool:
    """Whether at least half of the window's bins were measured."""
    return bool(2 * np.isfinite(decision.actual).sum() >= decision.bins > 0)


def peak_of(decision: Decision) -> float:
    """The highest measured bin of the window, in requests/s."""
    return float(np.nanmax(decision.actual))


def score(decisions: Sequence[Decision], predictions: Sequence[Prediction | Hold]) -> Scores:
    """One model over these events; predictions in the same order."""
    pairs = list(zip(decisions, predictions, strict=True))
    measured = [(decision, said) for decision, said in pairs if is_measured(decision)]
    judged = [(decision, said) for decision, said in measured if isinstance(said, Prediction)]
    counts = Scores(len(judged), len(pairs) - len(measured), len(measured) - len(judged))
    return _with_figures(counts, judged) if judged else counts


def _with_figures(counts: Scores, judged: Sequence[tuple[Decision, Prediction]]) -> Scores:
    """`counts` and the figures of at least one event that was measured and answered."""
    peaks = np.array([peak_of(decision) for decision, _ in judged])
    said_peaks = np.array([said.peak for _, said in judged])
    actual = np.concatenate([np.asarray(decision.actual) for decision, _ in judged])
    said_bins = np.concatenate([np.asarray(said.window) for _, said in judged])
    known = np.isfinite(actual)
    actual, said_bins = actual[known], said_bins[known]
    above = peaks > 0.0
    over = said_peaks[above, _MEDIAN] / peaks[above] - 1.0
    return replace(
        counts,
        peak_pinball=float(pinball(peaks, said_peaks[:, _SCORED], SCORED).mean()),
        window_pinball=float(pinball(actual, said_bins[:, _SCORED], SCORED).mean()),
        crps_peak=float(crps(peaks, said_peaks).mean()),
        coverage=tuple((actual[:, None] <= said_bins).mean(axis=0).tolist()),
        coverage_peak=tuple((peaks[:, None] <= said_peaks).mean(axis=0).tolist()),
        peak_time_error_seconds=float(np.mean([_time_error(decision, said) for decision, said in judged])),
        over_forecast=float(over.mean()) if over.size else None,
    )


def peak_error(decision: Decision, said: Prediction) -> float:
    """|median of the peak / actual peak - 1|; NaN where the peak is not positive."""
    peak = peak_of(decision)
    return abs(said.peak[_MEDIAN] / peak - 1.0) if peak > 0.0 else float("nan")


def _time_error(decision: Decision, said: Prediction) -> float:
    """Seconds between the middle of the highest bin and where the peak was expected."""
    middle = (int(np.nanargmax(decision.actual)) + 0.5) * decision.step_seconds
    return abs((said.peak_at - decision.start - timedelta(seconds=middle)).total_seconds())
