"""Warming a cache: what is asked, what was begun, and how far it is. Ready replicas that are empty serve nobody."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Warmth(StrEnum):
    """Whether the consumers of a tier may count on what it holds."""

    NOT_ASKED = "NotAsked"  # no warm-up, or no raise that needs one
    COLD = "Cold"  # there is still time: consumers wait
    WARM = "Warm"
    TIMED_OUT = "TimedOut"  # not warm in time: consumers go on, and the campaign is not ready


@dataclass(frozen=True, slots=True)
class WarmKeys:
    """What to warm first: the values of `label` in the answer to `query`, the largest `limit` of them."""

    query: str
    label: str
    limit: int


@dataclass(frozen=True, slots=True)
class WarmUp:
    """What a tier asks for between Ready and warm. At least one of `job_template` and `hit_ratio_query` is there."""

    job_template: str | None = None  # a CronJob of the same namespace whose jobTemplate is run once
    hit_ratio_query: str | None = None
    min_hit_ratio: float | None = None  # with `hit_ratio_query`, and only with it
    timeout_seconds: float = 600.0
    keys: WarmKeys | None = None


@dataclass(frozen=True, slots=True)
class WarmUpRecord:
    """One warm-up that was begun, for one occurrence of one campaign. It outlives a restart and the Job."""

    tier: str
    campaign: str
    start: datetime  # of the occurrence
    began_at: datetime
    job: str | None = None
    ended_at: datetime | None = None  # of the Job, whichever way it ended
    failed: bool = False
    warm_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class JobSeen:
    """A warm-up Job as the API server shows it."""

    created_at: datetime
    ended_at: datetime | None = None
    failed: bool = False
