"""The event loop is watched from outside of it."""

import asyncio
import time

from forerun.controllers import watchdog
from forerun.controllers.watchdog import LoopWatchdog, stack_of
from forerun.observe import metrics


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def watched() -> tuple[LoopWatchdog, Clock]:
    clock = Clock()
    return LoopWatchdog(clock), clock


def beats(dog: LoopWatchdog, clock: Clock, *lags: float) -> None:
    for lag in lags:
        clock.now += watchdog.BEAT_SECONDS + lag
        dog.beat()


def stalls() -> float:
    return metrics.REGISTRY.get_sample_value("forerun_loop_stalls_total") or 0.0


def test_a_loop_that_keeps_up_is_not_lagging():
    dog, clock = watched()
    beats(dog, clock, 0.0, 0.3, 0.9, 0.0)
    assert dog.lagging_for_seconds == 0.0
    assert dog.look() is None


def test_it_lags_from_the_beat_before_the_first_late_one():
    dog, clock = watched()
    beats(dog, clock, 0.0, 2.0, 3.0)
    assert dog.lagging_for_seconds == 5.0 + 2 * watchdog.BEAT_SECONDS


def test_one_beat_in_time_ends_it():
    dog, clock = watched()
    beats(dog, clock, 20.0, 20.0, 0.1)
    assert dog.lagging_for_seconds == 0.0


def test_a_beat_that_is_due_counts_before_it_comes():
    dog, clock = watched()
    clock.now += watchdog.BEAT_SECONDS + 40.0
    assert dog.lagging_for_seconds == 40.0


def test_a_stall_is_told_once_and_the_next_one_again():
    dog, clock = watched()
    before = stalls()
    clock.now += watchdog.BEAT_SECONDS + watchdog.STALL_SECONDS
    assert dog.look() is not None
    clock.now += 5.0
    assert dog.look() is None
    beats(dog, clock, 0.0)
    clock.now += watchdog.BEAT_SECONDS + watchdog.STALL_SECONDS
    assert dog.look() is not None
    assert stalls() - before == 2


async def test_the_blocked_place_is_named():
    """A thread sees a loop that does not come round, and where it stands."""
    dog = LoopWatchdog()
    running = asyncio.create_task(dog.run())
    await asyncio.sleep(0)
    seen: list[str] = []

    def hold_up() -> None:
        before = stalls()
        while stalls() == before:  # until the other thread has noticed
            time.sleep(0.01)
        seen.append(stack_of(dog._thread_id))

    hold_up()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert "test_watchdog.py" in seen[0]
    assert "hold_up" in seen[0]
    assert "\n" not in seen[0]


async def test_healthz_fails_while_the_loop_is_late():
    from aiohttp.test_utils import make_mocked_request

    from forerun.controllers.health import LAGGING_SECONDS, Health

    late = [0.0]
    health = Health("127.0.0.1", 0, lambda: 0.0, 75.0, lambda: late[0])
    request = make_mocked_request("GET", "/healthz")
    assert (await health._healthz(request)).status == 200
    late[0] = LAGGING_SECONDS + 1
    answer = await health._healthz(request)
    assert answer.status == 503
    assert "event loop" in answer.text
