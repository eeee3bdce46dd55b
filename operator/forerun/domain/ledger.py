"""The ledger: what a target had before us, written down before the target is touched."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from forerun.domain.storefront import TargetRef, TierRelease

ABSENT = "absent"


class Owner(StrEnum):
    """Which object carries the floor of a target."""

    HPA = "HorizontalPodAutoscaler"
    SCALED_OBJECT = "ScaledObject"
    SCALE = "Scale"


@dataclass(frozen=True, slots=True)
class Bounds:
    """minReplicas/maxReplicas as they stand; None means the field is absent, which is not 1.

    For a plain target (`Owner.SCALE`) `minimum` is spec.replicas and `maximum` is None.
    """

    minimum: int | None
    maximum: int | None


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One raise of ours on one target.

    `written` holds every bound that we may have put there and that may still stand: the
    confirmed one and the one about to be written. Restore only where the current bounds
    are among them; otherwise it is Drifted and left alone.
    """

    tier: str
    target: TargetRef
    owner: Owner
    owner_ref: TargetRef  # the object that is written: the HPA, the ScaledObject or the target itself
    owner_uid: str
    baseline: Bounds
    written: tuple[Bounds, ...]
    campaigns: tuple[str, ...]
    epoch: int
    raised_at: datetime
    changed_at: datetime  # last floor write; the step-down limit counts from here
    peak: int  # highest floor of this raise; the surplus that steps down are a percentage of
    expires: datetime
    confirmed: bool = False  # a value of ours was seen to stand; before that nothing of ours can have drifted
    lifted_from_zero: bool = False
    reverts: int = 0
    contested: bool = False
    drifted: bool = False
    kept: bool = False  # release: Never, campaign over
    release: TierRelease = TierRelease.GRADUAL  # of the tier, for the day on which the Storefront cannot be asked
