"""Who gets how much of what does not suffice: by priority, then max-min fair, in whole replicas. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True, slots=True)
class Want:
    """`count` more replicas of `each` accelerators. `name` is unique and breaks ties."""

    name: tuple[str, ...]
    priority: int
    each: int
    count: int


def shared(free: int, wants: Iterable[Want]) -> dict[tuple[str, ...], int]:
    """Replicas for each want out of `free` accelerators.

    Higher priorities are served before any lower one is looked at. Among equals the next replica goes to whoever has
    the fewest accelerators after it, so that nobody could get more without somebody who has no more getting less.
    Nothing is left that somebody could use; equal inputs give equal answers in any order.
    """
    granted: dict[tuple[str, ...], int] = {}
    ordered = sorted(wants, key=lambda want: (-want.priority, want.name))
    left = max(0, free)
    for _, group in groupby(ordered, key=lambda want: want.priority):
        equals = list(group)
        counts = _fair(left, equals)
        granted |= {want.name: count for want, count in zip(equals, counts, strict=True)}
        left -= sum(want.each * count for want, count in zip(equals, counts, strict=True))
    return granted


def _fair(free: int, wants: Sequence[Want]) -> list[int]:
    """First as high a level for all as fits, by bisection; then what is left, replica by replica."""
    low, high = 0, max((want.each * want.count for want in wants), default=0)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _cost(wants, middle) <= free else (low, middle - 1)
    counts = [_at_level(want, low) for want in wants]
    left = free - sum(want.each * count for want, count in zip(wants, counts, strict=True))
    hungry = [place for place, want in enumerate(wants) if counts[place] < want.count]
    while hungry:
        place = min(hungry, key=lambda i: ((counts[i] + 1) * wants[i].each, i))
        if wants[place].each <= left:
            counts[place] += 1
            left -= wants[place].each
        if counts[place] == wants[place].count or wants[place].each > left:
            hungry.remove(place)
    return counts


def _at_level(want: Want, level: int) -> int:
    """Replicas that come to at most `level` accelerators; those that need none cost nothing."""
    return max(0, want.count if want.each <= 0 else min(want.count, level // want.each))


def _cost(wants: Sequence[Want], level: int) -> int:
    return sum(want.each * _at_level(want, level) for want in wants)
