"""What the commands that speak to a cluster share: the connection, and one line where it fails."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import click

from forerun.api.models import API_VERSION
from forerun.cli.failure import BadInput, Unreachable
from forerun.kube.cluster import Cluster
from forerun.kube.errors import ApiError, NotFound

T = TypeVar("T")


def cluster_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """-n/--namespace and --kubeconfig."""
    command = click.option("-n", "--namespace", default="default", show_default=True)(command)
    return click.option("--kubeconfig", envvar="KUBECONFIG", help="Default: ~/.kube/config or the pod's account.")(
        command
    )


def with_cluster(kubeconfig: str | None, work: Callable[[Cluster], Awaitable[T]]) -> T:
    """Connect, do the work, close; an API error becomes one line and exit code 2."""

    async def connected() -> T:
        cluster = await Cluster.connect(kubeconfig)
        try:
            return await work(cluster)
        finally:
            await cluster.close()

    try:
        return asyncio.run(connected())
    except ApiError as error:
        raise Unreachable(str(error)) from None


async def campaign_and_plan(
    cluster: Cluster, namespace: str, name: str
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The Campaign, and the CapacityPlan of its Storefront if there is one."""
    try:
        campaign = await cluster.get(API_VERSION, "Campaign", namespace, name)
    except NotFound:
        raise BadInput(f"Campaign {namespace}/{name}: not found; `kubectl get camp -A` lists them") from None
    storefront = campaign["spec"]["storefrontRef"]["name"]
    try:
        plan = await cluster.get(API_VERSION, "CapacityPlan", namespace, storefront)
    except NotFound:
        plan = None
    return campaign, plan


async def storefront_of(cluster: Cluster, namespace: str, campaign: dict[str, Any]) -> dict[str, Any] | None:
    """The Storefront of a Campaign if there is one."""
    try:
        return await cluster.get(API_VERSION, "Storefront", namespace, campaign["spec"]["storefrontRef"]["name"])
    except NotFound:
        return None
