from datetime import UTC, datetime, timedelta

import pytest

from forerun.domain.campaign import Occurrence
from forerun.domain.observation import DemandSeries
from forerun.sandbox.demo.recording import Moment, TierSight
from forerun.sandbox.demo.scenario import DeclaredEvent, Scenario, make_scenario

START = datetime(2026, 11, 27, 19, 0, tzinfo=UTC)
WINDOW = Occurrence(START, START + timedelta(seconds=90))


def steady(days: float = 4.0, rps: float = 100.0, step_seconds: float = 60.0) -> DemandSeries:
    """Constant demand that ends a day after START."""
    start = START - timedelta(days=days - 1.0)
    return DemandSeries(start, step_seconds, (rps,) * round(days * 86400 / step_seconds))


def event(
    name: str = "drop", start: datetime = START, minutes: float = 15.0, kind: str = "flash-sale"
) -> DeclaredEvent:
    return DeclaredEvent(kind, name, start, start + timedelta(minutes=minutes))


@pytest.fixture
def scenario() -> Scenario:
    return make_scenario(steady(), [event()], speed=10.0)


def moments(scenario: Scenario, seconds: range, demand: float, floor: int, ready: int) -> list[Moment]:
    sights = {tier.name: TierSight(floor, floor, ready) for tier in scenario.tiers}
    return [Moment(START + timedelta(seconds=second), demand, sights) for second in seconds]
