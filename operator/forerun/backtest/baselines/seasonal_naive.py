"""Seasonal naive: what was a week ago comes again, and errs as it erred before."""

from collections.abc import Sequence

import numpy as np

from forerun.backtest.baselines.sampled import PATHS, cycled, filled, prediction, with_measured
from forerun.backtest.baselines.view import Array, View
from forerun.backtest.decision import Decision, Prediction

_WEEKS_NEEDED = 2  # for a weekly season; before, yesterday comes again
_ERRORS_DAYS = 84  # so far back go the errors that are drawn from
_SHIFT_SECONDS = 1800.0  # windows that begin this much sooner or later err alike: more paths from the same days


class SeasonalNaive:
    """Last week's same time (yesterday's with less than two weeks) plus whole windows of the errors this made before.

    Whole windows keep the errors' autocorrelation. Event windows among them are kept: this model knows no events.
    """

    name = "seasonal-naive"

    def predict(self, decisions: Sequence[Decision]) -> list[Prediction]:
        return [_predict(decision) for decision in decisions]


def _predict(decision: Decision) -> Prediction:
    view = View.of(decision)
    season = view.week if np.isfinite(view.values[: view.known]).sum() >= _WEEKS_NEEDED * view.week else view.day
    if season < view.bins:
        season = view.week
    centre = filled(_last_seasons(view, season), _level(view))
    paths = centre + cycled(_errors(view, season), PATHS)
    return prediction(decision, with_measured(view, np.maximum(paths, 0.0)))


def _last_seasons(view: View, season: int) -> Array:
    """The same bins a season earlier; where nothing was measured then, two seasons earlier, and so on."""
    found = np.full(view.bins, np.nan)
    for back in range(1, 5):
        begin = view.zero - back * season
        if begin >= 0:
            found = np.where(np.isfinite(found), found, view.values[begin : begin + view.bins])
    return found[None]


def _errors(view: View, season: int) -> Array:
    """Differences between windows at this time of day and those a season before them; one zero row if there is none."""
    shifts = min(int(_SHIFT_SECONDS // view.step_seconds), 6)
    rows = []
    for days in range(1, _ERRORS_DAYS + 1):
        for shift in range(-shifts, shifts + 1):
            begin = view.zero - days * view.day + shift
            if begin - season < 0 or begin + view.bins > view.known:
                continue
            later, earlier = (view.values[at : at + view.bins] for at in (begin, begin - season))
            if np.isfinite(later - earlier).mean() > 0.5:
                rows.append(later - earlier)
    return filled(np.array(rows), 0.0) if rows else np.zeros((1, view.bins))


def _level(view: View) -> float:
    known = view.values[: view.known]
    return float(np.nanmedian(known)) if np.isfinite(known).any() else 0.0
