"""The short form of antagonists.py: some interleavings drawn by Hypothesis, and those that once went wrong."""

import copy
from datetime import timedelta

import pytest
from tests.faults import antagonist_world as shop
from tests.faults.antagonist_model import MOST_WRITES
from tests.faults.antagonists import HPA, PLAIN, SCALED, Antagonists, play
from tests.faults.memory_api import MemoryApi

from forerun.actuators.reading import LEDGER_ANNOTATION
from forerun.kube.errors import Conflict, Invalid, NotFound

EXAMPLES = 25


def test_any_interleaving_ends_as_the_owners_want_it():
    play(EXAMPLES)


@pytest.fixture
def machine():
    """A shop of one's own; at the end everybody stops, and what must hold is looked at."""
    made = Antagonists()
    made.open(2, 10, None)
    yield made
    made.nothing_is_wrong()
    made.teardown()


def raised(machine: Antagonists, peak: int = 900) -> None:
    """A campaign is live, and every floor stands as it needs it."""
    machine.declare("drop", 90, 600, peak)
    for _ in range(4):
        machine.pass_time(30, 2)
    assert machine._raw(HPA)["spec"]["minReplicas"] > 2


def test_a_campaign_is_carried_out_and_given_back(machine):
    raised(machine)
    assert machine.model.raises >= 3


def test_their_floor_stays_and_the_maximum_that_we_lifted_goes_back(machine):
    raised(machine, 1400)
    assert machine._raw(HPA)["spec"]["maxReplicas"] > 10
    machine.edit_floor(HPA, 7)
    machine.work()


def test_their_maximum_stays_and_our_floor_goes_back(machine):
    raised(machine)
    machine.edit_ceiling(HPA, 40)
    machine.work()


def test_a_maximum_of_theirs_is_what_is_lifted_later_and_goes_back(machine):
    machine.edit_ceiling(HPA, 20)
    raised(machine, 300)
    machine.edit_ceiling(HPA, 12)
    machine.work()
    machine.demand_is(2500.0)
    machine.pass_time(20, 2)
    machine.pass_time(20, 2)
    assert machine._raw(HPA)["spec"]["minReplicas"] > 12


def test_the_same_floor_set_by_somebody_just_before_is_theirs(machine):
    """The ledger says 10 already; it was not us who wrote it."""
    machine.declare("drop", 90, 600, 900)
    machine.pass_time(40, 2)
    assert machine._raw(HPA)["spec"]["minReplicas"] == 2
    ledger = machine._raw(("CapacityPlan", "main"))["status"]["ledger"]
    (noted,) = [entry["written"][-1]["minReplicas"] for entry in ledger if entry["tier"] == "web"]
    machine._edit(HPA, 0, noted)
    machine.pass_time(60, 2)
    assert machine.model.wanted[HPA]["minReplicas"] == noted


def test_a_mark_that_no_ledger_knows_leaves_the_target(machine):
    """The target itself was raised; the operator dies, the plan is deleted, and an HPA comes before it starts again."""
    machine.autoscaler_comes_or_goes()
    machine.declare("drop", 90, 600, 900)
    for _ in range(4):
        machine.pass_time(30, 2)
    assert LEDGER_ANNOTATION in machine._raw(("Deployment", "web"))["metadata"]["annotations"]
    machine.killed(restart=False)
    machine.plan_is_deleted()
    machine.autoscaler_comes_or_goes()
    assert machine._raw(HPA) is not None


def test_a_higher_floor_set_by_somebody_just_before_is_not_lowered(machine):
    """The ledger was written ahead for a raise to 10; somebody sets 12: that is the baseline now."""
    machine.declare("drop", 90, 600, 900)
    machine.pass_time(40, 2)
    machine._edit(SCALED, 0, 12)
    for _ in range(8):
        machine.pass_time(20, 2)
        assert machine._raw(SCALED)["spec"]["minReplicaCount"] == 12


def test_contested_after_three_writes_with_the_setting(machine):
    raised(machine)
    machine.self_heal_each_time(HPA, 6)
    assert machine._raw(HPA)["spec"]["minReplicas"] == 2
    status = machine._raw(("Campaign", "drop"))["status"]
    (contested,) = [c for c in status["conditions"] if c["type"] == "Contested"]
    assert contested["status"] == "True"
    wanted = "{group: autoscaling, kind: HorizontalPodAutoscaler, name: web, managedFieldsManagers: [forerun]}"
    assert wanted in contested["message"]
    assert "RespectIgnoreDifferences=true" in contested["message"]
    assert machine.model._reverted[HPA] <= MOST_WRITES


