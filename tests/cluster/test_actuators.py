"""Floors on the real API server, with the real HPA beside them: raised, lowered, given back whole."""

import asyncio
import copy
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from forerun.actuators import Standing, bounds_for, forget, lift_from_zero, read_target, restore, standing, write_floor
from forerun.domain.ledger import Bounds, LedgerEntry, Owner
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import TargetRef
from forerun.domain.target import TargetSnapshot, Written
from forerun.kube.cluster import Cluster

DATA = Path(__file__).parent / "data"
WAIT_SECONDS = 60.0
AT = datetime(2026, 11, 27, tzinfo=UTC)
WEB = TargetRef("apps/v1", "Deployment", "web")
VALKEY = TargetRef("apps/v1", "StatefulSet", "valkey")
NOTE = '{"baseline":"compact"}'

pytestmark = pytest.mark.usefixtures("keda")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def keda(control_plane):
    """KEDA's ScaledObject as a kind; KEDA itself does not run."""
    await control_plane.kubectl("apply", "-f", str(DATA / "scaledobject-crd.yaml"))
    await control_plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd/scaledobjects.keda.sh")


@pytest_asyncio.fixture(loop_scope="session")
async def cluster(control_plane):
    cluster = await Cluster.connect(str(control_plane.kubeconfig))
    yield cluster
    await cluster.close()


