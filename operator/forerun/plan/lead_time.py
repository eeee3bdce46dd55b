"""Lead time: capacity is raised so early that it is Ready when it is needed, and never lowered ahead of a spike."""

from collections import deque
from collections.abc import Sequence

from forerun.domain.observation import LeadTime, LeadTimeSource

# 1 - 0.95^14 = 51 %: from so many starts on, the longest is more likely than not at or above the true p95.
ENOUGH_STARTS = 14


def lead_from(measured: LeadTime | None, declared_seconds: float) -> float:
    """The lead to plan with: as declared until measured; a few starts may lengthen it, only enough may shorten it.

    Where starts were seen that waited for a node or pulled an image, it is theirs, if that is longer: a raise for a
    campaign is larger than what the present nodes are used to, and whether they have room then is not known now.
    """
    if measured is None:
        return declared_seconds
    seen = max(measured.p95_seconds, measured.cold_p95_seconds or 0.0)
    return seen if is_enough(measured) else max(declared_seconds, seen)


def is_enough(measured: LeadTime) -> bool:
    """Whether so many starts were measured that the declared lead time is not asked any more."""
    return measured.samples >= ENOUGH_STARTS


def source_of(measured: LeadTime, declared_seconds: float) -> LeadTimeSource:
    """What `lead_from` has answered with."""
    if is_enough(measured) or lead_from(measured, declared_seconds) > declared_seconds:
        return LeadTimeSource.MEASURED
    return LeadTimeSource.DECLARED


def required(needs: Sequence[tuple[float, int]], end: float, lead_seconds: float) -> list[tuple[float, int]]:
    """`required(t) = max of need over [t, t + lead]`, as pieces (start, value), the last one (end, 0).

    `needs` are pieces (start, value) ascending by start, of any length, the last one up to `end`; before the first and
    from `end` on, nothing is needed. Negative leads count as 0. Moving each point earlier by the lead would let the
    neighbours of a spike scale down just before it; the maximum over the window ahead cannot. A piece is in sight from
    `start - lead` until it is over; a deque of those that no later, larger one hides makes it O(n).
    """
    lead = max(0.0, lead_seconds)
    seen: deque[tuple[float, int]] = deque()  # (over at, value), values decreasing
    ends = [start for start, _ in needs[1:]] + [end]
    steps: list[tuple[float, int]] = []
    arriving = before = 0
    for moment in sorted({start - lead for start, _ in needs} | set(ends)):
        while arriving < len(needs) and needs[arriving][0] - lead <= moment:
            _see(seen, ends[arriving], needs[arriving][1])
            arriving += 1
        while seen and seen[0][0] <= moment:
            seen.popleft()
        highest = seen[0][1] if seen else 0
        if highest != before:
            steps.append((moment, highest))
            before = highest
    return steps


def _see(seen: deque[tuple[float, int]], over_at: float, value: int) -> None:
    """A piece comes into sight: it hides all earlier ones that are no larger, for they are over before it."""
    while seen and seen[-1][1] <= value:
        seen.pop()
    seen.append((over_at, value))
