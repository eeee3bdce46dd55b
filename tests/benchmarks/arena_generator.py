"""Generated shop campaigns that the arena judges by: an endless stream per seed and family.

Held out: no code, shape or prior is shared with the forecast (a test reads the imports). Three of ten campaigns are
answered in a way that the literature's shapes do not know. A case depends on (seed, family, index) alone. The wrong
declarations are made on drops: `late-30min/0007` is the shop and the burst of `drop/0007`, and only what was
declared is wrong.
"""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

import numpy as np
from arena_shapes import (
    Shape,
    draw_drop,
    draw_influencer,
    draw_launch,
    draw_newsletter,
    draw_outside,
    draw_sale_day,
    draw_tv_spot,
)
from arena_shops import (
    DAY_SECONDS,
    HISTORY_BINS,
    HISTORY_STEP_SECONDS,
    Array,
    Shop,
    added_to_history,
    autocorrelated,
    draw_shop,
    history_rps,
    regular,
    slow_level,
)

from forerun.domain.campaign import CampaignType, Expected
from forerun.domain.observation import DemandSeries

WRONG_DECLARATIONS = ("declared-x0.1", "declared-x10", "early-30min", "late-30min", "cancelled", "undeclared")
FAMILIES = ("drop", "newsletter", "influencer", "tv-spot", "sale-day", "launch", "overlap", *WRONG_DECLARATIONS)
OUTSIDE_SHARE = 0.3
_LATE_SECONDS = {"early-30min": -1800.0, "late-30min": 1800.0}
_DECLARED_FACTOR = {"declared-x0.1": 0.1, "declared-x10": 10.0}
_EPOCH = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
_SHOP, _EVENT, _SECOND, _PAST, _DECLARED, _HISTORY, _SPAN = range(7)  # streams of random numbers of one case


@dataclass(frozen=True, slots=True)
class PastCampaign:
    """An earlier occurrence of the same kind; its effect is in the history."""

    start: datetime
    end: datetime
    campaign_type: CampaignType
    expected: Expected


@dataclass(frozen=True, slots=True)
class OtherCampaign:
    """Another declared campaign whose window overlaps."""

    campaign_type: CampaignType
    start: datetime
    end: datetime
    expected: Expected


@dataclass(frozen=True, slots=True)
class GeneratedCampaign:
    """One case: what the world shows, and below it the truth, to judge by alone."""

    name: str  # "drop/0007"
    family: str
    campaign_type: CampaignType
    start: datetime  # declared, to the minute; where the burst is if undeclared
    end: datetime
    expected: Expected  # what marketing declared; all None: nothing
    declared: bool  # False: nobody knows of it
    others: tuple[OtherCampaign, ...]
    past: tuple[PastCampaign, ...]
    history: DemandSeries  # 28 days up to span_start, 300 s bins
    span_start: datetime
    tick_seconds: float
    demand_rps: Array  # [T] at the door, mean of each tick from span_start on

    # truth
    happens_at: datetime | None  # None: cancelled
    usual_rps: Array  # [T] without noise and campaigns
    noise_free_rps: Array  # [T] with the campaigns
    true_multiplier: float  # 1 + the campaign's greatest addition / usual demand; 1.0 if cancelled
    rise_seconds: float  # 0: the shape has a rise of its own
    shape: str
    in_family: bool  # False: the answer is outside of the literature's shapes


@dataclass(frozen=True, slots=True)
class _Kind:
    types: tuple[CampaignType, ...]
    multipliers: tuple[float, float]  # peak / usual; for drops where the rise ends
    hours: tuple[float, float]  # how long
    clock: tuple[int, int]  # local hours in which it starts
    lateness_seconds: float  # standard deviation of the true start; 0: to the second
    outside_rise_seconds: tuple[float, float]
    sigma: float  # of the declared multiplier, log
    draw: Callable[[np.random.Generator], Shape]


