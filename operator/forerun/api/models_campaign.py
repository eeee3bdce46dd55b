"""Campaign: when, what type, how big, on which Storefront, how important."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.config import JsonValue

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
    ReasonCode,
    Stored,
    Summary,
    WindowStatus,
)
from forerun.api.recurrence import EXAMPLE, LONGEST_RULE, RULE_PATTERN
from forerun.api.scalars import (
    LONGEST_WINDOW_SECONDS,
    OFFSET_PATTERN,
    Decimal,
    Duration,
    Instant,
    LocalDate,
    Text,
    WholeNumber,
    cel_timestamp,
    keyed_by,
    validation,
)
from forerun.api.zones import NOT_ZONES_PATTERN, ZONE_PATTERN
from forerun.domain.campaign import CampaignType, Mode, Overlap

Level = Annotated[float, Decimal(0.5, 0.9999)]
StepPercent = Annotated[float, Decimal(1, 1000)]
Hours = Annotated[float, Decimal(0, 1_000_000_000, above=True)]
ZoneName = Annotated[
    str,
    Text(
        64,
        "a time zone of the IANA database, for example Europe/Warsaw",
        ZONE_PATTERN,
        # looking up the hour fails where the API server knows no such zone
        rule=f"!self.matches('{NOT_ZONES_PATTERN}') && timestamp('2026-01-01T00:00:00Z').getHours(self) >= 0",
    ),
]

RuleText = Annotated[
    str,
    Text(
        LONGEST_RULE,
        f"an RFC 5545 rule with FREQ=DAILY, WEEKLY, MONTHLY or YEARLY, {EXAMPLE}",
        rule=f"self.matches('{RULE_PATTERN}') && self.matches('(^|;)FREQ=')",
    ),
]

_LOCAL = f"matches('{OFFSET_PATTERN}') == false"
_LONGEST = f"duration('{int(LONGEST_WINDOW_SECONDS)}s')"
# only where both stand in the same zone can CEL compare them; the operator compares the rest
_SAME_ZONE = f"(self.start.{_LOCAL}) != (self.end.{_LOCAL})"


def window_rules(no_end: str) -> list[JsonValue]:
    """CEL of what start, end and timeZone must be together; `no_end` is CEL that is true where there is no end."""
    start, end = cel_timestamp("self.start"), cel_timestamp("self.end")
    return [
        validation(
            f"has(self.timeZone) || (self.start.matches('{OFFSET_PATTERN}')"
            f" && ({no_end} || self.end.matches('{OFFSET_PATTERN}')))",
            "timeZone is required unless start and end carry an offset, for example Europe/Warsaw",
            fieldPath=".timeZone",
            reason="FieldValueRequired",
        ),
        validation(
            f"{no_end} || {_SAME_ZONE} || {end} > {start}",
            "end must be after start",
            fieldPath=".end",
        ),
        validation(
            f"{no_end} || {_SAME_ZONE} || {end} - {start} <= {_LONGEST}",
            "end must be at most 400 days after start",
            fieldPath=".end",
        ),
    ]


class Schedule(ApiModel):
    """When: half-open windows from start to end, once or recurring. Local times are of timeZone."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                validation(
                    "has(self.end) != has(self.duration)",
                    "give exactly one of end and duration",
                    fieldPath=".end",
                ),
                *window_rules("!has(self.end)"),
            ]
        }
    )

    time_zone: ZoneName | None = Field(
        default=None, description="IANA time zone; required unless start and end carry an offset."
    )
    start: Annotated[datetime, Instant()] = Field(
        description="Start of the first window, wall time of timeZone unless it carries an offset."
    )
    end: Annotated[datetime, Instant()] | None = Field(
        default=None, description="End of the first window, as wall time: later windows keep the wall-clock length."
    )
    duration: Annotated[float, Duration()] | None = Field(
        default=None, description="Elapsed length instead of end, for example 4h."
    )
    recurrence: RuleText | None = Field(
        default=None, description="RFC 5545 RRULE without its prefix, daily or coarser."
    )
    exclude: Annotated[list[Annotated[date, LocalDate()]], Field(max_length=366)] | None = Field(
        default=None, description="Local dates on which no window starts."
    )


class Expected(ApiModel):
    """What marketing knows: evidence, not truth."""

    audience: Annotated[int, WholeNumber(1, 10_000_000_000)] | None = Field(default=None, description="People reached.")
    multiplier: Annotated[float, Decimal(0, 10_000, above=True)] | None = Field(
        default=None, description="Peak demand / usual demand."
    )
    peak: Annotated[float, Decimal(0, 1_000_000_000, above=True)] | None = Field(
        default=None, description="Peak demand in the Storefront's unit per second."
    )


