"""Which event is the campaign, how fast time runs, and how large the shop is: pure, from a trace and its events.

Nothing here looks at the trace after the event's start: at an event only its kind and its
start are known beforehand, and the shop is sized by its usual demand.
"""

import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from forerun.domain.campaign import CampaignType
from forerun.domain.observation import DemandSeries

SAMPLE_SPEED, TRACE_SPEED = 10.0, 30.0
SAMPLE_MULTIPLIER = 7.0  # what marketing says of the sample's sale, which reaches x8
UTILISATION = 0.75  # of a replica's capacity, that the HPAs aim at
MATCH = timedelta(minutes=110)  # declared length of a football match: extra time is not known beforehand
HISTORY_DAYS = 28

_WARM_UP_MARGIN_SECONDS = 30.0  # beyond the tiers' lead times: history is loaded, the operator forecasts and plans
_SCALING_SECONDS = 6  # from a floor to new pods: the HPA's sync, the controllers, the scheduler
_CALM = timedelta(hours=3)  # after the campaign, with no other event: capacity can be given back
_SHORTEST_SECONDS, _LONGEST_SECONDS = 30.0, 1800.0  # of the live window, in real time
_RELEASE_SECONDS = 300.0  # real time that giving back may take, at most
_NEAR = timedelta(hours=1)
_USUAL_DAYS = 7


class ScenarioError(Exception):
    """The input cannot be played; one line that names the option and the remedy."""


@dataclass(frozen=True, slots=True)
class DeclaredEvent:
    """An event as it was known beforehand, in trace time (aware UTC)."""

    kind: str
    name: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class TierKind:
    """What one tier of the sample shop is, before it is sized. `at_usual` is its load at usual demand, in replicas."""

    name: str
    workload: str  # kind of its target
    target: str  # name of its target
    demand_per_request: float
    at_usual: float
    start_up_seconds: int  # real time from scheduled to Ready
    max_replicas: int
    autoscaled: bool


TIER_KINDS: tuple[TierKind, ...] = (
    TierKind("cache", "StatefulSet", "valkey", 3.0, 1.3, 12, 30, autoscaled=False),
    TierKind("recommender", "Deployment", "recommender-gpu", 0.4, 1.8, 18, 40, autoscaled=True),
    TierKind("ingress", "Deployment", "nginx-ingress", 1.0, 1.1, 5, 24, autoscaled=True),
)


@dataclass(frozen=True, slots=True)
class DemoTier:
    """A tier with its numbers: capacity in calls/s of one Ready replica, `replicas` at usual demand."""

    kind: TierKind
    capacity_rps: float
    replicas: int

    @property
    def name(self) -> str:
        return self.kind.name

    @property
    def lead_seconds(self) -> int:
        """Real time from a raised floor to Ready."""
        return self.kind.start_up_seconds + _SCALING_SECONDS

    def needed(self, door_rps: float) -> int:
        """Replicas without which `door_rps` requests/s are not all served; at most maxReplicas."""
        calls = door_rps * self.kind.demand_per_request
        return min(self.kind.max_replicas, math.ceil(calls / self.capacity_rps - 1e-9))

    def served_rps(self, ready: int) -> float:
        """Door demand that `ready` replicas serve."""
        return ready * self.capacity_rps / self.kind.demand_per_request


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that is decided before anything runs. `series`, `event` and `past` are in trace time."""

    slug: str
    campaign_type: CampaignType
    event: DeclaredEvent
    past: tuple[DeclaredEvent, ...]
    series: DemandSeries
    speed: float
    usual_rps: float
    tiers: tuple[DemoTier, ...]
    multiplier: float | None = None  # what marketing declares: peak / usual demand

    @property
    def warm_up_seconds(self) -> float:
        """Real time between the campaign's declaration and its start."""
        return sum(tier.lead_seconds for tier in self.tiers) + _WARM_UP_MARGIN_SECONDS

    @property
    def window_seconds(self) -> float:
        """Real time of the campaign."""
        return (self.event.end - self.event.start).total_seconds() / self.speed

    @property
    def release_seconds(self) -> float:
        """Real time that giving back may take before the verdict is made; bounded by the trace's end."""
        left = (_end_of(self.series) - self.event.end).total_seconds() / self.speed
        return min(_RELEASE_SECONDS, left)

    def real(self, at: datetime, starts_at: datetime) -> datetime:
        """When the moment `at` of the trace happens, if the campaign's start happens at `starts_at`."""
        return starts_at + (at - self.event.start) / self.speed


def make_scenario(
    series: DemandSeries,
    events: Sequence[DeclaredEvent],
    *,
    speed: float,
    wanted: str | None = None,
    multiplier: float | None = None,
) -> Scenario:
    """The scenario of one event of a trace. Raises ScenarioError."""
    if not 1.0 <= speed <= 1000.0:
        raise ScenarioError(f"--speed: {speed:g} is not between 1 and 1000")
    if multiplier is not None and not 0.0 < multiplier <= 1000.0:
        raise ScenarioError(f"--multiplier: {multiplier:g} is not above 0 and at most 1000")
    ordered = sorted((_declared(event) for event in events), key=lambda event: (event.start, event.name))
    event = _chosen(ordered, series, wanted)
    seconds = (event.end - event.start).total_seconds() / speed
    if not _SHORTEST_SECONDS <= seconds <= _LONGEST_SECONDS:
        fitting = (event.end - event.start).total_seconds() / 240.0
        raise ScenarioError(
            f"--speed: {event.name!r} would take {seconds:.0f} s at x{speed:g}; about {max(1.0, fitting):.0f} suits it"
        )
    since = max(series.start, event.start - timedelta(days=HISTORY_DAYS))
    past = tuple(other for other in ordered if since <= other.start and other.end <= event.start)
    usual = usual_rps(series, event.start, past)
    return Scenario(
        slug=slug(event.name),
        campaign_type=campaign_type(event.kind),
        event=event,
        past=past,
        series=_from(series, since),
        speed=speed,
        usual_rps=usual,
        tiers=tuple(_sized(kind, usual) for kind in TIER_KINDS),
        multiplier=multiplier,
    )


