"""The policy port: who decides the floors of an arm. Bring your own: see docs/simulator.md."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

import numpy as np

from forerun.domain.campaign import Campaign
from forerun.domain.forecast import EventWindow, Forecast, ForecastRequest, Lesson
from forerun.domain.observation import DemandSeries
from forerun.domain.reason import Hold
from forerun.domain.storefront import Storefront
from forerun.simulate.scenario import FloatArray, Scenario, World

_P95 = 1.6449  # of the standard normal distribution


@dataclass(frozen=True, slots=True)
class TierView:
    """One tier as it stands now."""

    name: str
    floor: int
    desired: int
    ready: int
    wants_less: bool | None = None  # the autoscaler's own metric asks for less than the floor; None: it does not say


@dataclass(frozen=True, slots=True)
class View:
    """What can be known at a moment: nothing of the demand that comes.

    `shown_rps` [ticks so far + 1] is what the metrics pipeline showed at the begin of each tick, NaN where it showed
    nothing; the last one is what it shows now.
    """

    tick: int
    tick_seconds: float
    start: datetime
    shown_rps: FloatArray
    tiers: tuple[TierView, ...]

    @property
    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.tick * self.tick_seconds)

    @property
    def demand_rps(self) -> float | None:
        """Demand at the door as it is shown now; None where the metric is missing."""
        value = float(self.shown_rps[-1])
        return None if np.isnan(value) else value

    def recent(self, seconds: float, step_seconds: float) -> DemandSeries | None:
        """The last `seconds` of what was shown, every `step_seconds`, up to now; None where there is nothing yet."""
        stride = max(1, round(step_seconds / self.tick_seconds))
        count = min(int(seconds / step_seconds), (self.shown_rps.size - 1) // stride)
        if count < 1:
            return None
        values = self.shown_rps[self.shown_rps.size - 1 - (count - 1) * stride :: stride]
        step = stride * self.tick_seconds
        return DemandSeries(self.now - timedelta(seconds=count * step), step, tuple(values.tolist()))


class Policy(Protocol):
    """Decides the floors of one scenario, and of no other. `every_seconds`: how often it is asked."""

    every_seconds: float

    def floors(self, view: View) -> Mapping[str, float]:
        """The floor of each tier from now on; a tier that is left out keeps the floor it has.

        Parts of a replica are rounded up; what is below the tier's minReplicas is minReplicas, what is above its
        maxReplicas is maxReplicas. An exception, a name that is no tier, or a floor that is no number of 0 to 1,000,000
        ends the arm on this scenario with a verdict: it is not asked again, and its last floors stand to the end.
        """
        ...


@runtime_checkable
class Foreseeing(Protocol):
    """A policy that asks the forecast worker: `ask` is called before `floors`, and `take` with the answer."""

    def ask(self, view: View) -> ForecastRequest | None: ...

    def take(self, answer: Forecast | Hold) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What is known of a scenario before it begins: everything but its demand.

    `last_peak_rps` is the highest demand of the last event of the kind; `shown_rps` what the metrics showed last.
    """

    name: str
    storefront: Storefront
    campaigns: tuple[Campaign, ...]
    start: datetime
    tick_seconds: float
    ticks: int
    history: DemandSeries | None
    past: tuple[EventWindow, ...]
    experience: tuple[Lesson, ...]
    last_peak_rps: float | None
    start_up_spread: float  # measured p95 of the start-up time over its median
    hpa_target: float | None  # share of a replica's capacity that the autoscaler aims at; None: there is none


def known_of(scenario: Scenario, world: World, hpa_target: float | None) -> Known:
    return Known(
        name=scenario.name,
        storefront=scenario.storefront,
        campaigns=scenario.campaigns,
        start=scenario.start,
        tick_seconds=scenario.tick_seconds,
        ticks=scenario.ticks,
        history=scenario.history,
        past=scenario.past,
        experience=scenario.experience,
        last_peak_rps=scenario.last_peak_rps,
        start_up_spread=float(np.exp(_P95 * world.jitter)),
        hpa_target=hpa_target,
    )


class PolicyFactory(Protocol):
    """Makes a policy for one scenario from what is known before it begins: history, campaigns, tiers."""

    def __call__(self, known: Known) -> Policy: ...
