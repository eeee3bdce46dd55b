"""The token bucket's arithmetic; no test waits."""

import asyncio

import pytest

from forerun.kube.rate import TokenBucket


def test_a_burst_is_free_and_then_each_token_is_one_interval_later():
    bucket = TokenBucket(10.0, burst=3, clock=lambda: 0.0)
    assert [bucket.reserve(0.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert [bucket.reserve(0.0) for _ in range(3)] == pytest.approx([0.1, 0.2, 0.3])


def test_tokens_come_back_with_time_but_never_above_the_burst():
    bucket = TokenBucket(10.0, burst=2, clock=lambda: 0.0)
    bucket.reserve(0.0)
    bucket.reserve(0.0)
    assert bucket.reserve(1000.0) == 0.0
    assert bucket.reserve(1000.0) == 0.0
    assert bucket.reserve(1000.0) == pytest.approx(0.1)


def test_a_clock_that_stands_still_or_runs_back_gives_no_tokens():
    bucket = TokenBucket(1.0, burst=1, clock=lambda: 100.0)
    assert bucket.reserve(100.0) == 0.0
    assert bucket.reserve(50.0) == pytest.approx(1.0)
    assert bucket.reserve(100.0) == pytest.approx(2.0)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("inf"), float("nan")])
def test_a_rate_that_means_nothing_is_refused(rate):
    with pytest.raises(ValueError, match="rate_per_second"):
        TokenBucket(rate)


async def test_take_waits_for_what_reserve_says_with_jitter_on_top(monkeypatch):
    waited = []

    async def sleep(seconds):
        waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    bucket = TokenBucket(2.0, burst=1, clock=lambda: 0.0, jitter=lambda: 1.0)
    await bucket.take()
    await bucket.take()
    assert waited == pytest.approx([0.55])
