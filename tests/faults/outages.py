"""The operator is dead, or the API server is not there, when something is due; and several operators at once."""

import asyncio
import contextlib
import signal
import time
from dataclasses import dataclass, field
from datetime import timedelta

from tests.cluster.shop import deployment, hpa
from tests.faults import split_brain
from tests.faults.bench import Bench
from tests.faults.judge import evidence_of
from tests.faults.lane import Lane
from tests.faults.life import KILLED, PREPARED, Life
from tests.faults.workloads import HPA

CONVERGED_SECONDS = 30.0
FAIL_OVER_SECONDS = 20.0
REQUESTS_PER_SECOND = 20.0
LOST = 1  # exit code of an operator that lost the Lease


@dataclass(slots=True)
class Measured:
    """What came of an outage; `wrong` is empty where nothing was lost."""

    wrong: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    requests: dict[str, float] = field(default_factory=dict)  # counted by the proxy


@contextlib.asynccontextmanager
async def a_life(bench: Bench, count: int = 1):
    """A shop on a Deployment with an HPA, its campaign announced, under `count` operators."""
    life = Life(bench, bench.new_plan(), count)
    try:
        await life.begin()
        await life.shop(deployment("main"), hpa("main"))
        await life.announce()
        yield life
    finally:
        await life.end()


async def dead_from_raise_to_end(bench: Bench) -> Measured:
    """Nobody is there from the raise until after the end: capacity stays, and then it is given back."""
    measured = Measured()
    async with a_life(bench) as life:
        floor = await life.raised(HPA, "main", 2)
        async with life.owing(HPA, "main", floor):
            life.dead = True
            await life.restart()
            life.go_to(bench.ends + timedelta(minutes=5), "over")
        life.dead = False
        began = time.monotonic()
        await life.given_back("sale")
        measured.seconds["given back after the start"] = time.monotonic() - began
        _judge(life, measured, [2, floor, 2], {KILLED})
    return measured


async def api_down(bench: Bench, seconds: float) -> Measured:
    """The API server goes away before a raise is due, and is back after `seconds`, when it is late."""
    measured = Measured()
    async with a_life(bench) as life:
        at, _, _ = life.steps()[0]
        floor = max(step[2] for step in life.steps() if step[0] <= bench.opens)
        life.go_to(at - PREPARED, "prepared")
        await life.until(lambda: life.ledger("main"), "the ledger is committed ahead of the raise")
        life.lane.cut()
        life.go_to(at + timedelta(seconds=1), "due while it is down")
        await asyncio.sleep(seconds)  # the outage itself; nothing is decided by it
        before = len(life.lane.requests)
        life.lane.down = False
        began = time.monotonic()
        await life.until(lambda: (life.floor(HPA, "main") or 0) >= floor, "raised after the outage", 120.0)
        measured.seconds["raised after the return"] = time.monotonic() - began
        await life.opened()
        await life.over()
        measured.requests = rates(life.lane.requests[before:], began)
        _judge(life, measured, [2, floor, 2], {KILLED, LOST})
    return measured


async def five_operators(bench: Bench) -> Measured:
    """The leader is stopped before the raise; another one takes over; then the first one goes on, long after its time."""
    measured = Measured()
    async with a_life(bench, 5) as life:
        at, _, _ = life.steps()[0]
        floor = max(step[2] for step in life.steps() if step[0] <= bench.opens)
        leader = holder(life)
        bench.zygote.kill(life.pids[leader], signal.SIGSTOP)
        began = time.monotonic()
        await life.until(lambda: holder(life) not in ("", leader), "another one leads", 60.0)
        measured.seconds["fail-over"] = time.monotonic() - began
        life.go_to(at + timedelta(milliseconds=20), "due")
        await life.until(lambda: (life.floor(HPA, "main") or 0) >= floor, "raised by the new leader")
        async with life.owing(HPA, "main", floor):
            bench.zygote.kill(life.pids[leader], signal.SIGCONT)
            await life.until(lambda: LOST in life.codes, "the old leader ends")
            await life.opened()
        await life.over()
        _judge(life, measured, [2, floor, 2], {KILLED, LOST})
    return measured


async def rounds(bench: Bench, lane: Lane, count: int) -> Measured:
    """See `split_brain.py`."""
    began = time.monotonic()
    found = await split_brain.play(bench, bench.proxy.open_lane(lane), count, seed=count)
    measured = Measured([*found.accepted, *found.wrong], {"all rounds": time.monotonic() - began})
    measured.requests = {f"{hand} refused": refused for hand, refused in found.refused.items()}
    return measured


def holder(life: Life) -> str:
    """The identity that the Lease names."""
    leases = life.bench.observer.all("Lease", life.namespace)
    return leases[0]["spec"].get("holderIdentity") or "" if leases else ""


def rates(requests: list[float], began: float) -> dict[str, float]:
    """Requests per second since the return: the most in any second, and the mean of the first half minute."""
    moments = [at - began for at in requests]
    most = max((sum(first <= at < first + 1 for at in moments) for first in moments), default=0)
    return {"most in a second": most, "mean of 30 s": round(sum(at < 30 for at in moments) / 30, 1)}


def _judge(life: Life, measured: Measured, floors: list[int], codes: set[int]) -> None:
    found = evidence_of(life)
    seen = found.floors[f"{HPA}/main"]
    if seen != floors:
        measured.wrong.append(f"floors {seen} instead of {floors}")
    measured.wrong += [problem for problem in found.problems if "ended with" not in problem]
    measured.wrong += [f"an operator ended with {code}" for code in set(life.codes) - codes]
