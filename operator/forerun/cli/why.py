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
    lines = [f"{campaign['metadata']['name']} is {status.get('phase', 'not seen by the operator yet')}", *_peak(status)]
    if plan is None:
        return [
            *lines,
            f"  no plan: {condition(campaign, 'Planned').get('message') or 'the operator has not made one'}",
        ]
    ledger = {entry["tier"]: entry for entry in (plan.get("status") or {}).get("ledger") or []}
    measured = {tier["name"]: tier for tier in (storefront.get("status") or {}).get("tiers") or []}
    for tier in storefront["spec"]["tiers"]:
        name = tier["name"]
        lines.append(f"  {name} ({tier['targetRef']['kind']}/{tier['targetRef']['name']}):")
        lines += _steps([step for step in plan["spec"].get("steps") or [] if step["tier"] == name], now)
        lines += [_capacity(tier, measured.get(name) or {}), _raise(ledger.get(name))]
    lines += [f"  hold: {hold['message']}" for hold in status.get("holds") or []]
    return lines


def _peak(status: dict[str, Any]) -> list[str]:
    forecast = status.get("forecast") or {}
    peak = forecast.get("peak")
    if not peak:
        return []
    at = forecast.get("peakAt", "?")
    return [f"  forecast: peak {peak['p50']}/s, with 99 % certainty below {peak['p99']}/s, about {at}"]


def _steps(steps: list[dict[str, Any]], now: datetime) -> list[str]:
    past = [step for step in steps if datetime.fromisoformat(step["at"]) <= now]
    lines = []
    if past:
        step = past[-1]
        asked = f" for {', '.join(step['campaigns'])}" if step.get("campaigns") else ""
        lines.append(f"    floor {step['floor']} since {step['at']}{asked}: {sentence(Reason(step['reason']))}")
    if len(past) < len(steps):
        coming = steps[len(past)]
        lines.append(f"    next: floor {coming['floor']} at {coming['at']} ({coming['reason']})")
    return lines


def _capacity(tier: dict[str, Any], measured: dict[str, Any]) -> str:
    lead = "as declared"
    if "leadTimeSeconds" in measured:
        lead = f"{measured['leadTimeSeconds']} s (p95 of {measured.get('leadTimeSamples', '?')} starts)"
    return f"    capacity {tier.get('capacityPerReplica', '?')}/s a replica, lead time {lead}"


def _raise(entry: dict[str, Any] | None) -> str:
    if entry is None:
        return "    nothing of ours stands there"
    states = {
        "kept": " (kept)",
        "drifted": " (drifted: left as somebody set it)",
        "contested": " (contested: no longer fighting)",
    }
    state = "".join(words for name, words in states.items() if entry.get(name))
    owner = f"{entry['ownerRef']['kind']}/{entry['ownerRef']['name']}"
    baseline = entry["baseline"]["minReplicas"]
    return f"    raised on {owner} from {baseline}{state}; to be given back at the latest {entry['expires']}"
