"""Limits at the door: what is asked, what stands on an object, and what was changed there."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from forerun.domain.storefront import LimitKind, LimitPolicy, TargetRef

FieldPath = tuple[str | int, ...]  # from the object's root: ("spec", "rateLimit", "rate")
FieldValue = str | int | None  # None: absent
Fields = tuple[tuple[FieldPath, FieldValue], ...]


@dataclass(frozen=True, slots=True)
class Limit:
    """What is to hold now: `value` for the shop as a whole, counted by `pods` pods."""

    policy: LimitPolicy
    value: float
    pods: int

    @property
    def is_rate(self) -> bool:
        """Whether `value` is in requests/s."""
        return self.policy.kind in {LimitKind.PER_CLIENT, LimitKind.TOTAL}


@dataclass(frozen=True, slots=True)
class LimitEntry:
    """The ledger of one object: what it had, and what of ours may stand there. `pods` counted when it was taken."""

    tier: str
    ref: TargetRef
    uid: str
    baseline: Fields
    written: tuple[Fields, ...]
    pods: int
    campaigns: tuple[str, ...]
    epoch: int
    changed_at: datetime
    confirmed: bool = False
    drifted: bool = False


@dataclass(frozen=True, slots=True)
class LimitSnapshot:
    """A fresh read of an object that carries a limit."""

    policy: LimitPolicy
    uid: str
    resource_version: str
    annotation: str | None  # our break-glass mirror, as it stands there
    raw: dict[str, Any] = field(compare=False, repr=False)
