"""Requests after a start or an outage: few, then more; what is pressing does not wait."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forerun.kube.pace import DOUBLING_SECONDS, Pace, pressing


def sent(pace, until, every=0.001):
    """How many requests of somebody who always has one more go out in `[0, until)`."""
    count, free_at, now = 0, 0.0, 0.0
    while now < until:
        if now >= free_at:
            free_at = now + pace.reserve(now)
            count += free_at < until
        now += every
    return count


def test_twenty_a_second_after_a_start():
    assert sent(Pace(20, 200, clock=lambda: 0.0), DOUBLING_SECONDS) <= 20 * (DOUBLING_SECONDS + 1)


def test_it_doubles_while_all_goes_well_up_to_the_most():
    pace = Pace(20, 200, clock=lambda: 0.0)
    assert [pace.rate(seconds) for seconds in (0, 9.9, 10, 20, 30, 40, 4000)] == [20, 20, 40, 80, 160, 200, 200]


def test_no_answer_begins_anew_with_nothing_saved_up():
    pace = Pace(20, 200, clock=lambda: 0.0)
    assert pace.reserve(100.0) == 0.0
    pace.stumble(100.0)
    assert pace.rate(100.0) == 20
    assert pace.reserve(100.0) > 0


@settings(deadline=None)
@given(st.lists(st.floats(0, 5), max_size=200), st.floats(1, 50), st.floats(1, 500))
def test_never_more_than_the_rate_and_one_burst(pauses, first, most):
    """Over any stretch: those that waited as they were told are not more than the rates allow, and one second's worth."""
    pace = Pace(first, most, clock=lambda: 0.0)
    now, going, allowed = 0.0, [], 0.0
    for pause in pauses:
        allowed += pause * pace.rate(now + pause)
        now += pause
        going.append(now + pace.reserve(now))
    assert sum(at <= now for at in going) <= allowed + max(first, pace.rate(now)) + 1


async def test_what_is_pressing_does_not_wait_and_the_others_wait_longer():
    pace = Pace(1, 1, clock=lambda: 0.0, jitter=lambda: 0.0)
    with pressing():
        for _ in range(50):
            await pace.take()
    assert pace.reserve(0.0) == pytest.approx(50.0)


async def test_pressing_ends_with_its_block():
    with pressing(False):
        pass
    pace = Pace(1000, 1000, clock=lambda: 0.0, jitter=lambda: 0.0)
    for _ in range(1001):
        await pace.take()  # the last one waits a thousandth of a second


@pytest.mark.parametrize("rate", [0.0, -1.0, float("inf"), float("nan")])
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(ValueError, match="first"):
        Pace(rate, 10)
