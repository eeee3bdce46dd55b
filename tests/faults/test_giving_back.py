"""Giving back without an operator, on the API server in memory: killed at each request, edited, copied, expired."""

import copy
import itertools
from datetime import datetime, timedelta

import pytest
from tests.faults.antagonist_model import BOUNDS
from tests.faults.antagonist_world import NAMESPACE, World
from tests.faults.antagonists import HPA, PLAIN, SCALED, TARGETS, Antagonists
from tests.faults.memory_api import Crashed, MemoryApi, MemoryCluster

from forerun.actuators.reading import LEDGER_ANNOTATION
from forerun.controllers.break_glass import BreakGlass
from forerun.controllers.expiry import Expiry
from forerun.domain.reason import Hold, Reason
from forerun.domain.target import GivenBack
from forerun.kube.errors import Forbidden

LONG = 3 * 86400  # seconds after which every raise of a day has expired
MOST_ROUNDS = 100


def raised_and_dead(**tier: object) -> Antagonists:
    """Every floor is raised, and the operator is dead; `tier` are fields of every tier."""
    machine = Antagonists()
    machine.open(2, 10, None)
    if tier:
        front = machine._raw(("Storefront", "main"))
        tiers = [one | tier for one in front["spec"]["tiers"]]
        machine.world.api.patch("admin", "Storefront", NAMESPACE, "main", {"spec": {"tiers": tiers}})
    machine.declare("drop", 90, 600, 900)
    for _ in range(4):
        machine.pass_time(30, 2)
    assert all(LEDGER_ANNOTATION in machine._raw(where)["metadata"]["annotations"] for where in TARGETS)
    machine.killed(restart=False)
    return machine


def lose_our_kinds(machine: Antagonists) -> None:
    """As `kubectl delete crd` does; what was in the ledger is known to the judge alone."""
    for kind, name in (("Campaign", "drop"), ("CapacityPlan", "main"), ("Storefront", "main")):
        machine.world.api.delete("admin", kind, NAMESPACE, name)
    machine.model.look()


@pytest.fixture
def machine():
    made = raised_and_dead()
    yield made
    made.nothing_is_wrong()
    made.world.close()


def glass(world: World, **options: bool) -> dict[str, GivenBack]:
    cluster = MemoryCluster(world.api)
    done, unseen = world.loop.run_until_complete(BreakGlass(cluster, **options).sweep(NAMESPACE))
    assert not unseen
    return {one.reference.kind: one for one in done}


def bounds(api: MemoryApi) -> dict[tuple[str, str], dict[str, object]]:
    return {
        where: {name: api.get(where[0], NAMESPACE, where[1])["spec"].get(name) for name in BOUNDS[where[0]]}
        for where in TARGETS
    }


def marks(api: MemoryApi) -> list[str]:
    found = []
    for kind, name in TARGETS:
        metadata = api.get(kind, NAMESPACE, name)["metadata"]
        found += [key for key in metadata.get("annotations") or {} if key.startswith("forerun.dev/")]
        found += [entry["manager"] for entry in metadata["managedFields"] if entry["manager"] == "forerun"]
    return found


# break-glass


def test_everything_comes_back_from_the_annotations_alone(machine):
    lose_our_kinds(machine)
    before = bounds(machine.world.api)
    told = glass(machine.world, dry_run=True)
    assert bounds(machine.world.api) == before
    assert len(told) == 3
    told = glass(machine.world)
    assert [one.hold for one in told.values()] == [None] * 3
    assert [one.after for one in told.values()] == [one.baseline for one in told.values()]
    assert not machine.model.ended()
    assert glass(machine.world) == {}


def test_killed_at_each_request_and_run_again(machine):
    world, lived = machine.world, []
    lose_our_kinds(machine)
    stood = copy.deepcopy(world.api.objects)
    for call, committed in ((call, committed) for call in itertools.count(1) for committed in (False, True)):
        api = MemoryApi(lambda: world.now, objects=copy.deepcopy(stood), _version=10_000)
        cluster = MemoryCluster(api)

        def die(number: int, call: int = call) -> None:
            if number >= call:
                raise Crashed

        if committed:
            cluster.after = die
        else:
            cluster.before = die
        try:
            world.loop.run_until_complete(BreakGlass(cluster).sweep(NAMESPACE))
        except Crashed:
            lived.append(call)
        world.loop.run_until_complete(world._cancel())
        world.loop.run_until_complete(BreakGlass(MemoryCluster(api)).sweep(NAMESPACE))
        assert bounds(api) == machine_baseline(machine), (call, committed)
        assert marks(api) == [], (call, committed)
        assert all(change.guarded for change in api.changes)
        if lived[-1:] != [call]:
            break
    assert max(lived) >= 10  # four kinds are listed; each target is read, written and cleared


def machine_baseline(machine: Antagonists) -> dict[tuple[str, str], dict[str, object]]:
    """What stands in Git, with what the API server adds to it."""
    return {where: {name: machine.git[where]["spec"].get(name) for name in BOUNDS[where[0]]} for where in TARGETS}


@pytest.mark.parametrize("where", TARGETS)
def test_what_somebody_else_has_set_stays(machine, where):
    machine._edit(where, 0, 5)
    told = glass(machine.world)
    hold = told[where[0]].hold
    assert hold is not None and hold.reason is Reason.DRIFTED
    assert [one.hold for kind, one in told.items() if kind != where[0]] == [None, None]
    assert marks(machine.world.api) == []
    assert bounds(machine.world.api)[where][BOUNDS[where[0]][0]] == 5


