"""What is simulated: one shop over one stretch of time, and how its cluster and metrics behave."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from forerun.domain.campaign import Campaign
from forerun.domain.forecast import EventWindow, Lesson
from forerun.domain.observation import DemandSeries
from forerun.domain.storefront import Storefront

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Scenario:
    """`door_rps` [ticks] is the true demand at the door, its mean over each tick of `tick_seconds` from `start` on.

    `known` [ticks] is False where nothing was measured: the world goes on there, the metrics are missing. Ticks before
    `judged_from` let the arms settle and cost nothing. `history`, `past`, `experience` and `last_peak_rps` (the highest
    demand of the last event of the kind) are what was known at `start`. Arms of one `group` share their best setting.
    """

    name: str
    group: str
    storefront: Storefront
    campaigns: tuple[Campaign, ...]
    start: datetime
    tick_seconds: float
    door_rps: FloatArray
    known: BoolArray
    judged_from: int = 0
    history: DemandSeries | None = None
    past: tuple[EventWindow, ...] = ()
    experience: tuple[Lesson, ...] = ()
    last_peak_rps: float | None = None
    seed: int = 0

    @property
    def ticks(self) -> int:
        return int(self.door_rps.size)

    def at(self, tick: int) -> datetime:
        """When a tick begins."""
        return self.start + timedelta(seconds=tick * self.tick_seconds)

    def tick_of(self, when: datetime) -> int:
        """The first tick that begins at `when` or later; may lie outside the scenario."""
        return int(np.ceil((when - self.start).total_seconds() / self.tick_seconds - 1e-9))


def with_lead_time(scenario: Scenario, lead_seconds: float) -> Scenario:
    """The same with another start-up time of every tier."""
    tiers = tuple(replace(tier, lead_time_seconds=lead_seconds) for tier in scenario.storefront.tiers)
    return replace(scenario, storefront=replace(scenario.storefront, tiers=tiers))


@dataclass(frozen=True, slots=True)
class World:
    """What all arms of one run share; seconds. `jitter` is the log-sd of a pod's start-up time around the lead time.

    A pod beyond `warm_slots` needs a new node first, which takes `node_seconds`; nodes stay. `pool_replicas` is all
    that fits. The metrics pipeline shows, `delay_seconds` late, the rate over the scrapes of `rate_seconds`; the HPA
    looks every `sync_seconds`.
    """

    jitter: float = 0.1
    warm_slots: int | None = None
    node_seconds: float = 0.0
    pool_replicas: int | None = None
    scrape_seconds: float = 15.0
    rate_seconds: float = 60.0
    delay_seconds: float = 5.0
    sync_seconds: float = 15.0
    stabilization_seconds: float = 300.0
    retry_share: float = 0.0
    seed: int = 0


def ticks_of(seconds: float, tick_seconds: float) -> int:
    """Whole ticks, rounded to the nearest."""
    return max(0, round(seconds / tick_seconds))


def longest(scenarios: Sequence[Scenario]) -> int:
    return max(scenario.ticks for scenario in scenarios)
