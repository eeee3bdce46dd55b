"""The whole life of campaigns on the real API server, under the real operator."""

import asyncio
from datetime import datetime
from functools import partial, update_wrapper

from tests.cluster.scenario import PATIENCE_SECONDS, Stage, is_one_raise, is_subsequence, scenario, soon
from tests.cluster.shop import campaign, deployment, floor_of, hpa, scaled_object, stamp, stateful_set, tier

HPA, SCALED, DEPLOYMENT, STATEFUL = "HorizontalPodAutoscaler", "ScaledObject", "Deployment", "StatefulSet"


@scenario
async def test_whole_life(stage: Stage) -> None:
    """Every kind of target: capacity stands before the start, and everything comes back as it was."""
    workloads = (
        stateful_set("cache", 2),
        deployment("queue", None),
        scaled_object("queue", minReplicaCount=1, maxReplicaCount=5),
        deployment("reco", None),
        hpa("reco", 2, 4),  # the floor will not fit below its maximum
        deployment("web"),  # with three Pods its start-up would be measured, and leadTime not believed
    )
    await stage.apply(*workloads)
    await stage.remember(*workloads)
    keda = asyncio.create_task(play_keda(stage, "queue"))
    lead = "7s"
    await stage.create(
        stage.front(
            "main",
            tier("cache", "cache", STATEFUL, leadTime=lead, role="Cache", release="Gradual"),
            tier("queue", "queue", leadTime=lead),
            tier("reco", "reco", leadTime=lead),
            tier("web", "web", leadTime="20s"),
        )
    )
    await stage.until_accepted("main")
    start, end = soon(60), soon(75)
    await stage.create(campaign("sale", "main", start, end))
    wait = (
        "wait",
        "--for=condition=CapacityReady",
        "camp/sale",
        "-n",
        stage.namespace,
        f"--timeout={PATIENCE_SECONDS:g}s",
    )
    gate = asyncio.create_task(stage.world.plane.kubectl(*wait))
    await stage.until_phase("sale", "Scheduled", "Warming")
    assert stage.floor(HPA, "reco") == 2
    await stage.until_phase("sale", "Armed", "Live")
    assert "condition met" in await gate
    code, said = await stage.forerun("status", "sale")
    assert code == 0, said
    for name in ("cache", "queue", "reco", "web"):
        assert name in said
    code, said = await stage.forerun("why", "sale")
    assert code == 0, said
    assert "for sale" in said
    assert "raised on HorizontalPodAutoscaler/reco from 2" in said
    raised = {
        (kind, name): stage.floor(kind, name)
        for kind, name in ((STATEFUL, "cache"), (SCALED, "queue"), (HPA, "reco"), (DEPLOYMENT, "web"))
    }
    assert min(raised.values()) > 3, raised
    assert stage.object(HPA, "reco")["spec"]["maxReplicas"] >= raised[(HPA, "reco")]
    await stage.until_over("sale")
    ready = next(
        found
        for raw in stage.history("Campaign", "sale")
        for found in (raw.get("status") or {}).get("conditions") or ()
        if (found["type"], found["status"]) == ("CapacityReady", "True")
    )
    assert datetime.fromisoformat(ready["lastTransitionTime"]) <= start
    life = ["Scheduled", "Warming", "Armed", "Live", "Releasing", "Completed"]
    assert is_subsequence(life, stage.phases("sale")), stage.story("sale")
    story = ["Planned", "Warming", "Armed", "Live", "Releasing", "Completed"]
    await stage.until(lambda: is_subsequence(story, stage.events("sale")), f"the Events tell {story}")
    await stage.apply(*workloads)  # their owner's next apply meets no conflict
    assert not stage.ledger("main")
    keda.cancel()


