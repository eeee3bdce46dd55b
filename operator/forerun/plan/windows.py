"""Windows of campaigns on one axis: whole seconds since 1970, so that plans compare equal and read well."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from forerun.domain.campaign import Occurrence, ScheduledCampaign
from forerun.domain.capacity import Window

_LONGEST_HOLD_SECONDS = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """Windows that overlap or touch, merged: floors do not come down between `start` and `hold_until`."""

    campaigns: tuple[ScheduledCampaign, ...]  # by start
    start: int
    hold_until: int

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(sc.campaign.key.name for sc in self.campaigns))


def second_of(when: datetime) -> int:
    return math.floor(when.timestamp())


def second_after(when: datetime) -> int:
    return math.ceil(when.timestamp())


def moment_of(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def window_of(scheduled: ScheduledCampaign) -> Window:
    """The occurrence with the time until which its floors are owed."""
    held = scheduled.campaign.release.hold_for_seconds
    seconds = min(max(held, 0.0), _LONGEST_HOLD_SECONDS) if math.isfinite(held) else 0.0
    occurrence = scheduled.occurrence
    return Window(scheduled.campaign.key.name, occurrence, occurrence.end + timedelta(seconds=seconds))


def stretches(campaigns: Iterable[ScheduledCampaign]) -> tuple[Stretch, ...]:
    """The union of `[start, end + hold]` of all campaigns, ascending and disjoint."""
    merged: list[Stretch] = []
    for scheduled in sorted(campaigns, key=lambda sc: (sc.occurrence, sc.campaign.key)):
        start = second_of(scheduled.occurrence.start)
        until = second_after(window_of(scheduled).hold_until)
        if merged and start <= merged[-1].hold_until:
            last = merged[-1]
            merged[-1] = Stretch((*last.campaigns, scheduled), last.start, max(last.hold_until, until))
        else:
            merged.append(Stretch((scheduled,), start, until))
    return tuple(merged)


def freezes(windows: Sequence[Occurrence]) -> tuple[tuple[int, int], ...]:
    """Freeze windows in whole seconds, merged, ascending, disjoint."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted((second_of(w.start), second_after(w.end)) for w in windows):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return tuple(merged)


def before_freeze(second: int, frozen: Sequence[tuple[int, int]]) -> int:
    """`second` itself, or the last second before the freeze that it falls into."""
    for start, end in reversed(frozen):
        if start <= second < end:
            second = start - 1
    return second


def after_freeze(second: int, frozen: Sequence[tuple[int, int]]) -> int:
    """`second` itself, or the end of the freeze that it falls into."""
    for start, end in frozen:
        if start <= second < end:
            second = end
    return second
