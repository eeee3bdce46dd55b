"""What grows is seen to grow, and what only wobbles is not."""

import random

import pytest
from tests.faults.slope import percentile, slope


def wobbling(growth_per_hour: float, seed: int, hours: float = 2.0) -> tuple[list[float], list[float]]:
    """MiB every ten seconds: an autocorrelated wobble of some MiB about a line."""
    rng, wobble = random.Random(seed), 0.0
    seconds = [10.0 * i for i in range(int(hours * 360))]
    values = []
    for at in seconds:
        wobble = 0.9 * wobble + rng.gauss(0.0, 0.5)
        values.append(150.0 + growth_per_hour * at / 3600.0 + wobble)
    return seconds, values


def test_what_does_not_grow_is_mostly_called_flat():
    flat = sum(slope(*wobbling(0.0, seed)).is_flat for seed in range(200))
    assert flat >= 185  # one side of a 95 % interval


def test_a_leak_is_not_flat():
    assert not any(slope(*wobbling(5.0, seed)).is_flat for seed in range(50))


def test_the_slope_is_the_slope():
    assert slope([0.0, 3600.0, 7200.0], [1.0, 3.0, 5.0], blocks=3).per_hour == pytest.approx(2.0)


def test_too_little_says_nothing():
    with pytest.raises(ValueError, match="three"):
        slope([0.0, 1.0], [1.0, 2.0], blocks=2)


def test_percentile_is_the_edge_of_its_bucket():
    buckets = [(0.001, 50.0), (0.01, 98.0), (0.05, 99.5), (0.1, 100.0), (float("inf"), 100.0)]
    assert percentile(buckets, 0.5) == 0.001
    assert percentile(buckets, 0.99) == 0.05
    assert percentile([(0.1, 0.0)], 0.99) == 0.0
