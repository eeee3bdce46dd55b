"""The search for the largest rate: what must hold whatever the server does."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forerun.calibrate.search import Answer, Bounds, Measurement, Objective, Verdict, advance, capacity_rps, verdict

OBJECTIVE = Objective(0.05, 0.99)


def step(rate: float, *, slow: int = 0, errors: int = 0, delay: float = 0.0, requests: int = 1000) -> Measurement:
    return Measurement(rate, 10.0, requests, slow, errors, 0.01, delay)


def searched(meets, bounds: Bounds) -> tuple[list[Measurement], Answer]:
    """`meets` says of a rate whether the server meets the objective at it, this time."""
    measured: list[Measurement] = []
    while not isinstance(following := advance(measured, OBJECTIVE, bounds), Answer):
        assert len(measured) < 100
        measured.append(step(following, slow=0 if meets(following) else 500))
    return measured, following


rates = st.floats(0.3, 900.0)


@given(capacity=rates, start=st.floats(0.2, 1000.0))
def test_a_steady_server_is_found_to_within_the_precision_and_never_above(capacity: float, start: float) -> None:
    bounds = Bounds(start_rps=start, most_rps=1000.0)
    measured, answer = searched(lambda rate: rate <= capacity, bounds)
    assert answer.rate_rps is not None
    assert answer.rate_rps <= capacity <= answer.rate_rps * bounds.precision + 1e-9
    assert answer.times == bounds.confirmations
    assert answer.limited_by is Verdict.TOO_SLOW
    assert len(measured) <= 60


@given(outcomes=st.lists(st.booleans(), min_size=60, max_size=60), start=rates, most=rates)
@settings(max_examples=300)
def test_whatever_happens_the_answer_was_met_every_time_and_nothing_lower_was_missed(
    outcomes: list[bool], start: float, most: float
) -> None:
    coin = iter(outcomes)
    bounds = Bounds(start_rps=start, most_rps=most)
    measured, answer = searched(lambda _: next(coin), bounds)
    said = [(one.rate_rps, verdict(one, OBJECTIVE) is Verdict.MET) for one in measured]
    assert all(rate <= most for rate, _ in said)
    if answer.rate_rps is not None:
        assert all(met for rate, met in said if rate <= answer.rate_rps)
        assert sum(rate == answer.rate_rps for rate, _ in said) >= bounds.confirmations


@given(most=rates)
def test_a_server_that_is_never_slow_is_offered_the_most_and_no_more(most: float) -> None:
    _, answer = searched(lambda _: True, Bounds(start_rps=4.0, most_rps=most))
    assert answer == Answer(most, 3, None)


def test_a_server_that_never_meets_it_has_no_capacity() -> None:
    measured, answer = searched(lambda _: False, Bounds(start_rps=4.0, most_rps=100.0))
    assert answer == Answer(None, 0, Verdict.TOO_SLOW)
    assert min(one.rate_rps for one in measured) >= 0.1


@given(requests=st.integers(1, 10_000), slow=st.integers(0, 10_000), errors=st.integers(0, 5), q=st.floats(0.5, 0.9999))
def test_a_rate_is_met_only_without_errors_and_within_the_quantile(
    requests: int, slow: int, errors: int, q: float
) -> None:
    said = verdict(step(1.0, slow=slow, errors=errors, requests=requests), Objective(0.05, q))
    assert (said is Verdict.MET) == (errors == 0 and slow <= math.floor(requests * (1 - q) + 1e-9))


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        (step(1.0, slow=10), Verdict.MET),  # one in a hundred of 1,000
        (step(1.0, slow=11), Verdict.TOO_SLOW),
        (step(1.0, errors=1), Verdict.ERRORS),
        (step(1.0, slow=500, delay=0.04), Verdict.GENERATOR_LATE),
        (step(1.0, slow=10, delay=0.04), Verdict.MET),  # late and met all the same
    ],
)
def test_what_a_step_says(measured: Measurement, said: Verdict) -> None:
    assert verdict(measured, OBJECTIVE) is said


@given(rate=st.floats(0.2, 1e4), replicas=st.integers(1, 1000), headroom=st.floats(0, 90))
def test_the_declared_capacity_is_never_above_what_was_measured(rate: float, replicas: int, headroom: float) -> None:
    exact = rate / replicas * (1 - headroom / 100)
    declared = capacity_rps(rate, replicas, headroom)
    assert 0.989 * exact <= declared <= exact * (1 + 1e-5)


def test_three_digits() -> None:
    assert capacity_rps(1234.5, 1, 0) == 1230.0
    assert capacity_rps(100.0, 3, 10) == 30.0
    assert capacity_rps(0.123456, 1, 0) == 0.123
