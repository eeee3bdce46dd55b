"""A token bucket for writes that can wait: Events and the like never crowd out floors."""

import asyncio
import random
import time
from collections.abc import Callable

JITTER = 0.1  # of a wait, so that replicas and loops do not fall into step


class TokenBucket:
    """`rate_per_second` tokens a second, at most `burst` saved up.

    `reserve` is the arithmetic (a pure function of the clock), `take` waits it out.
    Callers are served in the order in which they asked.
    """

    def __init__(
        self,
        rate_per_second: float,
        burst: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        if not 0 < rate_per_second < float("inf"):
            raise ValueError(f"rate_per_second: must be finite and more than 0, is {rate_per_second}")
        self._rate = rate_per_second
        self._burst = max(1.0, burst if burst is not None else rate_per_second)
        self._clock = clock
        self._jitter = jitter
        self._tokens = self._burst
        self._at = clock()

    def reserve(self, now: float) -> float:
        """Take one token at `now` (seconds) and return the seconds to wait before it may be spent.

        Tokens may go below zero: each one that is owed moves the next caller further back.
        """
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = max(self._at, now)
        self._tokens -= 1.0
        return max(0.0, -self._tokens / self._rate)

    async def take(self) -> None:
        """Wait until one more background write may be sent."""
        wait = self.reserve(self._clock())
        if wait > 0:
            await asyncio.sleep(wait * (1.0 + JITTER * self._jitter()))
