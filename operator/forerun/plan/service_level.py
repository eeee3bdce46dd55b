"""Which quantile of the forecast the plan asks for."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from forerun.domain.campaign import ScheduledCampaign
from forerun.domain.forecast import LEVELS


def quantile_at(row: Sequence[float], level: float) -> float:
    """The quantile at `level` of one row of a Segment: linear between LEVELS, clamped to the first and the last."""
    if not level > LEVELS[0]:
        return row[0]
    if level >= LEVELS[-1]:
        return row[-1]
    above = bisect_right(LEVELS, level)
    below = above - 1
    share = (level - LEVELS[below]) / (LEVELS[above] - LEVELS[below])
    # the form that is exact at both ends, and so non-decreasing across levels
    return row[below] * (1 - share) + row[above] * share if share else row[below]


def level_of(campaigns: Iterable[ScheduledCampaign], default: float) -> float:
    """The highest service level that one of `campaigns` asks for; the policy's default where it names none."""
    levels = [default if sc.campaign.service_level is None else sc.campaign.service_level for sc in campaigns]
    known = [level for level in levels if math.isfinite(level)]
    return max(known, default=0.99)
