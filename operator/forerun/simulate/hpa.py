"""The HorizontalPodAutoscaler, many lanes at a time: one sync of kube-controller-manager v1.36.3.

Follows `reconcileAutoscaler` in `pkg/controller/podautoscaler/horizontal.go`; the words of it for users are in
https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/. `tests/cluster/test_hpa_model.py`
drives this and the real controller side by side. Not here: several metrics in one HPA, scale to zero (an alpha feature,
off by default), tolerances in `behavior`.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from forerun.simulate.hpa_behavior import RateLimits, RecentRecommendations, ScalingPolicies
from forerun.simulate.hpa_metrics import ABSENT, HpaSeen, from_average_value, from_cpu
from forerun.simulate.scenario import BoolArray, FloatArray, IntArray

__all__ = ["Hpa", "HpaSeen", "HpaSettings", "ScalingPolicies"]


@dataclass(frozen=True, slots=True, eq=False)
class HpaSettings:
    """What stands in the HPA and in the controller's flags; each array has one entry per lane.

    `target` is the share of one replica's capacity that a replica shall carry (0.7 = 70 %). `on_cpu`: the metric is
    the CPU utilization, which ends at 100 %; otherwise the requests/s themselves, as an External or Object metric with
    AverageValue target x `capacity_rps`.

    `policies` None is an HPA without `behavior`, as most are: each sync may double the replicas or go to 4, and the
    way down waits for --horizontal-pod-autoscaler-downscale-stabilization only. The API server's documented policies
    (`ScalingPolicies()`) apply where the HPA has a `behavior`, were it an empty one. `sync_seconds` is how often the
    caller is to sync; the algorithm itself asks only for the time.
    """

    target: FloatArray
    on_cpu: BoolArray
    capacity_rps: FloatArray
    tolerance: float = 0.1
    sync_seconds: float = 15.0
    scale_down_stabilization_seconds: float = 300.0
    scale_up_stabilization_seconds: float = 0.0
    policies: ScalingPolicies | None = None

    def __post_init__(self) -> None:
        if not (np.all(self.target > 0.0) and np.all(self.capacity_rps > 0.0)):
            raise ValueError("target and capacity_rps are more than 0")
        if self.policies is None and self.scale_up_stabilization_seconds > 0.0:
            raise ValueError("scale-up stabilization is part of a behavior: give policies too")


class _Limited(IntEnum):
    """Status and reason of the condition ScalingLimited."""

    UNKNOWN = 0
    WITHIN_RANGE = 1
    TOO_FEW = 2
    TOO_MANY = 3
    SCALE_UP = 4
    SCALE_DOWN = 5


class Hpa:
    """One HPA per lane, with its memory. `sync` with times that do not fall."""

    def __init__(self, settings: HpaSettings, lanes: int) -> None:
        """ValueError where the settings are not of so many lanes."""
        shapes = {settings.target.shape, settings.on_cpu.shape, settings.capacity_rps.shape}
        if shapes != {(lanes,)}:
            raise ValueError(f"settings of shapes {sorted(shapes)} for {lanes} lanes")
        self._settings = settings
        self._target_percent: FloatArray = np.rint(settings.target * 100.0)
        self._target_rps: FloatArray = settings.target * settings.capacity_rps
        self._down = RecentRecommendations(lanes, settings.scale_down_stabilization_seconds, "highest")
        self._up = RecentRecommendations(lanes, settings.scale_up_stabilization_seconds, "lowest")
        self._rates = RateLimits(settings.policies, lanes) if settings.policies is not None else None
        self._started = False
        self._active: BoolArray = np.zeros(lanes, dtype=np.bool_)
        self._limited: IntArray = np.full(lanes, int(_Limited.UNKNOWN))

    @property
    def wants_less(self) -> BoolArray:
        """[lanes] The metric asks for less than minReplicas: the condition ScalingLimited says TooFewReplicas."""
        return np.asarray(self._active & (self._limited == _Limited.TOO_FEW))

    @property
    def wants_known(self) -> BoolArray:
        """[lanes] Whether `wants_less` says anything: not while the metric fails or a policy slows the way down."""
        silent = (self._limited == _Limited.UNKNOWN) | (self._limited == _Limited.SCALE_DOWN)
        return np.asarray(self._active & ~silent)

    def sync(self, now_seconds: float, seen: HpaSeen) -> IntArray:
        """spec.replicas of each lane after this sync."""
        current = seen.replicas
        least = np.maximum(seen.min_replicas, 1)  # the API server takes no less
        if not self._started:  # a controller that has just begun takes what stands for a recommendation
            self._started = True
            self._record(now_seconds, current)
        off = current == 0
        above = current > seen.max_replicas
        below = ~off & ~above & (current < least)
        asked = ~(off | above | below)
        proposed = self._proposed(seen)
        answered = asked & (proposed != ABSENT)
        self._active = np.where(asked, answered, self._active & ~off)
        proposed = np.where(answered, proposed, current)
        stabilized = self._stabilized(now_seconds, current, proposed)
        self._record(now_seconds, proposed, answered)
        wanted, limited = self._bounded(now_seconds, current, stabilized, least, seen.max_replicas)
        self._limited = np.where(answered, limited, self._limited)
        after = np.where(answered, wanted, current)
        # Beyond its bounds an HPA goes straight to them: no metric is read, no policy asked, nothing recommended.
        after = np.where(above, seen.max_replicas, np.where(below, least, after))
        if self._rates is not None:
            self._rates.record(now_seconds, current, after)
        return np.asarray(after)

    def _proposed(self, seen: HpaSeen) -> IntArray:
        """What the metric of each lane asks for; ABSENT where it is missing."""
        settings = self._settings
        on_cpu = settings.on_cpu
        if on_cpu.all():
            return from_cpu(seen, settings.capacity_rps, self._target_percent, settings.tolerance)
        on_rate = from_average_value(seen, self._target_rps, settings.tolerance)
        if not on_cpu.any():
            return on_rate
        of_cpu = from_cpu(seen, settings.capacity_rps, self._target_percent, settings.tolerance)
        return np.where(on_cpu, of_cpu, on_rate)

    def _stabilized(self, now_seconds: float, current: IntArray, proposed: IntArray) -> IntArray:
        """Down only to the highest, up only to the lowest of what the metric asked for inside the windows."""
        ceiling = self._down.with_recent(now_seconds, proposed)
        if self._rates is None:
            return ceiling
        floor = self._up.with_recent(now_seconds, proposed)
        return np.minimum(np.maximum(current, floor), ceiling)

    def _record(self, now_seconds: float, proposed: IntArray, where: BoolArray | None = None) -> None:
        """What the metric asked for, before stabilization, policies and bounds."""
        self._down.record(now_seconds, proposed, where)
        self._up.record(now_seconds, proposed, where)

    def _bounded(
        self, now_seconds: float, current: IntArray, wanted: IntArray, least: IntArray, most: IntArray
    ) -> tuple[IntArray, IntArray]:
        """`wanted` inside bounds and rates, and which of them cut it (`_Limited`)."""
        if self._rates is None:
            highest = np.maximum(2 * current, 4)
            lowest = np.zeros_like(current)
        else:
            highest = self._rates.highest(now_seconds, current)
            lowest = self._rates.lowest(now_seconds, current)
        ceiling = np.minimum(most, highest)
        floor = np.maximum(least, lowest)
        over, under = wanted > ceiling, wanted < floor
        too_high = np.where(most > highest, _Limited.SCALE_UP, _Limited.TOO_MANY)
        too_low = np.where(least < lowest, _Limited.SCALE_DOWN, _Limited.TOO_FEW)
        limited = np.where(under, too_low, np.where(over, too_high, _Limited.WITHIN_RANGE))
        return np.where(under, floor, np.where(over, ceiling, wanted)), limited
