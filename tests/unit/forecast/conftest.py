import math
from datetime import UTC, datetime, timedelta

import pytest

from forerun.domain.campaign import CampaignType, Expected, Occurrence, Overlap
from forerun.domain.forecast import EventWindow, ForecastRequest
from forerun.domain.observation import DemandSeries

START = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)


def usual(at: datetime) -> float:
    """A shop that sells by day: 100/s, plus and minus 50 over the hours."""
    hours = at.hour + at.minute / 60
    return 100.0 + 50.0 * math.sin(2 * math.pi * (hours - 9) / 24)


class Scene:
    start = START

    def series(self, begin, end, step, demand=usual):
        count = round((end - begin).total_seconds() / step)
        # a fixed ripple of 4 % instead of chance
        values = tuple(
            demand(begin + timedelta(seconds=(i + 0.5) * step)) * (1 + 0.04 * math.sin(i * 2.399)) for i in range(count)
        )
        return DemandSeries(begin, step, values)

    def history(self, days=14, now=START, demand=usual):
        return self.series(now - timedelta(days=days), now, 300.0, demand)

    def window(
        self,
        name="shop/sale",
        type=CampaignType.CUSTOM,  # noqa: A002  (the word of the domain)
        start=START,
        hours=2.0,
        overlap=Overlap.SUM,
        priority=0,
        **expected,
    ):
        return EventWindow(
            name, type, Occurrence(start, start + timedelta(hours=hours)), Expected(**expected), overlap, priority
        )

    def request(self, *windows, now=START - timedelta(hours=1), history=None, recent=None, past=()):
        return ForecastRequest("shop/main", now, history, recent, windows, tuple(past))


@pytest.fixture
def scene():
    return Scene()