@pytest.mark.parametrize("where", TARGETS)
def test_another_object_of_the_same_name_is_left_alone(machine, where):
    exported = machine._raw(where)
    machine.delete_and_recreate(where)
    text = exported["metadata"]["annotations"][LEDGER_ANNOTATION]
    machine.world.api.patch(
        "x", where[0], NAMESPACE, where[1], {"metadata": {"annotations": {LEDGER_ANNOTATION: text}}}
    )
    before = bounds(machine.world.api)[where]
    hold = glass(machine.world)[where[0]].hold
    assert hold is not None and hold.reason is Reason.TARGET_REPLACED
    assert bounds(machine.world.api)[where] == before


def test_a_copied_annotation_and_a_broken_one_change_nothing(machine):
    api = machine.world.api
    text = machine._raw(HPA)["metadata"]["annotations"][LEDGER_ANNOTATION]
    api.patch("x", "Deployment", NAMESPACE, "search", {"metadata": {"annotations": {LEDGER_ANNOTATION: text}}})
    api.patch("x", *PLAIN[:1], NAMESPACE, PLAIN[1], {"metadata": {"annotations": {LEDGER_ANNOTATION: "{not json"}}})
    replicas, stood = api.get("Deployment", NAMESPACE, "search")["spec"]["replicas"], bounds(api)[PLAIN]
    told = glass(machine.world)
    assert (told["StatefulSet"].hold or Hold(Reason.KEPT)).reason is Reason.INVALID
    assert "Deployment" not in told
    assert api.get("Deployment", NAMESPACE, "search")["spec"]["replicas"] == replicas
    assert bounds(api)[PLAIN] == stood


def test_what_is_never_given_back_stays_unless_it_is_asked_for():
    machine = raised_and_dead(release="Never")
    lose_our_kinds(machine)
    before = bounds(machine.world.api)
    told = glass(machine.world)
    assert {one.hold.reason for one in told.values() if one.hold} == {Reason.KEPT}
    assert bounds(machine.world.api) == before
    told = glass(machine.world, include_kept=True)
    assert [one.hold for one in told.values()] == [None] * 3
    assert not machine.model.ended()
    machine.world.close()


def test_a_kind_that_may_not_be_listed_is_told_and_the_others_come_back(machine):
    lose_our_kinds(machine)
    cluster = MemoryCluster(machine.world.api)

    def refuse(number: int) -> None:
        if number == 1:
            raise Forbidden("list HorizontalPodAutoscaler: not allowed", 403)

    cluster.before = refuse
    done, unseen = machine.world.loop.run_until_complete(BreakGlass(cluster).sweep(NAMESPACE))
    assert [hold.reason for hold in unseen] == [Reason.FORBIDDEN]
    assert {one.reference.kind for one in done} == {SCALED[0], PLAIN[0]}
    assert glass(machine.world).keys() == {HPA[0]}
    assert not machine.model.ended()


# what has expired


def rounds(machine: Antagonists) -> list[GivenBack]:
    """The job, as `forerun release --expired` runs it; every round is a process of its own."""
    world, told = machine.world, []
    for _ in range(MOST_ROUNDS):
        expiry = Expiry(world.make_ports(), (NAMESPACE,))
        done = world.loop.run_until_complete(expiry.round())
        machine.model.look()
        told += done.outcomes
        if done.again_at is None:
            return told
        world.now = max(done.again_at, world.now + timedelta(seconds=1))
    raise AssertionError(f"not at its end after {MOST_ROUNDS} rounds: {told[-3:]}")


def end_of(machine: Antagonists) -> datetime:
    return datetime.fromisoformat(machine._raw(("Campaign", "drop"))["spec"]["schedule"]["end"])


def test_nothing_comes_down_before_its_expiry(machine):
    before = bounds(machine.world.api)
    machine.world.now = end_of(machine) + timedelta(hours=1)
    assert rounds(machine) == []
    assert bounds(machine.world.api) == before


@pytest.mark.parametrize("lost", [(), ("CapacityPlan",), ("CapacityPlan", "Storefront", "Campaign")])
def test_what_has_expired_comes_down_with_and_without_the_plan(machine, lost):
    names = {"CapacityPlan": "main", "Storefront": "main", "Campaign": "drop"}
    for kind in lost:
        machine.world.api.delete("admin", kind, NAMESPACE, names[kind])
    machine.model.look()
    machine.world.now += timedelta(seconds=LONG)
    told = rounds(machine)
    assert {one.reference.kind for one in told} == {where[0] for where in TARGETS}
    assert not machine.model.ended()


def test_an_open_window_holds_what_it_may_ask_for(machine):
    machine.world.now += timedelta(seconds=LONG)
    now = machine.world.now
    schedule = {"start": (now - timedelta(minutes=5)).isoformat(), "end": (now + timedelta(hours=1)).isoformat()}
    machine.world.api.patch("marketing", "Campaign", NAMESPACE, "drop", {"spec": {"schedule": schedule}})
    machine.world.api.delete("admin", "CapacityPlan", NAMESPACE, "main")
    machine.model.look()
    before = bounds(machine.world.api)
    rounds(machine)
    assert bounds(machine.world.api) == before


def test_an_operator_that_comes_back_finds_its_ledger_as_it_should_be(machine):
    machine.world.now += timedelta(seconds=LONG)
    rounds(machine)
    machine.started()
    machine.pass_time(60, 2)
    assert not machine.model.ended()