async def play_keda(stage: Stage, name: str) -> None:
    """What KEDA does with a ScaledObject: an HPA of its own that has the same bounds."""
    made = hpa(name, 1, 5)
    made["metadata"] = {"name": f"keda-hpa-{name}", "labels": {"scaledobject.keda.sh/name": name}}
    await stage.create(made)
    while True:
        spec = stage.object(SCALED, name)["spec"]
        bounds = {"minReplicas": spec["minReplicaCount"], "maxReplicas": spec["maxReplicaCount"]}
        await stage.patch(HPA, f"keda-hpa-{name}", {"spec": bounds}, manager="keda")
        seen = len(stage.history(SCALED, name))
        await stage.world.observer.until(lambda seen=seen: len(stage.history(SCALED, name)) > seen, str, 3600)


@scenario
async def test_odd_bounds(stage: Stage) -> None:
    """0 replicas under an HPA, absent bounds: lifted, raised, and as odd as before in the end."""
    await stage.open_shop(
        *(deployment("asleep", 0), hpa("asleep", 3, 30)),
        *(deployment("silent"), scaled_object("silent")),
        *(deployment("one", 1), hpa("one", None, 30)),
        of=stage.front(
            "main",
            tier("asleep", "asleep", dependsOn=[]),
            tier("silent", "silent", dependsOn=[]),
            tier("one", "one", dependsOn=[]),
        ),
    )
    await stage.create(campaign("sale", "main", soon(12), soon(30)))
    await stage.until_raised(HPA, "asleep", above=3)
    await stage.until_raised(SCALED, "silent")
    await stage.until_raised(HPA, "one")
    floor = stage.floor(HPA, "asleep")
    await stage.until(lambda: stage.floor(DEPLOYMENT, "asleep") == floor, "the HPA scales what slept")
    await stage.until_over("sale")
    assert "minReplicaCount" not in stage.object(SCALED, "silent")["spec"]
    assert stage.floor(DEPLOYMENT, "asleep") == 0


@scenario
async def test_never_released_tier_is_kept_until_somebody_releases_it(stage: Stage) -> None:
    await stage.open_shop(
        stateful_set("cache"),
        deployment("web"),
        hpa("web"),
        of=stage.front("main", tier("cache", "cache", STATEFUL, role="Cache"), tier("web", "web")),
    )
    await stage.create(campaign("sale", "main", soon(14), soon(24)))
    await stage.until_raised(STATEFUL, "cache")
    await stage.until_phase("sale", "Completed")
    await stage.until(lambda: stage.status("sale").get("kept"), "kept is told")
    kept = stage.floor(STATEFUL, "cache")  # the first raise, or a higher one that a better forecast asked for
    assert kept is not None
    assert kept > 2
    assert stage.status("sale")["kept"] == [{"tier": "cache", "floor": kept}]
    assert stage.floor(STATEFUL, "cache") == kept
    assert stage.floor(HPA, "web") == 2
    code, said = await stage.forerun("release", "sale", "--tier", "cache")
    assert code == 0, said
    await stage.until_over("sale")
    await stage.until(lambda: not stage.status("sale").get("kept"), "nothing is kept any more")


@scenario
async def test_overlapping_campaigns_add_up(stage: Stage) -> None:
    """Two on one Storefront need more than each alone; when one ends the other goes on."""
    for name in ("both", "first", "second"):
        await stage.small_shop(name)
    start, early, late = soon(16), soon(34), soon(52)
    for of in ("both", "first"):
        await stage.create(campaign(f"long-{of}", of, start, late))
    for of in ("both", "second"):
        await stage.create(campaign(f"short-{of}", of, start, early))
    for name in ("long-both", "short-both", "long-first", "short-second"):
        await stage.until_phase(name, "Live")
    floors = {name: stage.floor(HPA, name) for name in ("both", "first", "second")}
    assert floors["both"] > max(floors["first"], floors["second"]), floors
    await stage.until_phase("short-both", "Releasing", "Completed")
    assert stage.phase("long-both") == "Live"
    assert stage.floor(HPA, "both") >= floors["first"]
    await stage.until_over("long-both", "short-both", "long-first", "short-second")
    while_live = [
        floor_of(raw) for raw in stage.history(HPA, "both") if start.timestamp() <= _written_at(raw) < late.timestamp()
    ]
    assert all(floor >= floors["first"] for floor in while_live), while_live


