"""What an HPA's metric asks for: replicas per lane, before stabilization, policies and bounds.

As `replica_calculator.go` of kube-controller-manager v1.36.3 computes it. All arrays are [lanes].
"""

from dataclasses import dataclass

import numpy as np

from forerun.simulate.scenario import BoolArray, FloatArray, IntArray

ABSENT = -1
"""Stands for a proposal where the metric gave none."""

_MILLI = 1000.0  # quantities travel as whole thousandths


@dataclass(frozen=True, slots=True, eq=False)
class HpaSeen:
    """What the controller sees of each lane at one sync; all arrays are [lanes].

    `replicas` is spec.replicas, and status.replicas alike: a Deployment's pods are made within a moment. `ready` are
    Ready pods; they share `metric_rps`, the requests/s as the metrics pipeline shows them (NaN: the metric is missing).
    `unready` are pods that are Pending or not Ready. Only a CPU target looks at them, and at the next two:

    `fresh`, among `ready`: Ready for less than one window of the metric and started less than
    --horizontal-pod-autoscaler-cpu-initialization-period (5 min) ago; they count as unready. `missing`, beside `ready`
    and `unready`: Running, but the metrics API says nothing of them.

    --horizontal-pod-autoscaler-initial-readiness-delay needs no place here: it tells pods that were never Ready from
    those that were, and here none that was Ready ceases to be.
    """

    replicas: IntArray
    ready: IntArray
    unready: IntArray
    metric_rps: FloatArray
    min_replicas: IntArray
    max_replicas: IntArray
    fresh: IntArray | None = None
    missing: IntArray | None = None


def from_average_value(seen: HpaSeen, target_rps: FloatArray, tolerance: float) -> IntArray:
    """External or Object metric with an AverageValue: total / target, rounded up; ABSENT where it is missing."""
    known = np.isfinite(seen.metric_rps)
    usage = np.rint(np.where(known, seen.metric_rps, 0.0) * _MILLI)
    target = np.rint(target_rps * _MILLI)
    ratio = usage / (target * np.maximum(seen.replicas, 1))
    wanted = np.where(_within(ratio, tolerance), seen.replicas, np.ceil(usage / target))
    return np.where(known, wanted, ABSENT).astype(np.int64)


def from_cpu(seen: HpaSeen, capacity_rps: FloatArray, target_percent: FloatArray, tolerance: float) -> IntArray:
    """Resource cpu with a Utilization; ABSENT where the metric is missing or no pod with a usable metric is there.

    A replica at its capacity uses 100 % of its CPU request, and cannot use more. A utilization is whole per cent,
    rounded down, and so is the target.
    """
    none = np.zeros_like(seen.ready)
    fresh = none if seen.fresh is None else seen.fresh
    missing = none if seen.missing is None else seen.missing
    counted = seen.ready - fresh
    unready = seen.unready + fresh
    known = np.isfinite(seen.metric_rps) & (counted > 0)
    share = np.minimum(np.where(known, seen.metric_rps, 0.0) / (capacity_rps * np.maximum(seen.ready, 1)), 1.0)
    used = share * counted
    ratio = _percent(used, counted) / target_percent
    below, above = ratio < 1.0, ratio > 1.0
    # What is not known is guessed against the change: missing pods at their full request (or the target, if that is
    # more) on the way down, missing and unready ones idle on the way up.
    used = used + np.where(below, missing * np.maximum(target_percent, 100.0) / 100.0, 0.0)
    pods = counted + np.where(below | above, missing, 0) + np.where(above, unready, 0)
    guarded = _percent(used, pods) / target_percent
    wanted = np.ceil(guarded * pods)
    # Where nothing was guessed `pods` is `counted` and `guarded` is `ratio`. Then the result stands as it is, even
    # above `replicas` on the way down; the guard against a turn is for guesses only.
    guessed = (missing > 0) | (above & (unready > 0))
    turned = (below & ((guarded > 1.0) | (wanted > seen.replicas))) | (
        above & ((guarded < 1.0) | (wanted < seen.replicas))
    )
    stays = _within(guarded, tolerance) | (guessed & turned)
    return np.where(known, np.where(stays, seen.replicas, wanted), ABSENT).astype(np.int64)


def _percent(used: FloatArray, pods: IntArray) -> FloatArray:
    """Whole per cent of the requests of so many pods; `used` is in requests of one pod."""
    # 1e-9: 0.7 is a little less than 70 hundredths
    return np.asarray(np.floor(100.0 * used / np.maximum(pods, 1) + 1e-9))


def _within(ratio: FloatArray, tolerance: float) -> BoolArray:
    return np.asarray((1.0 - tolerance <= ratio) & (ratio <= 1.0 + tolerance))
