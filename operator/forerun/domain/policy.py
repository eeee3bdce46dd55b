"""Guard rails of the platform team, and where metrics come from."""

from dataclasses import dataclass, field

from forerun.domain.campaign import Occurrence


@dataclass(frozen=True, slots=True)
class Pool:
    """Accelerators that tiers share: `capacity` is what there may be at most, with the nodes that may still come."""

    name: str
    resource: str
    capacity: int
    node_labels: tuple[tuple[str, str], ...] = ()  # of its nodes; none: every node that has the resource
    device_driver: str | None = None  # of its devices in ResourceSlices, where nodes do not count them


@dataclass(frozen=True, slots=True)
class Policy:
    """The CapacityPolicy that holds for a namespace; the defaults hold where there is none."""

    name: str = "default"
    pools: tuple[Pool, ...] = ()
    freeze_windows: tuple[Occurrence, ...] = ()
    max_step_up_percent: float | None = None  # largest single raise, percent of the present floor
    max_step_down_percent_per_minute: float = 10.0
    require_approval_above_replicas: int | None = None
    service_level: float = 0.99
    replica_hours: float | None = None  # budget per campaign where the campaign names none


@dataclass(frozen=True, slots=True)
class MetricsSource:
    """A Prometheus-compatible endpoint and what may be asked of it."""

    name: str
    url: str
    timeout_seconds: float = 5.0
    bearer_token: str | None = field(default=None, repr=False)
    enforced_matchers: tuple[tuple[str, str], ...] = ()