def _written_at(raw: dict) -> float:
    """When the spec was last written, by the API server's clock."""
    times = [entry["time"] for entry in raw["metadata"]["managedFields"] if entry.get("subresource") != "status"]
    return max(datetime.fromisoformat(time).timestamp() for time in times)


async def begin(stage: Stage, phase: str) -> None:
    """A shop and a campaign `sale` that stays in `phase` long enough to do something to it."""
    timing = {
        # lead time, of the pods really, seconds until the start, seconds until the end
        "Scheduled": ("3s", "0s", 45, 55),
        "Warming": ("45s", "40s", 65, 70),
        "Armed": ("40s", "0s", 60, 66),
        "Live": ("3s", "0s", 12, 60),
        "Releasing": ("3s", "0s", 12, 24),
    }
    lead, delay, start, end = timing[phase]
    await stage.small_shop("main", lead=lead, ready_delay=delay)
    await stage.create(campaign("sale", "main", soon(start), soon(end)))
    await stage.until_phase("sale", phase)
    if phase != "Scheduled":
        await stage.until_raised(HPA, "main")


async def suspended(stage: Stage, phase: str) -> None:
    """Suspended by the command line: what it holds is given back, and it asks for nothing more."""
    await begin(stage, phase)
    code, said = await stage.forerun("suspend", "sale")
    assert code == 0, said
    await stage.until_phase("sale", "Suspended")
    await stage.until_given_back()
    floors = stage.floors(HPA, "main")
    assert floors == [2] if phase == "Scheduled" else is_one_raise(floors), floors
    await stage.until(lambda: not stage.ledger("main"), "the ledger is empty")
    assert stage.phase("sale") == "Suspended"


async def deleted(stage: Stage, phase: str) -> None:
    """Deleted: what it held is given back."""
    await begin(stage, phase)
    await stage.delete("Campaign", "sale")
    await stage.until(lambda: not stage.exists("Campaign", "sale"), "no finalizer holds it")
    await stage.until_given_back()
    floors = stage.floors(HPA, "main")
    assert floors == [2] if phase == "Scheduled" else is_one_raise(floors), floors
    await stage.until(lambda: not stage.ledger("main"), "the ledger is empty")


async def edited(stage: Stage, phase: str) -> None:
    """Twice the peak (and, after the end, a new window): more is raised, and all is given back."""
    await begin(stage, phase)
    before = stage.floor(HPA, "main") or 0
    spec = {"expected": {"peak": "1300"}}
    if phase == "Releasing":
        spec["schedule"] = {"start": stamp(soon(10)), "end": stamp(soon(25))}
    await stage.patch("Campaign", "sale", {"spec": spec})
    await stage.until_raised(HPA, "main", above=max(2, before))
    await stage.until_over("sale")
    assert max(stage.floors(HPA, "main")) > max(2, before)


def in_phase(work, phase):
    """The scenario `work` begun in `phase`."""
    named = update_wrapper(partial(work, phase=phase), work)
    named.__name__ = f"test_{work.__name__}_in_{phase.lower()}"
    return scenario(named)


test_suspended_in_scheduled = in_phase(suspended, "Scheduled")
test_suspended_in_warming = in_phase(suspended, "Warming")
test_suspended_in_armed = in_phase(suspended, "Armed")
test_suspended_in_live = in_phase(suspended, "Live")
test_suspended_in_releasing = in_phase(suspended, "Releasing")
test_deleted_in_scheduled = in_phase(deleted, "Scheduled")
test_deleted_in_warming = in_phase(deleted, "Warming")
test_deleted_in_armed = in_phase(deleted, "Armed")
test_deleted_in_live = in_phase(deleted, "Live")
test_deleted_in_releasing = in_phase(deleted, "Releasing")
test_edited_in_scheduled = in_phase(edited, "Scheduled")
test_edited_in_warming = in_phase(edited, "Warming")
test_edited_in_armed = in_phase(edited, "Armed")
test_edited_in_live = in_phase(edited, "Live")
test_edited_in_releasing = in_phase(edited, "Releasing")
