"""`forerun release`: what a campaign kept, what has expired, or everything at once."""

from datetime import UTC, datetime
from typing import Any

import click

from forerun.api.models import RELEASE_ANNOTATION
from forerun.cli.failure import BadInput
from forerun.cli.give_back import Asked, give_back
from forerun.cli.on_cluster import campaign_and_plan, with_cluster
from forerun.cli.requests import change
from forerun.kube.cluster import Cluster


@click.command()
@click.argument("campaign", required=False)
@click.option("--tier", "tiers", multiple=True, metavar="NAME", help="Only this tier of CAMPAIGN; may be repeated.")
@click.option("--expired", is_flag=True, help="Give back, in steps, what is past its expiry while no operator leads.")
@click.option("--once", is_flag=True, help="With --expired: one step of each, instead of all of them to the end.")
@click.option("--all", "everything", is_flag=True, help="Break-glass: give back everything at once.")
@click.option("--include-kept", is_flag=True, help="With --all: also what tiers with `release: Never` have.")
@click.option("--force", is_flag=True, help="With --all: although an operator leads, or its Lease cannot be had.")
@click.option("--dry-run", is_flag=True, help="With --expired or --all: only say what would be given back.")
@click.option("-n", "--namespace", help="Of a CAMPAIGN by default: default.")
@click.option("-A", "--all-namespaces", is_flag=True, help="With --expired or --all: in every namespace.")
@click.option("-o", "--output", type=click.Choice(["lines", "json"]), default="lines", show_default=True)
@click.option("--kubeconfig", envvar="KUBECONFIG", help="Default: ~/.kube/config or the pod's account.")
def release(campaign: str | None, tiers: tuple[str, ...], kubeconfig: str | None, **options: Any) -> None:
    """Give back what CAMPAIGN kept after its end; or what has expired; or everything.

    --expired is for a job: it takes the operator's Lease, and does nothing while an operator leads.

    --all needs no operator, no plan and none of Forerun's kinds: what a target had before stands in an annotation on
    it. It goes down at once, not in steps, so an autoscaler may drop replicas within seconds.

    Exit code 1 where something of Forerun's still stands that should not.
    """
    ways = [bool(campaign), options["expired"], options["everything"]]
    if ways.count(True) != 1:
        raise BadInput("release: name a CAMPAIGN, or one of --expired and --all")
    if campaign:
        for name in ("once", "include_kept", "force", "dry_run", "all_namespaces"):
            if options[name]:
                raise BadInput(f"--{name.replace('_', '-')}: goes without a CAMPAIGN, with --expired or --all")
        _wish(campaign, tiers, options["namespace"] or "default", kubeconfig)
        return
    if tiers:
        raise BadInput("--tier: goes with a CAMPAIGN")
    give_back(Asked(**options), kubeconfig)


def _wish(campaign: str, tiers: tuple[str, ...], namespace: str, kubeconfig: str | None) -> None:
    """Written where the operator reads it: it gives back in steps."""

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
        await change(cluster, "Campaign", namespace, campaign, lambda _: wish)

    with_cluster(kubeconfig, write)
    click.echo(f"{namespace}/{campaign}: {', '.join(tiers) or 'everything kept'} is given back in steps")


def _standing(plan: dict[str, Any] | None, campaign: str) -> set[str]:
    """Tiers on which something of ours stands that this campaign asked for."""
    entries = ((plan or {}).get("status") or {}).get("ledger") or []
    return {entry["tier"] for entry in entries if campaign in entry.get("campaigns", [])}
