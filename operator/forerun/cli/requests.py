"""`forerun suspend|approve`: wishes, written where the operator reads them."""

import asyncio
import getpass
from collections.abc import Callable
from typing import Any

import click

from forerun.api.models import API_VERSION
from forerun.cli.failure import BadInput
from forerun.cli.on_cluster import campaign_and_plan, cluster_options, with_cluster
from forerun.kube.cluster import Cluster, guard
from forerun.kube.errors import Conflict

ATTEMPTS = 5

Change = Callable[[dict[str, Any]], dict[str, Any]]


@click.command()
@click.argument("campaign")
@click.option("--resume", is_flag=True, help="Take the suspension back.")
@cluster_options
def suspend(campaign: str, namespace: str, kubeconfig: str | None, *, resume: bool) -> None:
    """Give back, in steps, what the campaign holds; it asks for nothing until it is resumed."""

    async def write(cluster: Cluster) -> None:
        await campaign_and_plan(cluster, namespace, campaign)  # says so where there is none
        await change(cluster, "Campaign", namespace, campaign, lambda _: {"spec": {"suspend": not resume}})

    with_cluster(kubeconfig, write)
    click.echo(f"{namespace}/{campaign} {'resumed' if resume else 'suspended; what it holds is given back in steps'}")


@click.command()
@click.argument("campaign")
@cluster_options
def approve(campaign: str, namespace: str, kubeconfig: str | None) -> None:
    """Let the operator act on a campaign in mode Approval, as it stands now."""

    async def write(cluster: Cluster) -> None:
        found, plan = await campaign_and_plan(cluster, namespace, campaign)
        if plan is None:
            raise BadInput(
                f"Campaign {namespace}/{campaign}: there is no plan to approve yet; wait for condition Planned"
            )
        mine = {"campaign": campaign, "generation": found["metadata"]["generation"], "by": getpass.getuser()}
        storefront = plan["metadata"]["name"]
        await change(cluster, "CapacityPlan", namespace, storefront, lambda plan: _approved(plan, mine))

    with_cluster(kubeconfig, write)
    click.echo(f"{namespace}/{campaign} approved")


def _approved(plan: dict[str, Any], approval: dict[str, Any]) -> dict[str, Any]:
    """The patch that puts one approval beside those of other campaigns."""
    others = [old for old in plan["spec"].get("approvedBy") or [] if old["campaign"] != approval["campaign"]]
    return {"spec": {"approvedBy": [*others, approval]}}


async def change(cluster: Cluster, kind: str, namespace: str, name: str, make: Change) -> None:
    """Patch what was just read; read again where the operator's status came between."""
    for attempt in range(ATTEMPTS):
        obj = await cluster.get(API_VERSION, kind, namespace, name)
        body = make(obj)
        guarded = {**body, "metadata": {**body.get("metadata", {}), **guard(obj)}}
        try:
            await cluster.merge_patch(API_VERSION, kind, namespace, name, guarded)
        except Conflict:
            if attempt == ATTEMPTS - 1:
                raise
            await asyncio.sleep(0.1 * 2**attempt)
        else:
            return
