"""What the two questions of the plan are asked with: "what shall stand when?" and "what is due now?"."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from forerun.domain.campaign import ScheduledCampaign
from forerun.domain.capacity import CapacityPlan, TierState
from forerun.domain.forecast import Forecast
from forerun.domain.ledger import LedgerEntry
from forerun.domain.observation import Measurement
from forerun.domain.policy import Policy
from forerun.domain.stock import Supply
from forerun.domain.storefront import Storefront


@dataclass(frozen=True, slots=True)
class PlanInput:
    """Everything `make_plan` may see.

    `campaigns` are accepted ones of this Storefront, each with an occurrence that is open, still held or to come; one
    campaign may stand there twice (an occurrence that is still held, and the next). `forecast` is the demand with the
    executable campaigns, `proposed_forecast` with all of them; None is unknown. `approved` holds (name, generation).
    """

    now: datetime
    storefront: Storefront
    campaigns: tuple[ScheduledCampaign, ...] = ()
    forecast: Forecast | None = None
    proposed_forecast: Forecast | None = None
    tiers: tuple[TierState, ...] = ()
    policy: Policy = field(default_factory=Policy)
    previous: CapacityPlan | None = None
    approved: frozenset[tuple[str, int]] = frozenset()
    supply: Supply = field(default_factory=Supply)


@dataclass(frozen=True, slots=True)
class DueInput:
    """Everything `decide` may see.

    `campaigns` may include suspended ones: they ask for nothing, but say how fast to give back. `live` are the last
    measurements of the Storefront's demand (door requests/s), newest last. `room` is how many replicas of a tier the
    accelerator pool has place for now, beside what everybody else has and is owed; a tier that is not in it has no end.
    """

    now: datetime
    storefront: Storefront
    plan: CapacityPlan | None = None
    campaigns: tuple[ScheduledCampaign, ...] = ()
    tiers: tuple[TierState, ...] = ()
    live: tuple[Measurement, ...] = ()
    policy: Policy = field(default_factory=Policy)
    ledger: tuple[LedgerEntry, ...] = ()
    metric_max_age_seconds: float = 120.0
    evidence_samples: int = 5
    expiry_grace_seconds: float = 86400.0
    approved: frozenset[tuple[str, int]] = frozenset()
    room: Mapping[str, int] = field(default_factory=dict)
