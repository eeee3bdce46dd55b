"""The judge of a lying life: arithmetic of its own, on what was true and on what was owed.

It imports nothing of `forerun.plan`. It knows what the generator knows (true demand, which answers were lies, when
windows are open) and sees every change of a floor, not why it was made.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

AGREE = 5  # answers that a floor may come down on inside a window
STEP_SECONDS = 60.0


@dataclass(frozen=True)
class Facts:
    """One tier as the generator made it."""

    name: str
    capacity: float
    calls: float  # of the tier for one request at the door
    baseline: int
    most: int
    scaled: bool  # an autoscaler scales above the floor

    def need(self, rps: float, headroom: float = 0.5) -> int:
        """Replicas that demand at the door needs: half a replica of headroom, one at least."""
        ratio = rps * self.calls / self.capacity
        wanted = 0 if ratio == 0 else max(1, math.ceil(ratio + headroom - 1e-9))
        return min(max(wanted, 1), self.most) if headroom else min(wanted, self.most)


@dataclass(frozen=True)
class Window:
    start: float
    hold_until: float
    on: bool  # neither suspended nor cancelled


@dataclass
class Oracle:
    """`judge` every floor after every decision; what is wrong is in `faults`."""

    tiers: Sequence[Facts]
    percent: float  # of the surplus, in any minute
    grace: float
    faults: list[str] = field(default_factory=list)
    justified: int = 0  # steps down inside windows that the truth allows
    released: int = 0  # steps down when all is over
    answers: deque[tuple[float, float, str]] = field(default_factory=lambda: deque(maxlen=64))
    _tops: dict[str, int] = field(default_factory=dict)
    _steps: dict[str, deque[tuple[float, int, int]]] = field(default_factory=dict)
    _owed_until: dict[str, float] = field(default_factory=dict)  # of the raise that stands, by tier

    def heard(self, now: float, true: float, lie: str) -> None:
        """What the source was asked at `now`, what was true, and which lie it told: "", "plain" or "plausible"."""
        self.answers.append((now, true, lie))

    def judge(self, now: float, windows: Sequence[Window], before: Sequence[int], after: Sequence[int]) -> None:
        open_now = [w for w in windows if w.on and w.start <= now < w.hold_until]
        until = max((w.hold_until for w in windows if w.on), default=-math.inf)
        for tier, was, is_ in zip(self.tiers, before, after, strict=True):
            if is_ < tier.baseline:
                self._fault(now, tier, was, is_, "below the baseline")
            # a raise belongs to the windows that are on as it is made: what others promised is over
            known = until if is_ > was else self._owed_until.get(tier.name, until)
            self._owed_until[tier.name] = max(known, until)
            self._tops[tier.name] = max(self._tops.get(tier.name, tier.baseline), was, is_)
            if is_ < was:
                self._lowered(now, tier, was, is_, inside=bool(open_now))
            if is_ == tier.baseline:
                self._tops[tier.name] = tier.baseline
                self._owed_until.pop(tier.name)
            if open_now:
                self._served(now, tier, is_)

    def _lowered(self, now: float, tier: Facts, was: int, is_: int, *, inside: bool) -> None:
        self._paced(now, tier, was, is_)
        newest = self.answers[-1] if self.answers else (now, 0.0, "plain")
        expired = not inside and now >= self._owed_until[tier.name] + self.grace
        if expired:
            self.released += 1
            return
        if newest[2] == "plain":
            self._fault(now, tier, was, is_, "lowered though the newest answer makes no sense")
        if inside:
            self._inside(now, tier, was, is_)
        elif not tier.scaled and is_ < tier.need(newest[1], headroom=0.0):
            self._fault(now, tier, was, is_, f"below what true demand fills, {tier.need(newest[1], 0.0)}")
        else:
            self.released += 1

    def _inside(self, now: float, tier: Facts, was: int, is_: int) -> None:
        last = list(self.answers)[-AGREE:]
        if any(lie == "plausible" for _, _, lie in last):
            # only the autoscaler's metric can see through it: that shows what is so now, and knows of no headroom
            need = tier.need(last[-1][1], headroom=0.0)
        else:
            need = max(tier.need(true) for _, true, _ in last)
        if len(last) < AGREE or any(lie == "plain" for _, _, lie in last):
            self._fault(now, tier, was, is_, "lowered inside a window though an answer of the last five makes no sense")
        elif is_ < need:
            self._fault(now, tier, was, is_, f"lowered inside a window below the need of true demand, {need}")
        else:
            self.justified += 1

    def _paced(self, now: float, tier: Facts, was: int, is_: int) -> None:
        """In any minute no more than the share of the surplus, or one replica."""
        steps = self._steps.setdefault(tier.name, deque(maxlen=32))
        steps.append((now, was - is_, self._tops[tier.name] - tier.baseline))
        within = [(count, top) for at, count, top in steps if now - at < STEP_SECONDS - 1e-6]  # the clock adds floats
        gone, surplus = sum(count for count, _ in within), max(top for _, top in within)
        if gone > max(1, math.floor(surplus * self.percent / 100 + 1e-9)):
            self._fault(now, tier, was, is_, f"{gone} of a surplus of {surplus} lowered within a minute")

    def _served(self, now: float, tier: Facts, is_: int) -> None:
        """Live demand that was told honestly is met, inside a window."""
        at, true, lie = self.answers[-1]
        if not lie and at == now and is_ < tier.need(true):
            self._fault(now, tier, is_, is_, f"below live demand inside a window, {tier.need(true)}")

    def _fault(self, now: float, tier: Facts, was: int, is_: int, what: str) -> None:
        told = [(round(at), round(true, 1), lie) for at, true, lie in list(self.answers)[-6:]]
        self.faults.append(f"t={now:.0f} {tier.name} {was} -> {is_}: {what}; last answers {told}")
