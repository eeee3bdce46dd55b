"""A result as the plain numbers of its HTML page."""

import numpy as np
import numpy.typing as npt

from forerun.backtest.decision import Decision, Prediction
from forerun.backtest.run import Result
from forerun.backtest.scores import SCORED, Scores, is_measured, peak_of, pinball
from forerun.domain.forecast import LEVELS
from forerun.report.backtest_page import Band, EventPlot, Figures, Page

Array = npt.NDArray[np.float64]

_SHOWN = (0.05, 0.165, 0.5, 0.835, 0.95)
_WEEK_SECONDS = 7 * 86400.0
_WEEKS = 4
_LEAST_BEFORE, _MOST_BEFORE = 12, 48  # bins shown before the start


def page_of(result: Result) -> Page:
    """The first model's bands are drawn; the others are compared with it in figures."""
    figures = tuple(_figures(model.model, "all", model.scores) for model in result.models)
    kinds = {kind for model in result.models for kind, _ in model.kinds}
    per_kind = tuple(
        _figures(model.model, kind, scores)
        for wanted in sorted(kinds)
        for model in result.models
        for kind, scores in model.kinds
        if kind == wanted
    )
    plots = tuple(_plot(result, index) for index in range(len(result.decisions)))
    return Page(result.trace, figures, per_kind if len(kinds) > 1 else (), plots, result.outside)


def _figures(model: str, kind: str, scores: Scores) -> Figures:
    share = dict(zip(LEVELS, scores.coverage, strict=True)) if scores.coverage is not None else {}
    return Figures(
        model=model,
        kind=kind,
        events=scores.events,
        missing=scores.missing,
        unmeasured=scores.unmeasured,
        peak_pinball=scores.peak_pinball,
        window_pinball=scores.window_pinball,
        crps_peak=scores.crps_peak,
        coverage_50=share.get(0.5),
        coverage_90=share.get(0.9),
        coverage_99=share.get(0.99),
        peak_time_error_seconds=scores.peak_time_error_seconds,
        over_forecast=scores.over_forecast,
    )


def _plot(result: Result, index: int) -> EventPlot:
    decision = result.decisions[index]
    said = [(model.model, model.predictions[index]) for model in result.models]
    measured = is_measured(decision)
    losses = tuple((name, _peak_loss(decision, one)) for name, one in said if measured and isinstance(one, Prediction))
    before = min(max(decision.bins, _LEAST_BEFORE), _MOST_BEFORE)
    known = _known(decision, before)
    first = said[0][1] if said else None
    return EventPlot(
        kind=decision.kind,
        name=decision.name,
        decided_at=decision.decided_at,
        start=decision.start,
        step_seconds=decision.step_seconds,
        before=tuple(known.tolist()),
        actual=decision.actual,
        usual=tuple(_usual(decision, before).tolist()),
        band=_band(first) if isinstance(first, Prediction) else None,
        peak=peak_of(decision) if measured else None,
        losses=losses,
    )


def _band(said: Prediction) -> Band:
    rows = np.asarray(said.window)[:, [LEVELS.index(level) for level in _SHOWN]]
    peak = dict(zip(LEVELS, said.peak, strict=True))
    return Band(
        rows=tuple(map(tuple, rows.tolist())),
        peak=(peak[0.05], peak[0.5], peak[0.9], peak[0.95], peak[0.99]),
        peak_at=said.peak_at,
    )


def _peak_loss(decision: Decision, said: Prediction) -> float:
    scored = np.array([said.peak[LEVELS.index(level)] for level in SCORED])
    return float(pinball(np.array(peak_of(decision)), scored, SCORED).mean())


def _known(decision: Decision, before: int) -> Array:
    """What the request holds of the last `before` bins ahead of the start; NaN for the rest."""
    return _history(decision, -before, 0)


def _usual(decision: Decision, before: int) -> Array:
    """The median of the same bins in the four weeks before, without earlier events; NaN where nothing is known."""
    week = _WEEK_SECONDS / decision.step_seconds
    rows = np.full((1, before + decision.bins), np.nan)
    if week == int(week):
        offsets = [int(week) * back for back in range(1, _WEEKS + 1)]
        rows = np.array([_history(decision, -before - offset, decision.bins - offset, mask=True) for offset in offsets])
    found = np.full(rows.shape[1], np.nan)
    some = np.isfinite(rows).any(axis=0)
    found[some] = np.nanmedian(rows[:, some], axis=0)
    return found


def _history(decision: Decision, begin: int, end: int, mask: bool = False) -> Array:
    """Bins `[begin, end)` counted from the start of the window."""
    found = np.full(end - begin, np.nan)
    history, step = decision.request.history, decision.step_seconds
    if history is None:
        return found
    offset = round((history.start - decision.start).total_seconds() / step)
    low, high = max(begin, offset), min(end, offset + len(history.values))
    if high > low:
        found[low - begin : high - begin] = history.values[low - offset : high - offset]
    for window in decision.request.past if mask else ():
        first = round((window.occurrence.start - decision.start).total_seconds() / step) - begin
        last = round((window.occurrence.end - decision.start).total_seconds() / step) - begin
        found[max(0, first) : max(0, last)] = np.nan
    return found
