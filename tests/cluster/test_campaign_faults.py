"""What others do to a campaign's capacity, and what metrics fail to say: real API server, real operator."""

import asyncio
from datetime import UTC, datetime, timedelta

from aiohttp import web
from tests.cluster.scenario import DEMAND, Scenarios, Stage, is_one_raise, scenario, soon
from tests.cluster.shop import campaign, deployment, hpa, stateful_set, tier, traces

from forerun.sandbox.prometheus import PrometheusServer

HPA, DEPLOYMENT, STATEFUL = "HorizontalPodAutoscaler", "Deployment", "StatefulSet"
MOST_WRITES = 3  # of a floor that somebody reverts each time
STEP_SECONDS = 60  # between two steps down


@scenario
async def test_floor_that_somebody_edits_is_theirs(stage: Stage) -> None:
    """Not overwritten in the window, nor after it; the campaign says so."""
    await stage.small_shop("main")
    await stage.create(campaign("sale", "main", soon(12), soon(34)))
    await stage.until_phase("sale", "Live")
    await stage.until_raised(HPA, "main")
    theirs = 7
    await stage.patch(HPA, "main", {"spec": {"minReplicas": theirs}})
    await stage.until(lambda: stage.condition("sale", "Degraded").get("reason") == "Drifted", "Degraded: Drifted")
    await stage.until_phase("sale", "Completed")
    await stage.until(lambda: not stage.ledger("main"), "nothing is owed any more")
    assert is_one_raise(stage.floors(HPA, "main")[:-1] + [2]), stage.floors(HPA, "main")
    await stage.until(lambda: not traces(stage.object(HPA, "main")), "nothing of ours is left on it")
    assert stage.floor(HPA, "main") == theirs


@scenario
async def test_bound_that_we_did_not_change_is_theirs_too(stage: Stage) -> None:
    """Somebody edits maxReplicas in the middle: minReplicas comes back, maxReplicas stays as they set it."""
    await stage.small_shop("main")
    await stage.create(campaign("sale", "main", soon(12), soon(26)))
    await stage.until_raised(HPA, "main")
    await stage.patch(HPA, "main", {"spec": {"maxReplicas": 55}})
    await stage.until_phase("sale", "Completed")
    await stage.until(lambda: not stage.ledger("main"), "given back")
    spec = stage.object(HPA, "main")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 55)
    assert not traces(stage.object(HPA, "main"))


@scenario
async def test_gitops_that_reverts_each_time_is_not_fought(stage: Stage) -> None:
    """Something sets the floor back whenever it is raised: a few tries of ours, then Contested."""
    await stage.small_shop("main")
    before = stage.object(HPA, "main")["spec"]["minReplicas"]

    async def revert() -> None:
        while True:
            await stage.until(lambda: stage.floor(HPA, "main") != before, "a raise to revert", 3600)
            await stage.patch(HPA, "main", {"spec": {"minReplicas": before}}, manager="gitops")
            await stage.until(lambda: stage.floor(HPA, "main") == before, "reverted")

    reverter = asyncio.create_task(revert())
    await stage.create(campaign("sale", "main", soon(12), soon(45)))
    await stage.until(lambda: stage.condition("sale", "Contested").get("status") == "True", "Contested")
    await stage.until_phase("sale", "Completed")
    reverter.cancel()
    raises = [floor for floor in stage.floors(HPA, "main") if floor != before]
    assert 1 <= len(raises) <= MOST_WRITES, stage.floors(HPA, "main")
    assert stage.floor(HPA, "main") == before
    await stage.until(lambda: not traces(stage.object(HPA, "main")), "nothing of ours is left on it")


@scenario
async def test_namespace_deleted_under_a_live_campaign(stage: Stage) -> None:
    """The operator goes on: it is alive, and a campaign elsewhere is planned after that."""
    await stage.small_shop("main")
    await stage.create(campaign("sale", "main", soon(12), soon(70)))
    await stage.until_phase("sale", "Live")
    await stage.world.api.delete("Namespace", None, stage.namespace)
    await stage.until(lambda: not stage.exists("Campaign", "sale") and not stage.exists(HPA, "main"), "all is gone")
    operator = stage.world.operator
    assert operator.runs
    assert await operator.answer("healthz") == 200
    elsewhere = Stage(stage.world, f"{stage.world.run}-system")
    await elsewhere.small_shop("after")
    start = datetime.now(UTC) + timedelta(days=1)
    await elsewhere.create(campaign("after", "after", start, start + timedelta(hours=1)))
    await elsewhere.until(lambda: elsewhere.condition("after", "Planned").get("status") == "True", "planned")
    assert operator.runs


