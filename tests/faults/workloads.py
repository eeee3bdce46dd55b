"""The lives that are lived with and without faults: one for each kind of target, and for what people do meanwhile.

Each is a coroutine that sets the clock from moment to moment and waits, at each, for what must come. None waits for
time to pass, so a life takes seconds, and the operator makes the same writes in it every time.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from tests.cluster.shop import deployment, hpa, scaled_object, stateful_set, tier, traces
from tests.faults.life import BETWEEN_STEPS, PREPARED, Life

HPA, SCALED, DEPLOYMENT, STATEFUL = "HorizontalPodAutoscaler", "ScaledObject", "Deployment", "StatefulSet"

Work = Callable[[Life], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Workload:
    name: str
    work: Work
    central: bool  # one of the three whose pairs of writes are tried too


WORKLOADS: dict[str, Workload] = {}


def workload(name: str, *, central: bool = False) -> Callable[[Work], Work]:
    def register(work: Work) -> Work:
        WORKLOADS[name] = Workload(name, work, central)
        return work

    return register


async def whole_life(life: Life, kind: str, above: int) -> None:
    """Announced, raised, open, over, given back."""
    await life.announce()
    floor = await life.raised(kind, "main", above)
    async with life.owing(kind, "main", floor):
        await life.opened()
    await life.over()


@workload("hpa", central=True)
async def on_hpa(life: Life) -> None:
    await life.shop(deployment("main"), hpa("main"))
    await whole_life(life, HPA, 2)


@workload("scaled-object", central=True)
async def on_scaled_object(life: Life) -> None:
    await life.shop(deployment("main"), scaled_object("main", minReplicaCount=1, maxReplicaCount=2))
    await whole_life(life, SCALED, 1)


@workload("scale", central=True)
async def on_scale(life: Life) -> None:
    await life.shop(deployment("main"))
    await whole_life(life, DEPLOYMENT, 2)


@workload("stateful-set")
async def on_stateful_set(life: Life) -> None:
    await life.shop(stateful_set("main"), tiers=(tier("web", "main", STATEFUL),))
    await whole_life(life, STATEFUL, 2)


@workload("absent-hpa-minimum")
async def on_hpa_without_minimum(life: Life) -> None:
    await life.shop(deployment("main", 1), hpa("main", None, 3))
    await whole_life(life, HPA, 1)


@workload("absent-scaled-object-bounds")
async def on_scaled_object_without_bounds(life: Life) -> None:
    await life.shop(deployment("main"), scaled_object("main"))
    await whole_life(life, SCALED, 0)


@workload("asleep")
async def on_target_at_zero(life: Life) -> None:
    """An HPA leaves a target at 0 alone: it is lifted, and is at 0 again in the end."""
    await life.shop(deployment("main", 0), hpa("main", 3, 30))
    await whole_life(life, HPA, 3)


@workload("two-tiers")
async def on_two_tiers(life: Life) -> None:
    """A dependency is raised before its consumer, and given back after it."""
    await life.shop(
        *(stateful_set("cache"), deployment("main"), hpa("main")),
        tiers=(tier("cache", "cache", STATEFUL, role="Recommender"), tier("web", "main")),
    )
    await life.announce()
    await life.raised(STATEFUL, "cache", 2, "cache")
    floor = await life.raised(HPA, "main", 2)
    async with life.owing(HPA, "main", floor):
        await life.opened()
    await life.over()


@workload("overlap")
async def on_overlap(life: Life) -> None:
    """Two campaigns in one window add up."""
    await life.shop(deployment("main"), hpa("main"))
    await life.announce("first", expected={"peak": "300"})
    await life.announce("second", expected={"peak": "250"})
    floor = await life.raised(HPA, "main", 2)
    async with life.owing(HPA, "main", floor):
        await life.opened("first")
        await life.until_phase("second", "Live")
    await life.over("first", "second")


@workload("approval")
async def approved_by_somebody(life: Life) -> None:
    """Nothing is raised before somebody says yes."""
    await life.shop(deployment("main"), hpa("main"))
    await life.announce(mode="Approval")
    life.moment("approved")
    generation = life.object("Campaign", "sale")["metadata"]["generation"]
    approval = {"campaign": "sale", "generation": generation, "by": "somebody"}
    await life.patch("CapacityPlan", "main", {"spec": {"approvedBy": [approval]}})
    await life.until(life.steps, "the plan has steps that are carried out")
    floor = await life.raised(HPA, "main", 2)
    async with life.owing(HPA, "main", floor):
        await life.opened()
    await life.over()


@workload("suspend")
async def suspended_when_live(life: Life) -> None:
    await life.shop(deployment("main"), hpa("main"))
    await life.announce()
    await life.raised(HPA, "main", 2)
    await life.opened()
    life.moment("suspended")
    await life.patch("Campaign", "sale", {"spec": {"suspend": True}})
    await life.until_phase("sale", "Suspended", "Releasing")
    await life.given_back()
    await life.until_phase("sale", "Suspended")


@workload("edit")
async def edited_when_live(life: Life) -> None:
    """Twice the peak: more is raised, and all of it is given back."""
    await life.shop(deployment("main"), hpa("main"))
    await life.announce()
    floor = await life.raised(HPA, "main", 2)
    async with life.owing(HPA, "main", floor):
        await life.opened()
        life.moment("edited")
        await life.patch("Campaign", "sale", {"spec": {"expected": {"peak": "900"}}})
        await life.until(lambda: (life.floor(HPA, "main") or 0) > floor, "more is raised")
    await life.over()


@workload("delete-campaign")
async def campaign_deleted_when_live(life: Life) -> None:
    await life.shop(deployment("main"), hpa("main"))
    await life.announce()
    await life.raised(HPA, "main", 2)
    await life.opened()
    life.moment("deleted")
    await life.delete("Campaign", "sale")
    await life.given_back()


@workload("delete-prepared")
async def campaign_deleted_when_prepared(life: Life) -> None:
    """Deleted when the ledger is committed and the target is not touched yet: it never is."""
    await life.shop(deployment("main"), hpa("main"))
    await life.announce()
    life.go_to(life.steps()[0][0] - PREPARED, "prepared")
    await life.until(lambda: life.ledger("main"), "the ledger is committed ahead of the raise")
    await life.delete("Campaign", "sale")
    life.moment("deleted")
    await life.until(lambda: not life.ledger("main"), "the ledger is empty")
    life.go_to(life.bench.opens, "open")
    assert not life.differences()


@workload("delete-storefront")
async def storefront_deleted_when_live(life: Life) -> None:
    await life.shop(deployment("main"), hpa("main"))
    await life.announce()
    await life.raised(HPA, "main", 2)
    await life.opened()
    life.moment("deleted")
    await life.delete("Storefront", "main")
    await life.until(lambda: not life.exists("Storefront", "main"), "no finalizer holds it")
    life.go_to(life.clock.now() + BETWEEN_STEPS, "given back")
    await life.until(lambda: not life.differences(), "given back")
    await life.until(lambda: not life.exists("CapacityPlan", "main"), "its plan is gone")


@workload("release")
async def kept_and_released_by_hand(life: Life) -> None:
    """`release: Never` keeps what it has after the end, until somebody gives it back."""
    await life.shop(deployment("main"), hpa("main"), tiers=(tier("web", "main", release="Never"),))
    await life.announce()
    floor = await life.raised(HPA, "main", 2)
    async with life.owing(HPA, "main", floor):
        await life.opened()
        life.go_to(life.bench.ends + timedelta(seconds=2), "over")
        await life.until_phase("sale", "Completed")
        await life.until(lambda: life.ledger("main")[0].get("kept"), "kept stands in the ledger")
    life.moment("released")
    stamp = life.clock.now().isoformat(timespec="seconds")
    await life.patch("Campaign", "sale", {"metadata": {"annotations": {"forerun.dev/release": f"web@{stamp}"}}})
    await life.given_back("sale")


@workload("drift")
async def edited_by_somebody(life: Life) -> None:
    """A floor that somebody sets in the window is theirs, in it and after it."""
    await life.shop(deployment("main"), hpa("main"))
    await life.announce()
    await life.raised(HPA, "main", 2)
    await life.opened()
    life.moment("edited")
    await life.patch(HPA, "main", {"spec": {"minReplicas": 7}})
    await life.until(lambda: life.condition("sale", "Degraded").get("reason") == "Drifted", "the drift is told")
    async with life.owing(HPA, "main", 7):
        life.go_to(life.bench.ends + timedelta(seconds=2), "over")
        await life.until_phase("sale", "Completed")
        await life.until(lambda: not life.ledger("main"), "nothing is owed any more")
        await life.until(lambda: not traces(life.object(HPA, "main")), "nothing of ours is left on it")


@workload("revert")
async def reverted_by_gitops(life: Life) -> None:
    """Whatever we raise is set back at once: three tries, then Contested."""
    await life.shop(deployment("main"), hpa("main"))
    await life.announce()
    await life.raised(HPA, "main", 2)

    def raises() -> int:
        return sum(floor != 2 for floor in life.floors(HPA, "main"))

    def contested() -> bool:
        return life.condition("sale", "Contested").get("status") == "True"

    while not contested():
        tries = raises()
        assert tries <= 3, life.floors(HPA, "main")
        life.moment(f"reverted {tries}")
        await life.patch(HPA, "main", {"spec": {"minReplicas": 2}}, manager="gitops")
        await life.until(lambda tries=tries: contested() or raises() > tries, "raised once more, or given up")
    life.go_to(life.bench.ends + timedelta(seconds=2), "over")
    await life.until_phase("sale", "Completed")
    await life.until(lambda: not life.ledger("main"), "nothing is owed any more")
    await life.until(lambda: not traces(life.object(HPA, "main")), "nothing of ours is left on it")


@workload("restored-ledger")
async def ledger_from_a_backup(life: Life) -> None:
    """The CapacityPlan comes back as it was before the last raise: noticed, mended from the target, given back."""
    await life.shop(deployment("main"), hpa("main"))
    await life.announce()
    floor = await life.raised(HPA, "main", 2)
    await life.opened()
    await life.until(lambda: life.ledger("main")[0].get("confirmed"), "the first raise is confirmed")
    backup = life.status("main", "CapacityPlan")["ledger"]
    await life.patch("Campaign", "sale", {"spec": {"expected": {"peak": "900"}}})
    await life.until(lambda: (life.floor(HPA, "main") or 0) > floor, "more is raised")
    more = life.floor(HPA, "main") or 0
    async with life.owing(HPA, "main", more):
        life.dead = True
        await life.restart()
        await life.patch_status("CapacityPlan", "main", {"ledger": backup})
        life.dead = False
        life.moment("restored")
        await life.until(lambda: str(more) in str(life.ledger("main")[0]["written"]), "the ledger is mended")
    await life.over()
