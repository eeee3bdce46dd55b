"""Tests that take minutes of real time, all begun together under one operator.

A floor comes down a minute after its last write, and not before, so one life of a campaign
takes a minute and a half. Marked with `@scenario`, a test is a coroutine that gets a Stage
(a namespace of its own); all that were selected are started at once, and each test waits
for its own one.
"""

import asyncio
import contextlib
import json
import secrets
import sys
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

from tests.cluster.observer import Api, Observer, Raw
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.shop import (
    campaign,
    deployment,
    floor_of,
    hpa,
    storefront,
    tier,
    traces,
    unequal,
    whole,
    without_replicas,
)

from forerun.domain.observation import DemandSeries
from forerun.sandbox.control_plane import ControlPlane
from forerun.sandbox.prometheus import PrometheusServer, ScrapeTarget
from forerun.sandbox.replay import DemandIntegral, ReplayExporter
from forerun.sandbox.workdir import free_ports

PATIENCE_SECONDS = 240.0  # how long to wait for what must come; never how long a test takes
DEMAND = 40.0  # requests/s at every door, all the time: less than one replica serves
QUERY = "sum(rate(nginx_ingress_requests_total[10s]))"
AUTOSCALERS = {"HorizontalPodAutoscaler", "ScaledObject"}

Work = Callable[["Stage"], Awaitable[None]]


def scenario(work: Work, *, own_operator: bool = False) -> Callable[..., Awaitable[None]]:
    """A test that runs `work`; with `own_operator`, in a namespace that the common operator does not watch."""

    async def test(scenarios: "Scenarios") -> None:
        await scenarios.outcome(test)

    test.__name__ = test.__qualname__ = work.__name__
    test.__doc__ = work.__doc__
    test.__module__ = work.__module__
    test.work, test.own_operator = work, own_operator
    return test


class World:
    """One run: the API server, who watches it, where demand is measured, and the common operator."""

    def __init__(self, plane: ControlPlane, run: str, proxy_port: int) -> None:
        self.plane = plane
        self.run = run
        self.api = Api(f"http://127.0.0.1:{proxy_port}")
        self.observer = Observer(self.api, run)
        self.source = f"{run}-prometheus"
        self.operator: OperatorProcess | None = None

    def make_operator(self, identity: str, system: str, namespaces: Iterable[str], **settings: str) -> OperatorProcess:
        return OperatorProcess(self.plane.work_folder, f"{self.run}-{identity}", system, list(namespaces), **settings)

    async def create_namespace(self, name: str) -> None:
        metadata = {"name": name, "labels": {"forerun-test": self.run}}
        await self.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})

    async def create_source(self, name: str, url: str) -> None:
        spec = {"url": url, "timeout": "2s"}
        obj = {"apiVersion": "forerun.dev/v1alpha1", "kind": "MetricsSource", "metadata": {"name": name}, "spec": spec}
        await self.api.create(obj)

    async def create_policy(self) -> None:
        """For the namespaces of this run: a whole surplus may go in one step."""
        selector = {"matchLabels": {"forerun-test": self.run}}
        await self.api.create(
            {
                "apiVersion": "forerun.dev/v1alpha1",
                "kind": "CapacityPolicy",
                "metadata": {"name": self.run},
                "spec": {"namespaceSelector": selector, "maxStepDownPercentPerMinute": 100},
            }
        )


