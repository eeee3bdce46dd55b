"""How many replicas the clairvoyant optimum has Ready at each tick: an exact dynamic programme, vectorised over lanes.

In replicas, r_t desired and m_t Ready. The newest go first, so a pod Ready at t has been kept since t - lead:
m_t = min(r_s, s = t - lead .. t). To have m Ready it is least to desire r_t = max(m_s, s = t .. t + lead), which obeys
every step limit that m obeys. Counted by levels (the k-th replica is on while r >= k): each time a level of m goes up
it costs the ticks of billing before, `lead` of them or fewer where those are not judged. That counts too much only
where a level was out of service for less than `lead`; it is then no dearer to keep it, so the optimum is still exact.

What is left has one number as state: V_t(m) = billed_t m + loss_t(m) + min over n of V_{t-1}(n) + pay_t max(m - n, 0).
All V are convex. With slopes D(k) = V(k) - V(k-1) the inner minimum is clip(D(k), 0, pay): this keeps every level by
itself. A step limit shifts what is clipped (the slopes of an infimal convolution are the two lists of slopes, merged;
Rockafellar 1970, section 16). Everything here is monotone in floating point too, so the slopes stay sorted.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from forerun.simulate.scenario import FloatArray, IntArray

_BLOCK = 16_384  # slopes worked on together: they stay in the processor's second cache


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """The lanes above their minimum, in replicas.

    `load` [n, T] is the demand that they would serve, at most `maximum - minimum`, and 0 before `judged_from`; `start`
    [n] is how many there are before the first tick. A limit is in replicas per tick, None is no limit.
    """

    load: FloatArray
    start: IntArray
    lead_ticks: IntArray
    judged_from: int
    ratio: float
    max_step_up: int | None
    max_step_down: int | None


def best_ready(steps: Steps) -> IntArray:
    """The optimum's replicas Ready above the minimum [n, T]. Among equal costs it stays where it is."""
    lanes, ticks = steps.load.shape
    needed = np.ceil(steps.load.max(axis=1, initial=0.0)).astype(np.int64)
    levels = np.maximum(needed, steps.start)  # more would never serve
    order = np.argsort(levels, kind="stable")
    fewest = np.zeros((ticks + 1, lanes), dtype=np.int64)
    most = np.zeros((ticks + 1, lanes), dtype=np.int64)
    end = lanes
    while end > 0:
        width = max(int(levels[order[end - 1]]), 1)
        begin = max(0, end - max(1, _BLOCK // width))
        block = order[begin:end]
        fewest[:, block], most[:, block] = _bounds(steps, block, width)
        end = begin
    return _walk_back(steps, fewest, most)


def _bounds(steps: Steps, block: IntArray, levels: int) -> tuple[IntArray, IntArray]:
    """Between what the replicas of the tick before should be [T + 1, lanes]: bring up to, keep up to.

    Fewer than the first are brought up to it (their slope is below 0), more than the second come down to it (theirs is
    above what starting costs). Row T bounds the last tick.
    """
    load = np.ascontiguousarray(steps.load[block].T)[:, :, None]
    ticks = load.shape[0]
    lead = steps.lead_ticks[block].astype(np.float64)[:, None]
    rank = np.arange(levels, dtype=np.float64)[None, :]
    slope = np.where(rank < steps.start[block][:, None], -np.inf, np.inf)
    served = np.empty_like(slope)
    fewest = np.empty((ticks + 1, block.size), dtype=np.int64)
    most = np.empty_like(fewest)
    for tick in range(ticks):
        # Nothing requested at tick 0 or later is Ready before `lead`; ticks that are not judged bill nothing.
        pay = np.where(tick < lead, np.inf, np.minimum(lead, max(tick - steps.judged_from, 0)))
        fewest[tick] = np.count_nonzero(slope < 0.0, axis=1)
        most[tick] = np.count_nonzero(slope <= pay, axis=1)
        _move(slope, pay, steps.max_step_up, steps.max_step_down)
        if tick >= steps.judged_from:
            np.subtract(load[tick], rank, out=served)
            np.maximum(served, 0.0, out=served)
            np.minimum(served, 1.0, out=served)
            served *= -steps.ratio
            served += 1.0
            slope += served
    fewest[ticks] = np.count_nonzero(slope < 0.0, axis=1)
    most[ticks] = np.count_nonzero(slope <= 0.0, axis=1)
    return fewest, most


def _move(slope: FloatArray, pay: FloatArray, up: int | None, down: int | None) -> None:
    """One tick's free moves, in place: clip to 0 .. `pay`, but only as far as a step reaches."""
    levels = slope.shape[1]
    reach = levels if down is None else min(down, levels)
    kept = np.minimum(slope[:, reach:], 0.0)
    near, far = slope[:, : levels - reach], slope[:, levels - reach :]
    np.maximum(near, kept, out=near)
    np.maximum(far, 0.0, out=far)
    reach = levels if up is None else min(up, levels)
    kept = np.maximum(slope[:, : levels - reach], pay)
    near, far = slope[:, reach:], slope[:, :reach]
    np.minimum(near, kept, out=near)
    np.minimum(far, pay, out=far)


def _walk_back(steps: Steps, fewest: IntArray, most: IntArray) -> IntArray:
    """From the last tick to the first, as near to the tick after as its bounds allow."""
    lanes, ticks = steps.load.shape
    now = steps.start
    for tick in range(ticks + 1):  # where the last tick is free to choose: what changes least
        now = np.minimum(np.maximum(now, fewest[tick]), most[tick])
    ready = np.empty((ticks, lanes), dtype=np.int64)
    for tick in range(ticks - 1, -1, -1):
        ready[tick] = now
        before = np.minimum(np.maximum(now, fewest[tick]), most[tick])
        if steps.max_step_down is not None:
            before = np.minimum(before, now + steps.max_step_down)
        if steps.max_step_up is not None:
            before = np.maximum(before, now - steps.max_step_up)
        now = before
    return np.ascontiguousarray(ready.T)


def highest_ahead(replicas: IntArray, lead_ticks: IntArray) -> IntArray:
    """The highest of the ticks t .. t + lead, as far as there are ticks [n, T]."""
    return _over_windows(replicas, lead_ticks, np.maximum)


def lowest_behind(replicas: IntArray, lead_ticks: IntArray) -> IntArray:
    """The lowest of the ticks t - lead .. t, as far as there are ticks [n, T]."""
    return _over_windows(replicas[:, ::-1], lead_ticks, np.minimum)[:, ::-1]


def _over_windows(replicas: IntArray, lead_ticks: IntArray, pick: Callable[[IntArray, IntArray], IntArray]) -> IntArray:
    """`pick` over t .. t + lead: windows double in width until they are wide enough."""
    result = replicas.copy()
    ticks = replicas.shape[1]
    for lead in np.unique(lead_ticks):
        rows = np.flatnonzero(lead_ticks == lead)
        wanted = min(int(lead) + 1, ticks)
        window = result[rows]
        width = 1
        while width < wanted:
            step = min(width, wanted - width)
            window[:, : ticks - step] = pick(window[:, : ticks - step], window[:, step:])
            width += step
        result[rows] = window
    return result
