"""Whether the model of the HPA (forerun.simulate.hpa) scales as the real one did: `live_compare.py bench-out/live/drop.json`.

The model gets what the real HPA got in the recorded run: the demand that Prometheus showed and minReplicas over time
(for KEDA's HPA also its cron metric; the highest of the metrics counts). Two questions:

- free: the model runs by itself from the first look on, as it does in the arena;
- step by step: at each sync it starts from the replicas that really stood there, and says what the sync makes of them.

An HPA keeps what it has within 10 % of its target, so two that look at slightly different moments may stay some
replicas apart for minutes, both rightly. When the real one looked was not recorded; so the model is run on several
schedules of syncs. Model and reality agree at a moment where the real replicas lie between the fewest and the most
that the model has within one sync period of it; the lag of a moment is how far around it one must look for that.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forerun.simulate.hpa import Hpa, HpaSeen, HpaSettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
GRID_SECONDS = 0.25
_SCHEDULES = 16
_LATE_SHARE = 0.05  # a sync begins a sync period after the last one ended: up to so much later than planned
_LONGEST_LAG_SECONDS = 60.0


@dataclass(frozen=True)
class Agreement:
    """Model against reality, one arm. `width` is how far apart the model's bounds lie on average, in replicas."""

    arm: str
    share: float
    worst_lag_seconds: float
    width: float
    steps_share: float
    steps_width: float
    sync_seconds: float

    def __str__(self) -> str:
        beyond = ">= " if self.worst_lag_seconds >= _LONGEST_LAG_SECONDS else ""
        return (
            f"model of the HPA, {self.arm:<10} within one sync ({self.sync_seconds:g} s) of the real one: free "
            f"{100 * self.share:.1f} % of the time, worst lag {beyond}{self.worst_lag_seconds:.1f} s, bounds "
            f"{self.width:.1f} replicas apart; step by step {100 * self.steps_share:.1f} %, {self.steps_width:.1f} apart"
        )


