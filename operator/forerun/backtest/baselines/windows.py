"""Windows of the past as rows to learn from: what was known before each, and what came.

A window is told from what lay `lead` bins before it and earlier, its events included, exactly as the decision itself
is: training and prediction share this code.
"""

from dataclasses import dataclass

import numpy as np

from forerun.backtest.baselines.profile import Usual, present_level
from forerun.backtest.baselines.view import Array, View

_NEAR_HOURS = 2.0


@dataclass(frozen=True, slots=True)
class Rows:
    """Features (n, f), and log of demand over usual demand (n,), NaN where it is not known."""

    features: Array
    target: Array


@dataclass(frozen=True, slots=True)
class Past:
    """What earlier events of one kind did, as one window sees it: (events, bins) each, ascending in time.

    `ratios` is log of demand over usual; `added` demand minus usual, in requests/s.
    """

    begins: Array
    ratios: Array
    added: Array


def past_of(found: Usual, kind: str, before: int) -> Past:
    """The events of `kind` whose windows ended by grid index `before`."""
    view = found.view
    begins = [at for at in _begins(view, kind) if at >= view.usable and at + view.bins <= before]
    begins = [at for at in begins if np.isfinite(found.ratio[at : at + view.bins]).mean() > 0.5]
    spans = [slice(at, at + view.bins) for at in begins]
    shape = (len(begins), view.bins)
    ratios = np.reshape([found.ratio[span] for span in spans], shape)
    usual = np.reshape([np.exp(found.log_usual[span]) for span in spans], shape)
    return Past(np.array(begins, dtype=np.float64), ratios, usual * np.expm1(ratios))


def _begins(view: View, kind: str) -> list[int]:
    return list(view.events) if kind == view.kind else [at for which, at in view.others if which == kind]


def bin_rows(found: Usual, begin: int, lead: int, kind: str | None) -> Rows:
    """One row per bin of the window at grid index `begin`; `kind` of its event, None on an ordinary day."""
    view = found.view
    span = slice(begin, begin + view.bins)
    past = past_of(found, kind, begin - lead) if kind else _nothing(view)
    hours = np.arange(view.bins) * view.step_seconds / 3600.0
    usual = found.log_usual[span]
    same = [
        *_clock(view, begin),
        *present_level(found, begin, lead),
        float(kind is not None),
        float(kind == view.kind),
        float(past.begins.size),
        _since_other(view, begin),
        usual.mean(),
    ]
    columns = [
        hours,
        np.where(kind is not None, hours, -1.0),
        (_hour(view, begin) + hours) % 24.0,
        usual,
        usual - usual.mean(),
        *(_lagged(found, begin, lead, lag) for lag in (view.day, view.week)),
        *_uplift_columns(past, np.exp(usual), view, begin),
    ]
    features = np.column_stack([np.tile(same, (view.bins, 1)), *columns])
    return Rows(features, found.ratio[span])


def peak_row(found: Usual, begin: int, lead: int, kind: str | None) -> Rows:
    """One row: the log of the window's highest demand over its highest usual demand."""
    view = found.view
    span = slice(begin, begin + view.bins)
    past = past_of(found, kind, begin - lead) if kind else _nothing(view)
    usual = found.log_usual[span]
    highest = float(usual.max())
    carried = [np.max(usual + column) - highest for column in _uplift_columns(past, np.exp(usual), view, begin)]
    peaks = _past_peaks(found, past)
    lags = [np.max(usual + _lagged(found, begin, lead, lag)) - highest for lag in (view.day, view.week)]
    features = [
        *_clock(view, begin),
        *present_level(found, begin, lead),
        float(kind is not None),
        float(kind == view.kind),
        float(past.begins.size),
        _since_other(view, begin),
        highest,
        highest - float(usual.mean()),
        *carried,
        *(peaks.mean(), peaks.max(), peaks[-1], np.median(peaks)),
        *lags,
    ]
    seen = found.ratio[span]
    measured = np.isfinite(seen)
    target = np.max((usual + seen)[measured]) - highest if measured.mean() > 0.5 else np.nan
    return Rows(np.array([features]), np.array([target]))


def _past_peaks(found: Usual, past: Past) -> Array:
    """Log of each earlier event's highest demand over its window's highest usual demand; one NaN without any."""
    if not past.begins.size:
        return np.array([np.nan])
    rows = []
    for at, ratio in zip(past.begins.astype(int), past.ratios, strict=True):
        usual = found.log_usual[at : at + ratio.size]
        rows.append(np.nanmax(usual + ratio) - usual.max())
    return np.array(rows)


def _uplift_columns(past: Past, usual: Array, view: View, begin: int) -> tuple[Array, Array, Array, Array]:
    """Log uplift at each bin: mean ratio, mean difference, the last event's, that of events at a like time of day."""
    if not past.begins.size:
        nothing = np.full(view.bins, np.nan)
        return nothing, nothing, nothing, nothing
    ratios, added = (np.where(np.isfinite(part), part, 0.0) for part in (past.ratios, past.added))
    half = view.day // 2
    apart = np.abs((begin - past.begins + half) % view.day - half) * view.step_seconds / 3600.0
    weights = np.exp(-((apart / _NEAR_HOURS) ** 2)) + 0.02
    alike = weights @ ratios / weights.sum()
    difference = np.log(np.maximum((usual + added.mean(axis=0)) / usual, 0.05))
    return ratios.mean(axis=0), difference, ratios[-1], alike


def _nothing(view: View) -> Past:
    return Past(np.zeros(0), np.zeros((0, view.bins)), np.zeros((0, view.bins)))


def _clock(view: View, begin: int) -> tuple[float, float]:
    """(hour of the day, day of the week) of the window's start, UTC."""
    return _hour(view, begin), float((view.times[begin] // 86400.0 + 3) % 7)  # the epoch began on a Thursday


def _hour(view: View, begin: int) -> float:
    return float(view.times[begin] % 86400.0) / 3600.0


def _lagged(found: Usual, begin: int, lead: int, lag: int) -> Array:
    """The ratio a day or a week earlier, NaN where it was not known at the decision."""
    at = np.arange(begin, begin + found.view.bins) - lag
    known = (at >= 0) & (at < begin - lead)
    return np.where(known, found.ratio[np.maximum(at, 0)], np.nan)


def _since_other(view: View, begin: int) -> float:
    """Hours since the latest event began before this window, at most a week."""
    starts = [*view.events, *(at for _, at in view.others)]
    before = [at for at in starts if at < begin]
    hours = (begin - max(before)) * view.step_seconds / 3600.0 if before else 168.0
    return min(hours, 168.0)