class Stage:
    """One scenario's namespace, and short words for what a scenario does and waits for."""

    def __init__(self, world: World, namespace: str) -> None:
        self.world = world
        self.namespace = namespace
        self._before: dict[tuple[str, str], Raw] = {}
        self._scaled: set[str] = set()

    # what a scenario does

    async def create(self, *objects: Raw) -> None:
        for obj in objects:
            await self.world.api.create(self._placed(obj))

    async def apply(self, *objects: Raw) -> None:
        for obj in objects:
            await self.world.api.apply(self._placed(obj))

    async def patch(self, kind: str, name: str, body: Raw, manager: str = "somebody") -> Raw:
        return await self.world.api.patch(kind, self.namespace, name, body, manager)

    async def delete(self, kind: str, name: str) -> None:
        await self.world.api.delete(kind, self.namespace, name)

    async def forerun(self, *args: str) -> tuple[int, str]:
        """The command line, as a person runs it: exit code, and both outputs together."""
        command = (sys.executable, "-m", "forerun.cli.main", *args, "-n", self.namespace)
        process = await asyncio.create_subprocess_exec(
            *(*command, "--kubeconfig", str(self.world.plane.kubeconfig)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode()

    async def open_shop(self, *workloads: Raw, of: Raw) -> None:
        """Workloads and autoscalers, settled and remembered as they are, then the Storefront, until it is accepted."""
        await self.create(*workloads)
        await self.remember(*workloads)
        await self.create(of)
        await self.until_accepted(of["metadata"]["name"])

    async def small_shop(self, name: str, *, lead: str = "3s", ready_delay: str = "0s", **others: Any) -> None:
        """One Deployment with an HPA (2 to 40), and a Storefront of one tier on it, all of one name."""
        shown = tier("web", name, leadTime=lead, **others)
        await self.open_shop(deployment(name, 2, ready_delay), hpa(name), of=self.front(name, shown))

    async def warm_up(self) -> None:
        """Until the forecast worker answers: its start takes seconds, which no other campaign shall wait for."""
        await self.small_shop("warm-up")
        start = soon(86400)
        await self.create(campaign("warm-up", "warm-up", start, start + timedelta(hours=1)))
        await self.until(lambda: self.condition("warm-up", "Planned").get("status") == "True", "the forecast answers")

    def front(self, name: str, *tiers: Raw, source: str | None = None, query: str = QUERY) -> Raw:
        return storefront(name, source or self.world.source, *tiers, query=query)

    async def remember(self, *objects: Raw) -> None:
        """What these are before the campaign, once their controllers have seen them."""
        self._scaled |= {o["spec"]["scaleTargetRef"]["name"] for o in objects if o["kind"] in AUTOSCALERS}
        for obj in objects:
            key = (obj["kind"], obj["metadata"]["name"])
            await self.until(lambda key=key: self._settled(*key), f"{key} settled")
            self._before[key] = self.object(*key)

    # what a scenario sees

    def object(self, kind: str, name: str) -> Raw:
        found = self.world.observer.now(kind, self.namespace, name)
        assert found is not None, f"{kind} {self.namespace}/{name} is not there"
        return found

    def exists(self, kind: str, name: str) -> bool:
        return self.world.observer.now(kind, self.namespace, name) is not None

    def history(self, kind: str, name: str) -> list[Raw]:
        return [raw for raw in self.world.observer.history(kind, self.namespace, name) if raw is not None]

    def floor(self, kind: str, name: str) -> int | None:
        return floor_of(self.object(kind, name))

    def floors(self, kind: str, name: str) -> list[int | None]:
        """The floors that have stood there, one after the other."""
        return changes(floor_of(raw) for raw in self.history(kind, name))

    def status(self, name: str, kind: str = "Campaign") -> Raw:
        found = self.world.observer.now(kind, self.namespace, name)
        return (found or {}).get("status") or {}

    def phase(self, name: str) -> str | None:
        return self.status(name).get("phase")

    def phases(self, name: str) -> list[str]:
        """The phases that a campaign went through, one after the other."""
        seen = changes((raw.get("status") or {}).get("phase") for raw in self.history("Campaign", name))
        return [phase for phase in seen if phase]

    def story(self, name: str) -> str:
        """A campaign's phases and tiers over time, for whoever reads why a test failed."""
        lines = []
        for raw in self.history("Campaign", name):
            status = raw.get("status") or {}
            tiers = [
                f"{t['name']} {t.get('ready')}/{t['required']} floor {t['floor']}" for t in status.get("tiers") or ()
            ]
            holds = [hold["message"] for hold in status.get("holds") or ()]
            ready = condition(status, "CapacityReady")
            at = max((entry.get("time", "") for entry in raw["metadata"].get("managedFields", ())), default="")
            lines.append(f"{at} {status.get('phase')} {tiers} {ready.get('status')} {holds}")
        return "\n".join(changes(lines))

    def condition(self, name: str, kind: str, of: str = "Campaign") -> Raw:
        return condition(self.status(name, of), kind)

    def events(self, name: str) -> list[str]:
        """The reasons of the Events about a campaign, oldest first."""
        about = (e for e in self.world.observer.all("Event", self.namespace) if e["regarding"]["name"] == name)
        return [event["reason"] for event in sorted(about, key=lambda event: event["eventTime"] or "")]

    def ledger(self, name: str) -> list[Raw]:
        entries: list[Raw] = self.status(name, "CapacityPlan").get("ledger") or []
        return entries

    # what a scenario waits for

    async def until(self, holds: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
        return await self.world.observer.until(holds, lambda: f"{self.namespace}: {what}\n{self._shown()}", seconds)

    async def until_phase(self, name: str, *phases: str) -> None:
        await self.until(lambda: self.phase(name) in phases, f"{name} is {' or '.join(phases)}")

    async def until_accepted(self, storefront: str) -> None:
        """The operator knows it: from here on a campaign's times are met, however much else begins at once."""
        told = partial(self.condition, storefront, "Accepted", "Storefront")
        await self.until(lambda: told().get("status") == "True", f"{storefront} is accepted")

    async def until_raised(self, kind: str, name: str, above: int = 2) -> int:
        await self.until(lambda: (self.floor(kind, name) or 0) > above, f"{kind} {name} raised above {above}")
        return self.floor(kind, name) or 0

    async def until_given_back(self) -> None:
        """Everything that was remembered is as it was, to the byte, and nothing of ours is left on it."""
        await self.until(lambda: not self.differences(), "given back")
        left = {f"{kind}/{name}": traces(self.object(kind, name)) for kind, name in self._before}
        assert not any(left.values()), left

    async def until_over(self, *names: str) -> None:
        """The campaigns are Completed, and everything is given back."""
        for name in names:
            await self.until_phase(name, "Completed")
        await self.until_given_back()

    def differences(self) -> dict[str, Any]:
        """What is not as it was remembered: where, and both sides."""
        found: dict[str, Any] = {}
        for (kind, name), before in self._before.items():
            same = without_replicas if name in self._scaled and kind not in AUTOSCALERS else whole
            now = self.world.observer.now(kind, self.namespace, name)
            # an autoscaler leaves a target at 0 alone: that number is the owner's, and comes back
            replicas = before["spec"].get("replicas")
            stays = now is not None and (replicas != 0 or now["spec"].get("replicas") == 0)
            differs = unequal(same(before), same(now) if now else None)
            if differs or not stays:
                found[f"{kind}/{name}"] = differs or "not at 0 any more"
        return found

    def _settled(self, kind: str, name: str) -> bool:
        raw = self.world.observer.now(kind, self.namespace, name)
        if raw is None or kind == "ScaledObject":
            return raw is not None
        status = raw.get("status") or {}
        if kind == "HorizontalPodAutoscaler":
            return bool(status)
        return status.get("observedGeneration") == raw["metadata"]["generation"]

    def _placed(self, obj: Raw) -> Raw:
        return {**obj, "metadata": {"namespace": self.namespace, **obj["metadata"]}}

    def _shown(self) -> str:
        """Where everything stands, for whoever reads why a test failed."""
        shown: list[Any] = [self.differences()]
        for raw in self.world.observer.all("Campaign", self.namespace):
            name = raw["metadata"]["name"]
            shown += [*self.story(name).splitlines()[-12:], self.events(name)]
        for kind in ("Campaign", "Storefront"):
            for raw in self.world.observer.all(kind, self.namespace):
                status = raw.get("status") or {}
                told = [f"{c['type']}={c['status']} {c['reason']} {c['message']}" for c in status.get("conditions", ())]
                shown.append((kind, raw["metadata"]["name"], status.get("phase"), told, status.get("holds")))
        for raw in self.world.observer.all("CapacityPlan", self.namespace):
            shown.append((raw["metadata"]["name"], raw["spec"].get("steps"), raw.get("status")))
        return "\n".join(json.dumps(line) for line in shown)


class Scenarios:
    """Every selected scenario of the session, under way."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._tasks: dict[Callable[..., Any], asyncio.Task[None]] = {}

    def begin(self, test: Callable[..., Any], namespace: str) -> None:
        self._tasks[test] = asyncio.create_task(test.work(Stage(self.world, namespace)))

    async def outcome(self, test: Callable[..., Any]) -> None:
        await self._tasks[test]

    async def all_over(self) -> None:
        """Until every one of them has ended, well or not."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def end(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


@contextlib.asynccontextmanager
async def running(plane: ControlPlane, tests: Iterable[Callable[..., Any]]) -> Any:
    """All `tests` (made by `scenario`) begun at once: yields the Scenarios."""
    async with contextlib.AsyncExitStack() as stack:
        world = await _world(plane, stack)
        names = {test: _namespace(world.run, number, test.__name__) for number, test in enumerate(tests)}
        system = f"{world.run}-system"
        for name in (system, *names.values()):
            await world.create_namespace(name)
            stack.push_async_callback(_gone, world.api, name)
        common = [name for test, name in names.items() if not test.own_operator]
        world.operator = world.make_operator("common", system, [*common, system])
        stack.push_async_callback(world.operator.stop)
        await world.operator.start()
        await Stage(world, system).warm_up()
        scenarios = Scenarios(world)
        stack.push_async_callback(scenarios.end)
        for test, name in names.items():
            scenarios.begin(test, name)
        yield scenarios


def _namespace(run: str, number: int, test: str) -> str:
    return f"{run}-{number:02}-{test.removeprefix('test_').replace('_', '-')}"[:60].rstrip("-")


async def _world(plane: ControlPlane, stack: contextlib.AsyncExitStack) -> World:
    """A proxy to the API server, the observer, and a real Prometheus that scrapes a constant demand."""
    (port,) = free_ports(1)
    command = ("proxy", "--address=127.0.0.1", f"--port={port}", f"--kubeconfig={plane.kubeconfig}")
    proxy = await asyncio.create_subprocess_exec(
        str(plane.binaries["kubectl"]), *command, stdout=asyncio.subprocess.PIPE, env=plane.environment()
    )
    stack.push_async_callback(proxy.wait)
    stack.callback(proxy.terminate)
    assert proxy.stdout is not None
    assert b"Starting to serve" in await proxy.stdout.readline()
    world = World(plane, f"run-{secrets.token_hex(3)}", port)
    await world.api.open()
    stack.push_async_callback(world.api.close)
    await world.observer.start()
    stack.push_async_callback(world.observer.stop)
    demand = DemandSeries(datetime.now(UTC) - timedelta(minutes=5), 60.0, (DEMAND,) * 180)
    exporter = stack.enter_context(ReplayExporter(DemandIntegral(demand)))
    prometheus = PrometheusServer((ScrapeTarget(exporter.address),), binaries=plane.binaries)
    await prometheus.start()
    stack.push_async_callback(prometheus.stop)
    await world.create_source(world.source, prometheus.url)
    await world.create_policy()
    return world


async def _gone(api: Api, namespace: str) -> None:
    with contextlib.suppress(Exception):
        await api.delete("Namespace", None, namespace)


def condition(status: Raw, kind: str) -> Raw:
    return next((found for found in status.get("conditions") or () if found["type"] == kind), {})


def changes(values: Iterable[Any]) -> list[Any]:
    """The values without repetitions of the one before."""
    kept: list[Any] = []
    for value in values:
        if not kept or kept[-1] != value:
            kept.append(value)
    return kept


def is_one_raise(floors: list[int | None], baseline: int | None = 2) -> bool:
    """Up from the baseline and back to it, never up again after a way down.

    A better forecast may add a step or two; inside the window, demand that stays away may take one off.
    """
    top = floors.index(max(floors, key=lambda floor: floor or 0))
    up, down = floors[: top + 1], floors[top:]
    rises = all(a < b for a, b in pairwise(up)) and all(a > b for a, b in pairwise(down))
    return floors[0] == floors[-1] == baseline and rises and 2 <= len(up) <= 4 and 2 <= len(down) <= 3


def is_subsequence(wanted: Iterable[str], of: Iterable[str]) -> bool:
    rest = iter(of)
    return all(any(word == found for found in rest) for word in wanted)


def soon(seconds: float) -> datetime:
    """That many seconds from now, in whole seconds as the API has them."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).replace(microsecond=0)
