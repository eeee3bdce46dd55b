"""Kind profile: the usual week, and what earlier events of the same kind did to it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forerun.backtest.baselines.profile import Usual, level_weights, present_level, references, usual
from forerun.backtest.baselines.sampled import PATHS, cycled, filled, mean_pinball, prediction, with_measured
from forerun.backtest.baselines.view import DAY_SECONDS, Array, View
from forerun.backtest.decision import Decision, Prediction

_ALIKE_HOURS = 2.0  # events that begin at about the same time of day are more alike
_UNLIKE = 0.02  # what the others count
_TRIED = 24  # the latest events that the form is chosen by
_TRIAL_PATHS = 64
_HIGHEST = 2.0  # times the highest demand ever measured: no path goes beyond


@dataclass(frozen=True, slots=True)
class _Form:
    """How an earlier event's path is carried over to another time: as a ratio, as a difference, or in between.

    In between: as a difference that grows with the window's usual mean. `alike` says from which events mainly: from
    all, from those at a similar time of day, or of these from those that also share weekend or working day.
    """

    way: str  # "ratio", "difference", "scaled difference"
    alike: str  # "all", "hour", "hour and weekend"


_WAYS, _ALIKE = ("ratio", "scaled difference", "difference"), ("all", "hour", "hour and weekend")
_FORMS = tuple(_Form(way, alike) for way in _WAYS for alike in _ALIKE)


@dataclass(frozen=True, slots=True)
class _Windows:
    """Earlier windows: grid indices of their first bins, (n,); usual and measured demand + floor, both (n, bins)."""

    begins: npt.NDArray[np.int64]
    usual: Array
    measured: Array

    def without(self, row: int) -> "_Windows":
        kept = np.arange(self.begins.size) != row
        return _Windows(self.begins[kept], self.usual[kept], self.measured[kept])


class KindProfile:
    """Median of the last four same weekdays (event windows masked), a correction for the present level, and on top
    the paths of earlier events of the kind: drawn whole, with errors of ordinary windows added for what few events
    do not show. Whether they multiply or add, and whether the time of day matters, is chosen by how well each form
    would have said the earlier events (both with fewer than three). Before the first event: ordinary windows.
    """

    name = "kind-profile"

    def predict(self, decisions: Sequence[Decision]) -> list[Prediction]:
        return [_predict(decision) for decision in decisions]


def _predict(decision: Decision) -> Prediction:
    view = View.of(decision)
    found = usual(view)
    lead = max(view.zero - view.known, 0)
    ordinary = references(view)
    weights = level_weights(found, ordinary, lead)
    errors = _windows(found, ordinary or _anywhere(view), lead, weights)
    earlier = _windows(found, [begin for begin in view.events if begin >= view.usable], lead, weights)
    centre = np.exp(found.log_usual[view.window] + present_level(found, view.zero, lead) @ weights)
    highest = _HIGHEST * max(float(np.nanmax(view.values, initial=0.0)), float(centre.max()))
    paths = _paths(view, centre, earlier, errors) - found.floor
    return prediction(decision, with_measured(view, np.clip(paths, 0.0, highest)))


def _anywhere(view: View) -> list[int]:
    """Windows at any time of day, for a shop that has no day before this one: they err more than those would."""
    first = view.usable - (view.day if view.day > 1 else view.week)
    return list(range(first, view.known - view.bins + 1, max(1, view.bins // 8)))


def _windows(found: Usual, begins: list[int], lead: int, weights: Array) -> _Windows:
    """What would have been said of these windows without events, and what came; half-empty windows left out."""
    view = found.view
    kept, expected, measured = [], [], []
    for begin in begins:
        ratio = found.ratio[begin : begin + view.bins]
        if begin + view.bins > view.known or np.isfinite(ratio).mean() <= 0.5:
            continue
        level = present_level(found, begin, lead) @ weights
        log_usual = found.log_usual[begin : begin + view.bins]
        kept.append(begin)
        expected.append(np.exp(log_usual + level))
        measured.append(np.exp(log_usual + filled(ratio, 0.0)[0]))
    shape = (len(kept), view.bins)
    return _Windows(np.array(kept, dtype=np.int64), np.reshape(expected, shape), np.reshape(measured, shape))


def _paths(view: View, centre: Array, earlier: _Windows, errors: _Windows) -> Array:
    """(PATHS, bins) of demand + floor."""
    generator = np.random.default_rng(0)
    ordinary = errors.measured / errors.usual if errors.begins.size else np.ones((1, view.bins))
    drawn = cycled(ordinary[generator.permutation(ordinary.shape[0])], PATHS)
    if not earlier.begins.size:
        return centre * drawn
    forms = _chosen(view, earlier)
    paths: list[Array] = []
    for form in forms:
        picks, events = _picks(view, view.zero, earlier, form, PATHS // len(forms))
        wobble = drawn[len(paths) :: len(forms)][: picks.size]
        # the mean of n paths errs as one path does, over sqrt(n): less is to be added the more events there are
        wobble = wobble ** np.sqrt(min(1.0, 2.0 / events))
        paths.append(_carried(centre, earlier, generator.permutation(picks), form) * wobble)
    return np.concatenate(paths)


def _chosen(view: View, earlier: _Windows) -> tuple[_Form, ...]:
    """The form with the least pinball over peak and window, each earlier event told from the others.

    With fewer than three events, half ratio and half difference.
    """
    count = earlier.begins.size
    if count < 3:
        return _Form("ratio", "all"), _Form("difference", "all")
    losses = np.zeros(len(_FORMS))
    for row in range(max(0, count - _TRIED), count):
        others, seen = earlier.without(row), earlier.measured[row]
        for place, form in enumerate(_FORMS):
            picks, _ = _picks(view, int(earlier.begins[row]), others, form, _TRIAL_PATHS)
            paths = np.maximum(_carried(earlier.usual[row], others, picks, form), 0.0)
            losses[place] += mean_pinball(seen, paths) + mean_pinball(
                seen.max(keepdims=True), paths.max(axis=1)[:, None]
            )
    return (_FORMS[int(np.argmin(losses))],)


def _picks(view: View, begin: int, earlier: _Windows, form: _Form, count: int) -> tuple[npt.NDArray[np.int64], float]:
    """(which earlier event each of `count` paths follows, how many events that amounts to)."""
    weights = np.ones(earlier.begins.size)
    if form.alike != "all":
        half = view.day // 2
        apart = np.abs((begin - earlier.begins + half) % view.day - half) * view.step_seconds / 3600.0
        weights = np.exp(-((apart / _ALIKE_HOURS) ** 2)) + _UNLIKE
    if form.alike == "hour and weekend":
        weights = weights * np.where(_weekend(view, earlier.begins) == _weekend(view, np.array([begin])), 1.0, 0.1)
    weights = weights / weights.sum()
    shares = (np.arange(count) + 0.5) / count
    picks = np.searchsorted(np.cumsum(weights), shares).clip(max=weights.size - 1)
    return picks, float(1.0 / (weights**2).sum())


def _weekend(view: View, begins: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Whether windows begin on Saturday or Sunday, UTC; the epoch began on a Thursday."""
    return np.asarray((view.times[begins] // DAY_SECONDS + 3) % 7 >= 5)


def _carried(centre: Array, earlier: _Windows, picks: npt.NDArray[np.int64], form: _Form) -> Array:
    """Paths of demand + floor around `centre`, one per pick."""
    expected, measured = earlier.usual[picks], earlier.measured[picks]
    if form.way == "ratio":
        return centre * measured / expected
    scale = centre.mean() / expected.mean(axis=1, keepdims=True) if form.way == "scaled difference" else 1.0
    return np.asarray(centre + (measured - expected) * scale)
