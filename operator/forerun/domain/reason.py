"""Why something was decided: a stable enum plus numbers. Words are made in `observe` and `report`."""

from dataclasses import dataclass, field
from enum import StrEnum


class Reason(StrEnum):
    """Stable reason codes: they appear in conditions, Events, plans and metrics."""

    # why a floor stands where it stands
    BASELINE = "Baseline"
    CAMPAIGN = "Campaign"
    LIVE_DEMAND = "LiveDemand"
    RELEASING = "Releasing"
    KEPT = "Kept"
    EVIDENCE = "Evidence"  # lowered inside a window, because fresh samples say so
    SUSPENDED = "Suspended"
    EXPIRED = "Expired"
    BREAK_GLASS = "BreakGlass"  # a person had everything given back at once

    # caps
    MAX_REPLICAS = "MaxReplicas"
    CAPACITY_SHORT = "CapacityShort"
    BUDGET_EXCEEDED = "BudgetExceeded"
    STEP_TOO_LARGE = "StepTooLarge"

    # risks
    LATE = "Late"  # the raise begins too late to be Ready by the start

    # holds
    DEMAND_UNKNOWN = "DemandUnknown"
    METRIC_STALE = "MetricStale"
    METRIC_ABSURD = "MetricAbsurd"
    METRICS_UNREACHABLE = "MetricsUnreachable"
    FORECAST_UNAVAILABLE = "ForecastUnavailable"
    SIGNALS_DISAGREE = "SignalsDisagree"  # a second signal contradicts the live metric
    WAITING_FOR_DEPENDENCY = "WaitingForDependency"
    CONSUMER_NOT_RELEASED = "ConsumerNotReleased"
    FREEZE_WINDOW = "FreezeWindow"
    APPROVAL_REQUIRED = "ApprovalRequired"
    PREVIEW = "Preview"
    DRIFTED = "Drifted"
    CONTESTED = "Contested"
    LEDGER_REGRESSED = "LedgerRegressed"  # the CapacityPlan is older than what stands on the target
    TARGET_NOT_FOUND = "TargetNotFound"
    TARGET_NOT_SCALABLE = "TargetNotScalable"
    TARGET_CLAIMED_TWICE = "TargetClaimedTwice"
    TARGET_REPLACED = "TargetReplaced"
    AUTOSCALER_AMBIGUOUS = "AutoscalerAmbiguous"
    FORBIDDEN = "Forbidden"
    CONFLICT = "Conflict"
    API_UNAVAILABLE = "ApiUnavailable"
    NOT_LEADER = "NotLeader"
    STOREFRONT_NOT_FOUND = "StorefrontNotFound"
    METRICS_SOURCE_NOT_FOUND = "MetricsSourceNotFound"
    INVALID = "Invalid"


@dataclass(frozen=True, slots=True)
class Hold:
    """A refusal to act, as a value: nothing is lost, nothing stops, nothing is lowered.

    `subject` is the tier or object that is held; `numbers` are what the words need
    (for instance `{"want": 40, "fits": 12}`); `detail` is the remedy or the foreign
    message, one line.
    """

    reason: Reason
    subject: str = ""
    numbers: dict[str, float] = field(default_factory=dict)
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Bad input: the object, the field and the remedy, in one line each."""

    obj: str  # "Campaign shop/black-friday"
    field: str  # "spec.schedule.timeZone"
    remedy: str

    def __str__(self) -> str:
        return f"{self.obj}: {self.field}: {self.remedy}"
