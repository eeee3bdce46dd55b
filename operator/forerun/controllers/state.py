"""What the operator remembers of one Storefront between ticks; all of it can be lost."""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

from forerun.domain.campaign import Occurrence, ScheduledCampaign
from forerun.domain.capacity import CapacityPlan, TierState
from forerun.domain.forecast import EventWindow, Forecast, Lesson
from forerun.domain.ledger import LedgerEntry
from forerun.domain.observation import LeadTime, Measurement
from forerun.domain.reason import Hold
from forerun.domain.storefront import Storefront
from forerun.domain.target import TargetSnapshot

LIVE_SAMPLES = 64


@dataclass(slots=True)
class Tally:
    """Demand and what was not served while a campaign was live, for its outcome."""

    occurrence: Occurrence
    demand: float = 0.0
    unserved: float = 0.0
    peak_rps: float = 0.0
    samples: int = 0
    since_start: bool = False


@dataclass(slots=True)
class StorefrontState:
    """Rebuilt from the cluster after a restart; the ledger, the plan and what was learnt are stored there."""

    storefront: Storefront | None = None
    campaigns: tuple[ScheduledCampaign, ...] = ()
    suspended: tuple[ScheduledCampaign, ...] = ()
    snapshots: dict[str, TargetSnapshot | Hold] = field(default_factory=dict)
    snapshot_stale: set[str] = field(default_factory=set)
    looked_at: datetime | None = None  # when all that is raised was last read, whatever the watch had shown
    tiers: tuple[TierState, ...] = ()
    lead_times: dict[str, LeadTime] = field(default_factory=dict)
    lead_times_at: datetime | None = None
    live: deque[Measurement] = field(default_factory=lambda: deque(maxlen=LIVE_SAMPLES))
    live_at: datetime | None = None
    forecast: Forecast | None = None
    proposed_forecast: Forecast | None = None
    forecast_hold: Hold | None = None
    forecast_pending: bool = False  # asked for these campaigns, not answered yet
    forecast_key: tuple[object, ...] = ()
    forecast_at: datetime | None = None
    learnt: tuple[Lesson, ...] = ()  # not in the Storefront's status yet
    unlearnt: dict[EventWindow, datetime] = field(default_factory=dict)  # over; when to ask what they taught
    plan: CapacityPlan | None = None
    plan_loaded: bool = False
    plan_inputs: tuple[object, ...] = ()
    ledger: tuple[LedgerEntry, ...] = ()
    ledger_dirty: bool = False  # something to tell that may wait: confirmed, executed
    settled: bool = False  # nothing that a predecessor may have in hand can be written any more
    regressed: set[str] = field(default_factory=set)  # tiers whose ledger was older than what stands on the target
    holds: tuple[Hold, ...] = ()
    tallies: dict[str, Tally] = field(default_factory=dict)
    next_due: datetime | None = None
    failures: int = 0

    def entry(self, tier: str) -> LedgerEntry | None:
        return next((entry for entry in self.ledger if entry.tier == tier), None)

    def snapshot(self, tier: str) -> TargetSnapshot | None:
        found = self.snapshots.get(tier)
        return found if isinstance(found, TargetSnapshot) else None

    @property
    def raised(self) -> bool:
        """Whether anything of ours stands that is not simply kept."""
        return any(not entry.kept for entry in self.ledger)
