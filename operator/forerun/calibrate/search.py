"""Which rate to offer next, and when the answer stands. Pure.

The rate is doubled until the objective is missed, then the gap is halved in ratio until it is narrow; then the best
rate is offered again. A rate counts only where it met the objective every time, and no lower one missed it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

_MOST_STEPS = 60


class Verdict(StrEnum):
    """What a measurement says about its rate."""

    MET = "Met"
    TOO_SLOW = "TooSlow"  # more requests than the quantile allows were later than the objective
    ERRORS = "Errors"  # at least one was not answered, or not with a status of 2xx
    GENERATOR_LATE = "GeneratorLate"  # this machine did not send in time: it says nothing about the replica


@dataclass(frozen=True, slots=True)
class Objective:
    """`quantile` of all requests are answered within `latency_seconds`, and none fails."""

    latency_seconds: float
    quantile: float

    def slow_allowed(self, requests: int) -> int:
        """How many of `requests` may be later than the objective."""
        # 0.99 is a little more than 99/100 in floating point
        return math.floor(requests * (1.0 - self.quantile) + 1e-9)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One step of load. `latency_seconds` is the objective's quantile of those answered, None where none was.

    Latency counts from the moment a request was due, so a stall of the generator or of the replica is not hidden.
    `send_delay_seconds` is the same quantile of how late the requests left.
    """

    rate_rps: float
    seconds: float
    requests: int
    slow: int
    errors: int
    latency_seconds: float | None
    send_delay_seconds: float


@dataclass(frozen=True, slots=True)
class Bounds:
    """Rates in requests/s that may be offered; `precision` is how near the answer comes (1.1: to 10 %)."""

    start_rps: float
    most_rps: float
    least_rps: float = 0.1
    precision: float = 1.08
    confirmations: int = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """`rate_rps` met the objective `times` times; None: no rate did. `limited_by` is why no more was found.

    `limited_by` None: the largest rate that may be offered met it. GENERATOR_LATE: the replica may well serve more.
    """

    rate_rps: float | None
    times: int
    limited_by: Verdict | None


def verdict(measured: Measurement, objective: Objective) -> Verdict:
    """What this step says."""
    if measured.errors == 0 and measured.slow <= objective.slow_allowed(measured.requests):
        return Verdict.MET
    if measured.send_delay_seconds > objective.latency_seconds / 2.0:
        return Verdict.GENERATOR_LATE
    return Verdict.ERRORS if measured.errors else Verdict.TOO_SLOW


def advance(measured: Sequence[Measurement], objective: Objective, bounds: Bounds) -> float | Answer:
    """The next rate to offer in requests/s, or the answer. Ends after at most 60 steps."""
    judged = [(step.rate_rps, verdict(step, objective)) for step in measured]
    missed = min((rate for rate, said in judged if said is not Verdict.MET), default=None)
    met = [rate for rate, said in judged if said is Verdict.MET and (missed is None or rate < missed)]
    why = None if missed is None else next(said for rate, said in judged if rate == missed and said is not Verdict.MET)
    best = max(met, default=None)
    times = met.count(best) if best is not None else 0
    following = _following(best, missed, times, bounds)
    if following is None or len(measured) >= _MOST_STEPS:
        return Answer(best if times >= bounds.confirmations else None, times, why)
    return following


def _following(best: float | None, missed: float | None, times: int, bounds: Bounds) -> float | None:
    """The next rate; None where nothing is left to be learnt."""
    if best is None:
        if missed is None:
            return min(bounds.start_rps, bounds.most_rps)
        return missed / 2.0 if missed / 2.0 >= bounds.least_rps else None
    if missed is None and best < bounds.most_rps:
        return min(2.0 * best, bounds.most_rps)
    if missed is not None and missed > best * bounds.precision:
        return math.sqrt(best * missed)
    return best if times < bounds.confirmations else None


def capacity_rps(answer_rps: float, replicas: int, headroom_percent: float) -> float:
    """Requests/s per Ready replica to be declared: three digits, rounded down."""
    each = answer_rps / replicas * (1.0 - headroom_percent / 100.0)
    unit = 10.0 ** (math.floor(math.log10(each)) - 2)
    return float(f"{math.floor(each / unit + 1e-9) * unit:.6g}")
