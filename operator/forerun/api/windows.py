"""The occurrences of a schedule: half-open windows `[start, end)` in UTC, in bounded work.

Every function takes a checked `Schedule` (see `api.schedules`) and aware times.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import lru_cache
from itertools import islice

from forerun.api import recurrence
from forerun.api.zones import to_utc, to_wall, zone
from forerun.domain.campaign import Campaign, Occurrence, Schedule, ScheduledCampaign

MOST_OCCURRENCES = 1000
HORIZON = timedelta(days=400)
_DAY = timedelta(days=1)
# how far the next occurrence is looked for, in growing steps: the common answer is near, and cached small
_LOOK_AHEAD = (timedelta(days=8), timedelta(days=64), HORIZON)
_LOOK_BACK = (timedelta(days=8), timedelta(days=64), HORIZON, timedelta(days=3000))
_CACHED_SPAN = timedelta(days=80)
# schedules start in the years 2000 to 2099; asking beyond a century around them finds nothing new
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
_LATEST = datetime(2190, 1, 1, tzinfo=UTC)


def occurrences(schedule: Schedule, after: datetime, before: datetime) -> tuple[Occurrence, ...]:
    """The occurrences with `start < before` and `end > after`, ascending; at most the first 1,000."""
    return tuple(islice(_overlapping(schedule, after, before), MOST_OCCURRENCES))


def current_or_next(schedule: Schedule, now: datetime) -> Occurrence | None:
    """The occurrence that contains `now`, else the next one that starts within 400 days."""
    for ahead in _LOOK_AHEAD:
        found = next(_overlapping(schedule, now, min(now, _LATEST) + ahead), None)
        if found is not None:
            return found
    return None


def latest_before(schedule: Schedule, now: datetime) -> Occurrence | None:
    """The occurrence that ended last, at or before `now`."""
    beginning = to_utc(schedule.start_local, _place(schedule)) - _DAY
    for back in _LOOK_BACK:
        since = max(max(now, _EARLIEST) - back, beginning)
        ended = [found for found in _overlapping(schedule, since, now) if found.end <= now]
        if ended:
            return max(ended, key=lambda found: (found.end, found.start))
        if since == beginning:
            break
    return None


def past_occurrences(schedule: Schedule, since: datetime, now: datetime) -> tuple[Occurrence, ...]:
    """The occurrences that ended in `(since, now]`, ascending; at most the last 1,000."""
    ended = [found for found in _overlapping(schedule, since, now) if found.end <= now]
    return tuple(ended[-MOST_OCCURRENCES:])


def windows_of(campaign: Campaign, now: datetime, *, held: bool) -> list[ScheduledCampaign]:
    """What may ask for capacity at `now`: the last occurrence while it is held, and the current or next one.

    `held`: the ledger says that something stands for this campaign, whatever its hold.
    """
    last, following = latest_before(campaign.schedule, now), current_or_next(campaign.schedule, now)
    hold = timedelta(seconds=campaign.release.hold_for_seconds)
    still = last if last is not None and (held or now < last.end + hold) else None
    return [ScheduledCampaign(campaign, occurrence) for occurrence in (still, following) if occurrence is not None]


def window_length(schedule: Schedule) -> timedelta:
    """Wall-clock or elapsed length of a window, whichever the schedule states."""
    if schedule.end_local is not None:
        return schedule.end_local - schedule.start_local
    return timedelta(seconds=schedule.duration_seconds or 0.0)


def occurrence_at(schedule: Schedule, wall: datetime) -> Occurrence:
    """The window that starts at the naive wall time `wall`.

    The end of a wall-clock window keeps the wall-clock length. Where a gap makes that end
    fall on or before the start, the window keeps its elapsed length instead.
    """
    place = _place(schedule)
    # the second pass of an overlap can be meant only by a start that was written with its offset
    fold = schedule.start_local.fold if wall == schedule.start_local else 0
    start = to_utc(wall.replace(fold=fold), place)
    length = window_length(schedule)
    if schedule.end_local is None:
        return Occurrence(start, start + length)
    end = to_utc(wall.replace(fold=0) + length, place)
    return Occurrence(start, end if end > start else start + length)


def _overlapping(schedule: Schedule, after: datetime, before: datetime) -> Iterator[Occurrence]:
    after, before = max(after, _EARLIEST), min(before, _LATEST)
    if after >= before:
        return
    place = _place(schedule)
    # a day on each side covers every offset, and every change of one
    low = to_wall(after, place) - window_length(schedule) - _DAY
    high = to_wall(before, place) + _DAY
    for found in _between(schedule, low, high):
        if found.start < before and found.end > after:
            yield found


def _between(schedule: Schedule, low: datetime, high: datetime) -> Iterator[Occurrence] | tuple[Occurrence, ...]:
    """Occurrences whose wall-clock start lies in `[low, high)` and, at the edges, a little more."""
    if schedule.recurrence is not None and high - low < _CACHED_SPAN:
        return _cached(
            schedule, schedule.start_local.fold, datetime.combine(low, time()), datetime.combine(high, time()) + _DAY
        )
    return _expanded(schedule, low, high)


@lru_cache(maxsize=4096)
def _cached(schedule: Schedule, fold: int, low: datetime, high: datetime) -> tuple[Occurrence, ...]:
    # schedules whose starts differ in the fold alone are equal: the fold is part of the key
    meant = replace(schedule, start_local=schedule.start_local.replace(fold=fold))
    return tuple(_expanded(meant, low, high))


def _expanded(schedule: Schedule, low: datetime, high: datetime) -> Iterator[Occurrence]:
    for wall in _starts(schedule, low):
        if wall >= high:
            return
        if wall >= low and wall.date() not in schedule.exclude:
            yield occurrence_at(schedule, wall)


def _starts(schedule: Schedule, low: datetime) -> Iterator[datetime]:
    if schedule.recurrence is None:
        return iter((schedule.start_local.replace(fold=0),))
    rule = recurrence.read_rule(schedule.recurrence)
    if not isinstance(rule, recurrence.Rule):
        raise ValueError(f"not a checked schedule: {rule}")  # noqa: TRY004 - the value is wrong, not its type
    return recurrence.starts(in_zone(rule, _place(schedule)), schedule.start_local, low)


def in_zone(rule: recurrence.Rule, place: tzinfo) -> recurrence.Rule:
    """The rule with an UNTIL in UTC as wall time of `place`."""
    if rule.until is None or rule.until.tzinfo is None:
        return rule
    until = to_wall(rule.until, place)
    return recurrence.Rule(rule.frequency, rule.interval, rule.count, until, rule.filters)


def _place(schedule: Schedule) -> tzinfo:
    place = zone(schedule.time_zone)
    if place is None:
        raise ValueError(f"not a checked schedule: no zone {schedule.time_zone!r}")
    return place
