"""Carry out plans, several at once, and write down what came of each."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.faults.bench import Bench
from tests.faults.judge import Evidence, evidence_of, verdict
from tests.faults.life import Life
from tests.faults.plans import Plan
from tests.faults.workloads import WORKLOADS

SETTLING_SECONDS = 1.5  # without a write: then a run without faults has told everything
PATIENCE_SECONDS = 15.0  # for the last statuses
TRIES = 3  # of a plan whose write did not come


@dataclass(slots=True)
class Outcome:
    """`missed`: the fault never happened, so the plan was not carried out."""

    plan: str
    group: str
    workload: str
    wrong: list[str]
    missed: bool
    seconds: float
    fired: list[str] = field(default_factory=list)
    requests: int = 0
    restarts: int = 0

    @property
    def ok(self) -> bool:
        return not self.wrong and not self.missed

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


async def live(bench: Bench, plan: Plan, reference: Evidence | None) -> Evidence:
    """One plan, once. What cannot be waited for any longer stands in the problems."""
    life = Life(bench, bench.new_plan())
    life.at_moment = _armed(life, plan)
    if plan.moment is None:
        life.lane.arm(*plan.faults)
    failed = ""
    try:
        await life.begin()
        try:
            await WORKLOADS[plan.workload].work(life)
            await _settle(life, reference)
        except AssertionError as error:
            failed = f"stuck at {life.moments[-1:]}: {str(error)[:1500]}"
        found = evidence_of(life)
    finally:
        await life.end()
    if failed:
        found.problems.append(failed)
    return found


async def carry_out(bench: Bench, plan: Plan, reference: Evidence) -> Outcome:
    """One plan, again where its write did not come."""
    began = time.monotonic()
    found = Evidence()
    for _ in range(TRIES):
        found = await live(bench, plan, reference)
        if len(found.fired) >= plan.expected:
            break
    return Outcome(
        plan=plan.id,
        group=plan.group,
        workload=plan.workload,
        wrong=verdict(found, reference),
        missed=len(found.fired) < plan.expected,
        seconds=round(time.monotonic() - began, 2),
        fired=found.fired,
        requests=found.requests,
        restarts=found.restarts,
    )


async def carry_out_all(
    bench: Bench,
    plans: Iterable[tuple[Plan, Evidence]],
    parallel: int,
    told: Callable[[Outcome], None],
    until: float = float("inf"),
) -> None:
    """All of them, `parallel` at once; none is begun after `until` (monotonic seconds)."""
    waiting = list(reversed(list(plans)))

    async def work() -> None:
        while waiting and time.monotonic() < until:
            plan, reference = waiting.pop()
            told(await carry_out(bench, plan, reference))

    async with asyncio.TaskGroup() as group:
        for _ in range(parallel):
            group.create_task(work())


def _armed(life: Life, plan: Plan) -> Callable[[str], None]:
    """What happens when a moment of the life begins: at the plan's own one its faults are armed, once."""

    def at_moment(name: str) -> None:
        if name != plan.moment or life.armed:
            return
        life.armed = True
        life.lane.arm(*plan.faults)
        if plan.restart:
            life.kill()

    return at_moment


async def _settle(life: Life, reference: Evidence | None) -> None:
    """Until everything has been told: as in the reference, or, in the reference itself, until nothing comes any more."""
    if reference is None:
        while time.monotonic() - life.lane.began - _last_write(life) < SETTLING_SECONDS:
            await asyncio.sleep(0.05)
        return
    life.lane.disarm()
    with contextlib.suppress(AssertionError):  # the verdict says where it ends otherwise
        await life.until(lambda: evidence_of(life).end == reference.end, "ends as it should", PATIENCE_SECONDS)


def _last_write(life: Life) -> float:
    return max((write.after_seconds for write in life.lane.writes if "leases renew" not in write.name), default=0.0)
