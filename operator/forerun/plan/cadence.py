"""How often a Storefront is looked at: seldom far from its campaigns, often while one is open. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from forerun.domain.campaign import ScheduledCampaign
from forerun.domain.forecast import LEVELS, Forecast
from forerun.domain.observation import Sample
from forerun.domain.storefront import Storefront
from forerun.plan.windows import window_of

NEAR_SECONDS = 900.0  # demand is watched from this long before the first raise
QUIET = 6  # before the start, demand only says whether the baseline has moved
_AGES, _MOST_PATIENCE = 10.0, 8.0  # a tenth of the window's age, at most eight times `near_seconds`
_LOW, _HIGH = LEVELS.index(0.05), LEVELS.index(0.95)


@dataclass(frozen=True, slots=True)
class ForecastMade:
    """When the forecast that stands was asked for, and what demand is now."""

    at: datetime
    forecast: Forecast | None
    sample: Sample | None


def watched_ahead_seconds(storefront: Storefront, time_compression: float = 1.0) -> float:
    """How long before its start a campaign is near: all lead times and warm-ups in a row, and a quarter of an hour."""
    ahead = sum(tier.lead_time_seconds + tier.warm_up_seconds for tier in storefront.tiers)
    return NEAR_SECONDS / time_compression + ahead


def is_near(campaigns: Iterable[ScheduledCampaign], now: datetime, ahead_seconds: float) -> bool:
    """Whether the window of one of them is open, still held, or begins within `ahead_seconds`."""
    ahead = timedelta(seconds=ahead_seconds)
    return any(sc.occurrence.start - ahead <= now < window_of(sc).hold_until for sc in campaigns)


def has_begun(campaigns: Iterable[ScheduledCampaign], now: datetime) -> bool:
    return any(sc.occurrence.start <= now for sc in campaigns)


def sample_seconds(campaigns: Iterable[ScheduledCampaign], now: datetime, often_seconds: float) -> float:
    """Between two looks at live demand: seldom until the first window opens, then often until all is given back."""
    return often_seconds if has_begun(campaigns, now) else QUIET * often_seconds


def forecast_is_due(
    campaigns: Iterable[ScheduledCampaign],
    now: datetime,
    last: ForecastMade,
    near_seconds: float,
    far_seconds: float,
    *,
    active: bool,
) -> bool:
    """Whether the forecast is to be asked anew while nothing but time and demand has changed.

    Inside a window every `near_seconds` at first; then, as long as demand goes as foreseen, after a tenth of the time
    since the start. Demand outside the middle nine tenths of what was foreseen is asked about at once.
    """
    elapsed = (now - last.at).total_seconds()
    if not active:
        return elapsed >= far_seconds
    begun = [now - sc.occurrence.start for sc in campaigns if sc.occurrence.start <= now]
    if not begun:
        return elapsed >= QUIET * near_seconds
    patience = min(_MOST_PATIENCE, min(begun).total_seconds() / (_AGES * near_seconds))
    return elapsed >= near_seconds * max(1.0, patience) or (elapsed >= near_seconds and _is_surprised(last))


def _is_surprised(last: ForecastMade) -> bool:
    if last.forecast is None or last.sample is None:
        return False
    at, value = last.sample.at, last.sample.value
    for segment in last.forecast.segments:
        if segment.start <= at < segment.end:
            row = segment.quantiles[int((at - segment.start).total_seconds() // segment.step_seconds)]
            return not row[_LOW] <= value <= row[_HIGH]
    return False
