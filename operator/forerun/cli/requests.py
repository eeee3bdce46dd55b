"""`forerun suspend|release|approve`: wishes, written where the operator reads them."""

import asyncio
import getpass
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from forerun.api.models import API_VERSION, RELEASE_ANNOTATION
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
        await _change(cluster, "Campaign", namespace, campaign, lambda _: {"spec": {"suspend": not resume}})

    with_cluster(kubeconfig, write)
    click.echo(f"{namespace}/{campaign} {'resumed' if resume else 'suspended; what it holds is given back in steps'}")


@click.command()
@click.argument("campaign")
@click.option(
    "--tier", "tiers", multiple=True, metavar="NAME", help="Only this tier (may be repeated); default: all kept."
)
@cluster_options
def release(campaign: str, tiers: tuple[str, ...], namespace: str, kubeconfig: str | None) -> None:
    """Give back what `release: Never` tiers kept after the end."""

    async def write(cluster: Cluster) -> None:
        _, plan = await campaign_and_plan(cluster, namespace, campaign)
        standing = _standing(plan, campaign)
        missing = ", ".join(tier for tier in tiers if tier not in standing)
        if missing or not standing:
            held = ", ".join(sorted(standing)) or "nothing"
            raise BadInput(f"Campaign {namespace}/{campaign}: --tier: {missing or 'any'} is not held; it holds {held}")
        # whole seconds would be before a raise of this very second
        text = f"{','.join(tiers) or '*'}@{datetime.now(UTC).isoformat()}"
        wish = {"metadata": {"annotations": {RELEASE_ANNOTATION: text}}}
        await _change(cluster, "Campaign", namespace, campaign, lambda _: wish)

    with_cluster(kubeconfig, write)
    click.echo(f"{namespace}/{campaign}: {', '.join(tiers) or 'everything kept'} is given back in steps")


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
        await _change(cluster, "CapacityPlan", namespace, storefront, lambda plan: _approved(plan, mine))

    with_cluster(kubeconfig, write)
    click.echo(f"{namespace}/{campaign} approved")


def _approved(plan: dict[str, Any], approval: dict[str, Any]) -> dict[str, Any]:
    """The patch that puts one approval beside those of other campaigns."""
    others = [old for old in plan["spec"].get("approvedBy") or [] if old["campaign"] != approval["campaign"]]
    return {"spec": {"approvedBy": [*others, approval]}}


def _standing(plan: dict[str, Any] | None, campaign: str) -> set[str]:
    """Tiers on which something of ours stands that this campaign asked for."""
    entries = ((plan or {}).get("status") or {}).get("ledger") or []
    return {entry["tier"] for entry in entries if campaign in entry.get("campaigns", [])}


async def _change(cluster: Cluster, kind: str, namespace: str, name: str, change: Change) -> None:
    """Patch what was just read; read again where the operator's status came between."""
    for attempt in range(ATTEMPTS):
        obj = await cluster.get(API_VERSION, kind, namespace, name)
        body = change(obj)
        guarded = {**body, "metadata": {**body.get("metadata", {}), **guard(obj)}}
        try:
            await cluster.merge_patch(API_VERSION, kind, namespace, name, guarded)
        except Conflict:
            if attempt == ATTEMPTS - 1:
                raise
            await asyncio.sleep(0.1 * 2**attempt)
        else:
            return
