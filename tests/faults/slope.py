"""Whether a series grows: a straight line through the means of blocks, and how sure that is."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

# two-sided 95 % of Student's t by degrees of freedom; beyond 30 the normal's is near enough
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
_NORMAL = 2.042


@dataclass(frozen=True)
class Slope:
    """Growth per hour, with the 95 % interval."""

    per_hour: float
    low: float
    high: float

    @property
    def is_flat(self) -> bool:
        """No growth can be told from none: the interval holds 0, or lies below it."""
        return self.low <= 0.0

    def __str__(self) -> str:
        return f"{self.per_hour:+.1f} MiB/h (95 %: {self.low:+.1f} to {self.high:+.1f})"


def slope(seconds: Sequence[float], values: Sequence[float], blocks: int = 12) -> Slope:
    """Through the means of `blocks` stretches of equal length: neighbouring measurements are not independent of each other.

    ValueError where there are fewer than three stretches with something in them.
    """
    first, last = min(seconds), max(seconds)
    length = (last - first) / blocks or 1.0
    kept: dict[int, list[tuple[float, float]]] = {}
    for at, value in zip(seconds, values, strict=True):
        kept.setdefault(min(blocks - 1, int((at - first) / length)), []).append((at, value))
    points = [
        (statistics.fmean(at for at, _ in block) / 3600.0, statistics.fmean(value for _, value in block))
        for block in kept.values()
    ]
    if len(points) < 3:
        raise ValueError("a slope needs three stretches of time or more")
    x_mean, y_mean = statistics.fmean(x for x, _ in points), statistics.fmean(y for _, y in points)
    spread = sum((x - x_mean) ** 2 for x, _ in points)
    per_hour = sum((x - x_mean) * (y - y_mean) for x, y in points) / spread
    left = sum((y - y_mean - per_hour * (x - x_mean)) ** 2 for x, y in points)
    freedom = len(points) - 2
    student = _STUDENT[freedom - 1] if freedom <= len(_STUDENT) else _NORMAL
    error = student * math.sqrt(left / freedom / spread)
    return Slope(per_hour, per_hour - error, per_hour + error)


def percentile(buckets: Sequence[tuple[float, float]], share: float) -> float:
    """The upper edge of the bucket of a cumulative histogram ((edge, count), ascending) in which `share` of all lies."""
    total = buckets[-1][1]
    return next(edge for edge, count in buckets if count >= share * total) if total else 0.0
