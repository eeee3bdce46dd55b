"""`forerun status`: where a campaign stands, on one screen."""

import json

import click
from rich.console import Console

from forerun.cli.describe import condition, screen
from forerun.cli.on_cluster import campaign_and_plan, cluster_options, with_cluster


@click.command()
@click.argument("campaign")
@cluster_options
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def status(campaign: str, namespace: str, kubeconfig: str | None, output: str) -> None:
    """Show phase, forecast and tiers; exit code 1 where capacity is owed and not there."""
    found, _ = with_cluster(kubeconfig, lambda cluster: campaign_and_plan(cluster, namespace, campaign))
    if output == "json":
        click.echo(json.dumps(found.get("status") or {}, indent=2))
    else:
        console = Console(soft_wrap=True, highlight=False)
        for part in screen(namespace, found):
            console.print(part)
    if condition(found, "Ready").get("status") != "True":
        raise SystemExit(1)