_KINDS = {
    "drop": _Kind((CampaignType.FLASH_SALE,), (5, 20), (0.5, 4), (8, 22), 0, (60, 180), 0.25, draw_drop),
    "newsletter": _Kind(
        (CampaignType.NEWSLETTER, CampaignType.NEWSLETTER, CampaignType.PUSH_NOTIFICATION),
        *((1.3, 5), (2, 8), (6, 20), 90, (120, 900), 0.35, draw_newsletter),
    ),
    "influencer": _Kind((CampaignType.INFLUENCER,), (1.5, 15), (1, 6), (10, 23), 480, (60, 600), 0.5, draw_influencer),
    "tv-spot": _Kind((CampaignType.TV_SPOT,), (1.5, 10), (0.5, 1.5), (17, 23), 20, (5, 40), 0.35, draw_tv_spot),
    "sale-day": _Kind((CampaignType.SEASONAL_SALE,), (1.3, 5), (8, 36), (0, 10), 0, (300, 3600), 0.3, draw_sale_day),
    "launch": _Kind((CampaignType.PRODUCT_LAUNCH,), (1.2, 8), (4, 16), (7, 19), 30, (600, 5400), 0.4, draw_launch),
}
_FIRST_OF_TWO = ("drop", "newsletter", "influencer", "launch")
_SECOND_OF_TWO = ("newsletter", "influencer", "tv-spot")


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a shop does again and again: one kind of campaign, answered by one shape. Times are epoch seconds."""

    kind: _Kind
    campaign_type: CampaignType
    shape: Shape
    start: float
    duration_seconds: float
    centre: float  # of the multiplier, log, as a part of the kind's range
    scatter: float  # of one occurrence's multiplier, log
    follows_season: bool  # the addition grows and shrinks with usual demand, or is as large at any hour


@dataclass(frozen=True, slots=True)
class _Occurrence:
    plan: _Plan
    number: int  # seed of what is different at each occurrence
    start: float
    onset: float
    multiplier: float

    @property
    def end(self) -> float:
        return self.start + self.plan.duration_seconds

    @property
    def peak(self) -> float:
        """1 + the greatest addition / usual demand."""
        return 1.0 + (self.multiplier - 1.0) * self.plan.shape.peak(self.plan.duration_seconds, self.number)

    def added_rps(self, shop: Shop, at: Array, since: float) -> Array:
        usual = shop.usual_rps(at if self.plan.follows_season else np.array([self.onset]), since)
        return (
            (self.multiplier - 1.0)
            * usual
            * self.plan.shape.at(at - self.onset, self.plan.duration_seconds, self.number)
        )


def generate(seed: int, count: int, family: str, tick_seconds: float = 5.0) -> Iterator[GeneratedCampaign]:
    """Cases 0 to count - 1 of a family; ValueError for a family that there is not."""
    if family not in FAMILIES:
        raise ValueError(f"{family!r} is none of {', '.join(FAMILIES)}")
    return (case(seed, family, index, tick_seconds) for index in range(count))


def case(seed: int, family: str, index: int, tick_seconds: float = 5.0) -> GeneratedCampaign:
    """One case, the same whichever others are made."""
    name = zlib.crc32(("drop" if family in WRONG_DECLARATIONS else family).encode())
    streams = [np.random.default_rng([seed, name, index, stream]) for stream in range(7)]
    shop = draw_shop(streams[_SHOP])
    rng = streams[_EVENT]
    kind = str(rng.choice(_FIRST_OF_TWO)) if family == "overlap" else family if family in _KINDS else "drop"
    plan = _draw_plan(kind, shop, rng)
    now = _occur(plan, plan.start, rng)
    now = replace(now, onset=now.onset + _LATE_SECONDS.get(family, 0.0))
    second = _draw_second(plan, kind, shop, streams[_SECOND]) if family == "overlap" else None
    happening = [] if family == "cancelled" else [now] if second is None else [now, second]
    span_start = plan.start - 60.0 * float(rng.integers(60, 91))
    span_end = max(max(each.end, each.onset + each.plan.duration_seconds) for each in [now, *happening]) + 3600.0
    past = _draw_past(plan, span_start, streams[_PAST])
    ticks = int(np.ceil((span_end - span_start) / tick_seconds))
    demand, usual, noise_free, history = _demand(shop, happening, past, span_start, ticks, tick_seconds, streams)
    declared = streams[_DECLARED]
    usual_form = _form(declared)
    form = "multiplier" if family in _DECLARED_FACTOR else usual_form
    expected = _declare(shop, now, form, span_start, declared, _DECLARED_FACTOR.get(family, 1.0))
    return GeneratedCampaign(
        name=f"{family}/{index:04d}",
        family=family,
        campaign_type=plan.campaign_type,
        start=_when(now.start),
        end=_when(now.end),
        expected=Expected() if family == "undeclared" else expected,
        declared=family != "undeclared",
        others=() if second is None else (_other(shop, second, span_start, declared),),
        past=tuple(_past(shop, each, form, span_start, declared) for each in past),
        history=DemandSeries(_when(_history_start(span_start)), HISTORY_STEP_SECONDS, tuple(history.tolist())),
        span_start=_when(span_start),
        tick_seconds=tick_seconds,
        demand_rps=_frozen(demand),
        happens_at=_when(now.onset) if happening else None,
        usual_rps=_frozen(usual),
        noise_free_rps=_frozen(noise_free),
        true_multiplier=now.peak if happening else 1.0,
        rise_seconds=plan.shape.rise_seconds,
        shape=plan.shape.name,
        in_family=plan.shape.in_family,
    )


def _draw_plan(name: str, shop: Shop, rng: np.random.Generator) -> _Plan:
    kind = _KINDS[name]
    outside = rng.random() < OUTSIDE_SHARE
    shape = draw_outside(rng, kind.outside_rise_seconds) if outside else kind.draw(rng)
    if rng.random() < 0.1 and name in {"drop", "launch"}:
        hour = 0.0  # at midnight, when the date changes
    else:
        hour = float(rng.integers(*kind.clock, endpoint=True)) + float(rng.choice((0.0, 0.0, 0.0, 0.5, 0.25, 1 / 60)))
    start = _EPOCH + DAY_SECONDS * float(rng.integers(40, 700)) + 3600.0 * hour - shop.offset_seconds
    quarters = np.exp(rng.uniform(*np.log(kind.hours))) * 4.0
    return _Plan(
        kind,
        campaign_type=CampaignType(rng.choice(kind.types)),
        shape=shape,
        start=float(round(start / 60.0) * 60),
        duration_seconds=float(np.round(quarters)) * 900.0,
        centre=float(rng.random()),
        scatter=float(np.exp(rng.uniform(np.log(0.08), np.log(0.4)))),
        follows_season=name == "sale-day" or bool(rng.random() < 0.5),
    )


def _draw_second(first: _Plan, name: str, shop: Shop, rng: np.random.Generator) -> _Occurrence:
    """Another campaign that starts inside the first one's window."""
    other = str(rng.choice([each for each in _SECOND_OF_TWO if each != name]))
    inside = max(300.0 * round(rng.uniform(0.1, 0.8) * first.duration_seconds / 300.0), 300.0)
    plan = replace(_draw_plan(other, shop, rng), start=first.start + inside)
    return _occur(plan, plan.start, rng)


