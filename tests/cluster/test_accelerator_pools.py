"""Accelerator pools on the real API server: told ahead, divided, donors first, the ladder used and given back."""

from typing import Any

from tests.cluster.scenario import GPU, POOL, POOL_CAPACITY, Stage, scenario, soon
from tests.cluster.shop import campaign, deployment, floor_of, hpa, tier

HPA, DEPLOYMENT = "HorizontalPodAutoscaler", "Deployment"
ACCELERATOR = {"resource": GPU, "perReplica": 1, "pool": POOL}


def on_gpus(name: str, **others: Any) -> dict[str, Any]:
    raw = deployment(name, **others)
    raw["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {GPU: "1"}}
    return raw


@scenario
async def test_two_storefronts_share_a_pool_that_is_too_small(stage: Stage) -> None:
    """Twelve accelerators; a campaign that has ten of them, and a later one of higher priority that needs ten."""
    shops = ("main", "outlet")
    workloads = [
        raw for name in shops for raw in (on_gpus(name), hpa(name), deployment(f"{name}-cpu"), hpa(f"{name}-cpu"))
    ]
    await stage.apply(*workloads)
    await stage.remember(*workloads)
    for name in shops:
        target = {"apiVersion": "apps/v1", "kind": DEPLOYMENT, "name": f"{name}-cpu"}
        ladder = [{"name": "cpu", "targetRef": target, "capacityPerReplica": "50", "maxReplicas": 30}]
        await stage.create(stage.front(name, tier("reco", name, accelerator=ACCELERATOR, fallback=ladder)))
        await stage.until_accepted(name)
    start = soon(150)
    await stage.create(campaign("early", "outlet", soon(20), soon(240)))
    await stage.until_raised(HPA, "outlet", above=5)
    await stage.create(campaign("late", "main", start, soon(200), priority=100))

    # who gets less says so while the other one still waits for its start
    await stage.until(lambda: "fits 2" in stage.condition("early", "Degraded").get("message", ""), "early is short")
    assert stage.condition("early", "Degraded")["reason"] == "CapacityShort"
    assert stage.condition("outlet", "Degraded", "Storefront")["reason"] == "CapacityShort"
    assert stage.phase("late") in {"Scheduled", "Warming"}
    await stage.until(lambda: "CapacityShort" in stage.events("early"), "an Event tells it")

    await stage.until_raised(HPA, "main", above=5)
    assert stage.floor(HPA, "outlet") == 2
    await stage.until_raised(HPA, "outlet-cpu", above=2)
    rung = next(row for row in stage.status("early")["tiers"] if row["name"] == "reco-cpu")
    assert rung["rungOf"] == "reco"
    assert rung["required"] > 2
    code, said = await stage.forerun("why", "early")
    assert code == 0, said
    assert "a rung of reco" in said
    assert "takes what the tier before it on the ladder cannot serve" in said

    await stage.until_over("early", "late")
    assert not stage.ledger("main")
    assert not stage.ledger("outlet")
    for kind in (HPA, DEPLOYMENT):
        assert most_at_once(stage, kind, shops) <= POOL_CAPACITY, (kind, [stage.floors(kind, name) for name in shops])


@scenario
async def test_a_pool_that_nobody_declares_is_told_and_limits_nothing(stage: Stage) -> None:
    await stage.open_shop(
        on_gpus("reco"),
        hpa("reco"),
        of=stage.front("main", tier("reco", "reco", accelerator={**ACCELERATOR, "pool": "somewhere"})),
    )
    start = soon(86400)
    await stage.create(campaign("huge", "main", start, soon(90000), expected={"peak": "4000"}))
    await stage.until(lambda: stage.condition("huge", "StockUnknown").get("status") == "True", "stock is unknown")
    told = stage.condition("huge", "StockUnknown")["message"]
    assert "declare pool somewhere in a CapacityPolicy" in told
    assert stage.condition("main", "StockUnknown", "Storefront")["status"] == "True"
    assert stage.condition("huge", "Degraded")["reason"] != "CapacityShort"


@scenario
async def test_a_quota_is_told_a_day_ahead(stage: Stage) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "gpus"}}
    await stage.create({**quota, "spec": {"hard": {f"requests.{GPU}": "3"}}})
    await stage.open_shop(
        on_gpus("reco"), hpa("reco"), of=stage.front("main", tier("reco", "reco", accelerator=ACCELERATOR))
    )
    await stage.create(campaign("sale", "main", soon(86400), soon(90000)))
    await stage.until(lambda: "ResourceQuota gpus" in stage.condition("sale", "Degraded").get("message", ""), "quota")
    assert "fits 3" in stage.condition("sale", "Degraded")["message"]


def most_at_once(stage: Stage, kind: str, names: tuple[str, ...]) -> int:
    """The most that the floors of these came to, in the order in which the API server took the changes."""
    changes = sorted(
        (int(raw["metadata"]["resourceVersion"]), name, floor_of(raw) or 0)
        for name in names
        for raw in stage.history(kind, name)
    )
    now: dict[str, int] = {}
    sums = []
    for _, name, floor in changes:
        now[name] = floor
        sums.append(sum(now.values()))
    return max(sums)
