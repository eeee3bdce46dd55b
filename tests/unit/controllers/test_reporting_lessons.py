"""What was learnt goes into the Storefront's status with the rest of it: once, and past refusals and conflicts."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from forerun.api.convert import learnt_with
from forerun.controllers.index import Index
from forerun.controllers.learning import Learner
from forerun.controllers.plan_store import PlanStore
from forerun.controllers.planning import Planner
from forerun.controllers.reporting import Reporter
from forerun.controllers.state import StorefrontState
from forerun.domain.campaign import CampaignType, Expected, Key, Occurrence
from forerun.domain.forecast import CURVE_POINTS, EventWindow, Lesson
from forerun.kube.errors import Conflict
from forerun.settings import Settings

KEY = Key("shop", "main")
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
TIER = {
    "name": "web",
    "role": "Web",
    "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
    "maxReplicas": 9,
}
STOREFRONT = {
    "apiVersion": "forerun.dev/v1alpha1",
    "kind": "Storefront",
    "metadata": {"name": "main", "namespace": "shop", "uid": "u", "generation": 1, "resourceVersion": "1"},
    "spec": {"demand": {"metricsSourceRef": {"name": "prometheus"}, "query": "demand"}, "tiers": [TIER]},
}


def lesson(name):
    window = EventWindow(name, CampaignType.FLASH_SALE, Occurrence(NOW, NOW + timedelta(hours=1)), Expected())
    return Lesson(window, 40.0, 0.1, (0.5,) * CURVE_POINTS)


class OneObject:
    """A merge patch on the status of one object, guarded by its resourceVersion."""

    def __init__(self, raw):
        self.raw = deepcopy(raw)
        self.writes = []

    async def merge_patch(self, version, kind, namespace, name, body, subresource):
        assert subresource == "status"
        if body["metadata"]["resourceVersion"] != self.raw["metadata"]["resourceVersion"]:
            raise Conflict("the object has been modified", 409)
        self.writes.append(body["status"])
        merged = {**self.raw.get("status", {}), **body["status"]}
        self.raw["status"] = {field: value for field, value in merged.items() if value is not None}
        self.touch()
        return deepcopy(self.raw)

    def touch(self):
        self.raw["metadata"]["resourceVersion"] = str(int(self.raw["metadata"]["resourceVersion"]) + 1)


class World:
    def __init__(self, raw=STOREFRONT):
        self.cluster = OneObject(raw)
        self.index = Index()
        self.index.upsert(deepcopy(raw))
        ports = SimpleNamespace(settings=Settings(), cluster=self.cluster, clock=lambda: NOW)
        store = PlanStore(ports, self.index)
        learner = Learner(ports.settings, self.index)
        self.state = StorefrontState()
        self.reporter = Reporter(
            ports, self.index, Planner(self.index, store, pools=None), store, learner, states={KEY: self.state}
        )

    async def report(self):
        await self.reporter._report(KEY)

    def stored(self):
        learnt = self.cluster.raw["status"].get("learnt") or {}
        return [entry["campaign"] for entry in learnt.get("occurrences", ())]


@pytest.fixture
async def world():
    world = World()
    await world.report()
    return world


async def test_nothing_learnt_is_not_even_an_empty_list(world):
    assert "learnt" not in world.cluster.raw["status"]
    assert len(world.cluster.writes) == 1


async def test_a_lesson_is_written_once(world):
    world.state.learnt = (lesson("sale"),)
    await world.report()
    await world.report()
    world.state.learnt = (lesson("sale"),)  # learnt a second time by a second forecast
    await world.report()

    assert world.stored() == ["sale"]
    assert [set(write) for write in world.cluster.writes[1:]] == [{"learnt"}]
    assert world.state.learnt == ()


async def test_after_a_conflict_it_is_still_to_be_written(world):
    world.cluster.touch()  # somebody else wrote, and the watch has not said so yet
    world.state.learnt = (lesson("sale"),)
    await world.report()
    assert world.stored() == []
    assert world.state.learnt == (lesson("sale"),)
    world.index.upsert(deepcopy(world.cluster.raw))
    await world.report()
    assert world.stored() == ["sale"]


async def test_a_refused_spec_loses_nothing(world):
    world.state.learnt = (lesson("sale"),)
    await world.report()
    world.cluster.raw["spec"]["tiers"] = [{**TIER, "dependsOn": ["web"]}]
    world.cluster.raw["metadata"]["generation"] = 2
    world.cluster.touch()
    world.index.upsert(deepcopy(world.cluster.raw))
    await world.reporter._report_acceptance("Storefront", KEY)

    assert world.cluster.raw["status"]["conditions"][1]["status"] == "False"
    assert world.stored() == ["sale"]


async def test_a_later_version_is_left_as_it_is():
    later = {"version": 2, "of": "another kind"}
    world = World({**STOREFRONT, "status": {"learnt": later}})
    world.state.learnt = (lesson("sale"),)
    await world.report()

    assert world.cluster.raw["status"]["learnt"] == later
    assert all("learnt" not in write for write in world.cluster.writes)


async def test_an_entry_that_somebody_broke_is_not_repaired_for_its_own_sake():
    learnt = learnt_with(None, [lesson("a"), lesson("b")])
    learnt["occurrences"][0]["upliftMilli"] = [1]
    world = World({**STOREFRONT, "status": {"learnt": learnt}})
    await world.report()
    assert all("learnt" not in write for write in world.cluster.writes)
    world.state.learnt = (lesson("c"),)
    await world.report()
    assert len(world.stored()) == 2
