"""`forerun why`: the chain of reasons behind the present floors."""

from datetime import UTC, datetime
from typing import Any

import click

from forerun.cli.on_cluster import API_VERSION, campaign_and_plan, cluster_options, condition, with_cluster
from forerun.domain.reason import Reason
from forerun.kube.cluster import Cluster
from forerun.observe.words import sentence


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


def reasons(
    campaign: dict[str, Any], plan: dict[str, Any] | None, storefront: dict[str, Any], now: datetime
) -> list[str]:
    """The lines of the answer; pure."""
    status = campaign.get("status") or {}
    lines = [f"{campaign['metadata']['name']} is {status.get('phase', 'not seen by the operator yet')}"]
    peak = (status.get("forecast") or {}).get("peak")
    if peak:
        at = status["forecast"].get("peakAt", "?")
        lines.append(f"  forecast: peak {peak['p50']}/s, with 99 % certainty below {peak['p99']}/s, about {at}")
    if plan is None:
        return [
            *lines,
            f"  no plan: {condition(campaign, 'Planned').get('message') or 'the operator has not made one'}",
        ]
    ledger = {entry["tier"]: entry for entry in (plan.get("status") or {}).get("ledger") or []}
    measured = {tier["name"]: tier for tier in (storefront.get("status") or {}).get("tiers") or []}
    for tier in storefront["spec"]["tiers"]:
        lines += _tier(tier, plan, ledger.get(tier["name"]), measured.get(tier["name"]), now)
    lines += [f"  hold: {hold['message']}" for hold in status.get("holds") or []]
    return lines


def _tier(
    tier: dict[str, Any],
    plan: dict[str, Any],
    entry: dict[str, Any] | None,
    measured: dict[str, Any] | None,
    now: datetime,
) -> list[str]:
    name = tier["name"]
    steps = [step for step in plan["spec"].get("steps") or [] if step["tier"] == name]
    past = [step for step in steps if datetime.fromisoformat(step["at"]) <= now]
    coming = [step for step in steps if datetime.fromisoformat(step["at"]) > now]
    lines = [f"  {name} ({tier['targetRef']['kind']}/{tier['targetRef']['name']}):"]
    if past:
        step = past[-1]
        asked = f" for {', '.join(step['campaigns'])}" if step.get("campaigns") else ""
        lines.append(f"    floor {step['floor']} since {step['at']}{asked}: {sentence(Reason(step['reason']))}")
    if coming:
        lines.append(f"    next: floor {coming[0]['floor']} at {coming[0]['at']} ({coming[0]['reason']})")
    lead = (
        f"{measured['leadTimeSeconds']} s (p95 of {measured['leadTimeSamples']} starts)" if measured else "as declared"
    )
    lines.append(f"    capacity {tier.get('capacityPerReplica', '?')}/s a replica, lead time {lead}")
    if entry is None:
        lines.append("    nothing of ours stands there")
        return lines
    baseline = entry["baseline"]["minReplicas"]
    state = " (kept)" if entry.get("kept") else ""
    state = " (drifted: left as somebody set it)" if entry.get("drifted") else state
    state = " (contested: no longer fighting)" if entry.get("contested") else state
    owner = f"{entry['ownerRef']['kind']}/{entry['ownerRef']['name']}"
    lines.append(f"    raised on {owner} from {baseline}{state}; to be given back at the latest {entry['expires']}")
    return lines
