"""What an HPA remembers: recommendations inside the stabilization windows, and past scalings that policies count.

As `horizontal.go` of kube-controller-manager v1.36.3 does it. What is exactly as old as a window is out of it. The
controller compares recommendations without `behavior` the other way round, but its syncs are always a little more than
the sync period apart, so there the twentieth sync back is out of 300 s too; on a virtual clock it would be in.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from forerun.simulate.scenario import BoolArray, FloatArray, IntArray

Select = Literal["Max", "Min", "Disabled"]

_HIGH = np.iinfo(np.int64).max
_LOW = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class ScalingPolicies:
    """`policies` and `selectPolicy` of an HPA's `behavior`, with the API server's defaults; None: no such policy."""

    up_percent: int | None = 100
    up_pods: int | None = 4
    up_period_seconds: float = 15.0
    up_select: Select = "Max"
    down_percent: int | None = 100
    down_pods: int | None = None
    down_period_seconds: float = 15.0
    down_select: Select = "Max"

    def __post_init__(self) -> None:
        if None is self.up_percent is self.up_pods or None is self.down_percent is self.down_pods:
            raise ValueError("a direction needs up/down_percent or up/down_pods; to forbid it select Disabled")
        if min(self.up_period_seconds, self.down_period_seconds) <= 0.0:
            raise ValueError("the period of a policy is more than 0 s")


class RecentRecommendations:
    """The highest or the lowest recommendation of the last `window_seconds`, per lane.

    All lanes sync together: one row of `_values` [rows, lanes] is one sync. Rows out of the window are blank.
    """

    def __init__(self, lanes: int, window_seconds: float, extreme: Literal["highest", "lowest"]) -> None:
        self._window_seconds = window_seconds
        self._extreme = np.maximum if extreme == "highest" else np.minimum
        self._blank = _LOW if extreme == "highest" else _HIGH
        self._times: FloatArray = np.full(4, -np.inf)
        self._values: IntArray = np.full((4, lanes), self._blank)

    def with_recent(self, now_seconds: float, values: IntArray) -> IntArray:
        """The extreme of `values` and of what was recorded inside the window."""
        old = (self._times <= now_seconds - self._window_seconds) & (self._times > -np.inf)
        if old.any():
            self._times[old] = -np.inf
            self._values[old] = self._blank
        return np.asarray(self._extreme(values, self._extreme.reduce(self._values, axis=0)))

    def record(self, now_seconds: float, values: IntArray, where: BoolArray | None = None) -> None:
        """One sync's recommendations; lanes that are not in `where` made none."""
        if self._window_seconds <= 0.0:
            return
        free = np.flatnonzero(self._times == -np.inf)
        if free.size == 0:
            rows = self._times.size
            self._times = np.concatenate([self._times, np.full(rows, -np.inf)])
            self._values = np.concatenate([self._values, np.full_like(self._values, self._blank)])
            free = np.array([rows])
        self._times[free[0]] = now_seconds
        self._values[free[0]] = values if where is None else np.where(where, values, self._blank)


class ScaleEvents:
    """By how many replicas each lane was scaled in one direction, and when; [slots, lanes].

    An event is outdated after the longest period of its own direction's policies. A new event takes the place of the
    last outdated one; until then policies of the other direction with a longer period still count it.
    """

    def __init__(self, lanes: int, longest_period_seconds: float) -> None:
        self._period_seconds = longest_period_seconds
        self._times: FloatArray = np.full((4, lanes), -np.inf)
        self._changes: IntArray = np.zeros((4, lanes), dtype=np.int64)
        self._used: IntArray = np.zeros(lanes, dtype=np.int64)

    def change_within(self, now_seconds: float, period_seconds: float) -> IntArray:
        """Replicas added or removed in the last `period_seconds`."""
        return np.asarray((self._changes * (self._times > now_seconds - period_seconds)).sum(axis=0))

    def record(self, now_seconds: float, change: IntArray) -> None:
        """`change` > 0 is an event; other lanes have none."""
        lanes = np.flatnonzero(change > 0)
        if lanes.size == 0:
            return
        times = self._times[:, lanes]
        outdated = (times <= now_seconds - self._period_seconds) & (times > -np.inf)
        last = times.shape[0] - 1 - np.argmax(outdated[::-1], axis=0)
        appended = ~outdated.any(axis=0)
        slot = np.where(appended, self._used[lanes], last)
        if slot.max() >= self._times.shape[0]:
            self._times = np.concatenate([self._times, np.full_like(self._times, -np.inf)])
            self._changes = np.concatenate([self._changes, np.zeros_like(self._changes)])
        self._times[slot, lanes] = now_seconds
        self._changes[slot, lanes] = change[lanes]
        self._used[lanes] += appended


class RateLimits:
    """How far the policies of a `behavior` let each lane go at one sync."""

    def __init__(self, policies: ScalingPolicies, lanes: int) -> None:
        self._policies = policies
        self._ups = ScaleEvents(lanes, policies.up_period_seconds)
        self._downs = ScaleEvents(lanes, policies.down_period_seconds)

    def highest(self, now_seconds: float, current: IntArray) -> IntArray:
        """The most replicas that a scale-up may reach; never less than `current`."""
        rules = self._policies
        if rules.up_select == "Disabled":
            return current
        start = self._at_start(now_seconds, current, rules.up_period_seconds)
        allowed: list[IntArray] = []
        if rules.up_pods is not None:
            allowed.append(start + rules.up_pods)
        if rules.up_percent is not None:
            allowed.append(np.ceil(start * (1 + rules.up_percent / 100)).astype(np.int64))
        limit = np.max(allowed, axis=0) if rules.up_select == "Max" else np.min(allowed, axis=0)
        return np.asarray(np.maximum(limit, current))

    def lowest(self, now_seconds: float, current: IntArray) -> IntArray:
        """The fewest replicas that a scale-down may reach; never more than `current`."""
        rules = self._policies
        if rules.down_select == "Disabled":
            return current
        start = self._at_start(now_seconds, current, rules.down_period_seconds)
        allowed: list[IntArray] = []
        if rules.down_pods is not None:
            allowed.append(start - rules.down_pods)
        if rules.down_percent is not None:
            allowed.append(np.trunc(start * (1 - rules.down_percent / 100)).astype(np.int64))
        limit = np.min(allowed, axis=0) if rules.down_select == "Max" else np.max(allowed, axis=0)
        return np.asarray(np.minimum(limit, current))

    def record(self, now_seconds: float, before: IntArray, after: IntArray) -> None:
        """Every scaling counts, those to minReplicas and maxReplicas too."""
        self._ups.record(now_seconds, after - before)
        self._downs.record(now_seconds, before - after)

    def _at_start(self, now_seconds: float, current: IntArray, period_seconds: float) -> IntArray:
        """Replicas as they were when the period that ends now began."""
        added = self._ups.change_within(now_seconds, period_seconds)
        removed = self._downs.change_within(now_seconds, period_seconds)
        return np.asarray(current - added + removed)
