"""The rising side of a tier's floors in one stretch."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Raise(NamedTuple):
    """From `at` (seconds since 1970) on the floor is `floor`, because `campaigns` ask for it."""

    at: int
    floor: int
    campaigns: tuple[str, ...]


Raises = tuple[Raise, ...]  # ascending in time and in floor


def rising(raises: Iterable[Raise], baseline: int) -> Raises:
    """Only what rises above the baseline and above all before it; of several at one time the highest."""
    kept: list[Raise] = []
    for step in sorted(raises, key=lambda step: (step.at, -step.floor)):
        if step.floor > (kept[-1].floor if kept else baseline):
            kept.append(step)
    return tuple(kept)


def once(raises: Raises) -> Raises:
    """All at the first: each change of a cache's size moves its keys, and what was moved is cold."""
    return (raises[0]._replace(floor=raises[-1].floor),) if raises else ()


def capped(raises: Raises, ceiling: int) -> Raises:
    """No floor above `ceiling`; what is then no rise any more is left out."""
    return rising((step._replace(floor=min(step.floor, ceiling)) for step in raises), -1)


def floor_at(raises: Sequence[Raise], second: int, baseline: int) -> int:
    floor = baseline
    for step in raises:
        if step.at > second:
            break
        floor = step.floor
    return floor


def top(raises: Sequence[Raise], baseline: int) -> int:
    """The highest floor, at least the baseline."""
    return max(baseline, raises[-1].floor) if raises else baseline
