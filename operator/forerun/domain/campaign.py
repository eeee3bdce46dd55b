"""A campaign: when, what type, how big, on which Storefront, how important."""

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum


class CampaignType(StrEnum):
    """What kind of event it is; each type has a response kernel and a published prior."""

    FLASH_SALE = "FlashSale"
    INFLUENCER = "Influencer"
    NEWSLETTER = "Newsletter"
    PUSH_NOTIFICATION = "PushNotification"
    TV_SPOT = "TVSpot"
    PRODUCT_LAUNCH = "ProductLaunch"
    SEASONAL_SALE = "SeasonalSale"
    CUSTOM = "Custom"


class Overlap(StrEnum):
    """How a campaign's demand combines with that of others at the same time."""

    SUM = "Sum"
    MAX = "Max"
    EXCLUSIVE = "Exclusive"


class Mode(StrEnum):
    """Automatic acts; Approval acts once approved; Preview only writes the plan."""

    AUTOMATIC = "Automatic"
    APPROVAL = "Approval"
    PREVIEW = "Preview"


class Phase(StrEnum):
    """Where a campaign stands in its life."""

    SCHEDULED = "Scheduled"
    WARMING = "Warming"  # the first raise is due or done, not everything is Ready
    ARMED = "Armed"  # Ready at what the start requires
    LIVE = "Live"
    RELEASING = "Releasing"
    COMPLETED = "Completed"
    SUSPENDED = "Suspended"
    REJECTED = "Rejected"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Namespace and name of an object."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class Occurrence:
    """One half-open window `[start, end)`, both aware UTC."""

    start: datetime
    end: datetime

    def contains(self, at: datetime) -> bool:
        return self.start <= at < self.end


@dataclass(frozen=True, slots=True)
class Schedule:
    """A validated schedule in wall time; `api.windows` expands it to occurrences.

    `start_local` is naive wall time in `time_zone` (IANA name, or a fixed offset such
    as "+01:00"). Exactly one of `end_local` (wall time) and `duration_seconds`
    (elapsed) is set. `recurrence` is a checked RFC 5545 RRULE without its prefix.
    """

    time_zone: str
    start_local: datetime
    end_local: datetime | None = None
    duration_seconds: float | None = None
    recurrence: str | None = None
    exclude: frozenset[date] = frozenset()


@dataclass(frozen=True, slots=True)
class Expected:
    """What marketing declared: evidence with an error of its own, not truth."""

    audience: int | None = None  # people reached
    multiplier: float | None = None  # peak demand / usual demand
    peak_rps: float | None = None  # peak demand, Storefront's unit per second


@dataclass(frozen=True, slots=True)
class ReleaseRule:
    """How capacity is given back after the end."""

    hold_for_seconds: float = 600.0
    max_step_percent_per_minute: float = 10.0  # percent of the surplus


@dataclass(frozen=True, slots=True)
class Budget:
    replica_hours: float | None = None
    accelerator_hours: float | None = None


@dataclass(frozen=True, slots=True)
class Campaign:
    key: Key
    uid: str
    generation: int
    storefront: str  # name, same namespace
    type: CampaignType
    schedule: Schedule
    expected: Expected = field(default_factory=Expected)
    service_level: float | None = None  # None: the policy's default
    priority: int = 0
    overlap: Overlap = Overlap.SUM
    mode: Mode = Mode.AUTOMATIC
    suspend: bool = False
    release: ReleaseRule = field(default_factory=ReleaseRule)
    budget: Budget = field(default_factory=Budget)


@dataclass(frozen=True, slots=True)
class ScheduledCampaign:
    """A campaign with the one occurrence that matters at a moment: the current or the next one."""

    campaign: Campaign
    occurrence: Occurrence
