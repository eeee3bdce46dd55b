"""The clairvoyant optimum: the cheapest schedule of one tier for one who knows the demand; arms are measured by it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forerun.simulate.oracle_steps import Steps, best_ready, highest_ahead, lowest_behind
from forerun.simulate.scenario import FloatArray, IntArray
from forerun.simulate.score import COST_RATIO


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    """The cheapest schedule of each lane, `desired` and `ready` replicas [n, T], and what it costs [n].

    `unserved` is in calls, `cost` is J in replica-seconds, `churn` the sum of |change of desired|; all of them over
    judged ticks only, so the change into the first judged tick does not count.
    """

    desired: IntArray
    ready: IntArray
    replica_seconds: FloatArray
    unserved: FloatArray
    cost: FloatArray
    churn: IntArray


def optimum(
    demand_rps: FloatArray,
    capacity_rps: FloatArray,
    lead_ticks: IntArray,
    minimum: IntArray,
    maximum: IntArray,
    initial: IntArray,
    tick_seconds: float,
    judged_from: int = 0,
    ratio: float = COST_RATIO,
    max_step_up: int | None = None,
    max_step_down: int | None = None,
) -> Optimum:
    """The schedule of least J = replica-seconds + `ratio` x unserved calls / capacity, exact with and without limits.

    `demand_rps` is [n, T] in calls/s, the others [n]. A replica requested at t is billed from t on and Ready from
    t + lead on, if it is kept; scaling down acts at once and takes the newest first. `initial` replicas are Ready
    before tick 0. Ticks before `judged_from` cost nothing, but what starts in them takes as long.
    The steps are limits on |change of desired| per tick; an `initial` outside of minimum .. maximum is brought inside
    at tick 0 whatever they say. Among schedules of equal cost it is one that changes least over all ticks (promised
    without limits only). Where pods start sooner than `lead_ticks` say, as with jitter, an arm can cost less than this.
    Raises ValueError where a shape or a value makes no sense.
    """
    _check_lanes(demand_rps, capacity_rps, lead_ticks, minimum, maximum, initial)
    _check_rest(demand_rps.shape[1], tick_seconds, judged_from, ratio, (max_step_up, max_step_down))
    ticks = demand_rps.shape[1]
    lead = np.minimum(lead_ticks, ticks).astype(np.int64)
    load = np.clip(demand_rps / capacity_rps[:, None] - minimum[:, None], 0.0, (maximum - minimum)[:, None])
    load[:, :judged_from] = 0.0
    start = np.clip(initial, minimum, maximum) - minimum
    above = best_ready(Steps(load, start, lead, judged_from, ratio, max_step_up, max_step_down))
    desired = highest_ahead(above, lead) + minimum[:, None]
    ready = lowest_behind(desired, lead)
    early = np.arange(ticks)[None, :] < lead[:, None]  # only what was Ready before tick 0
    ready = np.where(early, np.minimum(ready, initial[:, None]), ready)
    return _counted(demand_rps, capacity_rps, desired, ready, tick_seconds, judged_from, ratio)


def _counted(
    demand_rps: FloatArray,
    capacity_rps: FloatArray,
    desired: IntArray,
    ready: IntArray,
    tick_seconds: float,
    judged_from: int,
    ratio: float,
) -> Optimum:
    """The sums over the judged ticks, from the schedule itself."""
    judged = slice(judged_from, None)
    replica_seconds = tick_seconds * desired[:, judged].sum(axis=1)
    lost_rps = np.maximum(demand_rps - ready * capacity_rps[:, None], 0.0)
    unserved = tick_seconds * lost_rps[:, judged].sum(axis=1)
    churn = np.abs(np.diff(desired[:, judged], axis=1)).sum(axis=1)
    cost = replica_seconds + ratio * unserved / capacity_rps
    return Optimum(desired, ready, replica_seconds, unserved, cost, churn)


def _check_lanes(
    demand_rps: FloatArray,
    capacity_rps: FloatArray,
    lead_ticks: IntArray,
    minimum: IntArray,
    maximum: IntArray,
    initial: IntArray,
) -> None:
    _check_shapes(demand_rps, (capacity_rps, lead_ticks, minimum, maximum, initial))
    if not (np.isfinite(demand_rps).all() and (demand_rps >= 0.0).all()):
        raise ValueError("demand must be finite and not negative: fill the gaps first")
    if not (np.isfinite(capacity_rps).all() and (capacity_rps > 0.0).all()):
        raise ValueError("capacity must be finite and positive")
    if min(lead_ticks.min(initial=0), minimum.min(initial=0), initial.min(initial=0)) < 0:
        raise ValueError("lead, minimum and initial must not be negative")
    if (minimum > maximum).any():
        raise ValueError("minimum must not be above maximum")


def _check_shapes(demand_rps: FloatArray, lanes: Sequence[FloatArray | IntArray]) -> None:
    if demand_rps.ndim != 2 or demand_rps.shape[1] == 0:
        raise ValueError("demand must be [lanes, ticks] with at least one tick")
    if any(values.shape != demand_rps.shape[:1] for values in lanes):
        raise ValueError("capacity, lead, minimum, maximum and initial must each have one entry per lane")


def _check_rest(
    ticks: int, tick_seconds: float, judged_from: int, ratio: float, limits: tuple[int | None, int | None]
) -> None:
    if not (np.isfinite(tick_seconds) and tick_seconds > 0.0):
        raise ValueError("a tick must be finite and positive")
    if not (np.isfinite(ratio) and ratio >= 0.0):
        raise ValueError("ratio must be finite and not negative")
    if not 0 <= judged_from <= ticks:
        raise ValueError("judged_from must be a tick or the end")
    if any(limit is not None and limit < 0 for limit in limits):
        raise ValueError("a step limit must not be negative")
