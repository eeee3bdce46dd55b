"""The demand that a stretch has to be ready for: the records of the forecast's quantile, few and rising."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from forerun.domain.campaign import ScheduledCampaign
from forerun.domain.forecast import Forecast, Segment
from forerun.domain.reason import Hold, Reason
from forerun.plan.service_level import level_of, quantile_at
from forerun.plan.windows import Stretch, window_of


class Merge(NamedTuple):
    """How close together records are one: `near_seconds` up to `near_until` (seconds since 1970), then `far_seconds`.

    What is near decides which floor stands, and is planned again soon; what is far shall only be few steps.
    """

    near_seconds: float
    far_seconds: float
    near_until: float

    def seconds_at(self, at: float) -> float:
        return self.near_seconds if at < self.near_until else self.far_seconds


class Record(NamedTuple):
    """From `at` on (whole seconds, within the stretch) the shop has to be ready for `door_rps`."""

    at: int
    door_rps: float


def rising_demand(
    forecast: Forecast, stretch: Stretch, default_level: float, merge: Merge, now: int
) -> tuple[Record, ...] | Hold:
    """Each time the demand exceeds all before it from `now` on; records that `merge` takes together are one.

    What is over asks for nothing more: so the floor of a spike that has passed may come down inside the window.
    A merged record has the time of its first and the demand of its last: earlier and fewer, never later or less.
    A stretch that the forecast does not touch, or a quantile that is not a number, is a Hold (`DEMAND_UNKNOWN`).
    """
    records: list[tuple[int, float]] = []
    covered, highest = False, -1.0
    for segment in forecast.segments:
        for at, demand in _cells(segment, forecast.reach, stretch, default_level, now):
            covered = True
            if not 0 <= demand < math.inf:
                return _unknown(stretch, "the forecast is not a number")
            if demand > highest:
                highest = demand
                records.append((at, demand))
    if not covered:
        return _unknown(stretch, "the forecast does not reach the window")
    return _merged(records, merge)


def _unknown(stretch: Stretch, why: str) -> Hold:
    return Hold(Reason.DEMAND_UNKNOWN, stretch.names[0], detail=f"{why}; floors are held as they were planned")


def _cells(
    segment: Segment, reach: Segment | None, stretch: Stretch, default_level: float, now: int
) -> list[tuple[int, float]]:
    """(time, demand at the level asked for) of the rows of `segment` that lie in the stretch and are not over.

    What `reach` covers is cut as finely as that is, and no higher.

    Of a stretch whose rows are all over, as it is still held, the last one stands for the rest. One that is no longer
    held is seen whole: its plan says how it went.
    """
    origin, step = segment.start.timestamp(), segment.step_seconds
    if not 0 < step < math.inf:
        return []
    ends = origin + step * len(segment.quantiles)
    over = now >= stretch.hold_until
    since = stretch.start if over else max(stretch.start, min(now, math.ceil(ends) - 1))
    first = min(len(segment.quantiles), max(0, math.floor((since - origin) / step)))
    last = min(len(segment.quantiles), max(0, math.ceil((stretch.hold_until - origin) / step)))
    if first >= last:
        return []
    spans = _levels(stretch.campaigns, default_level)
    cells = []
    for i in range(first, last):
        begin = origin + i * step
        row = segment.quantiles[i]
        level = spans[0][2] if len(spans) == 1 else _level_in(spans, begin, begin + step)
        demand = quantile_at(row, level)
        cells.extend(
            (max(stretch.start, math.floor(at)), limited)
            for at, limited in _limited(begin, begin + step, demand, reach, level, since)
        )
    return cells


def _limited(
    begin: float, end: float, demand: float, reach: Segment | None, level: float, since: float
) -> list[tuple[float, float]]:
    """(time, demand) of one cell `[begin, end)`: what `reach` covers of it after `since` in pieces, none higher."""
    if reach is None:
        return [(begin, demand)]
    origin, step = reach.start.timestamp(), reach.step_seconds
    first = max(0, math.floor((max(begin, since) - origin) / step))
    last = min(len(reach.quantiles), math.ceil((end - origin) / step))
    if first >= last:
        return [(begin, demand)]
    pieces = [
        (max(begin, origin + i * step), min(demand, quantile_at(reach.quantiles[i], level))) for i in range(first, last)
    ]
    beyond = origin + last * step
    return [*pieces, (beyond, demand)] if beyond < end else pieces


def _levels(campaigns: Sequence[ScheduledCampaign], default_level: float) -> list[tuple[float, float, float]]:
    """(start, hold_until, level) of each campaign; one that holds for ever where all ask for the same."""
    spans = [
        (sc.occurrence.start.timestamp(), window_of(sc).hold_until.timestamp(), level_of((sc,), default_level))
        for sc in campaigns
    ]
    return spans[:1] if len({level for _, _, level in spans}) == 1 else spans


def _level_in(spans: Sequence[tuple[float, float, float]], begin: float, end: float) -> float:
    """The highest level of the campaigns that are open at some time in `[begin, end)`."""
    return max((level for start, until, level in spans if start < end and begin < until), default=spans[0][2])


def _merged(records: Sequence[tuple[int, float]], merge: Merge) -> tuple[Record, ...]:
    groups: list[Record] = []
    for at, demand in records:
        if groups and at <= groups[-1].at + merge.seconds_at(groups[-1].at):
            groups[-1] = Record(groups[-1].at, demand)
        else:
            groups.append(Record(at, demand))
    return tuple(groups)
