"""Room ahead of pods, as long as the plan needs it: decided anew at each look, written only where it changed."""

from datetime import datetime, timedelta
from typing import Any

from forerun.actuators.ahead import rooms, settle_room
from forerun.actuators.ahead_objects import BUFFER_KIND, BUFFER_VERSION, Means, name_of, objects_for
from forerun.controllers.index import Index
from forerun.controllers.state import Room, StorefrontState
from forerun.domain.campaign import Key
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Provision, Storefront, Tier
from forerun.kube.errors import ApiError
from forerun.plan.capacity_ahead import Ahead, room_ahead
from forerun.wiring import Ports

RECHECK = timedelta(minutes=1)  # somebody may have deleted or changed it

Raw = dict[str, Any]


class RoomKeeper:
    """Makes and clears the room of one Storefront's tiers. What stands is in the cluster; memory only saves reads."""

    def __init__(self, ports: Ports, index: Index) -> None:
        self._ports = ports
        self._index = index

    async def refresh(self, key: Key, storefront: Storefront, state: StorefrontState, now: datetime) -> list[Hold]:
        """What could not be made or cleared comes back as Holds, and is tried again."""
        if not self._ports.settings.capacity_ahead:
            detail = "set capacityAhead.enabled in the chart's values, or leave capacityAhead out of the tier"
            return [Hold(Reason.FORBIDDEN, tier.name, detail=detail) for tier in storefront.tiers if tier.ahead]
        known = {found.tier: found for found in state.tiers}
        wanted = {
            tier.name: room_ahead(tier, known[tier.name], state.plan, state.campaigns, now)
            for tier in storefront.tiers
            if tier.name in known
        }
        holds = [await self._settle(key, tier, state, wanted.get(tier.name), now) for tier in storefront.tiers]
        if state.plan is not None or not state.campaigns:  # else what is wanted is not known yet
            kept = {name_of(key, tier) for tier in storefront.tiers if wanted.get(tier.name) is not None}
            holds.append(await self._clear_others(key, kept, state, {tier.name for tier in storefront.tiers}))
        return [hold for hold in holds if hold is not None]

    async def _settle(
        self, key: Key, tier: Tier, state: StorefrontState, wanted: Ahead | None, now: datetime
    ) -> Hold | None:
        room = state.rooms.get(tier.name)
        if wanted is None and room is None:
            return None
        if room is not None and room.wanted == wanted and now - room.at < RECHECK:
            return None
        provision, objects = Provision.NONE, list[Raw]()
        if wanted is not None:
            made = await self._objects(key, tier, wanted)
            if isinstance(made, Hold):
                return made
            provision, objects = made
        held = await settle_room(self._ports.cluster, key.namespace, name_of(key, tier), objects, tier.name)
        if held is not None:
            return held
        if wanted is None:
            state.rooms.pop(tier.name, None)
        else:
            state.rooms[tier.name] = Room(wanted, provision, now)
        return None

    async def _objects(self, key: Key, tier: Tier, wanted: Ahead) -> tuple[Provision, list[Raw]] | Hold:
        owner, target = self._index.plans.get(key), tier.target
        if owner is None:
            return Hold(Reason.CONFLICT, tier.name, detail="there is no CapacityPlan yet that it could belong to")
        settings = self._ports.settings
        means = Means(settings.pause_image, settings.placeholder_priority_class)
        try:
            raw = await self._ports.cluster.get(target.api_version, target.kind, key.namespace, target.name)
            provision = await self._provision(tier)
        except ApiError as error:
            return Hold(Reason.API_UNAVAILABLE, tier.name, detail=str(error))
        made = objects_for(owner, key, tier, raw, wanted.replicas, wanted.until, provision, means)
        if not made and provision is not Provision.NONE:
            detail = f"capacityAhead: {target} has no pod template to take the room's size from; leave it out"
            return Hold(Reason.INVALID, tier.name, detail=detail)
        return provision, made

    async def _provision(self, tier: Tier) -> Provision:
        asked = tier.ahead.provision if tier.ahead else Provision.NONE
        if asked is not Provision.AUTO:
            return asked
        served = await self._ports.cluster.serves(BUFFER_VERSION, BUFFER_KIND)
        return Provision.BUFFER if served else Provision.PLACEHOLDERS

    async def _clear_others(self, key: Key, kept: set[str], state: StorefrontState, tiers: set[str]) -> Hold | None:
        """Once after a start, and where tiers have gone: room that nobody asks for any more."""
        if state.rooms_swept and state.rooms.keys() <= tiers:
            return None
        try:
            standing = await rooms(self._ports.cluster, key.namespace, key.name)
        except ApiError as error:
            return Hold(Reason.API_UNAVAILABLE, key.name, detail=str(error))
        for name in sorted(standing - kept):
            held = await settle_room(self._ports.cluster, key.namespace, name, (), key.name)
            if held is not None:
                return held
        state.rooms = {name: room for name, room in state.rooms.items() if name in tiers}
        state.rooms_swept = True
        return None
