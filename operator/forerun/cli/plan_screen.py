"""A CapacityPlan as people read it, and as the object that the operator would write. Pure."""

from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from forerun.api.convert import plan_to_spec
from forerun.domain.capacity import CapacityPlan, Step
from forerun.domain.forecast import Forecast
from forerun.domain.storefront import Storefront
from forerun.observe.words import hold_sentence, rps


def document(storefront: Storefront, made: CapacityPlan) -> dict[str, Any]:
    """The CapacityPlan object."""
    return {
        "apiVersion": "forerun.dev/v1alpha1",
        "kind": "CapacityPlan",
        "metadata": {"name": storefront.key.name, "namespace": storefront.key.namespace},
        "spec": plan_to_spec(made),
    }


def screen(made: CapacityPlan, forecast: Forecast | None) -> list[RenderableType]:
    """Peaks, steps, cost and risks, each ready to be printed on a line of its own."""
    table = Table("At (UTC)", "Tier", "Floor", "Reason", "For", box=None, pad_edge=False)
    for step in made.steps:
        table.add_row(*_row(step, step.reason))
    for step in made.proposed:
        table.add_row(*_row(step, "(proposed)"))
    added = f"adds {made.cost.replica_hours:.1f} replica-hours, {made.cost.accelerator_hours:.1f} accelerator-hours"
    risks = [Text(f"risk: {hold_sentence(hold)}", style="yellow") for hold in (*made.risks, *made.holds)]
    return [*(_peaks(forecast) if forecast else ()), table, Text(added), *risks]


def _peaks(forecast: Forecast) -> list[Text]:
    return [
        Text(
            f"{peak.campaign}: peak {rps(peak.p50_rps)} (p90 {rps(peak.p90_rps)}, p99 {rps(peak.p99_rps)}) "
            f"about {peak.at:%Y-%m-%d %H:%M} UTC, from {forecast.basis}"
        )
        for peak in forecast.peaks
    ]


def _row(step: Step, reason: str) -> tuple[str, ...]:
    return f"{step.at:%Y-%m-%d %H:%M:%S}", step.tier, str(step.floor), reason, ", ".join(step.campaigns)
