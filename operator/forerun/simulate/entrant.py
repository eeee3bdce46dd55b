"""An arm on a scenario, what came of it, and why it may not take part."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from forerun.domain.storefront import Tier
from forerun.simulate.policy import Policy
from forerun.simulate.scenario import FloatArray, IntArray, Scenario
from forerun.simulate.score import Score

Schedule = Mapping[str, IntArray]  # tier -> the floor at each tick

MOST_FLOOR = 1_000_000
_MOST_REPLICAS_OF_DEMAND = 1e12  # whole numbers of 64 bits hold that with room to spare


@dataclass(frozen=True, slots=True)
class Setting:
    """How an arm is set. `hpa_target`: the share of a replica's capacity that the autoscaler aims at; None: there is
    no autoscaler. `factor`: how many times the size that was declared or seen the floor is.
    """

    hpa_target: float | None = 0.7
    on_cpu: bool = False
    factor: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Entrant:
    """One arm on one scenario: floors known beforehand (a Schedule), or a policy of its own that decides them."""

    scenario: Scenario
    policy: str
    setting: Setting
    floors: Schedule | Policy


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """One tier of one entrant, tick by tick: arrays [ticks]; demand and unserved in calls/s."""

    demand_rps: FloatArray
    floor: IntArray
    desired: IntArray
    ready: IntArray
    unserved_rps: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """`verdict` None: all went well. Else it says why the arm's policy was asked no more: its last floors stood to the
    end; or why the arm did not take part at all: then there are no scores.
    """

    entrant: Entrant
    scores: Mapping[str, Score]
    verdict: str | None = None
    recorded: Mapping[str, Recorded] = field(default_factory=dict)


def refusal(entrant: Entrant) -> str | None:
    """Why this cannot be simulated; None: it can."""
    scenario, target = entrant.scenario, entrant.setting.hpa_target
    why = _scenario_refusal(scenario)
    if why is not None:
        return why
    if target is not None and not (math.isfinite(target) and target >= 0.001):
        return f"the autoscaler's target is {target!r} of a replica's capacity"
    if isinstance(entrant.floors, Mapping):
        names = [tier.name for tier in scenario.storefront.tiers]
        return _schedule_refusal(entrant.floors, names, scenario.ticks)
    return None


def _scenario_refusal(scenario: Scenario) -> str | None:
    tiers = scenario.storefront.tiers
    if scenario.ticks == 0 or not scenario.tick_seconds > 0.0:
        return "the scenario has no tick"
    if scenario.known.shape != scenario.door_rps.shape:
        return f"the scenario has {scenario.known.size} known for {scenario.ticks} ticks"
    if not (np.isfinite(scenario.door_rps).all() and (scenario.door_rps >= 0.0).all()):
        return "the scenario's demand is not finite and >= 0 at every tick"
    if not tiers:
        return "the scenario has no tier"
    reasons = [_tier_refusal(tier, float(scenario.door_rps.max())) for tier in tiers]
    return next((reason for reason in reasons if reason), None)


def _tier_refusal(tier: Tier, door_rps: float) -> str | None:
    capacity = tier.capacity_per_replica_rps
    if capacity is None or not (math.isfinite(capacity) and capacity > 0.0):
        return f"tier {tier.name}: what a replica serves is not known"
    if door_rps * tier.demand_per_request / capacity > _MOST_REPLICAS_OF_DEMAND:
        return f"tier {tier.name}: the demand is that of more than {_MOST_REPLICAS_OF_DEMAND:g} replicas"
    return None


def _schedule_refusal(schedule: Schedule, names: list[str], ticks: int) -> str | None:
    for name, given in schedule.items():
        floors = np.asarray(given)
        if name not in names:
            return f"gave a floor for {name!r}, which is no tier"
        if floors.shape != (ticks,) or floors.dtype.kind not in "iuf":
            return f"gave floors for {name} that are not one number for each of {ticks} ticks"
        if not ((floors >= 0) & (floors <= MOST_FLOOR)).all():
            return f"gave a floor for {name} that is not 0 .. {MOST_FLOOR}"
    return None
