"""CapacityPlan objects: the plan as it is stored, and back.

Figures are stored as decimals with at most three digits after the point, and not beyond
15 digits before it; times lose nothing.
"""

from collections.abc import Iterable, Mapping
from math import isfinite, isnan
from typing import Any

from pydantic import RootModel

from forerun.api.ledgers import stored_time
from forerun.api.models_plan import MOST_STEPS, Approval, CostSpec, RiskSpec, StepSpec
from forerun.api.models_plan import CapacityPlan as CapacityPlanObject
from forerun.api.refusals import checked, parsed
from forerun.domain.capacity import CapacityPlan, Cost, Step
from forerun.domain.reason import Hold, Reason, Refusal

MOST_RISKS = 200
_LARGEST = 999_999_999_999_999.0


def figure(value: float) -> str:
    """A float as a stored decimal: "12034.5"; what is too large is cut to the largest, NaN is 0."""
    bounded = 0.0 if isnan(value) else max(min(value, _LARGEST), -_LARGEST)
    text = format(round(bounded, 3), ".3f").rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def plan_to_spec(plan: CapacityPlan) -> dict[str, Any]:
    """`spec` of the CapacityPlan. Every field but approvedBy is there, so that a merge patch replaces them all."""
    return {
        "storefrontRef": {"name": plan.storefront},
        "generatedAt": stored_time(plan.generated_at),
        "horizon": stored_time(plan.horizon),
        "steps": [_step_to(step) for step in plan.steps[:MOST_STEPS]],
        "proposed": [_step_to(step) for step in plan.proposed[:MOST_STEPS]],
        "peak": figure(plan.peak_rps),
        "cost": {
            "replicaHours": figure(plan.cost.replica_hours),
            "acceleratorHours": figure(plan.cost.accelerator_hours),
        },
        "risks": holds_to(plan.risks),
        "generations": [{"campaign": name, "generation": number} for name, number in plan.generations],
    }


def plan_from(obj: Mapping[str, Any]) -> CapacityPlan | Refusal:
    """A CapacityPlan object as the plan; its holds are those of `status.holds`."""
    found = checked(CapacityPlanObject, obj)
    if isinstance(found, Refusal):
        return found
    spec = found.spec
    title = f"CapacityPlan {found.metadata.namespace}/{found.metadata.name}"
    steps = _steps_from(spec.steps, title, "spec.steps")
    proposed = _steps_from(spec.proposed or (), title, "spec.proposed")
    if isinstance(steps, Refusal):
        return steps
    if isinstance(proposed, Refusal):
        return proposed
    return CapacityPlan(
        storefront=spec.storefront_ref.name,
        generated_at=spec.generated_at,
        horizon=spec.horizon,
        steps=steps,
        proposed=proposed,
        peak_rps=spec.peak or 0.0,
        cost=_cost(spec.cost),
        risks=tuple(_hold_from(risk) for risk in spec.risks or ()),
        holds=holds_from(found.status),
        generations=tuple((entry.campaign, entry.generation) for entry in spec.generations or ()),
    )


def _cost(written: CostSpec | None) -> Cost:
    return Cost() if written is None else Cost(written.replica_hours, written.accelerator_hours)


def holds_to(holds: Iterable[Hold]) -> list[dict[str, Any]]:
    """Holds as `spec.risks` or `status.holds`; numbers that are not finite are left out."""
    return [_hold_to(hold) for hold in list(holds)[:MOST_RISKS]]


def holds_from(status: Any) -> tuple[Hold, ...]:
    """The holds of a CapacityPlan's status; none where it has none that can be read."""
    written = status.get("holds") if isinstance(status, Mapping) else None
    found = parsed(RootModel[list[RiskSpec]], written, "CapacityPlan", "status.holds")
    return () if isinstance(found, Refusal) else tuple(_hold_from(risk) for risk in found.root)


def approvals_from(plan_obj: Mapping[str, Any]) -> frozenset[tuple[str, int]]:
    """Campaign name and generation of every approval in `spec.approvedBy`; what cannot be read approves nothing."""
    spec = plan_obj.get("spec") if isinstance(plan_obj, Mapping) else None
    written = spec.get("approvedBy") if isinstance(spec, Mapping) else None
    if not isinstance(written, list):
        return frozenset()
    found = (parsed(Approval, value, "CapacityPlan", "spec.approvedBy") for value in written)
    return frozenset((entry.campaign, entry.generation) for entry in found if isinstance(entry, Approval))


def _step_to(step: Step) -> dict[str, Any]:
    written: dict[str, Any] = {
        "at": stored_time(step.at),
        "tier": step.tier,
        "floor": step.floor,
        "reason": step.reason.value,
    }
    return {**written, "campaigns": list(step.campaigns)} if step.campaigns else written


def _steps_from(written: Iterable[StepSpec], title: str, path: str) -> tuple[Step, ...] | Refusal:
    steps = []
    for index, step in enumerate(written):
        reason = _reason(step.reason)
        if reason is None:
            return Refusal(title, f"{path}[{index}].reason", "must be a reason code that this version knows")
        steps.append(Step(step.at, step.tier, step.floor, reason, tuple(step.campaigns or ())))
    return tuple(steps)


def _reason(code: str) -> Reason | None:
    return Reason(code) if code in frozenset(Reason) else None


def _hold_to(hold: Hold) -> dict[str, Any]:
    numbers = {name: figure(value) for name, value in hold.numbers.items() if isfinite(value)}
    written: dict[str, Any] = {"reason": hold.reason.value, "subject": hold.subject, "message": hold.detail}
    return {**written, "numbers": numbers} if numbers else written


def _hold_from(risk: RiskSpec) -> Hold:
    numbers = {name: float(value) for name, value in (risk.numbers or {}).items()}
    # a code of a newer version still says that something is held
    reason = _reason(risk.reason) or Reason.INVALID
    return Hold(reason, risk.subject or "", numbers, risk.message or "")
