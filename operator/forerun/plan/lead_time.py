"""Lead time: capacity is raised so early that it is Ready when it is needed, and never lowered ahead of a spike."""

from collections import deque
from collections.abc import Sequence


def required(needs: Sequence[tuple[float, int]], end: float, lead_seconds: float) -> list[tuple[float, int]]:
    """`required(t) = max of need over [t, t + lead]`, as pieces (start, value), the last one (end, 0).

    `needs` are pieces (start, value) ascending by start, of any length, the last one up to `end`; before the first and
    from `end` on, nothing is needed. Negative leads count as 0. Moving each point earlier by the lead would let the
    neighbours of a spike scale down just before it; the maximum over the window ahead cannot. A piece is in sight from
    `start - lead` until it is over; a deque of those that no later, larger one hides makes it O(n).
    """
    lead = max(0.0, lead_seconds)
    seen: deque[tuple[float, int]] = deque()  # (over at, value), values decreasing
    moments = _moments(needs, end, lead)
    steps: list[tuple[float, int]] = []
    arriving = 0
    for moment in moments:
        while arriving < len(needs) and needs[arriving][0] - lead <= moment:
            value = needs[arriving][1]
            while seen and seen[-1][1] <= value:
                seen.pop()
            seen.append((needs[arriving + 1][0] if arriving + 1 < len(needs) else end, value))
            arriving += 1
        while seen and seen[0][0] <= moment:
            seen.popleft()
        highest = seen[0][1] if seen else 0
        if highest != (steps[-1][1] if steps else 0):
            steps.append((moment, highest))
    return steps


def _moments(needs: Sequence[tuple[float, int]], end: float, lead: float) -> list[float]:
    """All times at which a piece comes into sight or is over, ascending."""
    arrivals = {start - lead for start, _ in needs}
    return sorted(arrivals | {start for start, _ in needs[1:]} | {end})
