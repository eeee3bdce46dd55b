"""The simulator's HPA beside the real one: the same metric at the same syncs, and the same replicas.

The real kube-controller-manager scales two real Deployments. Its external metric comes from a script, one value at each
sync, through the sandbox's own adapter; what stood in the cluster at that sync is read in the same moment. The model
then gets the same times, values and bounds, and goes its own way from the same first count.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import numpy as np
from tests.cluster.observer import Api
from tests.cluster.test_sandbox import deployment

from forerun.actuators.owners import wants_less
from forerun.sandbox.control_plane import ControlPlane
from forerun.sandbox.external_metrics import ExternalMetricsApi
from forerun.sandbox.workdir import free_ports
from forerun.simulate.hpa import Hpa, HpaSeen, HpaSettings, ScalingPolicies

TARGET_RPS = 10.0
DOWNSCALE_SECONDS = 5.0  # the flag of the control plane of these tests
WAIT_SECONDS = 300.0  # a bound; the script takes about 65 syncs of one second
SYNCS_APART = 2  # by how many syncs a change may be early or late, where a window ends just then
MISSING = None


@dataclass(frozen=True)
class Phase:
    """The metric shows `rps` for so many syncs. The bounds are patched at the first, so the second sees them.

    `reaches` None: where it ends depends on how evenly the machine lets the controller sync; the model knows when.
    """

    name: str
    syncs: int
    rps: float | None
    reaches: int | None
    bounds: dict[str, int] = field(default_factory=dict)
    wants_less: bool | None = False


@dataclass(frozen=True)
class Sync:
    """What the controller saw when it asked for the metric, and what the HPA's conditions said until then."""

    phase: Phase
    now_seconds: float
    rps: float | None
    replicas: int
    floor: int
    ceiling: int
    wants_less: bool | None


@dataclass(frozen=True)
class Case:
    """One HPA: what stands in it, the same for the model, and what happens to it."""

    name: str
    replicas: int
    behavior: dict | None
    settings: dict
    phases: tuple[Phase, ...]

    def autoscaler(self, namespace: str) -> dict:
        target = {"type": "AverageValue", "averageValue": f"{TARGET_RPS:g}"}
        spec = {
            "minReplicas": 1,
            "maxReplicas": 40,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": self.name},
            "metrics": [{"type": "External", "external": {"metric": {"name": self.name}, "target": target}}],
        }
        if self.behavior is not None:
            spec["behavior"] = self.behavior
        metadata = {"name": self.name, "namespace": namespace}
        kind = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"}
        return {**kind, "metadata": metadata, "spec": spec}


PLAIN = Case(
    name="plain",
    replicas=1,
    behavior=None,
    settings={"scale_down_stabilization_seconds": DOWNSCALE_SECONDS},
    phases=(
        Phase("at rest", 2, 10.0, 1),
        Phase("a ramp that doubles at each sync", 8, 365.0, 37),
        Phase("a little less, within the tolerance", 3, 340.0, 37),
        Phase("a little more, within the tolerance", 3, 405.0, 37),
        Phase("more than maxReplicas", 3, 900.0, 40),
        Phase("a fall that stabilization holds", 3, 200.0, None),
        Phase("a fall in two steps", 10, 52.0, 6),
        Phase("the floor is raised", 5, 52.0, 15, {"minReplicas": 15}, wants_less=True),
        Phase("the floor is dropped", 4, 52.0, 6, {"minReplicas": 1}),
        Phase("the metric is missing", 3, MISSING, 6, wants_less=None),
        Phase("the floor is raised without a metric", 5, MISSING, 9, {"minReplicas": 9}, wants_less=None),
        Phase("the metric is back", 3, 52.0, 9, wants_less=True),
        Phase("the floor is dropped again", 4, 52.0, 6, {"minReplicas": 1}),
        Phase("the ceiling is lowered", 4, 52.0, 4, {"maxReplicas": 4}),
    ),
)

STEERED = Case(
    name="steered",
    replicas=2,
    behavior={
        "scaleUp": {
            "stabilizationWindowSeconds": 3,
            "policies": [
                {"type": "Percent", "value": 100, "periodSeconds": 4},
                {"type": "Pods", "value": 5, "periodSeconds": 4},
            ],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": 6,
            "policies": [{"type": "Pods", "value": 10, "periodSeconds": 3}],
        },
    },
    settings={
        "scale_up_stabilization_seconds": 3.0,
        "scale_down_stabilization_seconds": 6.0,
        "policies": ScalingPolicies(
            up_percent=100, up_pods=5, up_period_seconds=4.0, down_percent=None, down_pods=10, down_period_seconds=3.0
        ),
    },
    phases=(
        Phase("at rest", 2, 20.0, 2),
        Phase("a rise that policies slow", 26, 320.0, 32),
        Phase("a spike that stabilization cuts out", 1, 420.0, None),
        Phase("after the spike", 3, 320.0, None),
        Phase("a fall in steps", 20, 100.0, 10),
        Phase("the floor is raised", 4, 100.0, 25, {"minReplicas": 25}, wants_less=True),
        Phase("a rise from the floor, which came in the same period", 12, 350.0, 35),
    ),
)


