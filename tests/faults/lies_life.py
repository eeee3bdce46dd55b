"""One life of a shop on a virtual clock under a lying metrics source, all of it from one seed.

The operator's own parsing, plan and decisions run; the forecast is a cheap stand-in (quantiles about what was declared
and about the last number that was told, lies included), because it is not what is tested here: a plan may be wrong,
and still no floor may come down on a lie.
"""

import math
import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from prometheus_api_client import PrometheusConnect
from tests.faults import lies
from tests.faults.lies_oracle import Facts, Oracle, Window

from forerun.domain.campaign import (
    Campaign,
    CampaignType,
    Key,
    Occurrence,
    ReleaseRule,
    Schedule,
    ScheduledCampaign,
)
from forerun.domain.capacity import CapacityPlan, FloorDecision, TierState
from forerun.domain.forecast import LEVELS, Forecast, Segment
from forerun.domain.ledger import Bounds, LedgerEntry, Owner
from forerun.domain.observation import Measurement, Sample
from forerun.domain.policy import Policy
from forerun.domain.reason import Hold
from forerun.domain.storefront import Role, Storefront, TargetRef, Tier
from forerun.plan.due import decide
from forerun.plan.inputs import DueInput, PlanInput
from forerun.plan.planner import make_plan
from forerun.signals.prometheus import answered, measured

ORIGIN = datetime(2026, 11, 27, 6, 0, tzinfo=UTC)
_CONNECT_URL = "http://prometheus.invalid"
_FACTORS = tuple(0.6 + 0.9 * i / (len(LEVELS) - 1) for i in range(len(LEVELS)))
_REPLAN_SECONDS = 1800.0
TICKS = ((5.0, 0.02), (20.0, 0.08), (60.0, 0.9))  # seconds, share of the lives' hours
MOST_AGE_SECONDS = 120.0
MOST_DIP_SECONDS = 60.0  # an exporter restarts; a rate over a minute is whole again


@dataclass
class Event:
    """One campaign as it truly goes."""

    name: str
    start: float
    end: float
    hold: float
    declared: float  # peak in requests/s, as the forecast believes it
    true: float  # what it really adds at its height
    off_at: float  # suspended or cancelled from here on; inf: never
    cancelled: bool
    rate: float

    def demand(self, now: float) -> float:
        if not self.start <= now < self.end:
            return 0.0
        age = (now - self.start) / (self.end - self.start)
        return self.true * min(1.0, age * 8) * (1.0 if age < 0.3 else math.exp(-2.5 * (age - 0.3)))


@dataclass
class Counts:
    """What one life, or many of them, amounted to."""

    hours: float = 0.0
    decisions: int = 0
    lowered: int = 0
    justified: int = 0
    raised: int = 0
    lies: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def add(self, other: "Counts") -> None:
        self.hours += other.hours
        self.decisions += other.decisions
        self.lowered += other.lowered
        self.justified += other.justified
        self.raised += other.raised
        self.faults += other.faults
        for name, count in other.lies.items():
            self.lies[name] = self.lies.get(name, 0) + count


