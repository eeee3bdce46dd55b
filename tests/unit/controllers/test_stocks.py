"""One reading for all: what changes wakes, what fails is remembered for a while, what is forbidden is unknown."""

from types import SimpleNamespace

import pytest
from tests.properties.plan_world import make_state, make_tier

from forerun.controllers.index import Index, Record
from forerun.controllers.state import StorefrontState
from forerun.controllers.stocks import Stocks
from forerun.domain.campaign import Key
from forerun.domain.ledger import Bounds, Owner
from forerun.domain.policy import Policy, Pool
from forerun.domain.stock import Quota, Stock, Supply
from forerun.domain.storefront import Accelerator, Storefront, TargetRef
from forerun.domain.target import TargetSnapshot
from forerun.kube.errors import ApiError, Forbidden
from forerun.settings import Settings

GPU = "nvidia.com/gpu"
MAIN = Key("shop", "main")
TIER = make_tier("reco", accelerator=Accelerator(GPU, 1, "a10"))
POLICY = Policy("gpus", pools=(Pool("a10", GPU, 12),))
RECO = TargetRef("apps/v1", "Deployment", "reco")
SNAPSHOT = TargetSnapshot(
    RECO, "uid", 2, 2, Owner.SCALE, RECO, "uid", "7", Bounds(2, None), None, pod_labels=(("app", "reco"),)
)


class Cluster:
    """What an API server would list, and what it was asked for."""

    def __init__(self):
        self.nodes = [node("a"), node("b"), {**node("cpu"), "status": {"conditions": []}}]
        self.pods = [pod("ours", "a", {"app": "reco"}), pod("theirs", "b", {})]
        self.quotas = []
        self.failure = None
        self.asked = []

    async def pages(self, version, kind, namespace=None, query=None):
        self.asked.append((kind, namespace, (query or {}).get("fieldSelector")))
        if self.failure:
            raise self.failure
        if kind == "Node":
            yield self.nodes[:1]
            yield self.nodes[1:]
        else:
            selector = (query or {})["fieldSelector"]
            yield [raw for raw in self.pods if selector in (f"spec.nodeName={raw['spec']['nodeName']}", "all")]

    async def list(self, version, kind, namespace=None):
        self.asked.append((kind, namespace, None))
        return self.quotas

    async def serves(self, version, kind):
        return False


class Policies:
    async def of(self, namespace):
        return POLICY


def node(name):
    status = {"allocatable": {GPU: "8"}, "conditions": [{"type": "Ready", "status": "True"}]}
    return {"metadata": {"name": name}, "spec": {}, "status": status}


def pod(name, on, labels):
    container = {"name": "main", "resources": {"limits": {GPU: "1"}}}
    metadata = {"name": name, "namespace": "shop", "uid": name, "labels": labels}
    return {"metadata": metadata, "spec": {"nodeName": on, "containers": [container]}, "status": {"phase": "Running"}}


class World:
    def __init__(self, *tiers):
        self.front = Storefront(MAIN, "uid", 1, "default", "x", "requests", tiers)
        self.cluster, self.index, self.woken = Cluster(), Index(), []
        self.index.storefronts[MAIN] = Record({}, self.front)
        state = StorefrontState(storefront=self.front, tiers=(make_state("reco", 2),), snapshots={"reco": SNAPSHOT})
        ports = SimpleNamespace(cluster=self.cluster, settings=Settings())
        self.stocks = Stocks(ports, self.index, Policies(), {MAIN: state}, self.woken.append)

    @property
    def supply(self):
        return self.stocks.supply(self.front, POLICY)


@pytest.fixture
def world():
    return World(TIER)


async def test_what_is_there_and_who_holds_it(world):
    assert world.supply == Supply()
    await world.stocks.refresh()
    assert world.supply.stocks == (Stock("a10", GPU, there=16, others=1),)
    assert world.woken == [MAIN]
    pods = [asked for asked in world.cluster.asked if asked[0] == "Pod"]
    assert pods == [("Pod", None, "spec.nodeName=a"), ("Pod", None, "spec.nodeName=b")]


async def test_only_news_wakes(world):
    await world.stocks.refresh()
    await world.stocks.refresh()
    assert world.woken == [MAIN]
    world.cluster.nodes.pop(0)
    await world.stocks.refresh()
    assert world.woken == [MAIN, MAIN]


async def test_nobody_needs_it_nobody_reads(world):
    world = World(make_tier("web"))
    await world.stocks.refresh()
    assert world.cluster.asked == []


async def test_a_failure_leaves_the_last_reading_and_forbidden_is_unknown(world):
    await world.stocks.refresh()
    before = world.supply
    world.cluster.failure = ApiError("list Node *: the server is too busy", 503)
    await world.stocks.refresh()
    assert world.supply == before
    world.cluster.failure = Forbidden("list Node *: forbidden", 403)
    await world.stocks.refresh()
    (stock,) = world.supply.stocks
    assert stock.ours is None
    assert "forbidden" in stock.detail


async def test_a_quota_leaves_what_others_in_the_namespace_do_not_use(world):
    hard, used = {f"requests.{GPU}": "10"}, {f"requests.{GPU}": "5"}
    quota = {"metadata": {"name": "gpus"}, "spec": {}, "status": {"hard": hard, "used": used}}
    world.cluster.quotas = [quota]
    await world.stocks.refresh()
    assert world.supply.quotas == (Quota("gpus", GPU, 7),)  # three of the five are others'
