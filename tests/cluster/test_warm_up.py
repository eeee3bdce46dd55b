"""Warm before the door opens: the real Job controller, pods that kwok completes, hit ratios from the real Prometheus."""

from datetime import datetime, timedelta
from typing import Any

from tests.cluster.scenario import Stage, scenario, soon
from tests.cluster.shop import campaign, deployment, floor_of, hpa, stateful_set, tier

HPA, STATEFUL = "HorizontalPodAutoscaler", "StatefulSet"
LABEL = {"forerun.dev/warm-up": "true"}


def cron_job(name: str = "warm-cache", labels: dict[str, str] | None = None) -> dict[str, Any]:
    pod = {"restartPolicy": "Never", "containers": [{"name": "warm", "image": "example/none"}]}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "labels": LABEL if labels is None else labels},
        "spec": {
            "schedule": "0 0 1 1 *",
            "suspend": True,
            "jobTemplate": {"spec": {"backoffLimit": 0, "template": {"spec": pod}}},
        },
    }


def from_then_on(at: datetime, ratio: str) -> str:
    """PromQL of a hit ratio that is 0 until `at`."""
    return f"vector((time() >= bool {at.timestamp():.0f}) * {ratio})"


async def open_shop(stage: Stage, warm_up: dict[str, Any], *more: dict[str, Any]) -> None:
    """A cache and the web tier that reads from it."""
    await stage.create(*more)
    await stage.open_shop(
        *(stateful_set("cache", 2), deployment("web", 2), hpa("web")),
        of=stage.front(
            "main",
            tier("cache", "cache", STATEFUL, role="Cache", release="Gradual", warmUp=warm_up),
            tier("web", "web"),
        ),
    )


def raised_at(stage: Stage, kind: str, name: str) -> datetime:
    """When the API server took the first floor above two."""
    first = next(raw for raw in stage.history(kind, name) if (floor_of(raw) or 0) > 2)
    times = [entry["time"] for entry in first["metadata"]["managedFields"] if entry["manager"] == "forerun"]
    return datetime.fromisoformat(max(times))


def jobs(stage: Stage) -> list[dict[str, Any]]:
    return list(stage.world.observer.all("Job", stage.namespace))


@scenario
async def test_consumers_wait_until_the_cache_is_warm(stage: Stage) -> None:
    """One Job, made when the cache is Ready; the web tier goes up when the hit ratio is there, and not before."""
    start = soon(75)
    warm_at = start - timedelta(seconds=18)
    asked = {
        "jobTemplateRef": {"name": "warm-cache"},
        "hitRatioQuery": from_then_on(warm_at, "0.95"),
        "minHitRatio": "0.9",
        "timeout": "40s",
        "keys": {"query": "nginx_ingress_requests_total", "label": "job", "limit": 10},
    }
    await open_shop(stage, asked, cron_job())
    await stage.create(campaign("sale", "main", start, start + timedelta(seconds=20)))
    await stage.until(lambda: jobs(stage), "the warm-up Job is made")
    (job,) = jobs(stage)
    assert job["metadata"]["ownerReferences"][0]["kind"] == "Storefront"
    assert job["spec"]["template"]["metadata"]["annotations"]["forerun.dev/keys"].strip()
    ready = stage.object(STATEFUL, "cache")["status"]["readyReplicas"]
    assert ready == stage.floor(STATEFUL, "cache") > 2
    await stage.until(
        lambda: any("warmed" in h["message"] for h in stage.status("sale").get("holds") or ()), "it says so"
    )
    assert stage.condition("sale", "CapacityReady")["status"] == "False"
    await stage.until_raised(HPA, "web")
    assert raised_at(stage, HPA, "web") >= warm_at
    await stage.until(lambda: stage.condition("sale", "CapacityReady").get("status") == "True", "warm and Ready")
    (warm_up,) = stage.status("main", "CapacityPlan")["warmUps"]
    assert (warm_up["tier"], warm_up["campaign"], warm_up["job"]) == ("cache", "sale", job["metadata"]["name"])
    assert warm_at <= datetime.fromisoformat(warm_up["warmAt"]) < start
    await stage.until_over("sale")
    await stage.until(lambda: not stage.exists("Job", job["metadata"]["name"]), "the Job is deleted")
    made = {raw["metadata"]["uid"] for raw in stage.history("Job", job["metadata"]["name"])}
    assert len(made) == 1


@scenario
async def test_the_shop_opens_with_a_cold_cache_and_says_so(stage: Stage) -> None:
    """The time-out passes: consumers are raised all the same, in time, and the go/no-go stays at no."""
    start = soon(75)
    asked = {"hitRatioQuery": "vector(0.4)", "minHitRatio": "0.9", "timeout": "12s"}
    await open_shop(stage, asked)
    await stage.create(campaign("sale", "main", start, start + timedelta(seconds=20)))
    await stage.until_raised(HPA, "web")
    assert raised_at(stage, HPA, "web") < start
    await stage.until(lambda: stage.condition("sale", "Degraded").get("reason") == "CacheCold", "it says CacheCold")
    assert "0.40" in stage.condition("sale", "Degraded")["message"]
    await stage.until_phase("sale", "Live")
    assert stage.condition("sale", "CapacityReady")["status"] == "False"
    await stage.until_over("sale")


@scenario
async def test_a_cron_job_without_the_label_is_not_run(stage: Stage) -> None:
    start = soon(60)
    asked = {"jobTemplateRef": {"name": "other"}, "timeout": "15s"}
    await open_shop(stage, asked, cron_job("other", labels={}))
    await stage.create(campaign("sale", "main", start, start + timedelta(seconds=15)))
    found = await stage.until(
        lambda: [h for h in stage.status("sale").get("holds") or () if h["reason"] == "WarmUpFailed"], "it is refused"
    )
    assert "forerun.dev/warm-up=true" in found[0]["message"]
    await stage.until_raised(HPA, "web")
    assert jobs(stage) == []
    await stage.until_over("sale")