class Script:
    """Stands where Prometheus stands for the adapter: `value` is asked once at each sync, by the controller."""

    def __init__(self, api: Api, namespace: str, cases: tuple[Case, ...]) -> None:
        self._api = api
        self._namespace = namespace
        self._left = {case.name: [phase for phase in case.phases for _ in range(phase.syncs)] for case in cases}
        self._last: dict[str, Phase | None] = dict.fromkeys(self._left)
        self._playing = set(self._left)
        self.seen: dict[str, list[Sync]] = {name: [] for name in self._left}
        self.finished = asyncio.Event()

    async def value(self, name: str) -> float | None:
        left = self._left[name]
        # when the script is over the metric is missing, and only the next sync shows what the last one made
        phase = left.pop(0) if left else None
        if self.finished.is_set():
            return None
        target = await self._api.get("Deployment", self._namespace, name)
        hpa = await self._api.get("HorizontalPodAutoscaler", self._namespace, name)
        spec = hpa["spec"]
        bounds = spec["minReplicas"], spec["maxReplicas"]
        rps = phase.rps if phase else None
        said = wants_less(hpa)
        last = self._last[name]
        self.seen[name].append(Sync(phase or last, time.monotonic(), rps, target["spec"]["replicas"], *bounds, said))
        if phase is None:
            self._playing.discard(name)
        if not self._playing:
            self.finished.set()
        if phase is not None and phase is not last and phase.bounds:
            await self._api.patch("HorizontalPodAutoscaler", self._namespace, name, {"spec": phase.bounds})
        self._last[name] = phase or last
        return rps


@contextlib.asynccontextmanager
async def opened_api(plane: ControlPlane) -> AsyncIterator[Api]:
    (port,) = free_ports(1)
    command = ("proxy", "--address=127.0.0.1", f"--port={port}", f"--kubeconfig={plane.kubeconfig}")
    proxy = await asyncio.create_subprocess_exec(
        str(plane.binaries["kubectl"]), *command, stdout=asyncio.subprocess.PIPE, env=plane.environment()
    )
    api = Api(f"http://127.0.0.1:{port}")
    try:
        assert b"Starting to serve" in await proxy.stdout.readline()
        await api.open()
        yield api
    finally:
        await api.close()
        proxy.terminate()
        await proxy.wait()


def modelled(case: Case, seen: list[Sync]) -> tuple[list[int], list[bool | None]]:
    """Replicas as the model has them at each sync, and what its condition says then; from the first count on its own."""
    lane = {"target": np.array([1.0]), "on_cpu": np.array([False]), "capacity_rps": np.array([TARGET_RPS])}
    hpa = Hpa(HpaSettings(**lane, **case.settings), 1)
    replicas, counts, conditions = seen[0].replicas, [], []

    def sync(now_seconds: float, at: Sync) -> int:
        standing, rps = np.array([replicas]), np.nan if at.rps is None else at.rps
        bounds = np.array([at.floor]), np.array([at.ceiling])
        return int(hpa.sync(now_seconds, HpaSeen(standing, standing, np.array([0]), np.array([rps]), *bounds))[0])

    for before, at in itertools.pairwise([seen[0], *seen]):
        if not at.floor <= replicas <= at.ceiling:
            # the controller asks for no metric at the sync that brings it back inside: it lay between these two
            replicas = sync((before.now_seconds + at.now_seconds) / 2, at)
        counts.append(replicas)
        conditions.append(bool(hpa.wants_less[0]) if hpa.wants_known[0] else None)
        replicas = sync(at.now_seconds, at)
    return counts, conditions


def changes(counts: list[int]) -> list[tuple[int, int]]:
    """(which sync sees it first, the new count) of each change."""
    return [(n, after) for n, (before, after) in enumerate(itertools.pairwise(counts), 1) if before != after]


def apart(ours: list[int], theirs: list[int]) -> list[int]:
    """By how many syncs each change is early or late, counted from the start or, if nearer, from the change before."""
    absolute = np.subtract(ours, theirs)
    return np.minimum(np.abs(absolute), np.abs(np.diff(absolute, prepend=0))).tolist()


def ends(case: Case) -> list[int]:
    """Which sync shows what a phase has reached: the first one of the next."""
    return list(itertools.accumulate(phase.syncs for phase in case.phases))


async def test_the_model_scales_as_the_real_controller_does(control_plane: ControlPlane, namespace: str) -> None:
    cases = (PLAIN, STEERED)
    async with opened_api(control_plane) as api:
        script = Script(api, namespace, cases)
        async with ExternalMetricsApi(control_plane, script, {case.name: case.name for case in cases}):
            for case in cases:
                await control_plane.kubectl("create", "-f", "-", text=deployment(case.name, namespace))
                await api.patch("Deployment", namespace, case.name, {"spec": {"replicas": case.replicas}})
                await api.create(case.autoscaler(namespace))
            async with asyncio.timeout(WAIT_SECONDS):
                await script.finished.wait()
    for case in cases:
        judge(case, script.seen[case.name][: ends(case)[-1] + 1])


def judge(case: Case, seen: list[Sync]) -> None:
    real = [sync.replicas for sync in seen]
    model, conditions = modelled(case, seen)
    phases = list(zip(case.phases, ends(case), strict=True))
    expected = {phase.name: phase.reaches for phase in case.phases if phase.reaches is not None}
    assert {phase.name: real[end] for phase, end in phases if phase.name in expected} == expected
    assert {phase.name: model[end] for phase, end in phases if phase.name in expected} == expected
    expected = {phase.name: phase.wants_less for phase in case.phases}
    assert {phase.name: seen[end].wants_less for phase, end in phases} == expected
    assert {phase.name: conditions[end] for phase, end in phases} == expected
    ours, theirs = changes(model), changes(real)
    assert [count for _, count in ours] == [count for _, count in theirs]
    assert max(apart([n for n, _ in ours], [n for n, _ in theirs])) <= SYNCS_APART, (ours, theirs)
