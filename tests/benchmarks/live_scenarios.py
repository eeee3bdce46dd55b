"""The two events of the live benchmark: a drop of a generated shop, and a match of the World Cup trace.

Trace time is run SPEED times as fast: 600 s from a replica's request to Ready take 60 s, and so on for everything that
waits. What is known beforehand: the days before, how large earlier events were, the start, the declared end, and for
the drop its size.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from forerun.domain.observation import DemandSeries
from forerun.sandbox.demo.scenario import MATCH, DeclaredEvent, Scenario, make_scenario
from forerun.sandbox.replay import DemandIntegral, place
from forerun.signals.trace import read_events, read_trace

TRACES = Path(__file__).parents[3] / "shared" / "traces"
TRACE = "worldcup98-minute"
SPEED = 10.0
LEAD_SECONDS = 600.0 / SPEED  # real time, from a pod's creation to Ready
TARGET_SHARE = 0.7  # of a replica's capacity, that every autoscaler aims at
USUAL_REPLICAS = 3.0  # capacity: what so many replicas serve is the usual demand
MIN_REPLICAS, MAX_REPLICAS = 2, 100
CRON_SLACK_SECONDS = 60.0 / SPEED  # a cron expression has whole minutes: a careful team takes one more
BEFORE_SECONDS = LEAD_SECONDS + 60.0  # counted before the start: whoever prepares pays from the first moment on
AFTER_SECONDS = 150.0  # counted after the end: giving back costs too

_DROP_START = datetime(2026, 11, 27, 18, 0, tzinfo=UTC)
_DROP = timedelta(hours=1)
_RISE_SECONDS = 120.0
_STEP_SECONDS = 10.0
_SEED = 20261127
_DROPS = ((14, 12.0), (7, 8.0), (0, 10.0))  # days before, multiplier: each was declared right


@dataclass(frozen=True)
class Event:
    """One scenario, with what each arm needs to know of it."""

    name: str
    scenario: Scenario
    multipliers: tuple[float | None, ...]  # declared, of each past event; the scenario has that of the one to come
    expected_peak_rps: float  # what a careful team sizes its cron trigger for

    @property
    def capacity_rps(self) -> float:
        """Requests/s that one Ready replica serves."""
        return float(f"{self.scenario.usual_rps / USUAL_REPLICAS:.3g}")

    @property
    def target_rps(self) -> float:
        """Requests/s per replica that the autoscalers aim at."""
        return TARGET_SHARE * self.capacity_rps

    @property
    def standing_replicas(self) -> int:
        """What an autoscaler has before anybody prepares: for the demand of the ten minutes (trace time) before."""
        end = self.scenario.event.start - timedelta(seconds=BEFORE_SECONDS * SPEED)
        series = self.scenario.series
        return math.ceil(highest(series, end - timedelta(minutes=10), end) / self.target_rps)

    def cron_replicas(self, arm: str) -> int:
        """`keda`: each carries its capacity at the expected peak; `keda-ample`: what the autoscaler aims at."""
        each_rps = self.target_rps if arm == "keda-ample" else self.capacity_rps
        return min(MAX_REPLICAS, math.ceil(self.expected_peak_rps / each_rps))

    def integral(self, starts_at: datetime) -> DemandIntegral:
        """Demand in real time, if the event starts at `starts_at`."""
        scenario = self.scenario
        return DemandIntegral(place(scenario.series, scenario.event.start, starts_at, scenario.speed))


def drop() -> Event:
    """A shop of four weeks with a drop each Friday: x10 within two minutes, an hour long, declared right."""
    series, usual = _shop()
    events = [_drop_event(days) for days, _ in _DROPS]
    multiplier = _DROPS[-1][1]
    scenario = make_scenario(series, events, speed=SPEED, wanted="drop-0", multiplier=multiplier)
    known = [declared for _, declared in _DROPS[:-1]]
    return Event("drop", scenario, tuple(known), multiplier * usual)


def match() -> Event:
    """A match of the later half of the trace, with no other one soon after it; nothing of its size is declared."""
    series = read_trace(TRACES / f"{TRACE}.csv.gz")
    events = [
        DeclaredEvent(event.kind, event.name, event.start, event.end or event.start + MATCH)
        for event in read_events(TRACES / f"{TRACE}.events.csv")
    ]
    scenario = make_scenario(series, events, speed=SPEED)
    last = scenario.past[-1]
    peak = highest(series, last.start, last.end + timedelta(minutes=30))  # the whistle comes after the declared end
    return Event("match", scenario, (None,) * len(scenario.past), peak)


def has_trace() -> bool:
    return (TRACES / f"{TRACE}.csv.gz").is_file()


def highest(series: DemandSeries, start: datetime, end: datetime) -> float:
    """The highest bin between two moments, requests/s."""
    first, last = (math.floor((at - series.start).total_seconds() / series.step_seconds) for at in (start, end))
    return max(value for value in series.values[max(0, first) : last] if math.isfinite(value))


def _drop_event(days: int) -> DeclaredEvent:
    start = _DROP_START - timedelta(days=days)
    return DeclaredEvent("flash-sale", f"drop-{days}", start, start + _DROP)


def _shop() -> tuple[DemandSeries, float]:
    """Demand by 10 s, and the usual demand at the hour of the drop, requests/s."""
    start = _DROP_START - timedelta(days=28)
    count = round((28 * 86400.0 + 4 * 3600.0) / _STEP_SECONDS)
    seconds = (np.arange(count) + 0.5) * _STEP_SECONDS  # since the start, 28 days before the drop
    hour = (seconds / 3600.0 + _DROP_START.hour) % 24.0
    usual = 120.0 * (1.0 + 0.5 * np.cos((hour - 19.0) / 24.0 * 2.0 * np.pi))
    at_drop = 120.0 * (1.0 + 0.5 * math.cos((_DROP_START.hour - 19.0) / 24.0 * 2.0 * math.pi))
    factor = np.ones(count)
    for days, multiplier in _DROPS:
        factor += (multiplier - 1.0) * _part(seconds - (28 - days) * 86400.0)
    rng = np.random.default_rng(_SEED)
    slow = np.repeat(rng.normal(0.0, 0.04, count // 90 + 1), 90)[:count]  # by quarters of an hour
    noise = np.exp(slow + rng.normal(0.0, 0.03, count))
    return DemandSeries(start, _STEP_SECONDS, tuple((usual * factor * noise).tolist())), at_drop


def _part(since: np.ndarray) -> np.ndarray:
    """Of a drop's addition, by seconds since its start: up within two minutes, half of it soon gone, over at the end."""
    rise = np.clip(since / _RISE_SECONDS, 0.0, 1.0)
    after = np.maximum(since - _RISE_SECONDS, 0.0)
    stays = 0.5 * np.exp(-after / 600.0) + 0.5 * np.exp(-after / 5400.0)
    return rise * stays * np.exp(-np.maximum(since - _DROP.total_seconds(), 0.0) / 300.0)


def chosen(names: Sequence[str]) -> list[Event]:
    """The events by name; the match only where its trace is."""
    makers = {"drop": drop, "match": match}
    return [makers[name]() for name in names if name != "match" or has_trace()]
