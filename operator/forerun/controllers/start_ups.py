"""How long the pods of each target take to become Ready: measured again now and then, remembered across restarts."""

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from forerun.actuators import pod_selector
from forerun.api.convert import starts_from
from forerun.controllers.index import Record
from forerun.controllers.state import StorefrontState
from forerun.domain.campaign import Key
from forerun.domain.observation import Start
from forerun.domain.storefront import Storefront, Tier
from forerun.kube.errors import ApiError, Forbidden
from forerun.signals.start_up import lead_time, remembered, starts_of
from forerun.wiring import Ports

REFRESH = timedelta(minutes=10)  # the kubelet's Events are kept for an hour
MEMORY = timedelta(days=30)
PULLED = "reason=Pulled,involvedObject.kind=Pod"

Raw = dict[str, Any]


class StartUps:
    """Fills `lead_times` of a StorefrontState; what was measured before stands in the Storefront's status."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def recall(
        self,
        storefront: Storefront,
        state: StorefrontState,
        record: Record[Storefront] | None,
        now: datetime,
        *,
        active: bool,
    ) -> None:
        """Once after a start: what stands in the status. Who is in no hurry measures anew at a time of its own."""
        if state.lead_times_at is not None:
            return
        hurry = 1.0 if active else random.random()  # noqa: S311  # spread, no secret
        state.lead_times_at = now - REFRESH * hurry
        known = starts_from(record.raw.get("status") if record else None)
        for tier in storefront.tiers:
            state.start_targets[tier.name] = tier.target
            self._take(tier, remembered(known.get((tier.name, str(tier.target)), ()), (), now - MEMORY), state)

    async def refresh(self, key: Key, storefront: Storefront, state: StorefrontState, now: datetime) -> None:
        """Measure anew where it is time; what was known holds where nothing can be read."""
        if state.lead_times_at and now - state.lead_times_at < REFRESH:
            return
        state.lead_times_at = now
        events = await self._pulls(key.namespace)
        since = now - MEMORY
        for tier in storefront.tiers:
            try:
                pods = await self.pods_of(key.namespace, tier)
            except ApiError:
                pods = []
            if state.start_targets.get(tier.name) != tier.target:
                state.start_targets[tier.name] = tier.target
                state.starts.pop(tier.name, None)  # they were another target's
            seen = starts_of(pods, events, since)
            self._take(tier, remembered(state.starts.get(tier.name, ()), seen, since), state)

    def _take(self, tier: Tier, starts: tuple[Start, ...], state: StorefrontState) -> None:
        state.starts[tier.name] = starts
        measured = lead_time(starts)
        if measured is None:
            state.lead_times.pop(tier.name, None)
        else:
            state.lead_times[tier.name] = measured

    async def _pulls(self, namespace: str) -> list[Raw]:
        try:
            return await self._ports.cluster.list("v1", "Event", namespace, field_selector=PULLED)
        except ApiError:
            return []  # then the parts have no image pull

    async def pods_of(self, namespace: str, tier: Tier) -> list[Raw]:
        """The Pods that the tier's target has made; empty where its labels are not known. Raises ApiError."""
        target = tier.target
        raw = await self._ports.cluster.get(target.api_version, target.kind, namespace, target.name)
        selector = await self._selector(namespace, tier, raw)
        if not selector:
            return []
        pods = await self._ports.cluster.list("v1", "Pod", namespace, label_selector=selector)
        return [pod for pod in pods if is_pod_of(pod, raw)]

    async def _selector(self, namespace: str, tier: Tier, raw: Raw) -> str:
        """As labels=values: of its kind's preset, from its own matchLabels, else from its scale subresource."""
        target = tier.target
        if tier.field_target is not None and tier.field_target.pod_labels:
            return pod_selector(tier.field_target, target)
        selector = (raw.get("spec") or {}).get("selector")
        labels = selector.get("matchLabels") if isinstance(selector, Mapping) else None
        if isinstance(labels, Mapping) and labels:
            return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
        cluster = self._ports.cluster
        if not await cluster.serves(target.api_version, target.kind, "scale"):
            return ""
        try:
            scale = await cluster.get_scale(target.api_version, target.kind, namespace, target.name)
        except Forbidden:
            return ""
        return str((scale.get("status") or {}).get("selector") or "")


def is_pod_of(pod: Raw, target: Raw) -> bool:
    """Whether the target made the Pod: labels alone may be those of two workloads.

    A Deployment's Pods belong to ReplicaSets named after it; of kinds whose Pods belong to something in between,
    the labels are all there is to go by.
    """
    owner = next((o for o in pod["metadata"].get("ownerReferences") or () if o.get("controller")), None)
    if owner is None:
        return False
    if owner["kind"] == target["kind"]:
        return bool(owner["uid"] == target["metadata"]["uid"])
    return target["kind"] != "Deployment" or str(owner["name"]).startswith(f"{target['metadata']['name']}-")