class Shop:
    """A namespace with what a test puts in it, applied as its owner would."""

    def __init__(self, cluster, kubectl, namespace):
        self.cluster, self.kubectl, self.namespace = cluster, kubectl, namespace

    async def apply(self, *objects):
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        await self.kubectl(
            "apply", "--server-side", "--field-manager=gitops", "-n", self.namespace, "-f", "-", text=text
        )

    async def autoscalers(self):
        hpas = await self.cluster.list("autoscaling/v2", "HorizontalPodAutoscaler", self.namespace)
        return hpas + await self.cluster.list("keda.sh/v1alpha1", "ScaledObject", self.namespace)

    async def read(self, target=WEB):
        return await read_target(self.cluster, self.namespace, target, await self.autoscalers())

    async def snapshot(self, target=WEB) -> TargetSnapshot:
        found = await self.read(target)
        assert isinstance(found, TargetSnapshot), found
        return found

    async def get(self, reference):
        return await self.cluster.get(reference.api_version, reference.kind, self.namespace, reference.name)

    async def settled(self, reference):
        """The object once its controller has seen it and left it alone for a while."""
        async with asyncio.timeout(WAIT_SECONDS):
            last, same = "", 0
            while same < 5:
                raw = await self.get(reference)
                version, status = raw["metadata"]["resourceVersion"], raw.get("status") or {}
                seen = status.get("observedGeneration") == raw["metadata"].get("generation")
                same = same + 1 if version == last and (seen or "generation" not in raw["metadata"]) else 0
                last = version
                await asyncio.sleep(0.1)
        return raw

    async def raise_floor(self, floor, target=WEB, ceiling=500):
        """Read, write, and the ledger entry that the caller would have committed before."""
        snapshot = await self.snapshot(target)
        bounds = bounds_for(snapshot, floor, ceiling)
        written = await write_floor(self.cluster, self.namespace, snapshot, bounds, NOTE)
        assert isinstance(written, Written), written
        return entry_of(snapshot, bounds), written

    async def give_back(self, entry):
        """Restore as the caller does: what conflicts is read and tried again."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                outcome = await restore(self.cluster, self.namespace, await self.snapshot(entry.target), entry)
                if isinstance(outcome, Written):
                    return outcome
                assert outcome.reason is Reason.CONFLICT, outcome


def entry_of(snapshot, *written, **others):
    return LedgerEntry(
        tier="web",
        target=snapshot.target,
        owner=snapshot.owner,
        owner_ref=snapshot.owner_ref,
        owner_uid=snapshot.owner_uid,
        baseline=snapshot.bounds,
        written=written,
        campaigns=("sale",),
        epoch=1,
        raised_at=AT,
        changed_at=AT,
        peak=20,
        expires=AT,
        **others,
    )


@pytest_asyncio.fixture(loop_scope="session")
async def shop(cluster, kubectl, namespace):
    return Shop(cluster, kubectl, namespace)


def workload(reference=WEB, replicas=2, **annotations):
    labels = {"app": reference.name}
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "c"}]}},
    }
    if reference.kind == "StatefulSet":
        spec["serviceName"] = reference.name
    metadata = {"name": reference.name} | ({"annotations": annotations} if annotations else {})
    return {"apiVersion": reference.api_version, "kind": reference.kind, "metadata": metadata, "spec": spec}


def hpa(minimum=2, maximum=10, name="web"):
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "maxReplicas": maximum,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
            }
        ],
    }
    if minimum is not None:
        spec["minReplicas"] = minimum
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "labels": {"team": "shop"}},
        "spec": spec,
    }


def scaled_object(name="web-so", **bounds):
    triggers = [{"type": "prometheus", "metadata": {"query": "up"}}]
    spec = {"scaleTargetRef": {"name": "web"}, "triggers": triggers, **bounds}
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": name}, "spec": spec}


def whole(raw):
    """Everything that an owner could tell apart: all but versions, status and the times of field ownership."""
    seen = copy.deepcopy(raw)
    metadata = seen["metadata"]
    for name in ("resourceVersion", "generation"):
        metadata.pop(name, None)
    seen.pop("status", None)
    managed = [entry for entry in metadata.pop("managedFields") if entry.get("subresource") != "status"]
    metadata["managedFields"] = sorted(
        ({name: value for name, value in entry.items() if name != "time"} for entry in managed), key=str
    )
    return seen


@pytest.mark.parametrize(("minimum", "floor"), [(2, 8), (2, 20), (None, 20)])
async def test_an_hpa_comes_back_whole_and_its_owner_can_apply_again(shop, minimum, floor):
    await shop.apply(workload(), hpa(minimum))
    snapshot = await shop.snapshot()
    assert (snapshot.owner, snapshot.bounds) == (Owner.HPA, Bounds(minimum or 1, 10))
    before = whole(snapshot.raw_owner)
    entry, written = await shop.raise_floor(floor)
    assert (written.before, written.after) == (snapshot.bounds, Bounds(floor, max(10, floor)))
    raised = await shop.snapshot()
    assert raised.annotation == NOTE
    assert standing(raised, entry) is Standing.OURS
    with pytest.raises(Exception, match="conflict"):
        await shop.apply(hpa(minimum or 1))  # while it is raised, its owner is told whose it is
    given = await restore(shop.cluster, shop.namespace, await shop.snapshot(), entry)
    assert isinstance(given, Written), given
    assert given.after == snapshot.bounds
    after = await shop.get(snapshot.owner_ref)
    assert whole(after) == before
    await shop.apply(hpa(minimum or 1, maximum=12))
    assert (await shop.snapshot()).bounds == Bounds(minimum or 1, 12)


async def test_the_hpa_makes_the_floor_stand_without_metrics_and_many_steps_end_at_the_baseline(shop):
    await shop.apply(workload(), hpa(2, 10))
    before = whole((await shop.snapshot()).raw_owner)
    entry, _ = await shop.raise_floor(5)
    async with asyncio.timeout(WAIT_SECONDS):
        while (await shop.snapshot()).ready != 5:
            await asyncio.sleep(0.2)
    baseline = entry.baseline
    for floor in (12, 30, 9):
        later, _ = await shop.raise_floor(floor)
        entry = replace(later, baseline=baseline)
    stands = await shop.snapshot()
    assert stands.bounds == Bounds(9, 30)
    assert isinstance(await restore(shop.cluster, shop.namespace, stands, entry), Written)
    assert whole(await shop.get(stands.owner_ref)) == before


async def test_the_same_floor_twice_is_one_write(shop, control_plane):
    await shop.apply(workload(), hpa())
    await shop.raise_floor(20)
    snapshot = await shop.snapshot()
    # behind the fence: a second write would be held
    read_only = await Cluster.connect(str(control_plane.kubeconfig))
    read_only.fence = lambda: False
    assert isinstance(await write_floor(read_only, shop.namespace, snapshot, snapshot.bounds, NOTE), Written)
    assert isinstance(await write_floor(read_only, shop.namespace, snapshot, snapshot.bounds, NOTE + " "), Hold)
    await read_only.close()


@pytest.mark.parametrize(
    ("bounds", "floor", "raised"),
    [
        ({}, 20, Bounds(20, None)),
        ({}, 140, Bounds(140, 140)),
        ({"maxReplicaCount": 6}, 20, Bounds(20, 20)),
        ({"minReplicaCount": 1, "maxReplicaCount": 6}, 4, Bounds(4, 6)),
    ],
)
async def test_a_scaled_object_comes_back_whole_with_absent_fields_absent(shop, bounds, floor, raised):
    await shop.apply(workload(), scaled_object(**bounds))
    snapshot = await shop.snapshot()
    assert snapshot.owner is Owner.SCALED_OBJECT
    assert snapshot.bounds == Bounds(bounds.get("minReplicaCount"), bounds.get("maxReplicaCount"))
    before = whole(snapshot.raw_owner)
    entry, written = await shop.raise_floor(floor)
    assert written.after == raised
    assert isinstance(await restore(shop.cluster, shop.namespace, await shop.snapshot(), entry), Written)
    after = await shop.get(snapshot.owner_ref)
    assert whole(after) == before
    assert ("minReplicaCount" in after["spec"]) == ("minReplicaCount" in bounds)
    await shop.apply(scaled_object(**(bounds | {"maxReplicaCount": 7})))


async def test_the_scaled_object_owns_the_floor_and_its_hpa_is_the_second_signal(shop, cluster):
    await shop.apply(workload(), scaled_object())
    made = await shop.get(TargetRef("keda.sh/v1alpha1", "ScaledObject", "web-so"))
    kedas = hpa(1, 100, name="keda-hpa-web-so")
    reference = {
        "apiVersion": made["apiVersion"],
        "kind": made["kind"],
        "name": "web-so",
        "uid": made["metadata"]["uid"],
    }
    kedas["metadata"]["ownerReferences"] = [reference | {"controller": True}]
    await shop.apply(kedas)
    await cluster.merge_patch(
        "keda.sh/v1alpha1",
        "ScaledObject",
        shop.namespace,
        "web-so",
        {"status": {"hpaName": "keda-hpa-web-so"}},
        "status",
    )
    snapshot = await shop.snapshot()
    assert (snapshot.owner, snapshot.owner_ref.name) == (Owner.SCALED_OBJECT, "web-so")
    assert snapshot.wants_less is None, "there is no metric, so the HPA says nothing"
    assert snapshot.desired == 2


@pytest.mark.parametrize("target", [WEB, VALKEY], ids=str)
async def test_a_plain_target_comes_back_whole(shop, target):
    await shop.apply(workload(target, replicas=3, team="shop"))
    before = whole(await shop.settled(target))
    snapshot = await shop.snapshot(target)
    assert (snapshot.owner, snapshot.bounds, snapshot.replicas) == (Owner.SCALE, Bounds(3, None), 3)
    entry, written = await shop.raise_floor(7, target)
    assert (written.before, written.after) == (Bounds(3, None), Bounds(7, None))
    raised = await shop.snapshot(target)
    assert (raised.annotation, raised.bounds) == (NOTE, Bounds(7, None))
    await shop.settled(target)
    await shop.give_back(entry)
    assert whole(await shop.settled(target)) == before
    sets = await shop.cluster.list("apps/v1", "ReplicaSet", shop.namespace)
    assert not any("forerun" in json.dumps(raw["metadata"].get("annotations")) for raw in sets)
    await shop.apply(workload(target, replicas=4, team="shop"))
    assert (await shop.snapshot(target)).replicas == 4


async def test_a_plain_target_is_raised_while_its_controller_keeps_writing_its_status(shop):
    await shop.apply(workload(replicas=1))
    for floor in (2, 4, 7, 5, 9):  # each write makes the controller write the status, which moves the version
        async with asyncio.timeout(WAIT_SECONDS):
            while isinstance(outcome := await _write(shop, floor), Hold):
                assert outcome.reason is Reason.CONFLICT
    assert (await shop.snapshot()).replicas == 9


async def _write(shop, floor):
    snapshot = await shop.snapshot()
    bounds = bounds_for(snapshot, floor, 500)
    return await write_floor(shop.cluster, shop.namespace, snapshot, bounds, f"{NOTE}{floor}")


async def test_a_target_at_zero_is_lifted_under_its_hpa_and_goes_back_to_zero(shop):
    await shop.apply(workload(replicas=0), hpa(2, 10))
    before = whole(await shop.settled(WEB))
    entry, _ = await shop.raise_floor(6)
    entry = replace(entry, lifted_from_zero=True)
    snapshot = await shop.snapshot()
    assert snapshot.replicas == 0, "an HPA leaves a target at 0 alone"
    lifted = await lift_from_zero(shop.cluster, shop.namespace, snapshot)
    assert isinstance(lifted, Written) and lifted.after == Bounds(1, None)
    async with asyncio.timeout(WAIT_SECONDS):
        while (await shop.snapshot()).ready != 6:
            await asyncio.sleep(0.2)
    again = await lift_from_zero(shop.cluster, shop.namespace, snapshot)
    assert isinstance(again, Written) and again.before == again.after == Bounds(6, None)
    await shop.give_back(entry)
    after = await shop.settled(WEB)
    assert after["spec"]["replicas"] == 0
    assert not any(entry["manager"] == "forerun" for entry in after["metadata"]["managedFields"])
    assert {**after["spec"]} == before["spec"]
    assert (await shop.snapshot()).bounds == Bounds(2, 10)


async def test_a_plain_target_at_zero_is_raised_and_goes_back_to_zero(shop):
    await shop.apply(workload(replicas=0))
    before = whole(await shop.settled(WEB))
    entry, written = await shop.raise_floor(3)
    assert written.before == Bounds(0, None)
    await shop.give_back(entry)
    assert whole(await shop.settled(WEB)) == before


async def test_an_edit_between_read_and_write_wins(shop):
    await shop.apply(workload(), hpa())
    snapshot = await shop.snapshot()
    await shop.kubectl("patch", "hpa", "web", "-n", shop.namespace, "-p", '{"spec":{"maxReplicas":11}}')
    outcome = await write_floor(shop.cluster, shop.namespace, snapshot, Bounds(20, 20), NOTE)
    assert isinstance(outcome, Hold) and outcome.reason is Reason.CONFLICT
    assert (await shop.snapshot()).bounds == Bounds(2, 11)


async def test_a_status_update_between_read_and_write_is_no_conflict(shop):
    await shop.apply(workload(), hpa())
    snapshot = await shop.snapshot()
    # whatever the HPA's controller does meanwhile, this moves the version without touching the floor
    await shop.kubectl("label", "hpa", "web", "-n", shop.namespace, "seen=yes")
    outcome = await write_floor(shop.cluster, shop.namespace, snapshot, Bounds(20, 20), NOTE)
    assert isinstance(outcome, Written), outcome
    raw = await shop.get(snapshot.owner_ref)
    assert (raw["metadata"]["labels"]["seen"], raw["spec"]["minReplicas"]) == ("yes", 20)


async def test_a_scale_by_hand_between_read_and_write_wins(shop):
    await shop.apply(workload(replicas=3))
    await shop.settled(WEB)
    snapshot = await shop.snapshot()
    await shop.kubectl("scale", "deployment/web", "-n", shop.namespace, "--replicas=5")
    outcome = await write_floor(shop.cluster, shop.namespace, snapshot, Bounds(20, None), NOTE)
    assert isinstance(outcome, Hold) and outcome.reason is Reason.CONFLICT
    assert (await shop.snapshot()).bounds == Bounds(5, None)


async def test_a_foreign_edit_is_drift_and_left_alone_but_for_our_marks(shop):
    await shop.apply(workload(), hpa())
    entry, _ = await shop.raise_floor(20)
    await shop.kubectl("patch", "hpa", "web", "-n", shop.namespace, "-p", '{"spec":{"minReplicas":5}}')
    snapshot = await shop.snapshot()
    assert standing(snapshot, entry) is Standing.FOREIGN
    outcome = await restore(shop.cluster, shop.namespace, snapshot, entry)
    assert isinstance(outcome, Hold) and outcome.reason is Reason.DRIFTED
    assert (await shop.snapshot()).bounds == Bounds(5, 20)
    assert isinstance(await forget(shop.cluster, shop.namespace, snapshot, entry), Written)
    left = await shop.get(snapshot.owner_ref)
    assert bounds_and_marks(left) == (5, 10, False)  # their minimum, and the maximum that we had lifted goes back


async def test_their_maximum_stays_where_only_the_minimum_was_ours(shop):
    await shop.apply(workload(), hpa(2, 50))
    entry, _ = await shop.raise_floor(20)
    await shop.kubectl("patch", "hpa", "web", "-n", shop.namespace, "-p", '{"spec":{"maxReplicas":60}}')
    outcome = await restore(shop.cluster, shop.namespace, await shop.snapshot(), entry)
    assert isinstance(outcome, Written)
    assert bounds_and_marks(await shop.get(entry.owner_ref)) == (2, 60, False)


async def test_a_restore_that_was_cut_short_is_finished_by_the_next(shop, cluster, control_plane):
    await shop.apply(workload(), hpa())
    before = whole((await shop.snapshot()).raw_owner)
    entry, _ = await shop.raise_floor(20)
    # the first of the two patches has gone out, then the process died
    await cluster.merge_patch(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        shop.namespace,
        "web",
        {"metadata": {"annotations": {"forerun.dev/ledger": None}}, "spec": {"minReplicas": 2, "maxReplicas": 10}},
    )
    snapshot = await shop.snapshot()
    assert standing(snapshot, entry) is Standing.AT_BASELINE
    assert isinstance(await restore(shop.cluster, shop.namespace, snapshot, entry), Written)
    assert whole(await shop.get(entry.owner_ref)) == before
    # behind the fence: whatever still wanted to write would be held
    read_only = await Cluster.connect(str(control_plane.kubeconfig))
    read_only.fence = lambda: False
    assert isinstance(await forget(read_only, shop.namespace, snapshot, entry), Written), "nothing is left to write"
    await read_only.close()


async def test_an_object_made_anew_under_the_same_name_is_not_ours(shop):
    await shop.apply(workload(), hpa())
    entry, _ = await shop.raise_floor(20)
    old = await shop.snapshot()
    await shop.kubectl("delete", "hpa", "web", "-n", shop.namespace)
    await shop.apply(hpa(20, 20))
    new = await shop.snapshot()
    assert new.bounds == old.bounds
    assert standing(new, entry) is Standing.REPLACED
    held = await restore(shop.cluster, shop.namespace, new, entry)
    assert isinstance(held, Hold) and held.reason is Reason.TARGET_REPLACED
    # nor does a write with the old UID and the new version reach it
    stale = replace(old, owner_resource_version=new.owner_resource_version)
    for outcome in (
        await write_floor(shop.cluster, shop.namespace, stale, Bounds(30, 30), NOTE),
        await forget(shop.cluster, shop.namespace, stale, entry),
    ):
        assert isinstance(outcome, Hold) and outcome.reason is Reason.CONFLICT
    assert (await shop.snapshot()).bounds == Bounds(20, 20)


async def test_two_autoscalers_on_one_target_are_ambiguous(shop):
    await shop.apply(workload(), hpa(), hpa(name="second"))
    held = await shop.read()
    assert isinstance(held, Hold) and held.reason is Reason.AUTOSCALER_AMBIGUOUS
    assert "second" in held.detail


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (TargetRef("apps/v1", "Deployment", "nowhere"), Reason.TARGET_NOT_FOUND),
        (TargetRef("v1", "ConfigMap", "kube-root-ca.crt"), Reason.TARGET_NOT_SCALABLE),
        (TargetRef("apps/v1", "DaemonSet", "web"), Reason.TARGET_NOT_SCALABLE),
        (TargetRef("nonsense.example/v1", "Nonsense", "web"), Reason.TARGET_NOT_FOUND),
    ],
    ids=str,
)
async def test_what_cannot_be_scaled_says_so(shop, target, reason):
    held = await shop.read(target)
    assert isinstance(held, Hold)
    assert (held.reason, "\n" in held.detail) == (reason, False)


async def test_an_autoscaler_that_the_watch_still_shows_but_is_gone_is_not_found(shop):
    await shop.apply(workload(), hpa())
    hints = await shop.autoscalers()
    await shop.kubectl("delete", "hpa", "web", "-n", shop.namespace)
    held = await read_target(shop.cluster, shop.namespace, WEB, hints)
    assert isinstance(held, Hold) and held.reason is Reason.TARGET_NOT_FOUND


async def test_an_autoscaler_that_now_means_another_target_is_a_conflict(shop):
    await shop.apply(workload(), hpa())
    hints = await shop.autoscalers()
    other = '{"spec":{"scaleTargetRef":{"name":"other"}}}'
    await shop.kubectl("patch", "hpa", "web", "-n", shop.namespace, "--type=merge", "-p", other)
    held = await read_target(shop.cluster, shop.namespace, WEB, hints)
    assert isinstance(held, Hold) and held.reason is Reason.CONFLICT


async def test_who_may_not_is_told_the_remedy(shop, control_plane, tmp_path):
    await shop.apply(workload(), hpa())
    await shop.kubectl("create", "serviceaccount", "stranger", "-n", shop.namespace)
    token = (await shop.kubectl("create", "token", "stranger", "-n", shop.namespace)).strip()
    config = yaml.safe_load(control_plane.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    path = tmp_path / "stranger"
    path.write_text(yaml.safe_dump(config))
    stranger = await Cluster.connect(str(path))
    held = await read_target(stranger, shop.namespace, WEB, await shop.autoscalers())
    assert isinstance(held, Hold) and held.reason is Reason.FORBIDDEN
    assert "RoleBinding" in held.detail
    written = await write_floor(stranger, shop.namespace, await shop.snapshot(), Bounds(20, 20), NOTE)
    assert isinstance(written, Hold) and written.reason is Reason.FORBIDDEN
    await stranger.close()


async def test_nothing_is_written_without_the_lease(shop, control_plane):
    await shop.apply(workload(), hpa())
    fenced = await Cluster.connect(str(control_plane.kubeconfig))
    fenced.fence = lambda: False
    snapshot = await shop.snapshot()
    entry = entry_of(snapshot, Bounds(20, 20))
    raised = replace(snapshot, bounds=Bounds(20, 20))
    for outcome in (
        await write_floor(fenced, shop.namespace, snapshot, Bounds(20, 20), NOTE),
        await restore(fenced, shop.namespace, raised, entry),
    ):
        assert isinstance(outcome, Hold) and outcome.reason is Reason.NOT_LEADER
    assert (await shop.snapshot()).bounds == Bounds(2, 10)
    await fenced.close()


async def test_an_api_server_that_is_down_is_unavailable(shop, control_plane, tmp_path):
    await shop.apply(workload(), hpa())
    snapshot = await shop.snapshot()
    config = yaml.safe_load(control_plane.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    path = tmp_path / "down"
    path.write_text(yaml.safe_dump(config))
    down = await Cluster.connect(str(path))
    for outcome in (
        await read_target(down, shop.namespace, WEB, []),
        await write_floor(down, shop.namespace, snapshot, Bounds(20, 20), NOTE),
    ):
        assert isinstance(outcome, Hold) and outcome.reason is Reason.API_UNAVAILABLE
    await down.close()


async def test_a_mirror_on_a_replica_set_is_taken_off_again(shop):
    """Kubernetes copies annotations of a Deployment to its ReplicaSets for good; ours must not stay there."""
    await shop.apply(workload(replicas=2))
    await shop.settled(WEB)
    entry, _ = await shop.raise_floor(5)

    async def marked():
        sets = await shop.cluster.list("apps/v1", "ReplicaSet", shop.namespace)
        return any("forerun" in json.dumps(raw["metadata"]["annotations"]) for raw in sets)

    async with asyncio.timeout(WAIT_SECONDS):
        while not await marked():
            await asyncio.sleep(0.1)
    await shop.give_back(entry)
    await shop.settled(WEB)
    assert not await marked()


def bounds_and_marks(raw):
    metadata = raw["metadata"]
    marks = "forerun" in json.dumps([metadata.get("annotations"), metadata["managedFields"]])
    return raw["spec"]["minReplicas"], raw["spec"]["maxReplicas"], marks
