"""The policy `forerun`: the operator's own stages on the virtual clock. Only the ports differ.

Forecast, plan and due steps are the operator's functions, asked as often as the operator asks them. The ledger holds
what the operator's would; there is no API server, so nothing can drift and every write succeeds.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from forerun.api.windows import windows_of
from forerun.domain.campaign import ScheduledCampaign
from forerun.domain.capacity import CapacityPlan, FloorDecision, Step, TierState
from forerun.domain.forecast import EventWindow, Forecast, ForecastRequest
from forerun.domain.ledger import Bounds, LedgerEntry, Owner
from forerun.domain.observation import Measurement, Sample
from forerun.domain.policy import Policy as CapacityPolicy
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Storefront, Tier
from forerun.plan.cadence import ForecastMade, forecast_is_due, is_near, sample_seconds, watched_ahead_seconds
from forerun.plan.due import decide
from forerun.plan.inputs import DueInput, PlanInput
from forerun.plan.planner import make_plan
from forerun.plan.release import STEP_SECONDS
from forerun.plan.sizing import size
from forerun.settings import Settings
from forerun.simulate.policy import Known, TierView, View

_RECENT_SECONDS, _RECENT_STEP_SECONDS = 7200.0, 60.0
_MISSING = Hold(Reason.METRICS_UNREACHABLE, detail="the metrics pipeline shows nothing")


@dataclass(slots=True)
class Forerun:
    """One Storefront, as the operator keeps it."""

    known: Known
    policy: CapacityPolicy = field(default_factory=CapacityPolicy)
    settings: Settings = field(default_factory=Settings)
    every_seconds: float = 15.0
    plan: CapacityPlan | None = None
    _forecast: Forecast | None = None
    _asked_at: datetime | None = None
    _campaigns: tuple[ScheduledCampaign, ...] = ()
    _forecast_for: tuple[ScheduledCampaign, ...] = ()
    _planned_from: tuple[object, ...] = ()
    _planned_at: datetime | None = None
    _decided_at: datetime | None = None
    _ledger: dict[str, LedgerEntry] = field(default_factory=dict)
    _live: deque[Measurement] = field(default_factory=lambda: deque(maxlen=64))
    _sampled_at: datetime | None = None

    @property
    def storefront(self) -> Storefront:
        return self.known.storefront

    def ask(self, view: View) -> ForecastRequest | None:
        """The question to the forecast worker, where one is due."""
        now = view.now
        self._campaigns = self._windows(now)
        if not self._campaigns:
            return None
        active = bool(self._ledger) or self._near(now)
        if self._forecast_for == self._campaigns and not self._is_due(view, active=active):
            return None
        self._asked_at, self._forecast_for = now, self._campaigns
        return ForecastRequest(
            storefront=str(self.storefront.key),
            now=now,
            history=self.known.history,
            recent=view.recent(_RECENT_SECONDS, _RECENT_STEP_SECONDS) if active else None,
            upcoming=tuple(EventWindow.of(scheduled) for scheduled in self._campaigns),
            past=self.known.past,
            experience=self.known.experience,
        )

    def take(self, answer: Forecast | Hold) -> None:
        """A Hold keeps the forecast before it."""
        if isinstance(answer, Forecast):
            self._forecast = answer

    def floors(self, view: View) -> Mapping[str, float]:
        """What is due now."""
        now = view.now
        self._sample(view, now)
        states = tuple(self._state(tier, seen) for tier, seen in self._seen(view))
        self._replan(now, states)
        if self._is_quiet(view, now):
            return {}
        self._decided_at = now
        decisions = decide(
            DueInput(
                now=now,
                storefront=self.storefront,
                plan=self.plan,
                campaigns=self._campaigns,
                tiers=states,
                live=tuple(self._live),
                policy=self.policy,
                ledger=tuple(self._ledger.values()),
                metric_max_age_seconds=self._most_age_seconds(view),
                evidence_samples=self.settings.evidence_samples,
                expiry_grace_seconds=self.settings.expiry_grace_seconds,
            )
        )
        return {made.tier: self._written(made, now) for made in decisions if isinstance(made, FloorDecision)}

    def _windows(self, now: datetime) -> tuple[ScheduledCampaign, ...]:
        held = {name for entry in self._ledger.values() for name in entry.campaigns}
        campaigns = (campaign for campaign in self.known.campaigns if not campaign.suspend)
        return tuple(sc for campaign in campaigns for sc in windows_of(campaign, now, held=campaign.key.name in held))

    def _near(self, now: datetime) -> bool:
        return is_near(self._campaigns, now, watched_ahead_seconds(self.storefront))

    def _is_due(self, view: View, *, active: bool) -> bool:
        demand = view.demand_rps
        return self._asked_at is None or forecast_is_due(
            self._campaigns,
            view.now,
            ForecastMade(self._asked_at, self._forecast, None if demand is None else Sample(view.now, demand)),
            self.settings.forecast_refresh_seconds,
            self.settings.history_refresh_seconds,
            active=active,
        )

    def _sample(self, view: View, now: datetime) -> None:
        wait = sample_seconds(self._campaigns, now, self.settings.metric_interval_seconds)
        if self._sampled_at is not None and (now - self._sampled_at).total_seconds() < wait:
            return
        self._sampled_at = now
        demand = view.demand_rps
        self._live.append(_MISSING if demand is None else Sample(now, demand))

    def _state(self, tier: Tier, seen: TierView) -> TierState:
        entry = self._ledger.get(tier.name)
        return TierState(
            tier=tier.name,
            baseline=(entry.baseline.minimum or 0) if entry else seen.floor,
            floor=seen.floor,
            ready=seen.ready,
            desired=seen.desired,
            lead_time_seconds=tier.lead_time_seconds * self.known.start_up_spread,
            autoscaler_wants_less=seen.wants_less,
            raised=entry is not None,
        )

    def _replan(self, now: datetime, states: tuple[TierState, ...]) -> None:
        baselines = tuple(state.baseline for state in states)
        inputs = (self._campaigns, self._asked_at, baselines)
        if (not self._campaigns and self.plan is None) or inputs == self._planned_from:
            return
        self._planned_from, self._planned_at = inputs, now
        self.plan = make_plan(
            PlanInput(
                now=now,
                storefront=self.storefront,
                campaigns=self._campaigns,
                forecast=self._forecast,
                tiers=states,
                policy=self.policy,
                previous=self.plan,
            )
        )

    def _is_quiet(self, view: View, now: datetime) -> bool:
        """Whether `decide` would have nothing to say: it is asked again only where something can have changed.

        A raise comes from the plan or from demand; a step down, a minute after the last write at the earliest.
        """
        if not self._ledger:
            begun = any(sc.occurrence.start <= now for sc in self._campaigns)
            return not begun and not any(step.at <= now for step in self._steps)
        if self._plan_has_news(now) or any(self._needs_more(t, seen, view.demand_rps) for t, seen in self._seen(view)):
            return False
        written = max(entry.changed_at for entry in self._ledger.values())
        return now - written < timedelta(seconds=STEP_SECONDS)

    @property
    def _steps(self) -> tuple[Step, ...]:
        return self.plan.steps if self.plan else ()

    def _plan_has_news(self, now: datetime) -> bool:
        """Whether the plan is newer than the last decision, or one of its steps has come since."""
        last, planned = self._decided_at, self._planned_at
        if last is None or planned is None or planned >= last:
            return True
        return any(last < step.at <= now for step in self._steps)

    def _most_age_seconds(self, view: View) -> float:
        """As in the operator; in wide ticks as old as so many samples are as evidence asks for."""
        return max(self.settings.metric_max_age_seconds, self.settings.evidence_samples * view.tick_seconds)

    def _seen(self, view: View) -> Iterable[tuple[Tier, TierView]]:
        return zip(self.storefront.tiers, view.tiers, strict=True)

    def _needs_more(self, tier: Tier, seen: TierView, demand_rps: float | None) -> bool:
        need = 0 if demand_rps is None else size(tier, demand_rps)
        return isinstance(need, Hold) or need > seen.floor or tier.name not in self._ledger

    def _written(self, made: FloorDecision, now: datetime) -> int:
        """The floor that now stands; the ledger says so."""
        if made.release:
            del self._ledger[made.tier]
            return made.floor
        tier, before = self.storefront.tier(made.tier), self._ledger.get(made.tier)
        entry = before or self._opened(tier, now)
        self._ledger[made.tier] = replace(
            entry,
            written=(Bounds(made.floor, tier.max_replicas),),
            campaigns=made.campaigns or entry.campaigns,
            changed_at=now,
            peak=max(entry.peak, made.floor),
            expires=made.expires or entry.expires,
            confirmed=True,
        )
        return made.floor

    def _opened(self, tier: Tier, now: datetime) -> LedgerEntry:
        owner = Owner.SCALE if self.known.hpa_target is None else Owner.HPA
        baseline = 1 if tier.min_replicas is None else tier.min_replicas
        return LedgerEntry(
            tier=tier.name,
            target=tier.target,
            owner=owner,
            owner_ref=tier.target,
            owner_uid=tier.name,
            baseline=Bounds(baseline, tier.max_replicas),
            written=(),
            campaigns=(),
            epoch=0,
            raised_at=now,
            changed_at=now,
            peak=0,
            expires=now + timedelta(seconds=self.settings.expiry_grace_seconds),
        )
