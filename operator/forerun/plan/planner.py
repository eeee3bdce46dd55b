"""The plan: which floor each tier has, from when on, and why."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from forerun.domain.campaign import Mode, ScheduledCampaign
from forerun.domain.capacity import CapacityPlan, Cost, Step, TierState
from forerun.domain.forecast import Forecast
from forerun.domain.reason import Hold, Reason
from forerun.plan.cost import cost_of
from forerun.plan.envelope import MOST_STEPS, envelope, short_enough
from forerun.plan.executable import is_executable
from forerun.plan.inputs import PlanInput
from forerun.plan.lateness import late_tiers
from forerun.plan.order import order_of
from forerun.plan.staircase import Ground, Staircase, staircase
from forerun.plan.steadiness import GIVEN_BACK
from forerun.plan.windows import freezes, moment_of, second_after, second_of, stretches, window_of

_COARSER = (1, 2, 4, 8, 20)  # until the plan is short enough: raises merged so many times longer


@dataclass(frozen=True, slots=True)
class _Drafted:
    """The plan of one set of campaigns, before it is compared with another."""

    steps: tuple[Step, ...] = ()
    horizon: int = 0
    peak_rps: float = 0.0
    cost: Cost = field(default_factory=Cost)
    risks: tuple[Hold, ...] = ()
    holds: tuple[Hold, ...] = ()


def make_plan(given: PlanInput) -> CapacityPlan:
    """The floors of all tiers over time that the executable campaigns need, and what the others would add.

    Pure and idempotent: equal inputs a moment later give equal steps; `now` only decides what is late, and which
    windows have begun. Steps may lie in the past; the last one of a tier is what it is owed now. Where the forecast is
    unknown the previous plan is kept whole and the plan holds `DEMAND_UNKNOWN`.
    """
    executable = tuple(sc for sc in given.campaigns if is_executable(sc.campaign, given.approved))
    waiting = _not_executed(given, executable)
    if executable and given.forecast is None:
        return _kept(given, waiting)
    drafted = _as_before(given, executable, _draft(given, executable, given.forecast))
    return CapacityPlan(
        storefront=given.storefront.key.name,
        generated_at=given.now,
        horizon=moment_of(max(drafted.horizon, second_of(given.now))),
        steps=drafted.steps,
        proposed=_proposed(given, drafted, some_wait=bool(waiting)),
        peak_rps=drafted.peak_rps,
        cost=drafted.cost,
        risks=drafted.risks,
        holds=(*drafted.holds, *waiting),
        generations=_generations(given),
    )


def _as_before(given: PlanInput, campaigns: Sequence[ScheduledCampaign], drafted: _Drafted) -> _Drafted:
    """The previous steps whole, where inside a window only what comes after it would be another."""
    previous = given.previous
    begun = any(sc.occurrence.start <= given.now < window_of(sc).hold_until for sc in campaigns)
    if previous is None or not begun or previous.generations != _generations(given):
        return drafted
    baselines = {state.tier: state.baseline for state in given.tiers}
    if any(step.floor < baselines.get(step.tier, 0) for step in previous.steps):
        return drafted
    if _asked_for(previous.steps) != _asked_for(drafted.steps):
        return drafted
    return replace(drafted, steps=previous.steps, horizon=second_after(previous.horizon), cost=previous.cost)


def _asked_for(steps: Sequence[Step]) -> tuple[Step, ...]:
    return tuple(step for step in steps if step.reason not in GIVEN_BACK)


def _proposed(given: PlanInput, drafted: _Drafted, *, some_wait: bool) -> tuple[Step, ...]:
    """The steps that the plan would have besides, if every campaign were carried out and approved."""
    if not some_wait and all(risk.reason is not Reason.APPROVAL_REQUIRED for risk in drafted.risks):
        return ()
    forecast = given.proposed_forecast or (None if some_wait else given.forecast)
    shown = tuple(sc for sc in given.campaigns if not sc.campaign.suspend)
    present = set(drafted.steps)
    return tuple(step for step in _draft(given, shown, forecast, proposal=True).steps if step not in present)


def _generations(given: PlanInput) -> tuple[tuple[str, int], ...]:
    return tuple(dict.fromkeys((sc.campaign.key.name, sc.campaign.generation) for sc in given.campaigns))


def _not_executed(given: PlanInput, executable: Sequence[ScheduledCampaign]) -> tuple[Hold, ...]:
    """One Hold for each campaign that is planned and not carried out."""
    holds = {}
    for scheduled in given.campaigns:
        if scheduled.campaign.suspend or scheduled in executable:
            continue
        name, mode = scheduled.campaign.key.name, scheduled.campaign.mode
        reason = Reason.PREVIEW if mode is Mode.PREVIEW else Reason.APPROVAL_REQUIRED
        holds[name] = Hold(reason, name)
    return tuple(holds.values())


def _kept(given: PlanInput, waiting: tuple[Hold, ...]) -> CapacityPlan:
    """The previous plan, word for word, with the reason why there is no new one."""
    name = given.storefront.key.name
    unknown = Hold(Reason.DEMAND_UNKNOWN, name, detail="there is no forecast; floors are held as they were planned")
    if given.previous is None:
        return CapacityPlan(
            name, given.now, given.now, (), risks=(unknown,), holds=(unknown, *waiting), generations=_generations(given)
        )
    risks = tuple(risk for risk in given.previous.risks if risk != unknown)
    return replace(given.previous, generated_at=given.now, risks=(unknown, *risks), holds=(unknown, *waiting))


def _draft(
    given: PlanInput, campaigns: Sequence[ScheduledCampaign], forecast: Forecast | None, *, proposal: bool = False
) -> _Drafted:
    """The plan of `campaigns`, with no more steps than the API object may hold."""
    if not campaigns or forecast is None:
        return _Drafted()
    states = {state.tier: _sane(state) for state in given.tiers}
    frozen = freezes(given.policy.freeze_windows)
    ground = Ground(given, states, order_of(given.storefront, states), forecast, frozen, proposal)
    merged = stretches(campaigns)
    cases: tuple[Staircase, ...] = ()
    for coarser in _COARSER:
        cases = tuple(staircase(replace(ground, coarser=coarser), stretch) for stretch in merged)
        if sum(len(case.stairs) for case in cases) <= MOST_STEPS:
            break
    return _joined(ground, short_enough(cases))


def _sane(state: TierState) -> TierState:
    return state if state.baseline >= 0 else replace(state, baseline=0)


def _joined(ground: Ground, cases: Sequence[Staircase]) -> _Drafted:
    steps = envelope(cases, {name: state.baseline for name, state in ground.states.items()})
    now = second_of(ground.given.now)
    holds = _once(hold for case in cases for hold in case.holds)
    risks = (risk for case in cases for risk in _risks(ground, case, now))
    seconds: Counter[str] = Counter()
    for case in cases:
        seconds.update(case.replica_seconds)
    ends = [case.stretch.hold_until for case in cases] + [second_after(step.at) for step in steps]
    return _Drafted(
        steps=steps,
        horizon=max(ends, default=0),
        peak_rps=max((case.peak_rps for case in cases), default=0.0),
        cost=cost_of(ground.given.storefront, seconds),
        risks=_once((*holds, *risks)),
        holds=holds,
    )


def _risks(ground: Ground, case: Staircase, now: int) -> Iterator[Hold]:
    """What one stretch falls short of or runs into: caps, rollouts, and raises that begin too late."""
    yield from case.risks
    for cap in case.caps:
        yield Hold(cap.reason, cap.tier, {"want": cap.want, "fits": cap.fits})
    yield from late_tiers(now, case.stretch, case.raises, ground.states, ground.order)


def _once(holds: Iterable[Hold]) -> tuple[Hold, ...]:
    """One Hold per reason and subject: the nearest window's."""
    first: dict[tuple[Reason, str], Hold] = {}
    for hold in holds:
        first.setdefault((hold.reason, hold.subject), hold)
    return tuple(first.values())
