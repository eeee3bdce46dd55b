"""What was seen of the world: value, zero and unknown are three different things."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

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


class StartPart(StrEnum):
    """The parts of a Pod's start, in their order. ImagePull lies within ContainerStart."""

    NODE_WAIT = "NodeWait"  # created to scheduled: a node has room, or has to come
    IMAGE_PULL = "ImagePull"  # of the images that were pulled; 0 where all of them were there
    CONTAINER_START = "ContainerStart"  # scheduled to the last container running
    WARM_UP = "WarmUp"  # last container running to Ready: weights, caches, probes


@dataclass(frozen=True, slots=True)
class Start:
    """One start of a Pod, from its creation to Ready; a part is left out where the cluster does not say."""

    pod: str  # the beginning of its UID
    created: datetime
    seconds: float
    parts: tuple[tuple[StartPart, float], ...] = ()

    def part(self, wanted: StartPart) -> float | None:
        """Seconds of one part; None: unknown."""
        return next((seconds for part, seconds in self.parts if part is wanted), None)


@dataclass(frozen=True, slots=True)
class PartTime:
    """Seconds of one part of a start: p50 and p95 over the `samples` starts of which it is known."""

    part: StartPart
    p50_seconds: float
    p95_seconds: float
    samples: int


class LeadTimeSource(StrEnum):
    """What the lead time of a tier rests on."""

    DECLARED = "Declared"  # too few starts, and none of them longer
    MEASURED = "Measured"


@dataclass(frozen=True, slots=True)
class LeadTime:
    """Seconds from a Pod's creation to Ready: p50 and p95 over `samples` measured starts.

    `cold_p95_seconds` is p95 of the starts that had to wait for a node or to pull an image; None: there were none.
    """

    p50_seconds: float
    p95_seconds: float
    samples: int
    cold_p95_seconds: float | None = None
    cold_samples: int = 0
    parts: tuple[PartTime, ...] = ()
    starts: tuple[Start, ...] = ()  # what it was computed from
