"""The forecast port: quantiles on a time grid, never one number."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from forerun.domain.campaign import CampaignType, Expected, Occurrence, Overlap, ScheduledCampaign
from forerun.domain.observation import DemandSeries

LEVELS: tuple[float, ...] = (
    *(0.005, 0.025, 0.05, 0.165, 0.25, 0.5, 0.75, 0.835),
    *(0.9, 0.95, 0.975, 0.99, 0.995, 0.999),
)


CURVE_POINTS = 60
CURVE_SPAN = 1.25  # windows: the tail after the end is learnt as well


Identity = tuple[str, CampaignType, Occurrence]


@dataclass(frozen=True, slots=True)
class EventWindow:
    """One occurrence as the forecast sees it. Past ones are masked in the baseline and learnt from."""

    campaign: str  # "namespace/name"
    type: CampaignType
    occurrence: Occurrence
    expected: Expected
    overlap: Overlap = Overlap.SUM
    priority: int = 0

    @classmethod
    def of(cls, scheduled: ScheduledCampaign) -> "EventWindow":
        """One occurrence of a campaign."""
        campaign = scheduled.campaign
        return cls(
            campaign=campaign.key.name,
            type=campaign.type,
            occurrence=scheduled.occurrence,
            expected=campaign.expected,
            overlap=campaign.overlap,
            priority=campaign.priority,
        )

    @property
    def identity(self) -> Identity:
        """What makes two windows one occurrence: campaign, type, start and end."""
        return self.campaign, self.type, self.occurrence


@dataclass(frozen=True, slots=True)
class Lesson:
    """What one finished occurrence did to its Storefront: small enough to be kept for ever.

    `log_uplift[i]` is the mean of `log(demand / usual demand)` over the i-th of `CURVE_POINTS` equal slices of
    `[start, start + CURVE_SPAN * (end - start))`, None where nothing was measured; `noise_log_sd` is the
    spread of one such slice on ordinary days. `usual_rps` is the mean usual demand inside the window.
    """

    window: EventWindow
    usual_rps: float
    noise_log_sd: float
    log_uplift: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class ForecastRequest:
    """Everything the forecast may see at `now`: nothing measured after it.

    `history` is coarse and long (weeks); `recent` is fine and short (the last hours, up
    to `now`); either is None where unknown. `upcoming` holds current and next windows. `experience`
    is what earlier occurrences taught, whether or not `history` still reaches back to them.
    """

    storefront: str
    now: datetime
    history: DemandSeries | None
    recent: DemandSeries | None
    upcoming: tuple[EventWindow, ...]
    past: tuple[EventWindow, ...] = ()
    experience: tuple[Lesson, ...] = ()


@dataclass(frozen=True, slots=True)
class Segment:
    """Quantiles of the Storefront's total demand over one stretch of time.

    `quantiles[i][j]` is the demand in requests/s at level `LEVELS[j]` over
    `[start + i*step, start + (i+1)*step)`; non-negative, finite, non-decreasing in j.
    """

    start: datetime
    step_seconds: float
    quantiles: tuple[tuple[float, ...], ...]

    @property
    def end(self) -> datetime:
        return self.start + timedelta(seconds=self.step_seconds * len(self.quantiles))


@dataclass(frozen=True, slots=True)
class Peak:
    """Peak of the total demand inside one campaign's window."""

    campaign: str
    occurrence: Occurrence
    p50_rps: float
    p90_rps: float
    p99_rps: float
    at: datetime
    quantiles: tuple[float, ...] = ()  # at LEVELS


@dataclass(frozen=True, slots=True)
class Forecast:
    """`segments` are disjoint, ascending, and cover every upcoming window; `basis` says what it rests on.

    `learnt` are the past windows that could be read off the history and are not in the request's experience. `reach` is
    a second opinion on the next minutes: how far demand may rise from where it stands; None where nothing says so.
    """

    storefront: str
    made_at: datetime
    segments: tuple[Segment, ...]
    peaks: tuple[Peak, ...]
    basis: str  # "history+declared", "declared", "history+prior", "live", ...
    learnt: tuple[Lesson, ...] = ()
    reach: Segment | None = None
