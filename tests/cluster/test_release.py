"""Giving back without an operator: what has expired, and everything at once, from the annotations alone."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest_asyncio
from tests.cluster.scenario import Stage, scenario, soon
from tests.cluster.shop import campaign, deployment, hpa, scaled_object, stateful_set, traces, unequal, whole

from forerun.actuators import bounds_for, read_target, write_floor
from forerun.api.convert import entry_to_annotation
from forerun.domain.ledger import LedgerEntry
from forerun.domain.storefront import TargetRef, TierRelease
from forerun.domain.target import TargetSnapshot, Written
from forerun.kube.cluster import Cluster
from forerun.kube.lease import Leadership
from forerun.sandbox.binaries import Binaries
from forerun.sandbox.control_plane import ControlPlane

DATA = Path(__file__).parent / "data"
HPA = "HorizontalPodAutoscaler"
AT = datetime(2026, 11, 27, tzinfo=UTC)
LEASE_SECONDS = 5
WEB, CACHE, QUEUE = (
    TargetRef("apps/v1", "Deployment", "web"),
    TargetRef("apps/v1", "StatefulSet", "cache"),
    TargetRef("apps/v1", "Deployment", "queue"),
)


async def forerun(plane: ControlPlane, *args: str, system: str) -> tuple[int, str]:
    """The command line as a person runs it: exit code, and both outputs together."""
    settings = {"FORERUN_NAMESPACE": system, "FORERUN_LEASE_DURATION_SECONDS": str(LEASE_SECONDS)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "forerun.cli.main", "release", *args, "--kubeconfig", str(plane.kubeconfig)),
        env={**os.environ, **settings},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


# break-glass


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bare(programs: Binaries) -> AsyncIterator[ControlPlane]:
    """A control plane that none of our kinds is installed in: as after `kubectl delete crd`."""
    async with ControlPlane(programs) as plane:
        await plane.kubectl("apply", "-f", str(DATA / "scaledobject-crd.yaml"))
        await plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd/scaledobjects.keda.sh")
        await plane.create_nodes(1)
        yield plane


class Shop:
    """Three targets, one of each owner, raised by the actuators with a ledger entry of ours as the annotation."""

    def __init__(self, plane: ControlPlane, cluster: Cluster, namespace: str) -> None:
        self.plane, self.cluster, self.namespace = plane, cluster, namespace
        self._before: dict[str, dict] = {}

    async def open(self) -> None:
        objects = [
            deployment("web", None),
            hpa("web", minimum=None, maximum=8),
            stateful_set("cache", 3),
            deployment("queue", 2),
            scaled_object("queue", minReplicaCount=1),
        ]
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        apply = ("apply", "--server-side", "--field-manager=gitops", "-n", self.namespace, "-f", "-")
        await self.plane.kubectl(*apply, text=text)
        await self.plane.kubectl("rollout", "status", "statefulset/cache", "-n", self.namespace, "--timeout=60s")
        self._before = {kind: await self.get(kind) for kind in ("hpa/web", "sts/cache", "scaledobject/queue")}

    async def raise_all(self, **others: object) -> None:
        for target in (WEB, CACHE, QUEUE):
            await self.raise_floor(target, 12, **others)

    async def raise_floor(self, target: TargetRef, floor: int, **others: object) -> None:
        autoscalers = await self.cluster.list("autoscaling/v2", HPA, self.namespace)
        autoscalers += await self.cluster.list("keda.sh/v1alpha1", "ScaledObject", self.namespace)
        snapshot = await read_target(self.cluster, self.namespace, target, autoscalers)
        assert isinstance(snapshot, TargetSnapshot), snapshot
        bounds = bounds_for(snapshot, floor, 500)
        entry = LedgerEntry(
            tier=target.name,
            target=target,
            owner=snapshot.owner,
            owner_ref=snapshot.owner_ref,
            owner_uid=snapshot.owner_uid,
            baseline=snapshot.bounds,
            written=(bounds,),
            campaigns=("sale",),
            epoch=1,
            raised_at=AT,
            changed_at=AT,
            peak=floor,
            expires=AT,
        )
        entry = replace(entry, **others)
        written = await write_floor(self.cluster, self.namespace, snapshot, bounds, entry_to_annotation(entry))
        assert isinstance(written, Written), written

    async def get(self, what: str) -> dict:
        return json.loads(
            await self.plane.kubectl("get", what, "-n", self.namespace, "--show-managed-fields", "-o", "json")
        )

    async def differences(self) -> dict:
        """What is not as it was, to the byte; and what of ours is left."""
        found = {}
        for what, before in self._before.items():
            now = await self.get(what)
            if unequal(whole(before), whole(now)) or traces(now):
                found[what] = (unequal(whole(before), whole(now)), traces(now))
        return found

    async def release(self, *args: str) -> tuple[int, str]:
        return await forerun(self.plane, *args, "-n", self.namespace, system=self.namespace)


@pytest_asyncio.fixture(loop_scope="session")
async def shop(bare: ControlPlane) -> AsyncIterator[Shop]:
    name = f"glass-{os.urandom(3).hex()}"
    await bare.kubectl("create", "namespace", name)
    cluster = await Cluster.connect(str(bare.kubeconfig))
    shop = Shop(bare, cluster, name)
    await shop.open()
    yield shop
    await cluster.close()
    await bare.kubectl("delete", "namespace", name, "--wait=false")


async def test_everything_comes_back_to_the_byte_without_any_kind_of_ours(shop: Shop):
    await shop.raise_all()
    assert len(await shop.differences()) == 3
    code, said = await shop.release("--all", "--dry-run")
    assert code == 0, said
    assert said.count("would be given back") == 3
    assert len(await shop.differences()) == 3, "a dry run wrote"
    code, said = await shop.release("--all")
    assert code == 0, said
    assert said.count(": given back: ") == 3
    assert "HorizontalPodAutoscaler/web: given back: 12..12 -> 1..8" in said  # the server defaults minReplicas to 1
    assert "StatefulSet/cache: given back: 12 -> 3" in said
    assert "ScaledObject/queue: given back: 12..absent -> 1..absent" in said
    assert await shop.differences() == {}
    assert await shop.release("--all") == (0, "nothing to give back\n")


async def test_what_somebody_else_set_stays_and_the_rest_comes_back(shop: Shop):
    await shop.raise_all()
    patch = '{"spec":{"minReplicas":5}}'
    await shop.plane.kubectl("patch", "hpa", "web", "-n", shop.namespace, "--type=merge", "-p", patch)
    code, said = await shop.release("--all")
    assert code == 0, said
    assert "HorizontalPodAutoscaler/web: Drifted: " in said
    assert said.count(": given back: ") == 2
    web = await shop.get("hpa/web")
    assert web["spec"]["minReplicas"] == 5
    assert not traces(web)


async def test_a_copied_annotation_and_a_broken_one_change_nothing(shop: Shop):
    await shop.raise_all()
    text = (await shop.get("hpa/web"))["metadata"]["annotations"]["forerun.dev/ledger"]
    mark = ("annotate", "-n", shop.namespace, "--overwrite")
    await shop.plane.kubectl(*mark, "deployment/queue", f"forerun.dev/ledger={text}")
    await shop.plane.kubectl(*mark, "statefulset/cache", "forerun.dev/ledger={not json")
    code, said = await shop.release("--all")
    assert code == 1, said
    assert "StatefulSet/cache: Invalid: " in said
    assert said.count(": given back: ") == 2
    assert (await shop.get("sts/cache"))["spec"]["replicas"] == 12
    assert (await shop.get("deployment/queue"))["spec"]["replicas"] == 2


async def test_another_object_of_the_same_name_is_not_ours(shop: Shop):
    await shop.raise_all()
    exported = await shop.get("hpa/web")
    await shop.plane.kubectl("delete", "hpa", "web", "-n", shop.namespace)
    for name in ("uid", "resourceVersion", "managedFields", "creationTimestamp"):
        del exported["metadata"][name]
    await shop.plane.kubectl("create", "-n", shop.namespace, "-f", "-", text=json.dumps(exported))
    code, said = await shop.release("--all")
    assert code == 0, said
    assert "HorizontalPodAutoscaler/web: TargetReplaced: " in said
    assert (await shop.get("hpa/web"))["spec"]["minReplicas"] == 12


async def test_a_cache_is_not_shrunk_unless_asked(shop: Shop):
    await shop.raise_floor(CACHE, 9, release=TierRelease.NEVER)
    code, said = await shop.release("--all")
    assert code == 1, said
    assert "StatefulSet/cache: Kept: " in said
    assert (await shop.get("sts/cache"))["spec"]["replicas"] == 9
    code, said = await shop.release("--all", "--include-kept")
    assert code == 0, said
    assert await shop.differences() == {}


async def test_no_two_writers_while_an_operator_leads(shop: Shop):
    await shop.raise_all()
    operator = await Cluster.connect(str(shop.plane.kubeconfig))
    leadership = Leadership(
        operator, shop.namespace, "forerun", "operator", lease_duration_seconds=LEASE_SECONDS, retry_seconds=0.5
    )
    leads = asyncio.Event()

    async def lead() -> None:
        leads.set()
        await asyncio.Event().wait()

    leading = asyncio.create_task(leadership.run(lead, lambda: None))
    await leads.wait()
    code, said = await shop.release("--all")
    assert code == 2, said
    assert "operator leads" in said
    assert len(await shop.differences()) == 3
    code, said = await shop.release("--expired")
    assert code == 0, said
    assert "operator leads" in said
    assert len(await shop.differences()) == 3
    leading.cancel()  # dead: it neither renews nor releases
    await asyncio.gather(leading, return_exceptions=True)
    epoch = leadership.epoch
    code, said = await shop.release("--all")
    assert code == 0, said
    assert await shop.differences() == {}
    lease = await operator.get("coordination.k8s.io/v1", "Lease", shop.namespace, "forerun")
    assert lease["spec"]["leaseTransitions"] == epoch + 1
    assert lease["spec"]["holderIdentity"] == "", "the next operator need not wait"
    await operator.close()


async def test_expired_annotations_come_down_in_steps_without_plan_and_storefront(shop: Shop):
    """A step is a tenth of the surplus; the raise is long past its minute, so the first one is due."""
    await shop.raise_floor(WEB, 22)
    await shop.raise_floor(QUEUE, 11, expires=datetime.now(UTC) + timedelta(hours=1))
    code, said = await shop.release("--expired", "--once")
    assert code == 0, said
    assert "HorizontalPodAutoscaler/web: lowered: 22..22 -> 20..22" in said
    assert "queue" not in said, "it has not expired"
    web = await shop.get("hpa/web")
    assert web["spec"]["minReplicas"] == 20
    code, said = await shop.release("--expired", "--once")
    assert "its next step down is not due yet" in said
    assert (await shop.get("hpa/web"))["spec"]["minReplicas"] == 20


# a real raise of a real operator that is killed


async def expired_while_the_operator_is_dead(stage: Stage) -> None:
    """The operator raises and is killed; what expires is given back whole by the job, with and without the plan."""
    operator = stage.world.make_operator("dead", stage.namespace, [stage.namespace], FORERUN_EXPIRY_GRACE_SECONDS="1")
    plane = stage.world.plane
    try:
        await operator.start()
        await stage.warm_up()
        for name in ("ledger", "mirror"):
            await stage.small_shop(name)
            await stage.create(campaign(name, name, soon(12), soon(20)))
        for name in ("ledger", "mirror"):
            await stage.until_raised(HPA, name)
        code, said = await forerun(plane, "--all", "-n", stage.namespace, system=stage.namespace)
        assert code == 2, said
        await operator.kill()
        await stage.delete("CapacityPlan", "mirror")
        async with asyncio.timeout(240):
            while stage.differences():
                code, said = await forerun(plane, "--expired", "-n", stage.namespace, system=stage.namespace)
                assert code == 0, said
        await stage.until_given_back()
        assert not stage.ledger("ledger")
    finally:
        await operator.kill()


expired_while_the_operator_is_dead.__name__ = "test_expired_while_the_operator_is_dead"
test_expired_while_the_operator_is_dead = scenario(expired_while_the_operator_is_dead, own_operator=True)
