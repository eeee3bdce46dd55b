"""How fast we ask the API server: slowly after a start or an outage, then ever faster; what is pressing never waits.

An API server that has just come back is asked by everybody at once, and goes down again. So after a start, and after
every request that got no answer, requests begin at a low rate with jitter, which doubles while all goes well. Floors
that are due are sent at once all the same; what they take is missing to the others.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from forerun.kube.rate import JITTER

DOUBLING_SECONDS = 10.0

_pressing: ContextVar[bool] = ContextVar("pressing", default=False)


@contextmanager
def pressing(holds: bool = True) -> Iterator[None]:
    """Requests that are sent in here, also by tasks that are begun in here, do not wait where `holds`."""
    before = _pressing.set(holds or _pressing.get())
    try:
        yield
    finally:
        _pressing.reset(before)


class Pace:
    """`first` requests a second to begin with, `most` in the end; the burst is one second's worth.

    `reserve` and `stumble` are the arithmetic (pure functions of the clock), `take` waits it out.
    """

    def __init__(
        self,
        first: float,
        most: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        for name, rate in (("first", first), ("most", most)):
            if not 0 < rate < float("inf"):
                raise ValueError(f"{name}: must be finite and more than 0, is {rate}")
        self._first = first
        self._most = max(first, most)
        self._clock = clock
        self._jitter = jitter
        self._since = self._at = clock()
        self._tokens = first

    def rate(self, now: float) -> float:
        """Requests a second that are allowed at `now` (seconds)."""
        doublings = min(60.0, max(0.0, now - self._since) / DOUBLING_SECONDS)
        return float(min(self._most, self._first * 2.0 ** int(doublings)))

    def stumble(self, now: float) -> None:
        """There was no answer: begin anew, with nothing saved up."""
        self._since = now
        self._tokens = min(self._tokens, 0.0)

    def reserve(self, now: float) -> float:
        """Take one request at `now` and return the seconds to wait before it may be sent; whoever presses does not."""
        rate = self.rate(now)
        self._tokens = min(rate, self._tokens + max(0.0, now - self._at) * rate)
        self._at = max(self._at, now)
        self._tokens -= 1.0
        return max(0.0, -self._tokens / rate)

    async def take(self) -> None:
        """Wait until one more request may be sent."""
        wait = self.reserve(self._clock())
        if wait > 0 and not _pressing.get():
            await asyncio.sleep(wait * (1.0 + JITTER * self._jitter()))

    def stumbled(self) -> None:
        """`stumble`, now."""
        self.stumble(self._clock())