@scenario
async def test_target_of_two_storefronts_belongs_to_the_elder(stage: Stage) -> None:
    await stage.small_shop("elder")
    first = stage.object("Storefront", "elder")["metadata"]["creationTimestamp"]
    await stage.until(lambda: soon(0) > datetime.fromisoformat(first), "a later second")
    await stage.create(stage.front("younger", tier("web", "elder")))
    await stage.until(lambda: accepted(stage, "younger").get("status") == "False", "the second is refused")
    assert accepted(stage, "younger")["reason"] == "TargetClaimedTwice"
    assert "spec.tiers[0].targetRef" in accepted(stage, "younger")["message"]
    assert f"{stage.namespace}/elder" in accepted(stage, "younger")["message"]
    assert accepted(stage, "elder")["status"] == "True"
    await stage.create(campaign("sale", "younger", soon(6), soon(12)))
    await stage.until_phase("sale", "Completed")
    assert stage.floors(HPA, "elder") == [2]
    await stage.delete("Storefront", "elder")
    await stage.until(lambda: accepted(stage, "younger").get("status") == "True", "the target is free")


@scenario
async def test_target_that_does_not_exist_yet(stage: Stage) -> None:
    """Refused with the field, accepted once it is there."""
    await stage.create(stateful_set("cache"))
    await stage.create(stage.front("main", tier("cache", "cache", STATEFUL), tier("web", "web")))
    await stage.until(lambda: accepted(stage, "main").get("status") == "False", "refused")
    assert accepted(stage, "main")["reason"] == "TargetNotFound"
    assert "spec.tiers[1].targetRef" in accepted(stage, "main")["message"]
    await stage.create(deployment("web"))
    await stage.until(lambda: accepted(stage, "main").get("status") == "True", "accepted")


@scenario
async def test_target_that_cannot_be_scaled(stage: Stage) -> None:
    odd = tier("web", "web")
    odd["targetRef"] = {"apiVersion": "events.k8s.io/v1", "kind": "Event", "name": "web"}
    await stage.create(stage.front("main", odd))
    await stage.until(lambda: accepted(stage, "main").get("status") == "False", "refused")
    assert "spec.tiers[0].targetRef" in accepted(stage, "main")["message"]


@scenario
async def test_deleted_plan_is_made_again_with_its_ledger(stage: Stage) -> None:
    await stage.small_shop("main")
    await stage.create(campaign("sale", "main", soon(12), soon(34)))
    await stage.until_phase("sale", "Live")
    await stage.until_raised(HPA, "main")
    uid = stage.object("CapacityPlan", "main")["metadata"]["uid"]
    await stage.delete("CapacityPlan", "main")
    await stage.until(
        lambda: (
            stage.exists("CapacityPlan", "main")
            and stage.object("CapacityPlan", "main")["metadata"]["uid"] != uid
            and stage.ledger("main")
        ),
        "the plan and its ledger are there again",
    )
    assert stage.ledger("main")[0]["baseline"]["minReplicas"] == 2
    await stage.until_over("sale")
    assert is_one_raise(stage.floors(HPA, "main")), stage.floors(HPA, "main")


@scenario
async def test_deleted_storefront_gives_back(stage: Stage) -> None:
    """And takes its plan with it; its campaign says what is missing."""
    await stage.small_shop("main")
    await stage.create(campaign("sale", "main", soon(12), soon(150)))
    await stage.until_phase("sale", "Live")
    await stage.until_raised(HPA, "main")
    await stage.delete("Storefront", "main")
    await stage.until_given_back()
    assert is_one_raise(stage.floors(HPA, "main")), stage.floors(HPA, "main")
    await stage.until(lambda: not stage.exists("CapacityPlan", "main"), "the plan is gone")
    await stage.until(
        lambda: any("spec.storefrontRef" in hold["message"] for hold in stage.status("sale").get("holds") or ()),
        "the campaign names what is missing",
    )


