"""CapacityPlan: floors per tier over time with their reasons, and the ledger of what was changed."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from forerun.api.models import (
    ApiModel,
    Conditions,
    Count,
    Figure,
    Generation,
    Head,
    Label,
    Message,
    NameRef,
    ObjectName,
    ObjectRef,
    ReasonCode,
    Stored,
)
from forerun.api.scalars import Scalar, Text, keyed_by, refused
from forerun.domain.ledger import ABSENT, Owner
from forerun.domain.storefront import TierRelease

MOST_STEPS = 200
Subject = Annotated[str, Text(320, "the name of a tier or object", shortest=0)]
Names = Annotated[list[ObjectName], Field(max_length=1000)]
SignedFigure = Annotated[str, Text(40, "a decimal", "^-?[0-9]{1,15}([.][0-9]{1,9})?$")]


class StepSpec(ApiModel):
    """From `at` on the tier has this floor, until its next step."""

    at: Stored
    tier: Label
    floor: Count
    reason: ReasonCode
    campaigns: Names | None = None


class CostSpec(ApiModel):
    """What the plan adds above the baseline."""

    replica_hours: Figure
    accelerator_hours: Figure


class RiskSpec(ApiModel):
    """Why something is not done or will fall short, with the numbers that the words need."""

    reason: ReasonCode
    subject: Subject | None = None
    message: Message | None = None
    numbers: (
        Annotated[dict[Annotated[str, Text(64, "the name of a number")], SignedFigure], Field(max_length=32)] | None
    ) = None


class Approval(ApiModel):
    """Somebody's approval of one generation of one campaign."""

    campaign: ObjectName
    generation: Generation
    by: Annotated[str, Text(253, "who approved")] | None = None


class CampaignGeneration(ApiModel):
    """The generation of a campaign that the plan was made from."""

    campaign: ObjectName
    generation: Generation


Risks = Annotated[list[RiskSpec], Field(max_length=200)]


class CapacityPlanSpec(ApiModel):
    """The plan: readable before the campaign, approvable."""

    storefront_ref: NameRef
    generated_at: Stored
    horizon: Stored
    steps: Annotated[list[StepSpec], Field(max_length=MOST_STEPS)]
    proposed: Annotated[list[StepSpec], Field(max_length=MOST_STEPS)] | None = Field(
        default=None, description="Steps of campaigns in Preview or without their approval."
    )
    peak: Figure | None = Field(default=None, description="Forecast peak in the Storefront's unit per second.")
    cost: CostSpec | None = None
    risks: Risks | None = None
    approved_by: Annotated[list[Approval], Field(max_length=1000)] | None = None
    generations: Annotated[list[CampaignGeneration], Field(max_length=1000)] | None = None


@dataclass(frozen=True, slots=True)
class ReplicaBound(Scalar):
    """A bound of an autoscaler as it stood; "absent" is parsed to None."""

    def parse(self, value: object) -> int | None:
        """The bound, or None for "absent"."""
        if value == ABSENT:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
            raise refused(f'must be a whole number, or "{ABSENT}"')
        return value

    def schema(self) -> dict[str, Any]:
        return {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "maxLength": len(ABSENT),
            "pattern": f"^{ABSENT}$",
            "minimum": 0,
            "maximum": 2**31 - 1,
        }


class BoundsSpec(ApiModel):
    """minReplicas and maxReplicas; "absent" where the field was absent, which is not 1."""

    min_replicas: Annotated[int | None, ReplicaBound()]
    max_replicas: Annotated[int | None, ReplicaBound()]


class LedgerEntrySpec(ApiModel):
    """One raise on one target: what it had before, what was written, who asks for it, when it expires."""

    tier: Label
    target_ref: ObjectRef
    owner: Annotated[Owner, Field(strict=False)]
    owner_ref: ObjectRef
    owner_uid: Annotated[str, Text(128, "a UID", shortest=0)]
    baseline: BoundsSpec
    written: Annotated[list[BoundsSpec], Field(max_length=8)]
    campaigns: Names
    epoch: Generation
    raised_at: Stored
    changed_at: Stored
    peak: Count
    expires: Stored
    confirmed: bool = False
    lifted_from_zero: bool = False
    reverts: Count = 0
    contested: bool = False
    drifted: bool = False
    kept: bool = False
    release: Annotated[TierRelease, Field(strict=False)] = Field(
        default=TierRelease.GRADUAL, description="Of the tier, when it was raised; Never is not given back unasked."
    )


class ExecutedStep(ApiModel):
    """The floor that was last written for a tier."""

    tier: Label
    floor: Count
    at: Stored
    reason: ReasonCode | None = None


class CapacityPlanStatus(ApiModel):
    """What was done of the plan."""

    observed_generation: Generation | None = None
    epoch: Generation | None = Field(default=None, description="Epoch of the leader that wrote last.")
    ledger: Annotated[list[LedgerEntrySpec], Field(max_length=64)] | None = None
    executed: (
        Annotated[
            list[ExecutedStep],
            Field(max_length=32),
            keyed_by("tier"),
        ]
        | None
    ) = None
    holds: Risks | None = None
    conditions: Conditions | None = None


class CapacityPlan(Head):
    """What will be done for a Storefront and when; written by the operator."""

    spec: CapacityPlanSpec
