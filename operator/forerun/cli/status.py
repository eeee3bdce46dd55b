"""`forerun status`: where a campaign stands, on one screen."""

import json

import click
from rich.console import Console
from rich.table import Table

from forerun.cli.on_cluster import campaign_and_plan, cluster_options, condition, with_cluster


@click.command()
@click.argument("campaign")
@cluster_options
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def status(campaign: str, namespace: str, kubeconfig: str | None, output: str) -> None:
    """Show phase, forecast and tiers; exit code 1 where capacity is owed and not there."""
    found, _ = with_cluster(kubeconfig, lambda cluster: campaign_and_plan(cluster, namespace, campaign))
    state = found.get("status") or {}
    if output == "json":
        click.echo(json.dumps(state, indent=2))
    else:
        _show(campaign, namespace, found)
    if condition(found, "Ready").get("status") != "True":
        raise SystemExit(1)


def _show(campaign: str, namespace: str, found: dict[str, object]) -> None:
    console = Console(soft_wrap=True, highlight=False)
    state = found.get("status") or {}
    assert isinstance(state, dict)  # the API server's schema says so
    window = state.get("occurrence") or {}
    console.print(
        f"[bold]{namespace}/{campaign}[/bold]  {state.get('phase', 'not seen by the operator yet')}", end="  "
    )
    console.print(f"{window.get('start', '?')} to {window.get('end', '?')}")
    peak = (state.get("forecast") or {}).get("peak")
    if peak:
        at = state["forecast"].get("peakAt", "?")
        console.print(f"peak {peak['p50']}/s (p90 {peak['p90']}, p99 {peak['p99']}) about {at}")
    table = Table("Tier", "Floor", "Ready", "Required", box=None, pad_edge=False)
    for tier in state.get("tiers") or []:
        table.add_row(tier["name"], str(tier["floor"]), str(tier.get("ready", "?")), str(tier["required"]))
    if table.row_count:
        console.print(table)
    gate = condition(found, "CapacityReady")
    console.print(f"CapacityReady: {gate.get('status', 'Unknown')} {gate.get('message', '')}")
    for hold in state.get("holds") or []:
        console.print(f"hold: {hold['message']}", style="yellow")
    kept = ", ".join(tier["tier"] for tier in state.get("kept") or [])
    if kept:
        console.print(f"kept: {kept}; `forerun release {campaign} --tier NAME` gives it back")
