"""A Storefront: where demand is measured, and the tiers that serve it, with their targets."""

from dataclasses import dataclass
from enum import StrEnum

from forerun.domain.campaign import Key
from forerun.domain.warm_up import WarmUp


class Role(StrEnum):
    DATABASE = "Database"
    CACHE = "Cache"
    RECOMMENDER = "Recommender"
    WEB = "Web"
    INGRESS = "Ingress"
    CUSTOM = "Custom"


class TierRelease(StrEnum):
    """Gradual gives back in steps; Never keeps the raise until somebody releases it by hand."""

    GRADUAL = "Gradual"
    NEVER = "Never"


@dataclass(frozen=True, slots=True, order=True)
class TargetRef:
    api_version: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


class LimitKind(StrEnum):
    """What a limit counts."""

    PER_CLIENT = "PerClient"  # requests/s of one client
    TOTAL = "Total"  # requests/s of all
    CONNECTIONS = "Connections"  # open at a time, of all
    WAITING_ROOM = "WaitingRoom"  # visitors that are let in at a time


@dataclass(frozen=True, slots=True)
class LimitPolicy:
    """One object that carries one limit."""

    ref: TargetRef
    kind: LimitKind


@dataclass(frozen=True, slots=True)
class Admission:
    """The limits of one tier. Numbers are for the shop as a whole, whatever the number of its pods."""

    policies: tuple[LimitPolicy, ...]
    per_client_rps: float | None = None
    connections_per_rps: float | None = None  # mean seconds that a request keeps its connection
    requests_per_visitor_rps: float | None = None


@dataclass(frozen=True, slots=True)
class Connections:
    """New connections, TLS handshakes above all: a second thing that a replica can do only so many of."""

    per_replica_rps: float
    per_request: float | None = None  # new ones for each request at the door; None: not planned for
    query: str | None = None  # what is measured now; None: not looked at


@dataclass(frozen=True, slots=True)
class ShrinkWhen:
    """What a store's own operator must say before the store may shrink: `path` of `ref` holds `value`."""

    ref: TargetRef
    path: tuple[str | int, ...]
    value: str


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A signal that demand is no campaign: above `threshold` it is an attack."""

    query: str
    threshold: float


@dataclass(frozen=True, slots=True)
class Accelerator:
    resource: str  # "nvidia.com/gpu"
    per_replica: int
    pool: str


@dataclass(frozen=True, slots=True)
class Tier:
    name: str
    role: Role
    target: TargetRef
    capacity_per_replica_rps: float | None  # calls/s one Ready replica serves; None: to be learnt
    max_replicas: int
    min_replicas: int | None = None
    demand_per_request: float = 1.0  # this tier's calls per door request
    query: str | None = None  # the tier's own demand
    lead_time_seconds: float = 300.0  # until measured
    depends_on: tuple[str, ...] = ()
    release: TierRelease = TierRelease.GRADUAL
    accelerator: Accelerator | None = None
    warm_up: WarmUp | None = None
    admission: Admission | None = None
    connections: Connections | None = None
    shrink_when: ShrinkWhen | None = None
    cold_demand_per_request: float | None = None  # instead of demand_per_request while the cache in front is cold

    @property
    def warm_up_seconds(self) -> float:
        """From Ready to warm, at the longest; 0 where no warm-up is asked for."""
        return 0.0 if self.warm_up is None else self.warm_up.timeout_seconds


@dataclass(frozen=True, slots=True)
class Storefront:
    """`tiers` stand in dependency order: every tier after all that it depends on."""

    key: Key
    uid: str
    generation: int
    metrics_source: str
    query: str
    unit: str
    tiers: tuple[Tier, ...]
    anomaly: Anomaly | None = None

    def tier(self, name: str) -> Tier:
        """The tier called `name`; KeyError where there is none."""
        for tier in self.tiers:
            if tier.name == name:
                return tier
        raise KeyError(name)

    def consumers(self, name: str) -> tuple[Tier, ...]:
        """The tiers that depend on `name` directly."""
        return tuple(tier for tier in self.tiers if name in tier.depends_on)