def _occur(plan: _Plan, start: float, rng: np.random.Generator) -> _Occurrence:
    """All occurrences of a plan, the present one too, scatter alike about its centre.

    Mirrored at the ends of the kind's range: so each is log-uniform in it by itself.
    """
    low, high = np.log(plan.kind.multipliers)
    place = (plan.centre + plan.scatter * rng.normal() / (high - low)) % 2.0
    size = float(np.exp(low + (high - low) * min(place, 2.0 - place)))
    late = plan.kind.lateness_seconds * float(np.clip(rng.normal(), -3.0, 3.0))
    return _Occurrence(plan, int(rng.integers(2**31)), start, start + late, size)


def _draw_past(plan: _Plan, span_start: float, rng: np.random.Generator) -> tuple[_Occurrence, ...]:
    """None to six, oldest first: every week, or on irregular days and partly at other hours."""
    count = int(rng.integers(0, 7))
    apart = int(np.ceil((plan.duration_seconds + 18_000.0) / DAY_SECONDS))  # hours of moving, and some rest
    if rng.random() < 0.4:
        days, moved = np.array([7.0, 14.0, 21.0, 28.0])[:count], np.zeros(min(count, 4))
    else:
        days = rng.permutation(np.arange(apart, 28, apart, dtype=float))[:count]
        moved = np.round(rng.uniform(-6.0, 6.0, days.size)) * (900.0 if rng.random() < 0.5 else 0.0)
    starts = np.sort(plan.start - days * DAY_SECONDS + moved)
    inside = starts[starts + plan.duration_seconds + 1800.0 <= span_start]
    return tuple(_occur(plan, float(start), rng) for start in inside)