def campaign_type(kind: str) -> CampaignType:
    """`flash-sale` is a FlashSale and so on; what is not one of ours is Custom."""
    wanted = kind.replace("-", "").replace("_", "").casefold()
    return next((found for found in CampaignType if found.value.casefold() == wanted), CampaignType.CUSTOM)


def slug(name: str) -> str:
    """A name for the object: lower case letters, digits and dashes, at most 40."""
    return re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:40].strip("-") or "campaign"


def usual_rps(series: DemandSeries, start: datetime, past: Sequence[DeclaredEvent]) -> float:
    """Median demand around the hour of `start` on the days before, and just before it, outside of earlier events."""
    values: list[float] = []
    for days in range(_USUAL_DAYS + 1):
        middle = start - timedelta(days=days)
        values += _between(series, middle - _NEAR, min(middle + _NEAR, start), past)
    values = values or _between(series, series.start, start, ())
    usual = statistics.median(values) if values else 0.0
    if usual <= 0.0:
        raise ScenarioError(
            f"--event: there is no demand in the trace before {start:%Y-%m-%dT%H:%MZ}; choose a later one"
        )
    return usual


def _declared(event: DeclaredEvent) -> DeclaredEvent:
    """As it was known beforehand."""
    if not event.kind.startswith("match"):
        return event
    return DeclaredEvent(event.kind, event.name, event.start, min(event.end, event.start + MATCH))


def _chosen(events: Sequence[DeclaredEvent], series: DemandSeries, wanted: str | None) -> DeclaredEvent:
    if not events:
        raise ScenarioError("--events: the file holds no event; give at least one line kind,name,start,end,note")
    if wanted is None:
        return _proposed(events, series)
    event = _named(events, wanted)
    if not _first_start(series) <= event.start < _end_of(series):
        raise ScenarioError(f"--event: {event.name!r} needs a day of the trace before it, and the trace at its start")
    return event


def _proposed(events: Sequence[DeclaredEvent], series: DemandSeries) -> DeclaredEvent:
    """Where none is asked for: the first calm one of the later half, which has the more history."""
    first, last = _first_start(series), _end_of(series)
    playable = [event for event in events if first <= event.start and event.end + _CALM <= last]
    if not playable:
        raise ScenarioError("--events: no event has a day of the trace before it and three hours after it")
    later = playable[len(playable) // 2 :]
    return next((event for event in later if _is_calm(event, events)), later[0])


def _is_calm(event: DeclaredEvent, events: Sequence[DeclaredEvent]) -> bool:
    return not any(event.start < other.start < event.end + _CALM for other in events)


def _first_start(series: DemandSeries) -> datetime:
    """The earliest start that has a day of the trace before it."""
    return series.start + timedelta(days=1)


def _named(events: Sequence[DeclaredEvent], wanted: str) -> DeclaredEvent:
    if wanted.isdecimal():
        if not 1 <= int(wanted) <= len(events):
            raise ScenarioError(f"--event: {wanted} is not between 1 and {len(events)}")
        return events[int(wanted) - 1]
    found = [event for event in events if wanted.casefold() in event.name.casefold()]
    if not found:
        raise ScenarioError(f"--event: no event is called {wanted!r}; the first is {events[0].name!r}")
    return found[0]


def _sized(kind: TierKind, usual: float) -> DemoTier:
    capacity = _three_digits(usual * kind.demand_per_request / kind.at_usual)
    return DemoTier(kind, capacity, math.ceil(kind.at_usual / UTILISATION))


def _three_digits(value: float) -> float:
    return float(f"{value:.3g}")


def _end_of(series: DemandSeries) -> datetime:
    return series.start + timedelta(seconds=len(series.values) * series.step_seconds)


def _from(series: DemandSeries, since: datetime) -> DemandSeries:
    skipped = max(0, math.floor((since - series.start).total_seconds() / series.step_seconds))
    start = series.start + timedelta(seconds=skipped * series.step_seconds)
    return DemandSeries(start, series.step_seconds, series.values[skipped:])


def _between(series: DemandSeries, low: datetime, high: datetime, without: Sequence[DeclaredEvent]) -> list[float]:
    first = max(0, math.ceil((low - series.start).total_seconds() / series.step_seconds))
    last = min(len(series.values), math.floor((high - series.start).total_seconds() / series.step_seconds))
    values = []
    for index in range(first, last):
        at = series.start + timedelta(seconds=index * series.step_seconds)
        masked = any(event.start <= at < event.end + (event.end - event.start) for event in without)
        if not masked and math.isfinite(series.values[index]):
            values.append(series.values[index])
    return values
