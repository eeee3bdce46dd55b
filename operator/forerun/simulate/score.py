"""What an arm cost and missed, and how that compares with the clairvoyant optimum."""

from dataclasses import dataclass, field

import numpy as np

from forerun.simulate.scenario import BoolArray, FloatArray, IntArray

COST_RATIO = 99.0  # one replica's worth of demand unserved for a second costs as much as so many replica-seconds
VIOLATION_SHARE = 0.01  # of demand: a tick that serves less counts as violated


@dataclass(slots=True)
class Tally:
    """Sums over the judged ticks, one entry per lane. `unserved` and `demand` in calls; `churn` is the sum of
    |change of replicas| from one judged tick to the next, so the first one has none.
    """

    replica_seconds: FloatArray
    unserved: FloatArray
    demand: FloatArray
    violation_seconds: FloatArray
    churn: FloatArray
    _before: IntArray = field(repr=False)
    _judged_before: BoolArray = field(repr=False)

    @classmethod
    def of(cls, lanes: int) -> "Tally":
        replica_seconds, unserved, demand, violation_seconds, churn = np.zeros((5, lanes))
        before, judged_before = np.zeros(lanes, dtype=np.int64), np.zeros(lanes, dtype=np.bool_)
        return cls(replica_seconds, unserved, demand, violation_seconds, churn, before, judged_before)

    def count(
        self,
        tick_seconds: float,
        demand_rps: FloatArray,
        unserved_rps: FloatArray,
        replicas: IntArray,
        judged: BoolArray,
    ) -> None:
        """One tick; `replicas` are all that are billed, starting ones too."""
        seconds = np.where(judged, tick_seconds, 0.0)
        self.replica_seconds += seconds * replicas
        self.unserved += seconds * unserved_rps
        self.demand += seconds * demand_rps
        self.violation_seconds += np.where(unserved_rps > VIOLATION_SHARE * demand_rps, seconds, 0.0)
        self.churn += np.where(judged & self._judged_before, np.abs(replicas - self._before), 0)
        self._before, self._judged_before = replicas.copy(), judged.copy()


@dataclass(frozen=True, slots=True)
class Score:
    """One arm on one tier of one scenario; `capacity_rps` is what one replica serves."""

    replica_seconds: float
    unserved: float
    demand: float
    violation_seconds: float
    churn: float
    capacity_rps: float

    def cost(self, ratio: float = COST_RATIO) -> float:
        """J: replica-seconds, and `ratio` times the replica-seconds whose demand was not served."""
        return self.replica_seconds + ratio * self.unserved / self.capacity_rps

    @property
    def unserved_percent(self) -> float:
        return 100.0 * self.unserved / self.demand if self.demand > 0 else 0.0


def scores(tally: Tally, capacity_rps: FloatArray) -> list[Score]:
    """One Score per lane."""
    rows = zip(
        tally.replica_seconds,
        tally.unserved,
        tally.demand,
        tally.violation_seconds,
        tally.churn,
        capacity_rps,
        strict=True,
    )
    return [Score(*map(float, row)) for row in rows]
