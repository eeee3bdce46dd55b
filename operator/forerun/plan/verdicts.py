"""What guards are asked and what they may answer: the words of the chain in `guards`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from forerun.domain.capacity import CapacityPlan, TierState
from forerun.domain.policy import Policy
from forerun.domain.reason import Hold, Reason
from forerun.domain.stock import Ask, Supply
from forerun.domain.storefront import Storefront, Tier
from forerun.plan.arbitration import Ceilings
from forerun.plan.demand import Record
from forerun.plan.order import Order
from forerun.plan.raises import Raises, top
from forerun.plan.windows import Stretch


@dataclass(frozen=True, slots=True)
class Cap:
    """No floor of `tier` above `fits`; it wanted `want`."""

    tier: str
    fits: int
    want: int
    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Move:
    """The raises of `tier` at other times, or more of them."""

    tier: str
    raises: Raises


@dataclass(frozen=True, slots=True)
class Share:
    """No floor of `tier` above its share of a pool, over time; where most is missing it wants `want` and `fits` fit."""

    tier: str
    ceilings: Ceilings
    top: int  # the most it asks for at any time
    want: int
    fits: int
    detail: str


@dataclass(frozen=True, slots=True)
class Note:
    """A pass that is to be told: a risk of the plan."""

    risk: Hold


Verdict = Cap | Move | Share | Hold | Note | Ask


@dataclass(frozen=True, slots=True)
class GuardInput:
    """The raises of one stretch as the guards before have left them, and what they are judged by."""

    now: int
    storefront: Storefront
    states: Mapping[str, TierState]
    policy: Policy
    stretch: Stretch
    order: Order
    raises: Mapping[str, Raises]
    unknown: Mapping[str, Hold]  # tiers whose need could not be sized
    percent_down: float  # of the surplus per minute
    frozen: tuple[tuple[int, int], ...] = ()
    previous: CapacityPlan | None = None
    approved: frozenset[tuple[str, int]] = frozenset()
    proposal: bool = False  # the plan as it would be if everybody approved
    merge_seconds: float = 0.0  # raises so close together are one
    supply: Supply = field(default_factory=Supply)
    records: tuple[Record, ...] = ()  # the demand that the stretch has to be ready for
    shares: tuple[Share, ...] = ()  # of pools, as far as they are divided by now
    of_rungs: bool = False  # the chain of the ladder's rungs, inside that of the tiers

    def baseline(self, tier: str) -> int:
        return self.states[tier].baseline

    def surplus(self, tier: str) -> int:
        """Replicas above the baseline at the highest floor."""
        return top(self.raises.get(tier, ()), self.baseline(tier)) - self.baseline(tier)

    def raised(self) -> list[tuple[Tier, Raises]]:
        """Tiers with raises, consumers first."""
        tiers = reversed(self.storefront.tiers)
        return [(tier, self.raises[tier.name]) for tier in tiers if self.raises.get(tier.name)]


Guard = Callable[[GuardInput], tuple[Verdict, ...]]


@dataclass(frozen=True, slots=True)
class Guarded:
    """What is left of the raises, with every cap and hold on the way."""

    raises: dict[str, Raises]
    caps: tuple[Cap, ...] = ()
    holds: tuple[Hold, ...] = ()
    notes: tuple[Hold, ...] = ()
    shares: tuple[Share, ...] = ()
    asks: tuple[Ask, ...] = ()


def cap_of(given: GuardInput, tier: Tier, fits: int, reason: Reason, detail: str = "") -> Cap:
    return Cap(tier.name, fits, top(given.raises[tier.name], given.baseline(tier.name)), reason, detail)
