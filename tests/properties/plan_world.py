"""Builders, strategies and a small world with a virtual clock for the tests of the plan."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, settings
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

from forerun.domain.campaign import (
    Campaign,
    CampaignType,
    Key,
    Mode,
    Occurrence,
    ReleaseRule,
    Schedule,
    ScheduledCampaign,
)
from forerun.domain.capacity import CapacityPlan, FloorDecision, Step, TierState
from forerun.domain.forecast import LEVELS, Forecast, Segment
from forerun.domain.ledger import Bounds, LedgerEntry, Owner
from forerun.domain.reason import Hold
from forerun.domain.storefront import Role, Storefront, TargetRef, Tier, TierRelease

NOON = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


def given(*strategies, examples: int = 100):
    """`hypothesis.given` with no clock in it: how fast the machine is decides no test."""

    def decorate(test):
        unhurried = settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        return unhurried(hypothesis_given(*strategies)(test))

    return decorate


def at(seconds: float) -> datetime:
    """`seconds` after the noon that all tests take as their origin."""
    return NOON + timedelta(seconds=seconds)


def make_tier(name: str, **fields) -> Tier:
    values = {
        "role": Role.CUSTOM,
        "target": TargetRef("apps/v1", "Deployment", name),
        "capacity_per_replica_rps": 100.0,
        "max_replicas": 50,
        "lead_time_seconds": 120.0,
    }
    return Tier(name=name, **{**values, **fields})


def make_storefront(*tiers: Tier) -> Storefront:
    return Storefront(Key("shop", "main"), "uid-sf", 1, "default", "sum(rate(x[1m]))", "requests", tiers)


def chain(*names: str, **fields) -> Storefront:
    """A Storefront in which each tier depends on the one before it."""
    return make_storefront(
        *(make_tier(name, depends_on=names[max(0, i - 1) : i], **fields) for i, name in enumerate(names))
    )


def make_campaign(name: str = "drop", start: float = 3600, end: float = 7200, **fields) -> ScheduledCampaign:
    hold = fields.pop("hold_for_seconds", 600.0)
    rate = fields.pop("rate", 10.0)
    values = {
        "uid": f"uid-{name}",
        "generation": 1,
        "storefront": "main",
        "type": CampaignType.FLASH_SALE,
        "schedule": Schedule("UTC", at(start).replace(tzinfo=None), duration_seconds=end - start),
        "release": ReleaseRule(hold, rate),
    }
    return ScheduledCampaign(Campaign(Key("shop", name), **{**values, **fields}), Occurrence(at(start), at(end)))


def spread(median: float) -> tuple[float, ...]:
    """A row of quantiles around a median: +-30 % from the lowest to the highest level."""
    last = len(LEVELS) - 1
    return tuple(median * (0.7 + 0.6 * j / last) for j in range(last + 1))


def make_forecast(*pieces: tuple[float, float, Sequence[float]], flat: bool = True) -> Forecast:
    """Segments of (start, step, medians); `flat`: all quantiles are the median."""
    row = (lambda value: (value,) * len(LEVELS)) if flat else spread
    segments = tuple(Segment(at(start), step, tuple(row(v) for v in values)) for start, step, values in pieces)
    return Forecast("main", NOON, segments, (), "test")


def make_state(tier: Tier | str, baseline: int = 2, floor: int | None = None, **fields) -> TierState:
    name = tier if isinstance(tier, str) else tier.name
    lead = 120.0 if isinstance(tier, str) else tier.lead_time_seconds
    standing = baseline if floor is None else floor
    values = {"ready": standing, "desired": standing, "lead_time_seconds": lead, "raised": standing > baseline}
    return TierState(name, baseline, standing, **{**values, **fields})


def make_entry(tier: str, peak: int, baseline: int = 2, **fields) -> LedgerEntry:
    ref = TargetRef("apps/v1", "Deployment", tier)
    values = {
        "owner": Owner.HPA,
        "owner_ref": ref,
        "owner_uid": "uid",
        "baseline": Bounds(baseline, 50),
        "written": (Bounds(peak, 50),),
        "campaigns": ("drop",),
        "epoch": 1,
        "raised_at": at(3000),
        "changed_at": at(3000),
        "expires": at(200_000),
    }
    return LedgerEntry(tier=tier, target=ref, peak=peak, **{**values, **fields})


def floor_at(steps: Sequence[Step], tier: str, when: datetime, baseline: int) -> int:
    floor = baseline
    for step in steps:
        if step.tier == tier and step.at <= when:
            floor = step.floor
    return floor


def steps_of(plan: CapacityPlan, tier: str) -> list[tuple[float, int]]:
    return [((step.at - NOON).total_seconds(), step.floor) for step in plan.steps if step.tier == tier]


demands = st.floats(min_value=0, max_value=20_000, allow_nan=False, allow_subnormal=False)
anything = st.floats(allow_nan=True, allow_infinity=True)


@st.composite
def storefronts(draw, release: TierRelease | None = None) -> Storefront:
    """One to four tiers in dependency order, any acyclic dependencies."""
    names = ["database", "cache", "web", "ingress"][: draw(st.integers(1, 4))]
    tiers = []
    for i, name in enumerate(names):
        tiers.append(
            make_tier(
                name,
                capacity_per_replica_rps=draw(st.sampled_from([10.0, 100.0, 333.3])),
                demand_per_request=draw(st.sampled_from([0.5, 1.0, 3.0])),
                max_replicas=draw(st.integers(1, 60)),
                lead_time_seconds=draw(st.sampled_from([0.0, 2.0, 30.0, 300.0])),
                depends_on=tuple(n for n in names[:i] if draw(st.booleans())),
                release=release or draw(st.sampled_from(list(TierRelease))),
            )
        )
    return make_storefront(*tiers)


@st.composite
def campaigns(draw, name: str = "drop", **fields) -> ScheduledCampaign:
    start = draw(st.integers(600, 7200))
    length = draw(st.integers(60, 7200))
    return make_campaign(
        name,
        start,
        start + length,
        hold_for_seconds=float(draw(st.integers(0, 900))),
        rate=draw(st.sampled_from([5.0, 10.0, 50.0, 200.0])),
        service_level=draw(st.sampled_from([None, 0.5, 0.9, 0.97, 0.9999])),
        **fields,
    )


@st.composite
def forecasts(draw, *scheduled: ScheduledCampaign) -> Forecast:
    """One segment that covers the windows of all campaigns and what they hold."""
    first = min((sc.occurrence.start - NOON).total_seconds() for sc in scheduled)
    last = max((sc.occurrence.end - NOON).total_seconds() for sc in scheduled) + 900
    values = draw(st.lists(demands, min_size=3, max_size=20))
    return make_forecast((first, (last - first) / len(values), values), flat=draw(st.booleans()))


class World:
    """Targets, ledger and clock; every write takes effect, and pods are Ready when told to be."""

    def __init__(self, storefront: Storefront, baselines: Mapping[str, int], owner: Owner = Owner.HPA) -> None:
        self.now = 0.0
        self.storefront = storefront
        self.baselines = dict(baselines)
        self.floors = dict(baselines)
        self.entries: dict[str, LedgerEntry] = {}
        self.owner = owner
        self.lowered: dict[str, list[tuple[float, int, int]]] = {name: [] for name in baselines}

    def states(self, **fields) -> tuple[TierState, ...]:
        return tuple(
            make_state(tier, self.baselines[tier.name], self.floors[tier.name], **fields)
            for tier in self.storefront.tiers
        )

    def apply(self, outcomes: Sequence[FloorDecision | Hold]) -> None:
        for decision in outcomes:
            if isinstance(decision, FloorDecision):
                self._write(decision)

    def _write(self, decision: FloorDecision) -> None:
        name, floor, before = decision.tier, decision.floor, self.floors[decision.tier]
        entry = self.entries.get(name)
        if entry is None:
            entry = make_entry(name, floor, self.baselines[name], owner=self.owner, raised_at=at(self.now))
        if floor < before:
            allowed = max(1, int(entry.peak - self.baselines[name]))
            self.lowered[name].append((self.now, before - floor, allowed))
        self.floors[name] = floor
        self.entries[name] = replace(
            entry,
            peak=max(entry.peak, floor),
            changed_at=at(self.now),
            campaigns=decision.campaigns or entry.campaigns,
            expires=decision.expires or entry.expires,
        )
        if decision.release:
            assert floor == self.baselines[name]
            del self.entries[name]


def preview(scheduled: ScheduledCampaign) -> ScheduledCampaign:
    return replace(scheduled, campaign=replace(scheduled.campaign, mode=Mode.PREVIEW))
