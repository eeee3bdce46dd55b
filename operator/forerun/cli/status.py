"""`forerun status`: where a campaign stands, on one screen."""

import json
from typing import Any

import click
from rich.console import Console

from forerun.cli.describe import condition, screen
from forerun.cli.on_cluster import campaign_and_plan, cluster_options, storefront_of, with_cluster
from forerun.kube.cluster import Cluster


@click.command()
@click.argument("campaign")
@cluster_options
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def status(campaign: str, namespace: str, kubeconfig: str | None, output: str) -> None:
    """Show phase, forecast and tiers; exit code 1 where capacity is owed and not there."""

    async def read(cluster: Cluster) -> tuple[dict[str, Any], dict[str, Any] | None]:
        found, _ = await campaign_and_plan(cluster, namespace, campaign)
        return found, await storefront_of(cluster, namespace, found)

    found, storefront = with_cluster(kubeconfig, read)
    if output == "json":
        click.echo(json.dumps(found.get("status") or {}, indent=2))
    else:
        console = Console(soft_wrap=True, highlight=False)
        for part in screen(namespace, found, storefront):
            console.print(part)
    if condition(found, "Ready").get("status") != "True":
        raise SystemExit(1)
