"""A leader whose predecessor fell silent: what that one still has in its hand is refused by the API server."""

import copy
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from forerun.actuators import restore, write_floor
from forerun.api.convert import entry_to_annotation, ledger_from, ledger_to
from forerun.controllers.index import Index
from forerun.controllers.observation import Observer
from forerun.controllers.plan_store import PlanStore
from forerun.controllers.state import StorefrontState
from forerun.controllers.succession import Succession
from forerun.domain.campaign import Key
from forerun.domain.ledger import Bounds, LedgerEntry, Owner
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Role, Storefront, TargetRef, Tier, TierRelease
from forerun.domain.target import Written
from forerun.kube.errors import Conflict, NotFound

KEY = Key("shop", "main")
AT = datetime(2026, 11, 27, 8, tzinfo=UTC)
TARGET = TargetRef("apps/v1", "Deployment", "web")
HPA = TargetRef("autoscaling/v2", "HorizontalPodAutoscaler", "web")
TIER = Tier("web", Role.WEB, TARGET, capacity_per_replica_rps=100.0, max_replicas=40, release=TierRelease.GRADUAL)
STOREFRONT = Storefront(KEY, "s1", 1, "prometheus", "demand", "requests", (TIER,))


class Server:
    """Objects by kind and name, merge patches and their guard."""

    def __init__(self, *objects):
        self.version = 10
        self.objects = {(raw["kind"], raw["metadata"]["name"]): raw for raw in objects}

    async def get(self, api_version, kind, namespace, name):
        if (kind, name) not in self.objects:
            raise NotFound(name, 404)
        return copy.deepcopy(self.objects[(kind, name)])

    async def merge_patch(self, api_version, kind, namespace, name, body, subresource=None):
        raw = self.objects[(kind, name)]
        if any(raw["metadata"][word] != body["metadata"][word] for word in ("uid", "resourceVersion")):
            raise Conflict(name, 409)
        new = merged(raw, body)
        if new != raw:
            self.version += 1
            new["metadata"]["resourceVersion"] = str(self.version)
            self.objects[(kind, name)] = new
        return copy.deepcopy(new)

    async def serves(self, *_):
        return True

    async def list(self, *_, **__):
        return []


def merged(old, patch):
    if not isinstance(patch, dict):
        return patch
    kept = dict(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            kept.pop(name, None)
        else:
            kept[name] = merged(kept.get(name), value)
    return kept


def entry(written, **others):
    values = {
        "tier": "web",
        "target": TARGET,
        "owner": Owner.HPA,
        "owner_ref": HPA,
        "owner_uid": "h1",
        "baseline": Bounds(2, 40),
        "written": (written,),
        "campaigns": ("sale",),
        "epoch": 1,
        "raised_at": AT,
        "changed_at": AT,
        "peak": 8,
        "expires": AT,
    }
    return LedgerEntry(**values | others)


def cluster(ledger, minimum=2):
    def metadata(uid, name="web"):
        return {"name": name, "namespace": "shop", "uid": uid, "resourceVersion": "5"}

    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"scaleTargetRef": reference, "minReplicas": minimum, "maxReplicas": 40}
    return Server(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata("d1"), "spec": {"replicas": 2}},
        {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata("h1"), "spec": spec},
        {
            "apiVersion": "forerun.dev/v1alpha1",
            "kind": "CapacityPlan",
            "metadata": metadata("p1", "main"),
            "spec": {},
            "status": {"epoch": 1, "ledger": ledger_to(ledger)},
        },
    )


class Leader:
    """The collaborators of one process, as far as taking over needs them."""

    def __init__(self, server, *, silent, epoch=2):
        leadership = SimpleNamespace(epoch=epoch, predecessor_fell_silent=silent)
        ports = SimpleNamespace(cluster=server, leadership=leadership, clock=lambda: AT)
        self.server, self.index = server, Index()
        for (kind, _), raw in server.objects.items():
            if kind != "Deployment":
                self.index.upsert(copy.deepcopy(raw))
        self.observer = Observer(ports, self.index, lambda _: None)
        self.state = StorefrontState()
        self.state.ledger = ledger_from(server.objects[("CapacityPlan", "main")]["status"])
        self.succession = Succession(ports, self.observer, PlanStore(ports, self.index))

    async def look(self):
        await self.observer.refresh_targets(KEY, STOREFRONT, self.state)
        return self.state.snapshot("web")

    async def settle(self):
        await self.look()
        return await self.succession.settle(KEY, STOREFRONT, self.state)


async def test_a_raise_that_a_silent_predecessor_has_in_hand_is_refused():
    """It had committed the ledger, looked at its fence, and was stopped before the write left it."""
    pending = entry(Bounds(8, 40))
    server = cluster([pending])
    old, new = Leader(server, silent=False, epoch=1), Leader(server, silent=True)
    read = await old.look()
    assert await new.settle()
    late = await write_floor(server, "shop", read, Bounds(8, 40), entry_to_annotation(pending))
    assert isinstance(late, Hold)
    assert late.reason is Reason.CONFLICT
    assert server.objects[("HorizontalPodAutoscaler", "web")]["spec"]["minReplicas"] == 2
    assert server.objects[("CapacityPlan", "main")]["status"]["epoch"] == 2


async def test_a_give_back_that_a_silent_predecessor_has_in_hand_is_refused():
    """For it no ledger is committed before: only the version of the target can refuse it."""
    standing = entry(Bounds(8, 40), confirmed=True)
    server = cluster([standing], minimum=8)
    old, new = Leader(server, silent=False, epoch=1), Leader(server, silent=True)
    read = await old.look()
    assert await new.settle()
    late = await restore(server, "shop", read, standing)
    assert isinstance(late, Hold)
    assert server.objects[("HorizontalPodAutoscaler", "web")]["spec"]["minReplicas"] == 8


async def test_a_ledger_that_a_silent_predecessor_has_in_hand_is_refused():
    server = cluster([])
    before = copy.deepcopy(server.objects[("CapacityPlan", "main")])
    assert await Leader(server, silent=True).settle()
    body = {"metadata": {word: before["metadata"][word] for word in ("uid", "resourceVersion")}, "status": {"epoch": 1}}
    with pytest.raises(Conflict):
        await server.merge_patch("forerun.dev/v1alpha1", "CapacityPlan", "shop", "main", body, "status")


async def test_nothing_is_written_where_the_predecessor_is_dead_or_has_released():
    server = cluster([entry(Bounds(8, 40))])
    leader = Leader(server, silent=False)
    assert await leader.settle()
    assert server.version == 10


async def test_it_is_done_once():
    server = cluster([entry(Bounds(8, 40))])
    leader = Leader(server, silent=True)
    assert await leader.settle()
    done = server.version
    assert await leader.settle()
    assert server.version == done


async def test_what_was_read_after_it_can_be_written():
    """The new leader's own decisions stand on the versions that it made."""
    pending = entry(Bounds(8, 40))
    server = cluster([pending])
    leader = Leader(server, silent=True)
    assert await leader.settle()
    read = leader.state.snapshot("web")
    assert isinstance(await write_floor(server, "shop", read, Bounds(8, 40), "{}"), Written)
