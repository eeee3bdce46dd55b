"""One plan: a namespace, its operator behind the proxy, and its clock; words for what a workload does."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.cluster.observer import Raw
from tests.cluster.scenario import Stage
from tests.cluster.shop import campaign, tier
from tests.faults.bench import SETTINGS, Bench
from tests.faults.lane import Lane

PATIENCE_SECONDS = 45.0  # how long to wait for what must come; never how long a plan takes
BETWEEN_STEPS = timedelta(seconds=61)  # a floor comes down a minute after its last write at the earliest
PREPARED = timedelta(seconds=14)  # before a raise: by then its ledger is due
KILLED = -9
SPAWN_PAUSE_SECONDS = 0.2  # after an operator that ended by itself


@dataclass(frozen=True, slots=True)
class Owed:
    """In these versions of a target its floor was owed."""

    kind: str
    name: str
    floor: int
    first: int
    last: int


class Life(Stage):
    """The operator is started again whenever it ends, as the kubelet would."""

    def __init__(self, bench: Bench, name: str, count: int = 1, settings: dict[str, str] | None = None) -> None:
        super().__init__(bench, name)
        self.bench = bench
        self.clock = bench.new_clock(name)
        self.query = bench.demand.query(name, self.clock.now)
        self.lane = Lane(name, self.kill)
        self.owed: list[Owed] = []
        self.codes: list[int] = []  # with which operators have ended
        self.log = bench.plane.work_folder / f"operator-{name}.log"
        self.at_moment: Callable[[str], None] = lambda _: None
        self.moments: list[str] = []
        self._settings = {**SETTINGS, **(settings or {})}
        self.dead = False  # no operator is started again
        self.pids: dict[str, int] = {}  # of the operators, by identity
        self._count = count
        self._closing = False
        self.armed = False
        self._kubeconfig = bench.proxy.open_lane(self.lane)
        self._operating: list[asyncio.Task[None]] = []

    # the operator

    async def begin(self) -> None:
        """A namespace and operators for it alone, with a Lease of their own there."""
        labels = {"forerun-test": self.bench.run}
        await self.bench.api.create(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace, "labels": labels}}
        )
        names = [f"{self.namespace}-{number}" for number in range(self._count)]
        self._operating = [asyncio.create_task(self._operate(name)) for name in names]

    async def end(self) -> None:
        self._closing = True
        while any(not task.done() for task in self._operating):
            self.kill()
            await asyncio.wait(self._operating, timeout=0.05)
        with contextlib.suppress(Exception):
            await self.bench.api.delete("Namespace", None, self.namespace)
        self.bench.proxy.close_lane(self.lane)
        self.bench.demand.forget(self.namespace)
        self.bench.observer.forget(self.namespace)

    async def restart(self) -> None:
        """Kill the operator between two writes."""
        before = len(self.codes)
        self.kill()
        while len(self.codes) == before:
            await asyncio.sleep(0.01)

    def complaints(self) -> list[str]:
        """Lines of the operator's log that no fault explains: what it had not reckoned with."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        found = []
        for line in lines:
            try:
                told = json.loads(line)
            except ValueError:
                told = {"level": "error", "event": line}
            if told.get("level") == "error":
                found.append(str(told.get("exception") or told.get("event")).strip().splitlines()[-1])
        return found

    def kill(self) -> None:
        for pid in self.pids.values():
            self.bench.zygote.kill(pid)

    async def _operate(self, identity: str) -> None:
        environment = {
            **self._settings,
            "FORERUN_NAMESPACE": self.namespace,
            "FORERUN_WATCH_NAMESPACES": self.namespace,
            "FORERUN_IDENTITY": identity,
        }
        given = {
            "environment": environment,
            "kubeconfig": str(self._kubeconfig),
            "clock": str(self.clock.path),
            "forecasts": str(self.bench.forecasts.path),
            "log": str(self.log),
        }
        while not self._closing:
            while self.dead and not self._closing:
                await asyncio.sleep(0.02)
            pid = self.pids[identity] = await self.bench.zygote.fork(given)
            code = await self.bench.zygote.ended(pid)
            self.codes.append(code)
            if code != KILLED:
                await asyncio.sleep(SPAWN_PAUSE_SECONDS)

    # what a workload says

    def front(self, name: str, *tiers: Raw, source: str | None = None, query: str | None = None) -> Raw:
        return super().front(name, *tiers, source=source, query=query or self.query)

    async def shop(self, *workloads: Raw, tiers: tuple[Raw, ...] = ()) -> None:
        """Workloads, settled and remembered as they are; then the Storefront `main` of one tier on `main`."""
        self.moment("shop")
        await self.create(*workloads)
        await self.remember(*workloads)
        await self.create(self.front("main", *(tiers or (tier("web", "main"),))))
        await self.until_accepted("main")

    async def announce(self, name: str = "sale", of: str = "main", **others: Any) -> None:
        """A campaign whose window is the plans' common one."""
        self.moment("announced")
        expected = {"expected": {"peak": "400"}} | others
        await self.create(campaign(name, of, self.bench.opens, self.bench.ends, **expected))
        await self.until(lambda: self.condition(name, "Planned").get("status") == "True", f"{name} is planned")
        await self.until(lambda: name in self._planned(of), f"{name} is in the plan")

    def _planned(self, of: str) -> list[str]:
        plan = self.bench.observer.now("CapacityPlan", self.namespace, of) or {}
        return [made["campaign"] for made in (plan.get("spec") or {}).get("generations") or ()]

    def steps(self, of: str = "main") -> list[tuple[datetime, str, int]]:
        """The plan as it stands: when, which tier, which floor."""
        plan = self.bench.observer.now("CapacityPlan", self.namespace, of) or {}
        return [
            (datetime.fromisoformat(step["at"]), step["tier"], step["floor"])
            for step in (plan.get("spec") or {}).get("steps") or ()
        ]

    async def raised(self, kind: str, name: str, above: int, tier_name: str = "web") -> int:
        """The clock goes to the preparation of the first step and then to the step; the floor that is owed then."""
        rises = [(at, floor) for at, step_tier, floor in self.steps() if step_tier == tier_name and floor > above]
        assert rises, self.steps()
        at = rises[0][0]
        floor = max(floor for when, floor in rises if when <= self.bench.opens)
        last = max(when for when, _ in rises if when <= self.bench.opens)
        self.go_to(at - PREPARED, "prepared")
        await self.until(lambda: self.ledger("main"), "the ledger is committed ahead of the raise")
        self.go_to(at + timedelta(milliseconds=20), "due")
        await self.until(lambda: (self.floor(kind, name) or 0) > above, "the first step is taken")
        if last > at:
            self.go_to(last + timedelta(milliseconds=20), "due to the last")
        await self.until(lambda: (self.floor(kind, name) or 0) >= floor, f"the floor is {floor}")
        return floor

    async def opened(self, name: str = "sale") -> None:
        """The window opens."""
        self.go_to(self.bench.opens + timedelta(seconds=1), "open")
        await self.until_phase(name, "Live")

    async def over(self, *names: str) -> None:
        """The window closes, a minute goes by, and everything is given back."""
        self.go_to(self.bench.ends + timedelta(seconds=2), "over")
        await self.given_back(*(names or ("sale",)))

    async def given_back(self, *completed: str) -> None:
        """As time goes by, everything comes back as it was, and the ledger is empty."""
        for name in completed:
            await self.until_phase(name, "Releasing", "Completed")
        self.go_to(self.clock.now() + BETWEEN_STEPS, "given back")
        await self.until(lambda: not self.differences(), "given back")
        for name in completed:
            await self.until_phase(name, "Completed")
        await self.until(lambda: not self.ledger("main"), "the ledger is empty")

    async def patch_status(self, kind: str, name: str, status: Raw) -> None:
        """As who restores a backup would."""
        await self.patch(f"{kind}/status", name, {"status": status}, manager="backup")

    def moment(self, name: str) -> None:
        self.moments.append(name)
        self.at_moment(name)

    def go_to(self, when: datetime, name: str) -> None:
        self.moment(name)
        if when > self.clock.now():
            self.clock.set(when)

    @contextlib.asynccontextmanager
    async def owing(self, kind: str, name: str, floor: int) -> AsyncIterator[None]:
        """While this lasts, the floor of a target may not be lower. To be left before the clock says it may."""
        first = len(self.history(kind, name)) - 1
        yield
        self.owed.append(Owed(kind, name, floor, first, len(self.history(kind, name))))

    async def until(self, holds: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
        return await super().until(holds, what, seconds)
