"""The replayed counter is one integral over time, whoever asks and whenever."""

import math
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forerun.domain.observation import DemandSeries
from forerun.sandbox.replay import DemandIntegral, ReplayExporter, place, sampled

T0 = datetime(2030, 1, 1, tzinfo=UTC)
rates = st.lists(st.floats(0, 1e5), min_size=1, max_size=30).map(tuple)


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def test_total_is_the_area_under_the_demand() -> None:
    integral = DemandIntegral(DemandSeries(T0, 60.0, (10.0, 0.0, 2.0)))
    areas = {-5: 0.0, 0: 0.0, 30: 300.0, 60: 600.0, 90: 600.0, 135: 630.0, 180: 720.0, 9999: 720.0}
    assert {seconds: integral.total(after(seconds)) for seconds in areas} == pytest.approx(areas)
    assert [integral.rate(after(seconds)) for seconds in (-1, 0, 59, 60, 120, 180)] == [0.0, 10.0, 10.0, 0.0, 2.0, 0.0]


@given(values=rates, step=st.floats(0.1, 3600), cut=st.floats(0, 1))
def test_nothing_is_lost_or_counted_twice_where_history_ends(
    values: tuple[float, ...], step: float, cut: float
) -> None:
    integral = DemandIntegral(DemandSeries(T0, step, values))
    end = after(step * len(values))
    middle = after(step * len(values) * cut)
    history = list(integral.history(T0, middle, step / 3))
    totals = [value for _, value in history] + [integral.total(middle), integral.total(end)]
    assert all(at < middle for at, _ in history)
    assert totals == sorted(totals)  # a counter never goes down
    assert totals[-1] == pytest.approx(step * math.fsum(values), abs=1e-6 * max(values))  # time has microseconds


def test_a_gap_keeps_the_demand_before_it() -> None:
    integral = DemandIntegral(DemandSeries(T0, 1.0, (math.nan, 5.0, math.nan, math.nan, 1.0)))
    assert integral.total(after(5)) == pytest.approx(0 + 5 + 5 + 5 + 1)


def test_placing_moves_and_compresses_time_but_keeps_the_demand() -> None:
    trace = DemandSeries(T0, 60.0, (1.0, 2.0, 3.0))
    match = T0 + timedelta(seconds=120)  # where 3.0 begins
    now = datetime(2031, 6, 1, 12, 0, tzinfo=UTC)
    placed = DemandIntegral(place(trace, match, now, speed=60.0))
    moments = (-2.5, -1.5, -0.5, 0.5, 1.5)
    assert [placed.rate(now + timedelta(seconds=seconds)) for seconds in moments] == [0.0, 1.0, 2.0, 3.0, 0.0]


def test_a_curve_is_sampled_in_the_middle_of_each_step() -> None:
    ramp = sampled(lambda at: (at - T0).total_seconds(), T0, 10.0, 3)
    assert ramp == DemandSeries(T0, 10.0, (5.0, 15.0, 25.0))
    assert DemandIntegral(ramp).total(after(30)) == pytest.approx(450.0)  # 30^2 / 2


def test_a_scrape_sees_the_value_of_that_moment() -> None:
    clock = iter([after(10.0), after(10.25)])
    integral = DemandIntegral(DemandSeries(T0, 3600.0, (1000.0,)))
    with ReplayExporter(integral, clock=lambda: next(clock)) as exporter:
        scraped = [scrape(exporter.address) for _ in range(2)]
        address = exporter.address
    assert scraped == [10_000.0, 10_250.0]
    with pytest.raises(OSError, match="refused"):
        scrape(address)


def scrape(address: str) -> float:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=300) as answer:
        lines = answer.read().decode().splitlines()
    (sample,) = (line for line in lines if line.startswith('nginx_ingress_requests_total{service="shop"}'))
    return float(sample.split()[-1])
