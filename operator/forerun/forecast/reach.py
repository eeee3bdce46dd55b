"""How far demand may rise within the next minutes, read off what it did in earlier windows. Pure, no torch.

A forecast of hours is wide, because nobody knows how large an event gets. But what stands now is known, and how fast
demand rises from there, this shop has shown: in earlier windows of the type at the same stage, and on ordinary days.
That is a second opinion on the next minutes; the plan takes the lower of both.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from forerun.domain.campaign import CampaignType
from forerun.domain.forecast import LEVELS, EventWindow, ForecastRequest, Segment
from forerun.domain.observation import DemandSeries
from forerun.forecast.baseline import ABSURD_RPS, Array, Baseline, clean, outside
from forerun.forecast.observed import Shop, masks
from forerun.forecast.remaining import noise

Places = npt.NDArray[np.int64]

AHEAD_SECONDS, STEP_SECONDS = 1800.0, 60.0
# these rise within seconds, and not always when they should: that they have not yet says nothing
SUDDEN = frozenset({CampaignType.FLASH_SALE, CampaignType.TV_SPOT, CampaignType.PUSH_NOTIFICATION})

_LEAST_WINDOWS = 3  # of the type, measured at this stage
_STAGE = 0.15  # of the window, before and after the present one
_PRESENT_BINS = 3
_LEAST_PRESENT = 2
_FINE_SECONDS = 900.0  # wider bins do not show how demand rises inside them: the last samples do
_BEYOND = 1.25  # the highest that was seen is not the highest there is
_CACHED = 256

# keyed by identity, so what is identified is kept with the result
_steps: OrderedDict[tuple[object, ...], tuple[DemandSeries, Baseline, "_Steps"]] = OrderedDict()


@dataclass(frozen=True, slots=True)
class _Steps:
    """`deviation` [bins] is the log of demand over usual demand, on the baseline's scale, NaN where nothing was
    measured; `times` are the bins' middles; `ordinary` are the bins outside all windows, `ordinary_rises` what was
    asked of them so far, by lag.
    """

    times: Array
    deviation: Array
    ordinary: Places
    step_seconds: float
    ordinary_rises: dict[int, Array] = field(default_factory=dict)

    def rises(self, at: Places, lag: int) -> Array:
        """Quantiles of how far it rose from the bins `at` to the `lag`-th after each; [LEVELS]. Gaps are left out."""
        at = at[at + lag < self.deviation.size]
        found = self.deviation[at + lag] - self.deviation[at]
        return _quantiles(np.asarray(found[np.isfinite(found)]))

    def highest_rises(self, kinds: Sequence[Places], lag: int) -> Array:
        """The highest of `rises` from the bins of each kind and from ordinary ones."""
        if lag not in self.ordinary_rises:
            self.ordinary_rises[lag] = self.rises(self.ordinary, lag)
        return np.asarray(np.max([self.ordinary_rises[lag], *(self.rises(kind, lag) for kind in kinds)], axis=0))


def reach(request: ForecastRequest, shop: Shop | None) -> Segment | None:
    """Quantiles of demand from now on, every minute for half an hour; None where too little is known for that.

    Known is enough where every window that is open or begins in that time is of a type that does not come suddenly,
    and three earlier windows of the type were measured at this stage.
    """
    history, recent = request.history, request.recent
    if shop is None or shop.basis != "history" or history is None or recent is None:
        return None
    ahead = AHEAD_SECONDS / shop.time_compression
    near = [w for w in request.upcoming if w.occurrence.start.timestamp() < shop.now + ahead]
    if not near or any(window.type in SUDDEN for window in near):
        return None
    present = _present(recent, shop)
    if present is None or not np.isfinite(present.deviation):
        return None
    steps = _steps_of(history, request, shop)
    stages = [_stage(steps, window, request.past, shop) for window in near]
    known = [stage for stage in stages if stage is not None]
    if len(known) < len(stages):
        return None
    return _segment(request, shop, steps, present, known)


@dataclass(frozen=True, slots=True)
class _Present:
    """Where demand stands, as a log over usual demand; `at` is the middle of what was measured; `noise_log_sd` is
    that of this number, `exponent` how rises grow with time: 1 on a smooth course, 0 where all is noise.
    """

    at: float
    deviation: float
    noise_log_sd: float
    exponent: float


def _present(recent: DemandSeries, shop: Shop) -> _Present | None:
    times, values = clean(recent, shop.now)
    last = times > shop.now - (_PRESENT_BINS + 1) * recent.step_seconds
    if last.sum() < _LEAST_PRESENT:
        return None
    base = shop.baseline
    logs = np.log((values + base.pivot_rps) / (shop.usual(times) + base.pivot_rps))
    each = noise(values, base.floor_rps, base.residual_log_sd)
    now = logs[last][-_PRESENT_BINS:]
    return _Present(
        at=float(times[last][-_PRESENT_BINS:].mean()),
        deviation=float(now.mean()),
        noise_log_sd=each / float(np.sqrt(now.size)),
        exponent=_exponent(logs),
    )


def _exponent(logs: Array, far: int = 8) -> float:
    """From how much farther eight samples lie apart than neighbours do; half, as in a random walk, where few are."""
    if logs.size < 4 * far:
        return 0.5
    near_sd, far_sd = (float(np.abs(logs[lag:] - logs[:-lag]).mean()) for lag in (1, far))
    if near_sd <= 0.0 or far_sd <= 0.0:
        return 0.5
    return float(np.clip(np.log(far_sd / near_sd) / np.log(far), 0.0, 1.0))


def _steps_of(history: DemandSeries, request: ForecastRequest, shop: Shop) -> _Steps:
    """Remembered: the history stays the same from one refresh to the next."""
    base = shop.baseline
    windows = [*request.past, *(lesson.window for lesson in request.experience), *request.upcoming]
    masked = masks(windows, shop.time_compression)
    key = (id(history), id(base), masked)
    if key in _steps:
        _steps.move_to_end(key)
        return _steps[key][2]
    values = np.asarray(history.values, dtype=np.float64)
    times: Array = history.start.timestamp() + (np.arange(values.size) + 0.5) * history.step_seconds
    with np.errstate(invalid="ignore"):
        usable = (values >= 0.0) & (values <= ABSURD_RPS) & (times <= shop.now)
    logs = np.log((np.where(usable, values, 0.0) + base.pivot_rps) / (base.at(times) + base.pivot_rps))
    ordinary = np.flatnonzero(outside(times, masked))
    found = _Steps(times, np.where(usable, logs, np.nan), ordinary, history.step_seconds)
    _steps[key] = (history, base, found)
    while len(_steps) > _CACHED:
        _steps.popitem(last=False)
    return found


def _stage(steps: _Steps, window: EventWindow, past: Sequence[EventWindow], shop: Shop) -> Places | None:
    """The bins in which earlier windows of the type stood where this one stands now; None where they are too few."""
    start = window.occurrence.start.timestamp()
    length = (window.occurrence.end - window.occurrence.start).total_seconds()
    since = (shop.now - start) / max(length, 1.0)
    found = []
    for other in past:
        if other.type is not window.type:
            continue
        begin = other.occurrence.start.timestamp()
        whole = (other.occurrence.end - other.occurrence.start).total_seconds()
        edges = begin + whole * np.array([since - _STAGE, since + _STAGE])
        first, last = np.searchsorted(steps.times, edges - np.array([steps.step_seconds, 0.0]))
        bins = np.arange(first, max(last, first))
        if bins.size and np.isfinite(steps.deviation[bins]).all():
            found.append(bins)
    return np.concatenate(found) if len(found) >= _LEAST_WINDOWS else None


def _segment(
    request: ForecastRequest, shop: Shop, steps: _Steps, present: _Present, kinds: Sequence[Places]
) -> Segment:
    base, scale = shop.baseline, shop.time_compression
    rows = round(AHEAD_SECONDS / STEP_SECONDS)
    edges = shop.now + (np.arange(rows) + 1.0) * STEP_SECONDS / scale
    coarse = steps.step_seconds * scale > _FINE_SECONDS
    rises = _rises(steps, present, kinds, edges - present.at, coarse=coarse)
    usual = np.maximum(shop.usual(edges), shop.usual(edges - STEP_SECONDS / scale))
    logs = present.deviation + rises
    demand = np.maximum((usual[:, None] + base.pivot_rps) * np.exp(logs) - base.pivot_rps, 0.0)
    demand = np.maximum.accumulate(np.minimum(np.nan_to_num(demand, nan=ABSURD_RPS), ABSURD_RPS), axis=1)
    step = STEP_SECONDS / scale
    return Segment(request.now, step, tuple(map(tuple, np.round(demand, 3).tolist())))


def _rises(steps: _Steps, present: _Present, kinds: Sequence[Places], ahead: Array, *, coarse: bool) -> Array:
    """Quantiles of how far the deviation rises in `ahead` seconds, the highest of all kinds; [ahead, LEVELS]."""
    bins = ahead / steps.step_seconds
    lags = np.maximum(1, np.ceil(bins - 1e-9)).astype(np.int64)
    table = {lag: steps.highest_rises(kinds, lag) for lag in sorted(set(lags.tolist()))}
    found = np.array([table[lag] for lag in lags.tolist()])
    if coarse:
        found = found * np.minimum(bins / lags, 1.0)[:, None] ** present.exponent
    # both ends of a rise that was measured have noise of their own already, so it does not simply add
    spread = np.broadcast_to(present.noise_log_sd * _NORMAL, found.shape)
    wider = np.where((found > 0.0) & (spread > 0.0), np.hypot(found, spread), found + spread)
    return np.asarray(np.maximum.accumulate(np.maximum.accumulate(wider, axis=1), axis=0))


# the standard normal's quantiles at LEVELS
_NORMAL = np.array(
    [-2.576, -1.960, -1.645, -0.974, -0.674, 0.0, 0.674, 0.974, 1.282, 1.645, 1.960, 2.326, 2.576, 3.090]
)


def _quantiles(values: Array) -> Array:
    """At LEVELS; a level that the values are too few for is beyond all of them."""
    if not values.size:
        return np.full(len(LEVELS), np.inf)
    levels = np.asarray(LEVELS)
    found = np.quantile(values, levels)
    beyond = levels > values.size / (values.size + 1.0)
    return np.where(beyond, _BEYOND * np.maximum(values.max(), 0.0), found)
