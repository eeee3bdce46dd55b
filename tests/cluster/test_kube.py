"""The client and the Lease against the real API server."""

import asyncio
import contextlib
import secrets

import pytest
import pytest_asyncio
import yaml

from forerun.kube.cluster import PAGE_SIZE, Cluster, guard
from forerun.kube.errors import Conflict, Fenced, Forbidden, Invalid, NotFound
from forerun.kube.lease import Leadership

WAIT_SECONDS = 60.0


@pytest_asyncio.fixture(loop_scope="session")
async def cluster(control_plane):
    cluster = await Cluster.connect(str(control_plane.kubeconfig))
    yield cluster
    await cluster.close()


def config_map(namespace, name="c", **data):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": {"batch": "x"}},
        "data": data,
    }


async def test_an_object_is_made_read_patched_and_deleted(cluster, namespace):
    made = await cluster.create(config_map(namespace, a="1", b="2"))
    patched = await cluster.merge_patch(
        "v1", "ConfigMap", namespace, "c", {"metadata": guard(made), "data": {"a": None, "c": "3"}}
    )
    assert patched["data"] == {"b": "2", "c": "3"}
    assert {entry["manager"] for entry in patched["metadata"]["managedFields"]} == {"forerun"}
    assert (await cluster.get("v1", "ConfigMap", namespace, "c"))["data"] == patched["data"]
    await cluster.delete("v1", "ConfigMap", namespace, "c", uid=made["metadata"]["uid"])
    with pytest.raises(NotFound, match=f"get ConfigMap {namespace}/c"):
        await cluster.get("v1", "ConfigMap", namespace, "c")


async def test_a_guarded_write_meets_only_the_object_that_was_read(cluster, namespace):
    first = await cluster.create(config_map(namespace, a="1"))
    await cluster.merge_patch("v1", "ConfigMap", namespace, "c", {"data": {"a": "theirs"}})
    with pytest.raises(Conflict):
        await cluster.merge_patch("v1", "ConfigMap", namespace, "c", {"metadata": guard(first), "data": {"a": "ours"}})
    await cluster.delete("v1", "ConfigMap", namespace, "c")
    second = await cluster.create(config_map(namespace, a="new"))
    reborn = {"uid": first["metadata"]["uid"], "resourceVersion": second["metadata"]["resourceVersion"]}
    with pytest.raises(Conflict):
        await cluster.merge_patch("v1", "ConfigMap", namespace, "c", {"metadata": reborn, "data": {"a": "ours"}})
    with pytest.raises(Conflict):
        await cluster.delete("v1", "ConfigMap", namespace, "c", uid=first["metadata"]["uid"])
    with pytest.raises(Conflict, match="already exists"):
        await cluster.create(config_map(namespace))
    assert (await cluster.get("v1", "ConfigMap", namespace, "c"))["data"] == {"a": "new"}


async def test_a_list_has_all_pages_and_can_leave_the_contents_out(cluster, namespace):
    wanted = PAGE_SIZE + 7
    await asyncio.gather(*(cluster.create(config_map(namespace, f"c{i}", a="1")) for i in range(wanted)))
    found = await cluster.list("v1", "ConfigMap", namespace, label_selector="batch=x")
    assert len({item["metadata"]["name"] for item in found}) == wanted
    assert all((item["apiVersion"], item["kind"]) == ("v1", "ConfigMap") for item in found)
    slim = await cluster.list("v1", "ConfigMap", namespace, label_selector="batch=x", metadata_only=True)
    assert len(slim) == wanted
    assert all(set(item) == {"apiVersion", "kind", "metadata"} for item in slim)
    everywhere = await cluster.list("v1", "ConfigMap", label_selector="batch=x")
    assert {item["metadata"]["uid"] for item in slim} <= {item["metadata"]["uid"] for item in everywhere}


async def test_what_is_served_is_found_and_what_is_not_is_not(cluster):
    assert await cluster.serves("apps/v1", "Deployment", "scale")
    assert not await cluster.serves("v1", "ConfigMap", "scale")
    assert not await cluster.serves("apps/v1", "Nonsense")
    assert not await cluster.serves("nonsense.example/v1", "Nonsense")
    assert await cluster.get("v1", "Namespace", None, "default")


