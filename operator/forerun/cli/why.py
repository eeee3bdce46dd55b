"""`forerun why`: the chain of reasons behind the present floors."""

from datetime import UTC, datetime
from typing import Any

import click

from forerun.api.models import API_VERSION
from forerun.cli.describe import reasons
from forerun.cli.on_cluster import campaign_and_plan, cluster_options, with_cluster
from forerun.kube.cluster import Cluster


@click.command()
@click.argument("campaign")
@cluster_options
def why(campaign: str, namespace: str, kubeconfig: str | None) -> None:
    """Tell, tier by tier, why the floor stands where it stands."""

    async def read(cluster: Cluster) -> tuple[dict[str, Any], dict[str, Any] | None, dict[str, Any]]:
        found, plan = await campaign_and_plan(cluster, namespace, campaign)
        storefront = await cluster.get(API_VERSION, "Storefront", namespace, found["spec"]["storefrontRef"]["name"])
        return found, plan, storefront

    found, plan, storefront = with_cluster(kubeconfig, read)
    for line in reasons(found, plan, storefront, datetime.now(UTC)):
        click.echo(line)
