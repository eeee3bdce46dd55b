"""Larger pods in place of more of them: grown before a window, given back one a minute after it."""

from datetime import datetime, timedelta
from typing import Any

import structlog

from forerun.actuators.memory import grown, mark_of, pending
from forerun.actuators.resizing import give_back, grow, grown_pods
from forerun.controllers.start_ups import StartUps
from forerun.controllers.state import MemoryLook, StorefrontState
from forerun.domain.campaign import Key
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Storefront, Tier
from forerun.kube.errors import ApiError
from forerun.plan.inputs import DueInput
from forerun.plan.memory_growth import Growth, growth_of
from forerun.wiring import Ports

_log = structlog.get_logger(__name__)
LOOK = timedelta(seconds=15)  # pods are made anew, and the kubelet puts off what does not fit
STEP = timedelta(minutes=1)  # one pod gives back in a minute

Raw = dict[str, Any]


class MemoryKeeper:
    """Keeps the pods of tiers with memoryGrowth as large as they are to be; the marks are on the pods."""

    def __init__(self, ports: Ports, start_ups: StartUps) -> None:
        self._ports = ports
        self._start_ups = start_ups

    async def refresh(
        self, key: Key, storefront: Storefront, state: StorefrontState, given: DueInput, now: datetime
    ) -> list[Hold]:
        """What could not be done comes back as Holds, and is tried again."""
        tiers = [tier for tier in storefront.tiers if tier.memory_growth is not None]
        if tiers and not self._ports.settings.pod_resize:
            detail = "set podResize.enabled in the chart's values, or leave memoryGrowth out of the tier"
            return [Hold(Reason.FORBIDDEN, tier.name, detail=detail) for tier in tiers]
        holds = await self.sweep(key, {tier.name for tier in tiers}, state)
        for tier in tiers:
            holds += await self._tier(key, tier, state, given, now)
        return holds

    async def sweep(self, key: Key, tiers: set[str], state: StorefrontState) -> list[Hold]:
        """Once after a start, and where tiers have gone: pods that no tier asks for any more have theirs back."""
        if not self._ports.settings.pod_resize or (state.memory_swept and state.memory.keys() <= tiers):
            return []
        try:
            pods = await grown_pods(self._ports.cluster, key.namespace)
        except ApiError as error:
            return [Hold(Reason.API_UNAVAILABLE, key.name, detail=str(error))]
        holds = []
        for pod in pods:
            mark = mark_of(pod)
            if mark is not None and mark.storefront == key.name and mark.tier not in tiers:
                held = await give_back(self._ports.cluster, pod, mark.tier)
                _log.info("given back", storefront=str(key), tier=mark.tier, pod=pod["metadata"]["name"])
                holds += [held] if held else []
        if all(hold.reason is Reason.DRIFTED for hold in holds):
            state.memory = {name: look for name, look in state.memory.items() if name in tiers}
            state.memory_swept = True
        return holds

    async def _tier(self, key: Key, tier: Tier, state: StorefrontState, given: DueInput, now: datetime) -> list[Hold]:
        look = state.memory.get(tier.name)
        growth = growth_of(given, tier, look.marked if look else 1)
        if look is not None and now - look.at < LOOK and look.growth == growth:
            return list(look.holds)
        if look is not None and not (growth.grown or growth.given_back):
            return []
        try:
            pods = await self._start_ups.pods_of(key.namespace, tier)
        except ApiError as error:
            return [Hold(Reason.API_UNAVAILABLE, tier.name, detail=str(error))]
        running = [pod for pod in pods if _is_running(pod)]
        given_at = look.given_at if look else None
        holds: list[Hold] = []
        if growth.grown:
            holds = [hold for pod in running for hold in await self._grow(key, tier, pod, growth)]
        elif growth.given_back and (given_at is None or now - given_at >= STEP):
            holds, given_at = await self._give_back(key, tier, running, given_at, now)
        marked = sum(1 for pod in running if mark_of(pod) is not None or growth.grown)
        state.memory[tier.name] = MemoryLook(growth, marked, now, given_at, tuple(holds))
        return holds

    async def _grow(self, key: Key, tier: Tier, pod: Raw, growth: Growth) -> list[Hold]:
        wanted = tier.memory_growth
        if wanted is None or growth.expires is None:
            return []
        mark = grown(pod, key.name, tier.name, wanted, growth.campaigns, growth.expires)
        if mark is None:
            return []
        if isinstance(mark, Hold):
            return [Hold(mark.reason, tier.name, detail=mark.detail)]
        before = mark_of(pod)
        after = await grow(self._ports.cluster, pod, mark, tier.name)
        if isinstance(after, Hold):
            return [after]
        name = pod["metadata"]["name"]
        if before is None:
            _log.info("grown", storefront=str(key), tier=tier.name, pod=name, memory=mark.written["requests"])
        words = pending(after)
        if words is None:
            return []
        return [Hold(Reason.CAPACITY_SHORT, tier.name, detail=f"pod {name} does not get its memory: {words}")]

    async def _give_back(
        self, key: Key, tier: Tier, pods: list[Raw], given_at: datetime | None, now: datetime
    ) -> tuple[list[Hold], datetime | None]:
        """One pod a look; those that grew last go first, by name."""
        for pod in sorted(pods, key=lambda found: str(found["metadata"]["name"]), reverse=True):
            if mark_of(pod) is None:
                continue
            held = await give_back(self._ports.cluster, pod, tier.name)
            _log.info("given back", storefront=str(key), tier=tier.name, pod=pod["metadata"]["name"], held=bool(held))
            return ([held] if held else []), now
        return [], given_at


def _is_running(pod: Raw) -> bool:
    return (pod.get("status") or {}).get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp")
