"""What was seen of the world: value, zero and unknown are three different things."""

from dataclasses import dataclass
from datetime import datetime

from forerun.domain.reason import Hold


@dataclass(frozen=True, slots=True)
class Sample:
    """A fresh, finite, non-negative measurement; 0.0 is a real zero. Unknown is a `Hold` instead."""

    at: datetime
    value: float


Measurement = Sample | Hold


@dataclass(frozen=True, slots=True)
class DemandSeries:
    """Demand in requests/s on a regular grid; NaN is a gap. `values[i]` covers `[start + i*step, ...)`."""

    start: datetime
    step_seconds: float
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class LeadTime:
    """Seconds from scale request to Ready: p50 and p95 over `samples` measured starts."""

    p50_seconds: float
    p95_seconds: float
    samples: int