def accepted(stage: Stage, name: str) -> dict:
    return stage.condition(name, "Accepted", "Storefront")


# metrics that are missing or make no sense: unknown is not zero


class Liar:
    """Answers as Prometheus would, the wrong thing: nothing, NaN, or what was so an hour ago."""

    def __init__(self) -> None:
        self.honest = False
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{lie}/api/v1/{what}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = "http://{}:{}".format(*self._runner.addresses[0][:2])

    async def stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        lie, what = request.match_info["lie"], request.match_info["what"]
        now = datetime.now(UTC).timestamp()
        samples = {"nan": [now, "NaN"], "late": [now - 3600, str(DEMAND)]}
        sample = [now, str(DEMAND)] if self.honest else samples.get(lie)
        result = [] if sample is None or what == "query_range" else [{"metric": {}, "value": sample}]
        kind = "matrix" if what == "query_range" else "vector"
        return web.json_response({"status": "success", "data": {"resultType": kind, "result": result}})


async def nothing_is_lowered(stage: Stage, source: str, reasons: set[str]) -> None:
    """A campaign is over, its step down is due, and the metric is unknown: the floor stays."""
    workloads = (deployment("main"), hpa("main"))
    await stage.open_shop(*workloads, of=stage.front("main", tier("web", "main"), source=source))
    await stage.create(campaign("sale", "main", soon(12), soon(24)))
    await stage.until_raised(HPA, "main")
    await stage.until_phase("sale", "Releasing")
    (entry,) = stage.ledger("main")
    due = datetime.fromisoformat(entry["changedAt"]) + timedelta(seconds=STEP_SECONDS + 8)
    await stage.until(lambda: datetime.now(UTC) > due, "a step down would have been due for a while")
    degraded = stage.condition("sale", "Degraded")
    assert degraded["status"] == "True", stage.story("sale")
    assert degraded["reason"] in reasons, degraded
    assert stage.phase("sale") == "Releasing"
    floors = stage.floors(HPA, "main")
    assert floors == sorted(floors), floors


async def lied_to(stage: Stage, lie: str, reason: str) -> None:
    liar = Liar()
    await liar.start()
    try:
        source = f"{stage.world.run}-{lie}"
        await stage.world.create_source(source, f"{liar.url}/{lie}")
        await nothing_is_lowered(stage, source, {reason})
        liar.honest = True
        await stage.until_over("sale")
        assert is_one_raise(stage.floors(HPA, "main")), stage.floors(HPA, "main")
        assert stage.condition("sale", "Degraded")["status"] == "False"
    finally:
        await liar.stop()


@scenario
async def test_metric_that_is_empty_lowers_nothing(stage: Stage) -> None:
    await lied_to(stage, "empty", "DemandUnknown")


@scenario
async def test_metric_that_is_nan_lowers_nothing(stage: Stage) -> None:
    await lied_to(stage, "nan", "MetricAbsurd")


@scenario
async def test_metric_that_is_late_lowers_nothing(stage: Stage) -> None:
    await lied_to(stage, "late", "MetricStale")


@scenario
async def test_prometheus_that_is_down_lowers_nothing(stage: Stage) -> None:
    """A real one, stopped in the window; when another answers, the release goes on."""
    prometheus = PrometheusServer((), binaries=stage.world.plane.binaries)
    await prometheus.start()
    source = f"{stage.world.run}-stopped"
    await stage.world.create_source(source, prometheus.url)
    await prometheus.stop()
    await nothing_is_lowered(stage, source, {"MetricsUnreachable"})
    working = (await stage.world.api.get("MetricsSource", None, stage.world.source))["spec"]["url"]
    await stage.world.api.patch("MetricsSource", None, source, {"spec": {"url": working}})
    await stage.until_over("sale")
    assert is_one_raise(stage.floors(HPA, "main")), stage.floors(HPA, "main")


async def test_common_operator_never_stumbled(scenarios: Scenarios) -> None:
    """After all that: the same process, which met nothing that it had not reckoned with."""
    await scenarios.all_over()
    operator = scenarios.world.operator
    assert operator.runs, operator.last_words()
    assert await operator.answer("healthz") == 200
    lines = operator.log.read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if '"level": "error"' in line or not line.startswith("{")]
