"""A small trace with events whose demand rises, made from numbers alone."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from forerun.domain.observation import DemandSeries
from forerun.signals.trace import TraceEvent

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)


@dataclass(frozen=True)
class Shop:
    """Twelve days of minutes: a daily wave of 10 to 30 requests/s, three times that in the hour after each event."""

    trace: DemandSeries
    events: tuple[TraceEvent, ...]


def event(start, kind="drop", name="one", hours=1, note=""):
    return TraceEvent(kind, name, start, start + timedelta(hours=hours), note)


def with_values(trace, values):
    return DemandSeries(trace.start, trace.step_seconds, tuple(np.asarray(values).tolist()))


@pytest.fixture(scope="session")
def shop():
    minutes = np.arange(12 * 1440)
    demand = 20.0 - 10.0 * np.cos(2 * np.pi * minutes / 1440) + np.random.default_rng(3).normal(0, 0.5, minutes.size)
    starts = [BEGIN + timedelta(days=day, hours=18, minutes=7) for day in (5, 7, 9, 10)]
    for start in starts:
        first = int((start - BEGIN).total_seconds() // 60)
        demand[first : first + 60] *= 3.0
    events = tuple(event(start, name=f"drop {number}") for number, start in enumerate(starts))
    return Shop(DemandSeries(BEGIN, 60.0, tuple(demand.tolist())), events)
