"""The sample shop and its campaigns as manifests: templates of sandbox/shop with the scenario's numbers."""

import json
from datetime import UTC, datetime
from importlib import resources
from string import Template

from forerun.api.scalars import decimal
from forerun.sandbox.demo.scenario import UTILISATION, DeclaredEvent, DemoTier, Scenario, campaign_type, slug

NAMESPACE = "shop"
STOREFRONT = "main"
RATE_SECONDS = 5
QUERY = f'sum(rate(nginx_ingress_requests_total{{service="shop"}}[{RATE_SECONDS}s]))'
EXTERNAL_METRICS = {"shop_requests_per_second": QUERY}
GPU_RESOURCE, GPU_NODES, GPUS_PER_NODE, CPU_NODES = "nvidia.com/gpu", 5, 8, 3
HOLD_SECONDS = 5
STEP_PERCENT = 80  # of the surplus per minute: two steps


def workloads(scenario: Scenario) -> str:
    """Namespace, Deployments, StatefulSet and HPAs."""
    values = _values(scenario)
    return _render("10-workloads.yaml", values) + "---\n" + _render("20-autoscalers.yaml", values)


def storefront(scenario: Scenario, prometheus_url: str) -> str:
    """MetricsSource, CapacityPolicy and Storefront."""
    values = {**_values(scenario), "prometheus": _quoted(prometheus_url), "query": _quoted(QUERY)}
    return _render("30-storefront.yaml", {**values, "gpus": str(GPU_NODES * GPUS_PER_NODE)})


def campaign(scenario: Scenario, starts_at: datetime) -> str:
    """The Campaign that is to come: its start and the declared end, nothing else."""
    return _campaign(scenario, scenario.event, scenario.slug, starts_at, scenario.multiplier)


def past_campaigns(scenario: Scenario, starts_at: datetime) -> str:
    """The campaigns before it, as they would stand in the cluster; empty where there are none."""
    names: dict[str, int] = {scenario.slug: 1}
    documents = []
    for event in scenario.past:
        name = slug(event.name)
        names[name] = names.get(name, 0) + 1
        unique = name if names[name] == 1 else f"{name}-{names[name]}"
        documents.append(_campaign(scenario, event, unique, starts_at))
    return "---\n".join(documents)


def _campaign(
    scenario: Scenario, event: DeclaredEvent, name: str, starts_at: datetime, multiplier: float | None = None
) -> str:
    values = {
        "name": name,
        "type": campaign_type(event.kind).value,
        "start": _quoted(_instant(scenario.real(event.start, starts_at))),
        "end": _quoted(_instant(scenario.real(event.end, starts_at))),
        "hold": f"{HOLD_SECONDS}s",
        "step_percent": str(STEP_PERCENT),
        "expected": "{}" if multiplier is None else f"{{multiplier: {_quoted(decimal(multiplier))}}}",
    }
    return _render("40-campaign.yaml", values)


def _values(scenario: Scenario) -> dict[str, str]:
    values = {"step_percent": str(STEP_PERCENT)}
    for tier in scenario.tiers:
        values.update({f"{tier.name}_{name}": value for name, value in _tier_values(tier).items()})
    return values


def _tier_values(tier: DemoTier) -> dict[str, str]:
    # the HPA compares demand at the door per replica, in thousandths
    target = tier.capacity_rps / tier.kind.demand_per_request * UTILISATION
    return {
        "replicas": str(tier.replicas),
        "most": str(tier.kind.max_replicas),
        "start_up": _quoted(f"{tier.kind.start_up_seconds}s"),
        "lead": f"{tier.lead_seconds}s",
        "calls": _quoted(f"{tier.kind.demand_per_request:g}"),
        "capacity": _quoted(decimal(tier.capacity_rps)),
        "target": f"{max(1, round(target * 1000))}m",
    }


def _render(name: str, values: dict[str, str]) -> str:
    text = (resources.files("forerun.sandbox") / "shop" / name).read_text(encoding="utf-8")
    return Template(text).substitute(values)


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def _quoted(text: str) -> str:
    """A YAML string: JSON's are."""
    return json.dumps(text)