@dataclass(frozen=True)
class Seen:
    """What the real HPA got and did, on a grid of GRID_SECONDS."""

    grid: Floats
    metric_rps: Floats
    floor: Ints
    desired: Ints

    def at(self, seconds: float) -> int:
        """The grid's step at or before a moment."""
        return int(np.clip((seconds - self.grid[0]) // GRID_SECONDS, 0, self.grid.size - 1))


def agreements(path: Path) -> list[Agreement]:
    """One for each arm of a recording."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return [agreement(document, arm) for arm in document["arms"]]


def agreement(document: Mapping[str, Any], arm: str) -> Agreement:
    """ValueError where the recording has nothing of the arm."""
    seen = seen_of(document, arm)
    sync = float(document["sync_seconds"])
    free, steps = (
        np.stack([model(document, seen, times, follow) for times in schedules(seen, sync)]) for follow in (False, True)
    )
    share, worst = _agreeing(seen.desired, free, sync)
    return Agreement(
        arm=arm,
        share=share,
        worst_lag_seconds=worst,
        width=_width(free, sync),
        steps_share=_agreeing(seen.desired, steps, sync)[0],
        steps_width=_width(steps, sync),
        sync_seconds=sync,
    )


def seen_of(document: Mapping[str, Any], arm: str) -> Seen:
    """Of one arm, where both the look and Prometheus' answer are there. ValueError where nothing is."""
    shown = np.array(document["shown"], dtype=np.float64).reshape(-1, 2)
    looks = [look for look in document["arms"][arm] if None not in look]
    if not looks or not shown.size:
        raise ValueError(f"{arm}: nothing was recorded; run the benchmark again")
    at = np.array([look[0] for look in looks], dtype=np.float64)
    grid = np.arange(max(at[0], shown[0, 0]), min(at[-1], shown[-1, 0]), GRID_SECONDS)
    metric = held(grid, shown[:, 0], shown[:, 1].tolist())
    if (cron := document["cron"].get(arm)) is not None:
        metric = np.maximum(metric, cron_rps(document, cron, grid))
    floor, desired = (held(grid, at, [look[column] for look in looks]).astype(np.int64) for column in (1, 2))
    return Seen(grid, metric, floor, desired)


def schedules(seen: Seen, sync_seconds: float) -> list[Floats]:
    """Moments of syncs, several times over: each begins somewhere in the first period."""
    rng = np.random.default_rng(0)
    count = int((seen.grid[-1] - seen.grid[0]) / sync_seconds) + 1
    plans = []
    for number in range(_SCHEDULES):
        waits = sync_seconds * (1.0 + rng.uniform(0.0, _LATE_SHARE, count))
        times = seen.grid[0] + sync_seconds * number / _SCHEDULES + np.concatenate([[0.0], np.cumsum(waits)])
        plans.append(times[times < seen.grid[-1]])
    return plans


def model(document: Mapping[str, Any], seen: Seen, times: Floats, follow: bool) -> Ints:
    """spec.replicas on the grid, as the model has it; with `follow` each sync starts from the real replicas."""
    settings = HpaSettings(
        target=np.array([float(document["target_share"])]),
        on_cpu=np.array([False]),
        capacity_rps=np.array([float(document["capacity_rps"])]),
        sync_seconds=float(document["sync_seconds"]),
        scale_down_stabilization_seconds=float(document["stabilization_seconds"]),
    )
    hpa = Hpa(settings, 1)
    most = np.array([int(document["max_replicas"])])
    now = seen.desired[:1]
    values = [int(now[0])]
    for moment in times:
        step = slice(seen.at(moment), seen.at(moment) + 1)
        now = seen.desired[step] if follow else now
        now = hpa.sync(
            float(moment - times[0]),
            HpaSeen(
                replicas=now,
                ready=now,
                unready=np.zeros(1, dtype=np.int64),
                metric_rps=seen.metric_rps[step],
                min_replicas=seen.floor[step],
                max_replicas=most,
            ),
        )
        values.append(int(now[0]))
    return np.array(values)[np.searchsorted(times, seen.grid, side="right")]


def cron_rps(document: Mapping[str, Any], cron: Mapping[str, Any], grid: Floats) -> Floats:
    """KEDA's cron metric as the requests/s that would ask for as many replicas."""
    target_rps = round(float(document["target_share"]) * float(document["capacity_rps"]) * 1000.0) / 1000.0
    on = (grid >= cron["from"]) & (grid < cron["until"])
    return np.where(on, cron["replicas"] * target_rps, 0.0)


def held(grid: Floats, at: Floats, values: Sequence[float]) -> Floats:
    """Each value holds from its moment until the next."""
    index = np.clip(np.searchsorted(at, grid, side="right") - 1, 0, len(values) - 1)
    return np.asarray(np.array(values, dtype=np.float64)[index])


def around(values: Ints, reach: int, extreme: np.ufunc) -> Ints:
    """The extreme of the values within `reach` steps on both sides."""
    out = values.copy()
    for step in range(1, reach + 1):
        out[step:] = extreme(out[step:], values[:-step])
        out[:-step] = extreme(out[:-step], values[step:])
    return out


def _agreeing(real: Ints, runs: Ints, sync_seconds: float) -> tuple[float, float]:
    """Share of the time within one sync period, and the worst lag in seconds."""
    lags = lag_seconds(real, runs.min(axis=0), runs.max(axis=0))
    return float(np.mean(lags <= sync_seconds)), float(lags.max())


def _width(runs: Ints, sync_seconds: float) -> float:
    """How far apart the bounds lie that a real value is held against, on average."""
    reach = round(sync_seconds / GRID_SECONDS)
    low, high = around(runs.min(axis=0), reach, np.minimum), around(runs.max(axis=0), reach, np.maximum)
    return float(np.mean(high - low))


def lag_seconds(real: Ints, low: Ints, high: Ints) -> Floats:
    """How far around each moment one must look until the model's bounds hold the real value, at most a minute."""
    most = round(_LONGEST_LAG_SECONDS / GRID_SECONDS)
    lags = np.full(real.size, _LONGEST_LAG_SECONDS)
    least, greatest = low.copy(), high.copy()
    for step in range(most):
        if step:
            least[step:] = np.minimum(least[step:], low[:-step])
            least[:-step] = np.minimum(least[:-step], low[step:])
            greatest[step:] = np.maximum(greatest[step:], high[:-step])
            greatest[:-step] = np.maximum(greatest[:-step], high[step:])
        held_now = (least <= real) & (real <= greatest)
        lags = np.where(held_now & (lags > step * GRID_SECONDS), step * GRID_SECONDS, lags)
        if held_now.all() or step + 1 >= real.size:
            break
    return lags


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(name)
        for found in agreements(Path(name)):
            print(f"  {found}")
