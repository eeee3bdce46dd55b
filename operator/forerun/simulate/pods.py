"""Pods of many lanes: requested, starting, Ready. One lane is one Deployment."""

from collections.abc import Sequence

import numpy as np

from forerun.simulate.scenario import IntArray

_CLASSES = 4  # pods of one request become Ready in so many portions, spread over the start-up time's distribution
_NORMAL_MIDDLES = np.array([-1.1503, -0.3186, 0.3186, 1.1503])  # of four equal slices of a normal distribution


class Pods:
    """`ready` and `starting` [lanes]; both are billed. A request of ticks ago becomes Ready when its time has come.

    `lead_ticks` [lanes] is the median start-up time, `jitter` the log-sd around it: stratified, so that every arm
    meets the same luck. Fewer pods: those not Ready go before the Ready ones, and of them first the one that would be
    Ready last. A pod for which there is no slot brings a node of `node_ticks`; its slots are there from then on.
    Call `arrive` once for each tick, `scale` after it.
    """

    def __init__(
        self,
        initial: IntArray,
        lead_ticks: IntArray,
        jitter: float,
        phase: IntArray,
        *,
        warm_slots: Sequence[int] | IntArray | None = None,
        node_ticks: int = 0,
    ) -> None:
        lanes = initial.size
        self.ready = initial.astype(np.int64).copy()
        self._node_ticks = node_ticks
        bounded = warm_slots is not None and node_ticks > 0
        self._slots = np.array(warm_slots, np.int64) if bounded else np.full(lanes, np.iinfo(np.int64).max)
        self._slots = np.maximum(self._slots, self.ready)
        self._delays = np.maximum(
            np.rint(lead_ticks[:, None] * np.exp(jitter * _NORMAL_MIDDLES)[None, :]), np.minimum(lead_ticks, 1)[:, None]
        ).astype(np.int64)
        self._phase = phase
        self._horizon = int(self._delays.max(initial=0)) + node_ticks + 1
        self._coming = np.zeros((self._horizon, lanes), dtype=np.int64)  # ring: row (tick % horizon) is Ready at tick
        self._nodes = np.zeros((node_ticks + 1, lanes), dtype=np.int64)  # ring: slots there will be at tick
        self.starting = np.zeros(lanes, dtype=np.int64)

    def arrive(self, tick: int) -> None:
        """What becomes Ready at the begin of this tick."""
        row = self._coming[tick % self._horizon]
        if row.any():
            self.ready += row
            self.starting -= row
            row[:] = 0
        if self._node_ticks:
            slots = self._nodes[tick % (self._node_ticks + 1)]
            np.maximum(self._slots, slots, out=self._slots)
            slots[:] = 0

    def scale(self, tick: int, replicas: IntArray) -> None:
        """To so many pods in all."""
        change = replicas - self.ready - self.starting
        up = np.flatnonzero(change > 0)
        if up.size:
            self._start(tick, up, change[up])
        down = np.flatnonzero(change < 0)
        if down.size:
            self._stop(tick, down, -change[down])

    def _start(self, tick: int, lanes: IntArray, count: IntArray) -> None:
        standing = self.ready[lanes] + self.starting[lanes]
        warm = np.clip(self._slots[lanes] - standing, 0, count)
        ready_at = (tick + self._node_ticks) % (self._node_ticks + 1)
        self._nodes[ready_at, lanes] = np.maximum(self._nodes[ready_at, lanes], standing + count)
        self.starting[lanes] += count
        for more, extra in ((warm, 0), (count - warm, self._node_ticks)):
            if not more.any():
                continue
            for portion in range(_CLASSES):
                turn = (self._phase[lanes] + tick + portion) % _CLASSES  # which portion gets what does not divide
                part = (more + turn) // _CLASSES
                delay = self._delays[lanes, portion] + extra
                now = delay == 0
                self.ready[lanes[now]] += part[now]
                self.starting[lanes[now]] -= part[now]
                later = ~now & (part > 0)
                np.add.at(self._coming, ((tick + delay[later]) % self._horizon, lanes[later]), part[later])

    def _stop(self, tick: int, lanes: IntArray, count: IntArray) -> None:
        """The ones that would be Ready last go first."""
        left = count.copy()
        some = np.flatnonzero(self.starting[lanes])
        if some.size:
            order = (tick + np.arange(self._horizon - 1, 0, -1)) % self._horizon
            cells = np.ix_(order, lanes[some])
            ring = self._coming[cells]
            before = np.cumsum(ring, axis=0) - ring
            taken = np.clip(left[some][None, :] - before, 0, ring)
            self._coming[cells] = ring - taken
            gone = taken.sum(axis=0)
            self.starting[lanes[some]] -= gone
            left[some] -= gone
        self.ready[lanes] -= left
