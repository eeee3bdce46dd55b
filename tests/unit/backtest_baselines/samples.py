"""Made-up demand with a day, a week and events that triple it, at times of their own."""

from datetime import UTC, datetime, timedelta

import numpy as np

from forerun.backtest.splits import decisions
from forerun.domain.observation import DemandSeries
from forerun.signals.trace import TraceEvent

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday
EVENT_DAYS = (16, 20, 25, 29, 34, 38, 43)
LENGTH = {300.0: 4 * 3600.0, 3600.0: 12 * 3600.0, 86400.0: 3 * 86400.0}


def demand(step, days=48, uplift=3.0, noise=0.03, event_days=EVENT_DAYS):
    """(series, events): each event starts at another hour, and lasts as long as the window that is judged."""
    times = np.arange(round(days * 86400 / step)) * step
    hours = times / 3600 % 24
    values = 100 + 40 * np.sin((hours - 9) / 24 * 2 * np.pi) * (step < 86400)
    values *= np.where((times // 86400) % 7 >= 5, 0.7, 1.0)
    values *= np.exp(noise * np.random.default_rng(7).standard_normal(times.size))
    events = []
    for number, day in enumerate(event_days):
        offset = day * 86400.0 + (number % 3 * 3 + 9) * 3600.0 * (step < 86400)
        values[(times >= offset) & (times < offset + LENGTH[step])] *= uplift
        start = BEGIN + timedelta(seconds=offset)
        events.append(TraceEvent("drop", f"drop {number}", start, None, ""))
    return DemandSeries(BEGIN, step, tuple(values)), events


def made(step, **options):
    series, events = demand(step, **options)
    return decisions(series, events, "made-up")