@pytest.mark.parametrize("where", [HPA, SCALED, PLAIN])
def test_a_target_made_anew_under_the_same_name(machine, where):
    raised(machine)
    machine.delete_and_recreate(where)
    machine.work()
    machine.pass_time(60, 2)


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("call", range(1, 13))
def test_killed_at_a_request_of_the_raise(machine, call, committed):
    machine.declare("drop", 90, 600, 900)
    for _ in range(3):
        machine.world.pass_time(30)
        machine.killed_at_a_request(call, committed)
        if machine.world.operator is None:
            machine.world.start()
    machine.work()


@pytest.mark.parametrize("call", range(1, 13))
def test_a_request_of_the_raise_fails_and_is_made_again(machine, call):
    """Also the one that commits the ledger: what it was to say is not said."""
    machine.declare("drop", 90, 600, 900)
    for _ in range(3):
        machine.world.pass_time(30)
        machine.a_request_fails(call)
    machine.work()
    assert machine.model.raises


def test_live_demand_before_the_first_plan_waits_for_a_ledger():
    """The forecast is not there yet, so there is no plan to keep a ledger in; two looks at the same second."""
    machine = Antagonists()
    machine.open(None, 4, None)
    machine.declare("letter", -30, 120, 300)
    machine.declare("drop", 90, 120, 300)
    machine.declare("drop", -30, 120, 300)
    machine.nothing_is_wrong()
    machine.teardown()
    assert machine.model.raises


def test_a_plan_from_a_backup_is_mended_from_the_targets(machine):
    """Its ledger knows of the first raise alone; what stands by the second is no edit of somebody else's."""
    machine.declare("drop", 90, 600, 300)
    for _ in range(4):
        machine.pass_time(30, 2)
    backup = copy.deepcopy(machine._raw(("CapacityPlan", "main")))["status"]
    machine.declare("drop", 10, 600, 900)
    machine.pass_time(30, 2)
    stands = machine._raw(HPA)["spec"]["minReplicas"]
    assert stands > backup["ledger"][0]["written"][-1]["minReplicas"]
    machine.killed(restart=False)
    machine.world.api.patch("velero", "CapacityPlan", shop.NAMESPACE, "main", {"status": backup}, "status")
    machine.started()
    ledger = machine._raw(("CapacityPlan", "main"))["status"]["ledger"]
    written = {entry["ownerRef"]["name"]: entry["written"] for entry in ledger if entry["ownerRef"]["kind"] == HPA[0]}
    assert stands in [bounds["minReplicas"] for bounds in written["web"]]


def test_the_plan_is_deleted_while_nobody_looks(machine):
    raised(machine)
    machine.killed(restart=False)
    machine.plan_is_deleted()
    machine.started()


class TestMemoryApi:
    """It refuses what the real one refuses."""

    @pytest.fixture
    def api(self):
        made = MemoryApi(lambda: shop.ORIGIN)
        made.create("argocd", shop.hpa("web", None, 10))
        return made

    def test_guards(self, api):
        raw = api.get("HorizontalPodAutoscaler", "shop", "web")
        old = {"uid": raw["metadata"]["uid"], "resourceVersion": raw["metadata"]["resourceVersion"]}
        body = {"metadata": old, "spec": {"minReplicas": 3}}
        api.patch("a", "HorizontalPodAutoscaler", "shop", "web", body)
        with pytest.raises(Conflict):
            api.patch("a", "HorizontalPodAutoscaler", "shop", "web", body)
        api.delete("a", "HorizontalPodAutoscaler", "shop", "web")
        with pytest.raises(NotFound):
            api.patch("a", "HorizontalPodAutoscaler", "shop", "web", body)
        api.create("a", shop.hpa("web", 2, 10))
        with pytest.raises(Conflict):
            api.patch("a", "HorizontalPodAutoscaler", "shop", "web", {"metadata": {"uid": old["uid"]}})

    def test_defaults_and_bounds(self, api):
        assert api.get("HorizontalPodAutoscaler", "shop", "web")["spec"]["minReplicas"] == 1
        with pytest.raises(Invalid):
            api.patch("a", "HorizontalPodAutoscaler", "shop", "web", {"spec": {"minReplicas": 11}})

    def test_nothing_changed_moves_no_version(self, api):
        before = api.get("HorizontalPodAutoscaler", "shop", "web")
        api.patch("a", "HorizontalPodAutoscaler", "shop", "web", {"spec": {"minReplicas": 1}})
        assert api.get("HorizontalPodAutoscaler", "shop", "web") == before

    def test_who_changes_a_field_owns_it_alone(self, api):
        api.patch("kubectl", "HorizontalPodAutoscaler", "shop", "web", {"spec": {"minReplicas": 4}})
        fields = api.get("HorizontalPodAutoscaler", "shop", "web")["metadata"]["managedFields"]
        owners = [e["manager"] for e in fields if "f:minReplicas" in e["fieldsV1"]["f:spec"]]
        assert owners == ["kubectl"]


def test_time_is_the_tests_alone(machine):
    before = machine.world.now
    machine.pass_time(60, 1)
    assert machine.world.now - before == timedelta(seconds=60)
