"""Limits on the real API server: moved within their kinds' schemas, given back to the byte, a foreign edit left alone."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from tests.cluster.shop import whole

from forerun.actuators import (
    LimitStanding,
    fields_of,
    limit_standing,
    present_fields,
    read_limit,
    restore_limit,
    write_limit,
)
from forerun.domain.limits import Limit, LimitEntry, LimitSnapshot
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import LimitKind, LimitPolicy, TargetRef
from forerun.kube.cluster import Cluster

DATA = Path(__file__).parent / "data"
AT = datetime(2026, 11, 27, tzinfo=UTC)
KINDS = {
    "Policy": ("k8s.nginx.org/v1", {"rateLimit": {"rate": "20r/s", "key": "${binary_remote_addr}", "zoneSize": "10M"}}),
    "RateLimitPolicy": (
        "gateway.nginx.org/v1alpha1",
        {"rateLimit": {"local": {"rules": [{"key": "$binary_remote_addr", "rate": "20r/s", "burst": 40}]}}},
    ),
    "BackendTrafficPolicy": (
        "gateway.envoyproxy.io/v1alpha1",
        {"rateLimit": {"local": {"rules": [{"limit": {"requests": 20, "unit": "Second"}}]}}},
    ),
    "Middleware": ("traefik.io/v1alpha1", {"rateLimit": {"average": 20, "burst": 40}}),
}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kinds(control_plane):
    await control_plane.kubectl("apply", "--server-side", "-f", str(DATA / "admission-crds.yaml"))
    await control_plane.kubectl(
        "wait", "--for=condition=Established", "--timeout=30s", "-f", str(DATA / "admission-crds.yaml")
    )


@pytest_asyncio.fixture(loop_scope="session")
async def cluster(control_plane, kinds):
    cluster = await Cluster.connect(str(control_plane.kubeconfig))
    yield cluster
    await cluster.close()


class Door:
    """One object with a limit, applied by its owner, and what the executor does with it."""

    def __init__(self, cluster, kubectl, namespace, kind):
        self.cluster, self.kubectl, self.namespace, self.kind = cluster, kubectl, namespace, kind
        self.version, self.spec = KINDS[kind]
        self.policy = LimitPolicy(TargetRef(self.version, kind, "door"), LimitKind.TOTAL)

    async def apply(self):
        obj = {"apiVersion": self.version, "kind": self.kind, "metadata": {"name": "door"}, "spec": self.spec}
        arguments = ("apply", "--server-side", "--field-manager=gitops", "-n", self.namespace, "-f", "-")
        await self.kubectl(*arguments, text=json.dumps(obj))

    async def read(self) -> LimitSnapshot:
        found = await read_limit(self.cluster, self.namespace, self.policy, "ingress")
        assert isinstance(found, LimitSnapshot), found
        return found

    async def move(self, value, pods, entry=None):
        """As the executor does: fields, ledger entry, one write."""
        snapshot = await self.read()
        limit = Limit(self.policy, value, pods)
        fields = fields_of(snapshot.raw, limit, entry.baseline if entry else None, 2)
        assert not isinstance(fields, Hold), fields
        baseline = {**dict(present_fields(snapshot.raw, fields)), **dict(entry.baseline if entry else ())}
        pending = tuple({**baseline, **dict(fields)}.items())
        made = LimitEntry(
            "ingress", self.policy.ref, snapshot.uid, tuple(baseline.items()), (pending,), 2, ("sale",), 1, AT
        )
        written = await write_limit(self.cluster, self.namespace, snapshot, pending, "{}", "ingress")
        assert isinstance(written, LimitSnapshot), written
        assert present_fields(written.raw, pending) == pending
        return replace(made, confirmed=True), written


@pytest.fixture(params=sorted(KINDS))
def door(request, cluster, kubectl, namespace):
    return Door(cluster, kubectl, namespace, request.param)


async def test_moved_twice_and_given_back_to_the_byte(door):
    await door.apply()
    before = (await door.read()).raw
    entry, first = await door.move(4000.0, 4)
    entry, second = await door.move(100.0, 20, entry)  # five a second for each pod: by the minute
    assert first.raw["spec"] != second.raw["spec"] != before["spec"]
    assert second.annotation == "{}"
    restored = await restore_limit(door.cluster, door.namespace, second, entry)
    assert isinstance(restored, LimitSnapshot), restored
    assert whole(restored.raw) == whole(before)
    await door.apply()  # its owner's next apply meets no conflict


async def test_what_each_pod_counts_is_divided(door):
    await door.apply()
    _, written = await door.move(4000.0, 8)
    spec = json.dumps(written.raw["spec"])
    assert "500" in spec
    _, again = await door.move(4000.0, 8)
    assert again.raw["spec"] == written.raw["spec"]


async def test_somebody_else_s_limit_stays(door):
    await door.apply()
    entry, written = await door.move(4000.0, 4)
    text = json.dumps(written.raw["spec"]).replace("1000", "777")
    ref = door.policy.ref
    await door.cluster.merge_patch(ref.api_version, ref.kind, door.namespace, ref.name, {"spec": json.loads(text)})
    snapshot = await door.read()
    assert limit_standing(snapshot, entry) is LimitStanding.FOREIGN
    restored = await restore_limit(door.cluster, door.namespace, snapshot, entry)
    assert isinstance(restored, LimitSnapshot), restored
    assert "777" in json.dumps(restored.raw["spec"])
    assert restored.annotation is None


async def test_a_stale_read_writes_nothing_and_a_new_object_is_not_ours(door):
    await door.apply()
    stale = await door.read()
    entry, _ = await door.move(4000.0, 4)
    refused = await write_limit(door.cluster, door.namespace, stale, entry.written[0], "{}", "ingress")
    assert isinstance(refused, Hold)
    assert refused.reason is Reason.CONFLICT
    ref = door.policy.ref
    await door.cluster.delete(ref.api_version, ref.kind, door.namespace, ref.name)
    await door.apply()
    assert limit_standing(await door.read(), entry) is LimitStanding.REPLACED
