"""An eye of its own: reads the API server with the administrator's credentials, and Prometheus, twice a second.

It records what stands there; of the operator's own word (the Campaign's status, its Events,
the CapacityPlan) it keeps only what the live view shows.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from forerun.kube.cluster import Cluster
from forerun.kube.errors import ApiError, NotFound
from forerun.sandbox.commands import SandboxError
from forerun.sandbox.demo.recording import Moment, Story, sights, story
from forerun.sandbox.demo.scenario import Scenario
from forerun.sandbox.demo.shop import NAMESPACE, QUERY, STOREFRONT
from forerun.sandbox.prometheus import PrometheusServer

INTERVAL_SECONDS = 0.5
_API_VERSION = "forerun.dev/v1alpha1"
_KINDS = (("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("autoscaling/v2", "HorizontalPodAutoscaler"))


class Observer:
    """`moments` grow while `watch` runs, and `peaks` (when seen; p50, p90, p99); `story` is the newest."""

    def __init__(
        self,
        cluster: Cluster,
        scenario: Scenario,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._cluster = cluster
        self._scenario = scenario
        self._clock = clock
        self.prometheus: PrometheusServer | None = None
        self.moments: list[Moment] = []
        self.story = Story()
        self.peaks: list[tuple[datetime, tuple[float, float, float]]] = []
        self.objects: Mapping[str, dict[str, Any]] = {}

    async def watch(self) -> None:
        """Look every half second until cancelled; what does not answer leaves a gap, not a guess."""
        loop = asyncio.get_running_loop()
        rounds = 0
        while True:
            due = loop.time() + INTERVAL_SECONDS
            await self.look()
            if rounds % 2 == 0:
                await self.listen()
            rounds += 1
            await asyncio.sleep(max(0.05, due - loop.time()))

    async def look(self) -> None:
        """One moment of the recording."""
        at = self._clock()
        demand, objects = await asyncio.gather(self._demand(), self.read_objects())
        if objects is not None:
            self.objects = objects
        self.moments.append(Moment(at, demand, sights(objects or {}, self._scenario.tiers)))

    async def read_objects(self) -> dict[str, dict[str, Any]] | None:
        """The shop's targets and autoscalers as they stand, keyed `Kind/name`; None where the server is silent."""
        try:
            found = await asyncio.gather(*(self._cluster.list(version, kind, NAMESPACE) for version, kind in _KINDS))
        except ApiError:
            return None
        return {f"{raw['kind']}/{raw['metadata']['name']}": raw for raws in found for raw in raws}

    async def listen(self) -> None:
        """What the operator says, for the live view."""
        try:
            campaign, plan, events = await asyncio.gather(
                self._get("Campaign", self._scenario.slug),
                self._get("CapacityPlan", STOREFRONT),
                self._cluster.list("events.k8s.io/v1", "Event", NAMESPACE),
            )
        except ApiError:
            return
        self.story = story(campaign, plan, [event for event in events if self._is_ours(event)])
        if self.story.peak is not None:
            self.peaks.append((self._clock(), self.story.peak))
        elif self.peaks:  # a campaign that is over has no forecast any more; what it was stays in view
            self.story = replace(self.story, peak=self.peaks[-1][1])

    async def _get(self, kind: str, name: str) -> dict[str, Any]:
        try:
            return await self._cluster.get(_API_VERSION, kind, NAMESPACE, name)
        except NotFound:
            return {}

    async def _demand(self) -> float | None:
        if self.prometheus is None:
            return None
        try:
            return await self.prometheus.value(QUERY)
        except SandboxError:
            return None

    def _is_ours(self, event: Mapping[str, Any]) -> bool:
        regarding = event.get("regarding") or {}
        return bool(regarding.get("kind") == "Campaign" and regarding.get("name") == self._scenario.slug)