class Release(ApiModel):
    """How capacity is given back after the end."""

    hold_for: Annotated[float, Duration(0, 86400)] | None = Field(
        default=None, description="How long floors stay after the end; 10m where it is not said."
    )
    max_step_percent: StepPercent | None = Field(
        default=None, description="Percent of the surplus given back per minute; 10 where it is not said."
    )


class Budget(ApiModel):
    """What the campaign may add above the baseline."""

    replica_hours: Hours | None = None
    accelerator_hours: Hours | None = None


class CampaignSpec(ApiModel):
    """What is declared."""

    storefront_ref: NameRef = Field(description="The Storefront, in the same namespace.")
    type: Annotated[CampaignType, Field(strict=False)] = Field(
        description="Kind of event; each has a response shape and a prior."
    )
    schedule: Schedule
    expected: Expected | None = None
    service_level: Level | None = Field(
        default=None, description="Probability that capacity covers demand; the policy's where it is not said."
    )
    priority: Annotated[int, WholeNumber(-1_000_000, 1_000_000)] | None = Field(
        default=None, description="Higher wins scarce capacity; 0 where it is not said."
    )
    overlap: Annotated[Overlap, Field(strict=False)] | None = Field(
        default=None, description="How demand combines with that of other campaigns; Sum where it is not said."
    )
    mode: Annotated[Mode, Field(strict=False)] | None = Field(
        default=None,
        description="Automatic acts, Approval acts once approved, Preview only plans; Automatic where it is not said.",
    )
    suspend: bool | None = Field(default=None, description="True gives back what the campaign holds, in steps.")
    release: Release | None = None
    budget: Budget | None = None


class Phase(StrEnum):
    """Where a campaign stands."""

    SCHEDULED = "Scheduled"
    WARMING = "Warming"
    ARMED = "Armed"
    LIVE = "Live"
    RELEASING = "Releasing"
    COMPLETED = "Completed"
    SUSPENDED = "Suspended"
    REJECTED = "Rejected"


class PeakQuantiles(ApiModel):
    """Quantiles of the peak in the Storefront's unit per second."""

    p50: Figure
    p90: Figure
    p99: Figure


class ForecastStatus(ApiModel):
    """The forecast of the current or next window."""

    peak: PeakQuantiles | None = None
    peak_at: Stored | None = None


class TierStatus(ApiModel):
    """One tier of the Storefront as this campaign needs it."""

    name: Label
    floor: Count | None = None
    ready: Count | None = None
    required: Count | None = None
    rung_of: Label | None = Field(default=None, description="The tier on whose degradation ladder this one is a rung.")
    serves: Figure | None = Field(
        default=None, description="Calls per second that its Ready replicas serve; of tiers with rungs, and of rungs."
    )


class HoldStatus(ApiModel):
    """Why something is not done."""

    tier: Annotated[str, Text(253, "the name of a tier or object", shortest=0)] | None = None
    reason: ReasonCode
    message: Message | None = None


class LastOutcome(ApiModel):
    """How the last window went."""

    occurrence: WindowStatus | None = None
    forecast_peak: Figure | None = None
    actual_peak: Figure | None = None
    unserved_percent: Figure | None = None
    replica_hours: Figure | None = None


class KeptTier(ApiModel):
    """A raise that stays after the end, because the tier says `release: Never`."""

    tier: Label
    floor: Count | None = None


class CampaignStatus(ApiModel):
    """What the operator reports."""

    phase: Annotated[Phase, Field(strict=False)] | None = None
    observed_generation: Generation | None = None
    occurrence: WindowStatus | None = Field(default=None, description="The current or next window, in UTC.")
    forecast: ForecastStatus | None = None
    tiers: (
        Annotated[
            list[TierStatus],
            Field(max_length=32),
            keyed_by("name"),
        ]
        | None
    ) = None
    holds: Annotated[list[HoldStatus], Field(max_length=128)] | None = None
    last_outcome: LastOutcome | None = None
    kept: Annotated[list[KeptTier], Field(max_length=32)] | None = None
    summary: Summary | None = None
    conditions: Conditions | None = None


class Campaign(Head):
    """A campaign makes a shop's capacity arrive before its visitors do."""

    spec: CampaignSpec