async def test_an_object_that_the_server_will_never_take_is_invalid(cluster, namespace):
    with pytest.raises(Invalid) as raised:
        await cluster.create(
            {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": "h", "namespace": namespace},
                "spec": {"minReplicas": 9, "maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "x"}},
            }
        )
    assert "\n" not in str(raised.value) and "maxReplicas" in str(raised.value)


async def test_an_event_stands_at_its_object(cluster, namespace):
    made = await cluster.create(config_map(namespace))
    await cluster.post_event(
        made, "Raised", "floor 20 of web " + "x" * 5000, warning=True, action="Raise", instance="me"
    )
    node = (await cluster.list("v1", "Node"))[0]
    await cluster.post_event(node, "Seen", "a node has no namespace")
    (event,) = await cluster.list("events.k8s.io/v1", "Event", namespace)
    assert (event["reason"], event["type"], event["action"]) == ("Raised", "Warning", "Raise")
    assert event["regarding"]["uid"] == made["metadata"]["uid"]
    assert event["note"].startswith("floor 20 of web")


@pytest_asyncio.fixture(loop_scope="session")
async def stranger(control_plane, namespace, tmp_path):
    """A service account that may do nothing."""
    await control_plane.kubectl("create", "serviceaccount", "stranger", "-n", namespace)
    token = (await control_plane.kubectl("create", "token", "stranger", "-n", namespace)).strip()
    config = yaml.safe_load(control_plane.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    path = tmp_path / "stranger"
    path.write_text(yaml.safe_dump(config))
    stranger = await Cluster.connect(str(path))
    yield stranger
    await stranger.close()


async def test_rbac_says_no_with_the_remedy(stranger, namespace):
    with pytest.raises(Forbidden) as raised:
        await stranger.get("apps/v1", "Deployment", namespace, "web")
    assert "cannot get resource" in str(raised.value) and "RoleBinding" in str(raised.value)


def candidate(cluster, namespace, name, identity, clock=None):
    others = {"clock": clock} if clock else {}
    return Leadership(cluster, namespace, name, identity, lease_duration_seconds=3.0, **others)


class Follower:
    """A candidate that runs until it is stopped, and remembers what it was told."""

    def __init__(self, leadership):
        self.leadership = leadership
        self.leading = asyncio.Event()
        self.lost = asyncio.Event()
        self.task = asyncio.create_task(leadership.run(self._lead, self.lost.set))

    async def _lead(self):
        self.leading.set()
        await asyncio.Event().wait()

    async def kill(self):
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


async def until(event):
    async with asyncio.timeout(WAIT_SECONDS):
        await event.wait()


async def test_the_first_holder_has_epoch_one_and_times_in_utc(cluster, namespace):
    name = f"l-{secrets.token_hex(3)}"
    first = Follower(candidate(cluster, namespace, name, "a"))
    await until(first.leading)
    spec = (await cluster.get_lease(namespace, name))["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"], first.leadership.epoch) == ("a", 1, 1)
    assert first.leadership.holds()
    server = (await cluster.get_lease(namespace, name))["metadata"]["creationTimestamp"]
    assert abs(_seconds(spec["renewTime"]) - _seconds(server)) < 30
    await first.kill()


async def test_a_candidate_takes_over_from_one_that_died_with_a_higher_epoch(cluster, namespace):
    name = f"l-{secrets.token_hex(3)}"
    first = Follower(candidate(cluster, namespace, name, "a"))
    await until(first.leading)
    second = Follower(candidate(cluster, namespace, name, "b"))
    await first.kill()
    await until(second.leading)
    assert (second.leadership.epoch, second.leadership.holds()) == (2, True)
    assert not first.leadership.holds(), "its lease ended by its own clock before the successor's began"
    await second.kill()


async def test_a_released_lease_is_free_at_once(cluster, namespace):
    name = f"l-{secrets.token_hex(3)}"
    first = Follower(candidate(cluster, namespace, name, "a"))
    await until(first.leading)
    await first.kill()
    await first.leadership.release()
    assert not first.leadership.holds()
    assert (await cluster.get_lease(namespace, name))["spec"]["holderIdentity"] == ""
    # a clock that stands still never sees a lease expire: only the release can let it in
    second = Follower(candidate(cluster, namespace, name, "b", clock=lambda: 0.0))
    await until(second.leading)
    assert second.leadership.epoch == 2
    await second.kill()
    await first.leadership.release()
    assert (await cluster.get_lease(namespace, name))["spec"]["holderIdentity"] == "b", "not its to release"


async def test_a_lease_that_is_held_is_not_taken_while_no_time_passes(cluster, namespace):
    name = f"l-{secrets.token_hex(3)}"
    first = Follower(candidate(cluster, namespace, name, "a"))
    await until(first.leading)
    await first.kill()
    frozen = candidate(cluster, namespace, name, "b", clock=lambda: 0.0)
    for _ in range(5):
        assert not await frozen._election.try_acquire_or_renew()
    assert frozen.epoch == 0 and not frozen.holds()


async def test_a_holder_that_cannot_renew_stops_holding_by_its_own_clock(cluster, namespace):
    now = [1000.0]
    leadership = candidate(cluster, namespace, f"l-{secrets.token_hex(3)}", "a", clock=lambda: now[0])
    assert not leadership.holds()
    assert await leadership._election.try_acquire_or_renew()
    now[0] += 2.9
    assert leadership.holds()
    now[0] += 0.1
    assert not leadership.holds()


async def test_a_holder_notices_that_another_has_taken_over(cluster, namespace):
    name = f"l-{secrets.token_hex(3)}"
    first = Follower(candidate(cluster, namespace, name, "a"))
    await until(first.leading)
    lease = await cluster.get_lease(namespace, name)
    thief = {**lease, "spec": {**lease["spec"], "holderIdentity": "b", "leaseTransitions": 2}}
    async with asyncio.timeout(WAIT_SECONDS):
        while True:  # a renewal may come in between
            with contextlib.suppress(Conflict):
                await cluster.put_lease(thief, create=False)
                break
            thief["metadata"] = (await cluster.get_lease(namespace, name))["metadata"]
    await until(first.lost)
    assert not first.leadership.holds() and first.leadership.epoch == 0


async def test_an_epoch_never_comes_back_even_where_the_lease_is_deleted(cluster, namespace):
    name = f"l-{secrets.token_hex(3)}"
    first = Follower(candidate(cluster, namespace, name, "a"))
    await until(first.leading)
    second = Follower(candidate(cluster, namespace, name, "b"))
    async with asyncio.timeout(WAIT_SECONDS):
        while second.leadership._lock.seen is None:
            await asyncio.sleep(0.05)
    await cluster.delete("coordination.k8s.io/v1", "Lease", namespace, name)
    await until(first.lost)
    await until(second.leading)
    assert second.leadership.epoch == 2
    await second.kill()


async def test_what_breaks_while_leading_ends_the_run(cluster, namespace):
    async def break_down():
        raise RuntimeError("boom")

    leadership = candidate(cluster, namespace, f"l-{secrets.token_hex(3)}", "a")
    with pytest.raises(RuntimeError, match="boom"):
        await leadership.run(break_down, lambda: None)


async def test_the_lease_fences_the_writes(cluster, control_plane, namespace):
    name = f"l-{secrets.token_hex(3)}"
    fenced = await Cluster.connect(str(control_plane.kubeconfig))
    leadership = candidate(fenced, namespace, name, "a")
    fenced.fence = leadership.holds
    with pytest.raises(Fenced):
        await fenced.create(config_map(namespace))
    first = Follower(leadership)
    await until(first.leading)
    await fenced.create(config_map(namespace))
    await first.kill()
    await leadership.release()
    with pytest.raises(Fenced):
        await fenced.delete("v1", "ConfigMap", namespace, "c")
    await fenced.close()


def _seconds(timestamp):
    from datetime import datetime

    return datetime.fromisoformat(timestamp).timestamp()
