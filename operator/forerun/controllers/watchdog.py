"""Watches the event loop: how late it runs, and what holds it up when it stands still.

A task in the loop beats; a thread of the operating system, which a blocked loop cannot stop, looks whether it does.
"""

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Callable

import structlog

from forerun.observe import metrics

_log = structlog.get_logger(__name__)
BEAT_SECONDS = 0.25
STALL_SECONDS = 1.0  # the loop stands still: that is told, once for each time
LATE_SECONDS = 1.0  # a beat so late is a late one
MOST_FRAMES = 12  # of the blocked stack, innermost last


class LoopWatchdog:
    """`run` it in the loop that is to be watched; the thread lives as long."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._beaten_at = clock()
        self._late_since: float | None = None
        self._told_of = 0.0  # the beat after which a stall was told
        self._thread_id = 0
        self._stop = threading.Event()

    @property
    def lagging_for_seconds(self) -> float:
        """How long every beat has been late without a break, the one due now included; 0.0 while the loop keeps up."""
        now = self._clock()
        overdue = now - self._beaten_at - BEAT_SECONDS
        if self._late_since is not None:
            return now - self._late_since
        return overdue if overdue > LATE_SECONDS else 0.0

    async def run(self) -> None:
        """Beat until cancelled."""
        self._thread_id = threading.get_ident()
        self._beaten_at = self._clock()
        threading.Thread(target=self._watch, name="loop-watchdog", daemon=True).start()
        try:
            while True:
                await asyncio.sleep(BEAT_SECONDS)
                self.beat()
        finally:
            self._stop.set()

    def beat(self) -> None:
        """The loop has come round again."""
        now = self._clock()
        lag = max(0.0, now - self._beaten_at - BEAT_SECONDS)
        metrics.LOOP_LAG.observe(lag)
        if lag <= LATE_SECONDS:
            self._late_since = None
        elif self._late_since is None:
            self._late_since = self._beaten_at
        self._beaten_at = now

    def look(self) -> str | None:
        """From the other thread: the stack that holds the loop up, when it has just been found standing still."""
        beaten_at = self._beaten_at
        if self._clock() - beaten_at - BEAT_SECONDS < STALL_SECONDS or self._told_of == beaten_at:
            return None
        self._told_of = beaten_at
        metrics.LOOP_STALLS.inc()
        return stack_of(self._thread_id)

    def _watch(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            stack = self.look()
            if stack is not None:
                seconds = round(self._clock() - self._beaten_at, 1)
                _log.warning("the event loop is blocked", seconds=seconds, stack=stack)


def stack_of(thread_id: int) -> str:
    """Where a thread is now, in one line, innermost call last; empty where there is no such thread."""
    frame = sys._current_frames().get(thread_id)  # noqa: SLF001  (the documented way; there is no other)
    calls = traceback.extract_stack(frame, MOST_FRAMES) if frame else []
    return " > ".join(f"{call.filename.rpartition('/')[2]}:{call.lineno} {call.name}" for call in calls)
