"""`forerun suspend|release|approve`: wishes, written where the operator reads them."""

import getpass
from datetime import UTC, datetime
from typing import Any

import click

from forerun.cli.failure import BadInput
from forerun.cli.on_cluster import API_VERSION, campaign_and_plan, cluster_options, with_cluster
from forerun.kube.cluster import Cluster

RELEASE_ANNOTATION = "forerun.dev/release"


@click.command()
@click.argument("campaign")
@click.option("--resume", is_flag=True, help="Take the suspension back.")
@cluster_options
def suspend(campaign: str, namespace: str, kubeconfig: str | None, *, resume: bool) -> None:
    """Give back, in steps, what the campaign holds; it asks for nothing until it is resumed."""

    async def write(cluster: Cluster) -> None:
        found, _ = await campaign_and_plan(cluster, namespace, campaign)
        await _patch(cluster, "Campaign", found, {"spec": {"suspend": not resume}})

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
        found, plan = await campaign_and_plan(cluster, namespace, campaign)
        standing = _standing(plan, campaign)
        missing = ", ".join(tier for tier in tiers if tier not in standing)
        if missing or not standing:
            held = ", ".join(sorted(standing)) or "nothing"
            raise BadInput(f"Campaign {namespace}/{campaign}: --tier: {missing or 'any'} is not held; it holds {held}")
        # whole seconds would be before a raise of this very second
        text = f"{','.join(tiers) or '*'}@{datetime.now(UTC).isoformat()}"
        await _patch(cluster, "Campaign", found, {"metadata": {"annotations": {RELEASE_ANNOTATION: text}}})

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
        others = [old for old in plan["spec"].get("approvedBy") or [] if old["campaign"] != campaign]
        await _patch(cluster, "CapacityPlan", plan, {"spec": {"approvedBy": [*others, mine]}})

    with_cluster(kubeconfig, write)
    click.echo(f"{namespace}/{campaign} approved")


def _standing(plan: dict[str, Any] | None, campaign: str) -> set[str]:
    """Tiers on which something of ours stands that this campaign asked for."""
    entries = ((plan or {}).get("status") or {}).get("ledger") or []
    return {entry["tier"] for entry in entries if campaign in entry.get("campaigns", [])}


async def _patch(cluster: Cluster, kind: str, obj: dict[str, Any], body: dict[str, Any]) -> None:
    """A patch of exactly the object that was read: Conflict where it has changed since."""
    metadata = obj["metadata"]
    guard = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
    guarded = {**body, "metadata": {**body.get("metadata", {}), **guard}}
    await cluster.merge_patch(API_VERSION, kind, metadata["namespace"], metadata["name"], guarded)
