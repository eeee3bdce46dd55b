"""What an actuator reads of a target and what a write of it led to."""

from dataclasses import dataclass, field
from typing import Any

from forerun.domain.ledger import Bounds, Owner
from forerun.domain.reason import Hold
from forerun.domain.storefront import TargetRef


@dataclass(frozen=True, slots=True)
class TargetSnapshot:
    """A fresh (quorum) read of a target and of the object that owns its floor."""

    target: TargetRef
    target_uid: str
    replicas: int | None  # spec.replicas as it stands
    ready: int | None  # status.readyReplicas; None: unknown
    owner: Owner
    owner_ref: TargetRef
    owner_uid: str
    owner_resource_version: str
    bounds: Bounds
    annotation: str | None  # our break-glass mirror, as it stands there
    is_target_marked: bool = False  # that mirror stands on the target, though an autoscaler owns the floor now
    wants_less: bool | None = None  # the HPA's metric asks for less than its minReplicas
    recommended: int | None = None  # replicas that the HPA's metrics ask for, before its bounds
    desired: int | None = None  # the HPA's desiredReplicas, else spec.replicas
    raw_owner: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Written:
    """A write that the API server accepted."""

    tier: str
    before: Bounds
    after: Bounds
    resource_version: str


Outcome = Written | Hold


@dataclass(frozen=True, slots=True)
class GivenBack:
    """What became of one raise when it was to be given back.

    `before` is what stood there, None where it could not be read; `after` what stands there now. `hold` says why
    something of ours may still stand, or why what stands there is not ours to change.
    """

    namespace: str
    reference: TargetRef
    baseline: Bounds
    before: Bounds | None = None
    after: Bounds | None = None
    hold: Hold | None = None
