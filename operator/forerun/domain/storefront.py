"""A Storefront: where demand is measured, and the tiers that serve it, with their targets."""

from dataclasses import dataclass
from enum import StrEnum

from forerun.domain.campaign import Key
from forerun.domain.fields import FieldTarget


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


@dataclass(frozen=True, slots=True)
class Accelerator:
    resource: str  # "nvidia.com/gpu"
    per_replica: int
    pool: str


class Provision(StrEnum):
    """How nodes are made to come before the pods: for an autoscaler to see, or by pods that hold the place."""

    AUTO = "Auto"  # Buffer where the API server knows CapacityBuffer, else Placeholders
    BUFFER = "Buffer"
    PLACEHOLDERS = "Placeholders"
    NONE = "None"  # images only


@dataclass(frozen=True, slots=True)
class CapacityAhead:
    """Room that is made before a raise; asked for per tier."""

    provision: Provision = Provision.AUTO
    lead_seconds: float = 900.0  # for a node to come
    pulls_images: bool = False


@dataclass(frozen=True, slots=True)
class MemoryGrowth:
    """More memory for running pods in place of more of them, where replicas would move keys."""

    container: str
    request: str  # a quantity, for example "12Gi"


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
    ahead: CapacityAhead | None = None
    memory_growth: MemoryGrowth | None = None  # then its replicas are left alone
    field_target: FieldTarget | None = None  # declared, or the preset of the target's kind


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

    def tier(self, name: str) -> Tier:
        """The tier called `name`; KeyError where there is none."""
        for tier in self.tiers:
            if tier.name == name:
                return tier
        raise KeyError(name)

    def consumers(self, name: str) -> tuple[Tier, ...]:
        """The tiers that depend on `name` directly."""
        return tuple(tier for tier in self.tiers if name in tier.depends_on)