def _demand(
    shop: Shop,
    happening: list[_Occurrence],
    past: tuple[_Occurrence, ...],
    span_start: float,
    ticks: int,
    tick_seconds: float,
    streams: list[np.random.Generator],
) -> tuple[Array, Array, Array, Array]:
    """Demand, usual and noise-free demand [T], and the history [8064]."""
    rng, began = streams[_SPAN], _history_start(span_start)
    bins = HISTORY_BINS + int(np.ceil(ticks * tick_seconds / HISTORY_STEP_SECONDS)) + 1
    level = slow_level(shop, began, bins, streams[_HISTORY])
    added = np.zeros(HISTORY_BINS)
    for each in past:  # what is left eight hours after the end is lost in the noise
        addition_of = partial(each.added_rps, shop, since=span_start)
        added += added_to_history(addition_of, began, each.onset - 1200.0, each.end + 28_800.0)
    history = history_rps(shop, began, added, level[:HISTORY_BINS], streams[_HISTORY])
    at, parts = regular(span_start, tick_seconds, ticks), 3  # the mean of a tick, from so many points
    usual = shop.usual_rps(at, span_start)
    addition = np.zeros(ticks)
    for each in happening:
        fine = each.added_rps(shop, regular(span_start, tick_seconds / parts, ticks * parts), span_start)
        addition += fine.reshape(ticks, parts).mean(axis=1)
    centres = regular(began, HISTORY_STEP_SECONDS, bins)
    fast = np.exp(shop.fast_sd * autocorrelated(rng, ticks, tick_seconds, shop.fast_seconds))
    wobble = np.exp(shop.wobble_sd * autocorrelated(rng, ticks, tick_seconds, 2.0 * shop.fast_seconds))
    rate = (usual + addition * wobble) * fast * np.interp(at, centres, level)
    return shop.counted(rate, tick_seconds, rng), usual, usual + addition, history


def _form(rng: np.random.Generator) -> str:
    return str(rng.choice(("multiplier", "both", "peak", "nothing"), p=(0.7, 0.1, 0.12, 0.08)))


def _declare(
    shop: Shop, what: _Occurrence, form: str, since: float, rng: np.random.Generator, wrong: float = 1.0
) -> Expected:
    """What marketing says: the truth with a log-normal error, times the shop's bias; never below 1.05."""
    error = float(np.exp(what.plan.kind.sigma * rng.normal()))
    multiplier = max(what.peak * error * shop.declares * wrong, 1.05)
    peak_rps = multiplier * float(shop.usual_rps(np.array([what.start]), since)[0])
    return Expected(
        multiplier=multiplier if form in {"multiplier", "both"} else None,
        peak_rps=peak_rps if form in {"peak", "both"} else None,
    )


def _past(shop: Shop, each: _Occurrence, form: str, since: float, rng: np.random.Generator) -> PastCampaign:
    said = _declare(shop, each, form, since, rng)
    return PastCampaign(_when(each.start), _when(each.end), each.plan.campaign_type, said)


def _other(shop: Shop, each: _Occurrence, since: float, rng: np.random.Generator) -> OtherCampaign:
    said = _declare(shop, each, _form(rng), since, rng)
    return OtherCampaign(each.plan.campaign_type, _when(each.start), _when(each.end), said)


def _history_start(span_start: float) -> float:
    return span_start - HISTORY_BINS * HISTORY_STEP_SECONDS


def _when(epoch_seconds: float) -> datetime:
    return datetime.fromtimestamp(epoch_seconds, UTC)


def _frozen(values: Array) -> Array:
    values.setflags(write=False)
    return values