class Life:
    """`run` it once; the same seed gives the same life."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = rng = random.Random(seed)
        # equal shares of lives would give the short ticks most of the work
        self.tick = rng.choices([tick for tick, _ in TICKS], [share for _, share in TICKS])[0]
        self.scaled = rng.random() < 0.65
        self.second_signal = self.scaled and rng.random() < 0.8
        self.facts = [self._facts(i) for i in range(rng.choices((1, 2, 3), (5, 3, 2))[0])]
        self.usual = min(t.baseline * t.capacity / t.calls for t in self.facts) * rng.uniform(0.3, 0.9)
        self.events = [self._event(i) for i in range(rng.choices((1, 2), (2, 1))[0])]
        self.storefront = self._storefront()
        self.policy = Policy(max_step_down_percent_per_minute=rng.choice((5.0, 10.0, 10.0, 40.0)))
        self.grace = rng.choice((86400.0, 86400.0, 3600.0))
        self.oracle = Oracle(self.facts, self.policy.max_step_down_percent_per_minute, self.grace)
        self.canned = lies.Canned()
        self.connect = PrometheusConnect(_CONNECT_URL, session=self.canned)
        self.floors = [t.baseline for t in self.facts]
        self.ready = list(self.floors)
        self.ready_at = [0.0] * len(self.floors)
        self.entries: dict[str, LedgerEntry] = {}
        self.plan: CapacityPlan | None = None
        self.planned_at = -math.inf
        self.planned_for: tuple[ScheduledCampaign, ...] = ()
        self.live: list[Measurement] = []
        self.lying: tuple[str, float] = ("", 0.0)  # until when
        self.flicker = rng.choice((0.0, 0.0, 0.1, 0.4))
        self.share = rng.random()
        self.frozen: lies.Answer | None = None
        self.shock = (rng.uniform(0, 8 * 3600), rng.uniform(0.2, 1.5)) if rng.random() < 0.3 else (math.inf, 1.0)

    def run(self) -> Counts:
        counts = Counts()
        now = max(0.0, min(e.start for e in self.events) - 1800.0)
        over = max(e.end + e.hold for e in self.events)
        while now < over or self.entries:
            now += self.tick
            honest_again = now > over + 2 * 3600
            self._hear(now, counts, honest_again=honest_again)
            campaigns = self._campaigns(now)
            self._replan(now, campaigns)
            before = list(self.floors)
            self._decide(now, campaigns)
            counts.decisions += 1
            if self.entries and not honest_again:
                counts.hours += self.tick / 3600
            self.oracle.judge(now, self._windows(now), before, self.floors)
            counts.lowered += sum(a < b for a, b in zip(self.floors, before, strict=True))
            counts.raised += sum(a > b for a, b in zip(self.floors, before, strict=True))
            if now > over + self.grace + 100 * 3600:
                self.oracle.faults.append(f"t={now:.0f} a raise is left behind: {self.floors}")
                break
        if any(f != t.baseline for f, t in zip(self.floors, self.facts, strict=True)):
            self.oracle.faults.append(f"t={now:.0f} not given back: {self.floors}")
        counts.justified = self.oracle.justified
        counts.faults = [f"seed {self.seed}: {fault}" for fault in self.oracle.faults]
        return counts

    # the world

    def _facts(self, number: int) -> Facts:
        rng = self.rng
        return Facts(
            name=("web", "cache", "search")[number],
            capacity=rng.choice((50.0, 100.0, 333.3)),
            calls=rng.choice((0.5, 1.0, 2.0)),
            baseline=rng.randrange(1, 6),
            most=rng.randrange(8, 61),
            scaled=self.scaled,
        )

    def _event(self, number: int) -> Event:
        rng = self.rng
        start = 3600.0 * rng.uniform(1, 3)
        end = start + 3600.0 * rng.uniform(0.5, 6)
        declared = self.usual * rng.choice((1.5, 3.0, 6.0, 10.0))
        off = rng.random() < 0.2
        return Event(
            name=("drop", "letter")[number],
            start=start,
            end=end,
            hold=rng.choice((0.0, 300.0, 1800.0)),
            declared=declared,
            true=declared * rng.choice((-0.1, 0.0, 0.2, 0.8, 1.0, 1.0, 2.0)),
            off_at=start + rng.uniform(-1800, end - start) if off else math.inf,
            cancelled=rng.random() < 0.5,
            rate=rng.choice((5.0, 10.0, 100.0)),
        )

    def _storefront(self) -> Storefront:
        tiers: list[Tier] = []
        for facts in self.facts:
            tiers.append(
                Tier(
                    name=facts.name,
                    role=Role.CUSTOM,
                    target=TargetRef("apps/v1", "Deployment", facts.name),
                    capacity_per_replica_rps=facts.capacity,
                    max_replicas=facts.most,
                    demand_per_request=facts.calls,
                    lead_time_seconds=self.rng.choice((0.0, 60.0, 300.0)),
                    depends_on=tuple(t.name for t in tiers[-1:]) if self.rng.random() < 0.5 else (),
                )
            )
        return Storefront(Key("shop", "main"), "uid", 1, "default", "demand", "requests", tuple(tiers))

    def _true(self, now: float) -> float:
        wave = 1 + 0.3 * math.sin(now / 86400 * 2 * math.pi)
        at, size = self.shock
        shocked = size if now >= at else 1.0
        demand = (self.usual * wave + sum(e.demand(now) for e in self.events)) * shocked
        return max(0.0, demand * math.exp(self.rng.gauss(0.0, 0.03)))

    def _hear(self, now: float, counts: Counts, *, honest_again: bool) -> None:
        """Ask the source, and let the operator's parsing make of it what it does."""
        true = self._true(now)
        lie = "" if honest_again else self._lie(now)
        self.canned.answer = self._answer(lie, now, true)
        self.live = [*self.live[-63:], self.understood(_at(now))]
        kind = "plain" if lie in lies.PLAIN else "plausible" if lie else ""
        self.oracle.heard(now, true, kind)
        if lie:
            counts.lies[lie] = counts.lies.get(lie, 0) + 1
        self.true = true

    def understood(self, at: datetime) -> Measurement:
        """The answer that waits, as the operator reads it at this moment."""
        result = answered("default", lambda: self.connect.custom_query("demand"))
        return result if isinstance(result, Hold) else measured(result, "default", at, MOST_AGE_SECONDS)

    def _lie(self, now: float) -> str:
        """The lie of this moment; spells of one kind, honest ones between them, and flickering."""
        rng = self.rng
        kind, until = self.lying
        if now >= until:
            kind = "" if kind else self._kind()
            length = rng.expovariate(1 / 1200) if not kind else rng.choice((30.0, 300.0, 1800.0, 10800.0))
            self.lying = (kind, now + (min(length, MOST_DIP_SECONDS) if kind == "dip" else length))
        return kind or (rng.choice(list(lies.PLAIN)) if rng.random() < self.flicker else "")

    def _kind(self) -> str:
        plausible = ["dip", "dip", "frozen", "doubled", *(["part", "part"] if self.second_signal else [])]
        return self.rng.choice([*lies.PLAIN, *plausible])

    def _answer(self, lie: str, now: float, true: float) -> lies.Answer:
        at = ORIGIN.timestamp() + now
        if not lie:
            self.frozen = lies.honest(at, true)
            return self.frozen
        if lie == "dip":
            return lies.dip(self.rng, at, true)
        if lie == "part":
            return lies.part(self.share)(self.rng, at, true)
        if lie == "frozen":  # something on the way answers for the source, time and all
            return self.frozen or lies.honest(at, true)
        if lie == "doubled":
            return lies.doubled(self.rng, at, true)
        return lies.PLAIN[lie](self.rng, at, true)

    # the operator's part

    def _campaigns(self, now: float) -> tuple[ScheduledCampaign, ...]:
        return tuple(
            self._scheduled(event, suspend=now >= event.off_at)
            for event in self.events
            if not (event.cancelled and now >= event.off_at)
        )

    def _scheduled(self, event: Event, *, suspend: bool) -> ScheduledCampaign:
        start, end = _at(event.start), _at(event.end)
        schedule = Schedule("UTC", start.replace(tzinfo=None), duration_seconds=event.end - event.start)
        campaign = Campaign(
            key=Key("shop", event.name),
            uid=event.name,
            generation=2 if suspend else 1,
            storefront="main",
            type=CampaignType.CUSTOM,
            schedule=schedule,
            suspend=suspend,
            release=ReleaseRule(event.hold, event.rate),
        )
        return ScheduledCampaign(campaign, Occurrence(start, end))

    def _windows(self, now: float) -> list[Window]:
        return [Window(e.start, e.end + e.hold, now < e.off_at) for e in self.events]

    def _replan(self, now: float, campaigns: tuple[ScheduledCampaign, ...]) -> None:
        asking = tuple(sc for sc in campaigns if not sc.campaign.suspend)
        if asking == self.planned_for and now - self.planned_at < _REPLAN_SECONDS:
            return
        self.planned_at, self.planned_for = now, asking
        self.plan = make_plan(
            PlanInput(
                now=_at(now),
                storefront=self.storefront,
                campaigns=asking,
                forecast=self._forecast(now, asking),
                tiers=self._states(now),
                policy=self.policy,
                previous=self.plan,
            )
        )

    def _forecast(self, now: float, asking: tuple[ScheduledCampaign, ...]) -> Forecast | None:
        """Believes what was declared at first, then the last number that was told, whoever told it."""
        if not asking:
            return None
        told = self.live[-1].value if self.live and isinstance(self.live[-1], Sample) else None
        names = {sc.campaign.key.name for sc in asking}
        events = [e for e in self.events if e.name in names]
        first, last = min(e.start for e in events), max(e.end + e.hold for e in events)
        step = max(300.0, (last - first) / 24)
        rows = []
        for i in range(math.ceil((last - first) / step) + 1):
            at = first + i * step
            believed = self.usual + sum(e.declared for e in events if e.start <= at < e.end)
            median = believed if told is None or now < first else told * self.rng.uniform(0.5, 1.2)
            rows.append(tuple(median * factor for factor in _FACTORS))
        return Forecast("main", _at(now), (Segment(_at(first), step, tuple(rows)),), (), "stand-in")

    def _states(self, now: float) -> tuple[TierState, ...]:
        states = []
        for i, (tier, facts) in enumerate(zip(self.storefront.tiers, self.facts, strict=True)):
            if now >= self.ready_at[i] or self.floors[i] < self.ready[i]:
                self.ready[i] = self.floors[i]
            asks = None
            if self.second_signal:
                # the autoscaler's own metric, which is true: what it would have at four fifths of a replica's load
                asks = math.ceil(self.true * facts.calls / (0.8 * facts.capacity))
            states.append(
                TierState(
                    tier=tier.name,
                    baseline=facts.baseline,
                    floor=self.floors[i],
                    ready=self.ready[i],
                    desired=self.floors[i],
                    lead_time_seconds=tier.lead_time_seconds,
                    autoscaler_wants_less=None if asks is None else asks < self.floors[i],
                    autoscaler_recommends=asks,
                    raised=tier.name in self.entries,
                )
            )
        return tuple(states)

    def _decide(self, now: float, campaigns: tuple[ScheduledCampaign, ...]) -> None:
        decisions = decide(
            DueInput(
                now=_at(now),
                storefront=self.storefront,
                plan=self.plan,
                campaigns=campaigns,
                tiers=self._states(now),
                live=tuple(self.live),
                policy=self.policy,
                ledger=tuple(self.entries.values()),
                metric_max_age_seconds=MOST_AGE_SECONDS,
                expiry_grace_seconds=self.grace,
            )
        )
        for decision in decisions:
            if isinstance(decision, FloorDecision):
                self._write(now, decision)

    def _write(self, now: float, decision: FloorDecision) -> None:
        i = next(i for i, t in enumerate(self.facts) if t.name == decision.tier)
        if decision.floor > self.floors[i]:
            self.ready_at[i] = now + self.storefront.tiers[i].lead_time_seconds * 0.9
        self.floors[i] = decision.floor
        if decision.release:
            self.entries.pop(decision.tier, None)
            return
        entry = self.entries.get(decision.tier) or self._opened(now, i)
        self.entries[decision.tier] = replace(
            entry,
            written=(Bounds(decision.floor, None),),
            campaigns=decision.campaigns or entry.campaigns,
            changed_at=_at(now),
            peak=max(entry.peak, decision.floor),
            expires=decision.expires or entry.expires,
            confirmed=True,
        )

    def _opened(self, now: float, i: int) -> LedgerEntry:
        target = self.storefront.tiers[i].target
        return LedgerEntry(
            tier=self.facts[i].name,
            target=target,
            owner=Owner.HPA if self.scaled else Owner.SCALE,
            owner_ref=target,
            owner_uid="uid",
            baseline=Bounds(self.facts[i].baseline, None),
            written=(),
            campaigns=(),
            epoch=1,
            raised_at=_at(now),
            changed_at=_at(now),
            peak=0,
            expires=_at(now + self.grace),
        )


def _at(now: float) -> datetime:
    return ORIGIN + timedelta(seconds=now)
