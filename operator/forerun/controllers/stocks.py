"""One slow reading of nodes, Pods and quotas, shared by all Storefronts whose tiers take accelerators."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import structlog

from forerun.controllers.index import Index
from forerun.controllers.namespaces import NamespacePolicies
from forerun.controllers.state import StorefrontState
from forerun.domain.campaign import Key
from forerun.domain.policy import Policy, Pool
from forerun.domain.stock import Quota, Stock, Supply
from forerun.domain.storefront import Storefront, Tier
from forerun.kube.errors import ApiError, Forbidden
from forerun.observe import metrics
from forerun.signals.stock import Devices, Holder, Node, devices_of, holder_of, node_of, quotas_of, stock_of
from forerun.wiring import Ports

_log = structlog.get_logger(__name__)
DRA = "resource.k8s.io/v1"
KEPT_READINGS = 5  # a reading that fails leaves the last one standing for so many times its interval
NOT_OVER = {"fieldSelector": "status.phase!=Succeeded,status.phase!=Failed"}


@dataclass(frozen=True, slots=True, order=True)
class PoolId:
    """A pool belongs to the policy that declares it; one that no policy declares has none ("")."""

    policy: str
    name: str
    resource: str


class Stocks:
    """What is there, by pool and namespace; empty until it was read for the first time."""

    def __init__(
        self,
        ports: Ports,
        index: Index,
        policies: NamespacePolicies,
        states: Mapping[Key, StorefrontState],
        wake: Callable[[Key], None],
    ) -> None:
        self._ports = ports
        self._index = index
        self._policies = policies
        self._states = states
        self._wake = wake
        self._stocks: dict[PoolId, Stock] = {}
        self._quotas: dict[str, tuple[Quota, ...]] = {}
        self._read_at = time.monotonic()

    async def run(self) -> None:
        """Read every `stock_seconds` until cancelled."""
        while True:
            try:
                await self.refresh()
            except Exception:  # noqa: BLE001  # a reading must not stop what needs none
                _log.exception("accelerator stock not read")
            await asyncio.sleep(max(1.0, self._ports.settings.stock_seconds))

    def supply(self, storefront: Storefront, policy: Policy) -> Supply:
        """What was read for the tiers of one Storefront."""
        pools = dict.fromkeys(pool_id(policy, tier) for tier in accelerators_of(storefront))
        resources = {pool.resource for pool in pools}
        quotas = self._quotas.get(storefront.key.namespace, ())
        return Supply(
            tuple(stock for pool in pools if (stock := self._stocks.get(pool))),
            tuple(quota for quota in quotas if quota.resource in resources),
        )

    async def refresh(self) -> None:
        """One reading; Storefronts for which it shows something new are looked at again."""
        users = [(storefront, await self._policies.of(storefront.key.namespace)) for storefront in self._users()]
        before = {storefront.key: self.supply(storefront, policy) for storefront, policy in users}
        pools = {
            pool_id(policy, tier): _declared(policy, pool_id(policy, tier))
            for front, policy in users
            for tier in accelerators_of(front)
        }
        self._stocks = await self._read(pools) if pools else {}
        self._quotas = {name: await self._quotas_in(name) for name in sorted({f.key.namespace for f, _ in users})}
        self._measure(pools)
        for storefront, policy in users:
            if self.supply(storefront, policy) != before[storefront.key]:
                self._wake(storefront.key)

    def _users(self) -> list[Storefront]:
        fronts = (record.value for record in self._index.storefronts.values())
        return [front for front in fronts if front is not None and accelerators_of(front)]

    async def _read(self, pools: Mapping[PoolId, Pool]) -> dict[PoolId, Stock]:
        try:
            nodes = [node_of(raw) async for page in self._ports.cluster.pages("v1", "Node") for raw in page]
            devices, holders = await self._held(pools.values(), nodes)
        except ApiError as error:
            return self._unread(pools, error)
        self._read_at = time.monotonic()
        return {pool: stock_of(declared, nodes, holders, devices) for pool, declared in pools.items()}

    def _unread(self, pools: Mapping[PoolId, Pool], error: ApiError) -> dict[PoolId, Stock]:
        """The last reading for a while, then nothing is known; at once where it is forbidden."""
        _log.warning("accelerator stock not read", error=str(error))
        if not isinstance(error, Forbidden) and time.monotonic() - self._read_at < self._kept_seconds:
            return {pool: self._stocks[pool] for pool in pools if pool in self._stocks}
        return {pool: Stock(pool.name, pool.resource, None, None, str(error)[:200]) for pool in pools}

    @property
    def _kept_seconds(self) -> float:
        return KEPT_READINGS * self._ports.settings.stock_seconds

    async def _held(self, pools: Iterable[Pool], nodes: list[Node]) -> tuple[Devices | None, list[Holder]]:
        """The devices of DRA drivers, where a pool names one, and the Pods that hold any of the pools' accelerators."""
        pools = list(pools)
        slices = []
        if any(pool.device_driver for pool in pools) and await self._ports.cluster.serves(DRA, "ResourceSlice"):
            slices = await self._ports.cluster.list(DRA, "ResourceSlice")
        resources = {pool.resource for pool in pools}
        bearing = {node.name for node in nodes if resources & node.allocatable.keys()}
        bearing |= {raw["spec"]["nodeName"] for raw in slices if raw["spec"].get("nodeName")}
        holders = await self._holders(sorted(bearing))
        if not slices:
            return Devices(), holders
        claims = await self._ports.cluster.list(DRA, "ResourceClaim")
        return devices_of(slices, claims, frozenset(h.uid for h in holders if h.is_ours)), holders

    async def _holders(self, nodes: list[str]) -> list[Holder]:
        """Node by node, so that it grows with the pools and not with the cluster; else what may be seen of them."""
        cluster, bearing, ours = self._ports.cluster, set(nodes), self._recognise()
        watched = self._ports.settings.watch_namespaces
        lists = (
            [cluster.pages("v1", "Pod", namespace, NOT_OVER) for namespace in watched]
            if watched
            else [cluster.pages("v1", "Pod", None, {"fieldSelector": f"spec.nodeName={node}"}) for node in nodes]
        )
        found = [holder_of(raw, ours) for pages in lists async for page in pages for raw in page]
        return [holder for holder in found if holder is not None and holder.node in bearing]

    def _recognise(self) -> Callable[[str, Mapping[str, str]], bool]:
        """Whether a tier is made of a Pod, by its namespace and labels."""
        selectors: dict[str, list[tuple[tuple[str, str], ...]]] = defaultdict(list)
        for key, state in self._states.items():
            for tier in accelerators_of(state.storefront):
                snapshot = state.snapshot(tier.name)
                if snapshot is not None and snapshot.pod_labels:
                    selectors[key.namespace].append(snapshot.pod_labels)

        def is_ours(namespace: str, labels: Mapping[str, str]) -> bool:
            return any(dict(wanted).items() <= labels.items() for wanted in selectors.get(namespace, ()))

        return is_ours

    async def _quotas_in(self, namespace: str) -> tuple[Quota, ...]:
        """What quotas leave to the tiers here: what is used by others is not theirs."""
        try:
            raws = await self._ports.cluster.list("v1", "ResourceQuota", namespace)
        except ApiError as error:
            _log.warning("quotas not read", namespace=namespace, error=str(error))
            return self._quotas.get(namespace, ())
        held = self._held_by_tiers(namespace)
        return tuple(
            Quota(raw["metadata"]["name"], resource, hard - max(0, used - held.get(resource, 0)))
            for raw in raws
            for resource, (hard, used) in quotas_of(raw).items()
        )

    def _held_by_tiers(self, namespace: str) -> dict[str, int]:
        held: dict[str, int] = defaultdict(int)
        for key, state in self._states.items():
            if key.namespace != namespace:
                continue
            sizes = {tier.tier: max(tier.desired or 0, tier.ready or 0) for tier in state.tiers}
            for tier in accelerators_of(state.storefront):
                if tier.accelerator:
                    held[tier.accelerator.resource] += sizes.get(tier.name, 0) * tier.accelerator.per_replica
        return held

    def _measure(self, pools: Mapping[PoolId, Pool]) -> None:
        metrics.POOL.clear()
        for pool, declared in pools.items():
            stock = self._stocks.get(pool)
            amounts = {"declared": declared.capacity if pool.policy else None}
            amounts |= {"there": stock.there, "others": stock.others} if stock else {}
            for state, amount in amounts.items():
                if amount is not None:
                    metrics.POOL.labels(pool.policy, pool.name, pool.resource, state).set(amount)


def accelerators_of(storefront: Storefront | None) -> list[Tier]:
    """The tiers that take accelerators."""
    return [tier for tier in storefront.tiers if tier.accelerator] if storefront else []


def pool_id(policy: Policy, tier: Tier) -> PoolId:
    """The pool that a tier takes from; ValueError where it takes none."""
    if tier.accelerator is None:
        raise ValueError(f"tier {tier.name} takes no accelerators")
    name, resource = tier.accelerator.pool, tier.accelerator.resource
    declared = any((pool.name, pool.resource) == (name, resource) for pool in policy.pools)
    return PoolId(policy.name if declared else "", name, resource)


def _declared(policy: Policy, pool: PoolId) -> Pool:
    """The pool as it is declared; one that nobody declares has all nodes with the resource."""
    for declared in policy.pools:
        if pool.policy and (declared.name, declared.resource) == (pool.name, pool.resource):
            return declared
    return Pool(pool.name, pool.resource, 0)
