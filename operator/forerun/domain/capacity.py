"""The capacity plan: floors per tier over time, with reasons; and the state it is made from."""

from dataclasses import dataclass
from datetime import datetime

from forerun.domain.campaign import Occurrence
from forerun.domain.reason import Hold, Reason


@dataclass(frozen=True, slots=True)
class Step:
    """From `at` on, `tier` has the floor `floor`, until the next step of that tier."""

    at: datetime
    tier: str
    floor: int
    reason: Reason
    campaigns: tuple[str, ...] = ()  # names of those that ask for it


@dataclass(frozen=True, slots=True)
class Cost:
    """What the plan adds above the baseline."""

    replica_hours: float = 0.0
    accelerator_hours: float = 0.0


@dataclass(frozen=True, slots=True)
class CapacityPlan:
    """Steps ascending by time, at most 200. `proposed` holds what Preview or unapproved campaigns would add.

    `generations` are the campaign generations it was made from: a floor planned for an
    unchanged campaign is never lowered before its start because a forecast wobbled.
    """

    storefront: str
    generated_at: datetime
    horizon: datetime
    steps: tuple[Step, ...]
    proposed: tuple[Step, ...] = ()
    peak_rps: float = 0.0
    cost: Cost = Cost()
    risks: tuple[Hold, ...] = ()
    holds: tuple[Hold, ...] = ()
    generations: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class TierState:
    """What is known of one tier at a moment. None is unknown, never zero."""

    tier: str
    baseline: int  # the floor it has without us (ledger's, else what stands there)
    floor: int  # the floor that stands there now
    ready: int | None
    desired: int | None
    lead_time_seconds: float  # measured p95, else declared
    autoscaler_wants_less: bool | None = None  # second signal: the HPA's own metric asks for less than the floor
    autoscaler_recommends: int | None = None  # second signal: replicas that the HPA's own metrics ask for
    own_demand_rps: float | None = None  # second signal: the tier's own query
    raised: bool = False  # the ledger holds an entry of ours


@dataclass(frozen=True, slots=True)
class FloorDecision:
    """What to do to one tier now: a floor to stand at, or a Hold. `release` gives the target back whole."""

    tier: str
    floor: int
    reason: Reason
    release: bool = False
    campaigns: tuple[str, ...] = ()
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """A campaign's occurrence with the stretch of time for which floors are owed."""

    campaign: str
    occurrence: Occurrence
    hold_until: datetime
