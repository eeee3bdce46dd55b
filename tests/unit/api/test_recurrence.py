"""Which rules are taken, and that no rule makes work without bound."""

from datetime import datetime, timedelta

import pytest

from forerun.api import recurrence
from forerun.api.recurrence import Rule, has_start, read_rule

FIRST = datetime(2027, 3, 1, 8)


@pytest.mark.parametrize(
    "text",
    [
        "FREQ=DAILY",
        "INTERVAL=2;FREQ=WEEKLY;BYDAY=MO,WE;WKST=SU",
        "FREQ=MONTHLY;BYDAY=-1FR",
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
        "FREQ=YEARLY;BYMONTH=11;BYDAY=4TH",
        "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO",
        "FREQ=YEARLY;BYYEARDAY=-1,100",
        "FREQ=MONTHLY;BYMONTHDAY=-1",
        "FREQ=DAILY;COUNT=10",
        "FREQ=DAILY;UNTIL=20271231T235959Z",
    ],
)
def test_taken(text):
    rule = read_rule(text)

    assert isinstance(rule, Rule)
    assert has_start(rule.__class__(rule.frequency, rule.interval, rule.count, None, rule.filters), FIRST)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "RFC 5545"),
        ("RRULE:FREQ=DAILY", "RFC 5545"),
        ("FREQ=HOURLY", "FREQ=DAILY"),
        ("freq=daily", "FREQ=DAILY"),
        ("FREQ=DAILY;BYHOUR=8", "RFC 5545"),
        ("FREQ=DAILY;BYEASTER=1", "RFC 5545"),
        ("BYDAY=MO", "needs FREQ"),
        ("FREQ=DAILY;FREQ=WEEKLY", "twice"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL"),
        ("FREQ=DAILY;INTERVAL=1001", "INTERVAL"),
        ("FREQ=DAILY;COUNT=0", "COUNT"),
        ("FREQ=DAILY;COUNT=9999", "COUNT"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20271231", "both COUNT and UNTIL"),
        ("FREQ=DAILY;UNTIL=20270231", "UNTIL"),
        ("FREQ=DAILY;UNTIL=99991231T235959Z", "RFC 5545"),
        ("FREQ=WEEKLY;BYDAY=1MO", "BYDAY"),
        ("FREQ=YEARLY;BYDAY=54MO", "53"),
        ("FREQ=YEARLY;BYDAY=0MO", "53"),
        ("FREQ=WEEKLY;BYMONTHDAY=13", "BYMONTHDAY"),
        ("FREQ=MONTHLY;BYWEEKNO=3", "BYWEEKNO"),
        ("FREQ=DAILY;BYYEARDAY=3", "BYYEARDAY"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "BYMONTHDAY"),
        ("FREQ=YEARLY;BYMONTH=13", "BYMONTH"),
        ("FREQ=YEARLY;BYMONTH=0", "BYMONTH"),
        ("FREQ=MONTHLY;BYSETPOS=1", "BYSETPOS"),
        ("FREQ=DAILY;BYDAY=MO;BYSETPOS=1", "BYSETPOS"),
        ("FREQ=DAILY;" + "BYMONTH=" + "1," * 200 + "1", "RFC 5545"),
    ],
)
def test_refused(text, said):
    remedy = read_rule(text)

    assert isinstance(remedy, str)
    assert said in remedy


NEVER = [
    "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=MONTHLY;BYDAY=1MO;BYMONTHDAY=20",
    "FREQ=MONTHLY;INTERVAL=12;BYMONTH=2",
    "FREQ=YEARLY;INTERVAL=4;BYMONTH=2;BYMONTHDAY=29",
    "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=7",
    "FREQ=MONTHLY;BYDAY=6MO",
    "FREQ=YEARLY;INTERVAL=1000;BYMONTH=2;BYMONTHDAY=28",
    "FREQ=YEARLY;BYYEARDAY=366;BYMONTH=1",
    "FREQ=YEARLY;BYWEEKNO=1;BYMONTH=6",
]


@pytest.mark.parametrize("first", [FIRST, datetime(2001, 3, 1), datetime(2089, 3, 1), datetime(2099, 3, 2)])
@pytest.mark.parametrize("text", NEVER)
def test_a_rule_that_never_happens_is_seen_in_bounded_work(text, first, monkeypatch):
    # the work is counted, not timed: dateutil goes through its calendar year by year
    years = []
    rebuild = recurrence.rrule.__init__.__globals__["_iterinfo"].rebuild

    def counted(self, year, month):
        if year != self.lastyear:
            years.append(year)
        return rebuild(self, year, month)

    monkeypatch.setattr(recurrence.rrule.__init__.__globals__["_iterinfo"], "rebuild", counted)
    rule = read_rule(text)
    assert isinstance(rule, Rule)

    assert not has_start(rule, first)
    assert len(years) <= 37


@pytest.mark.parametrize("year", range(2000, 2100))
def test_the_late_twin_has_the_calendar_of_its_first(year):
    first = datetime(year, 1, 1, 8)
    shift = recurrence._late_twin(first) - first
    days = (min(first + recurrence.FIRST_WITHIN, datetime(2099, 12, 31, 8)) - first).days

    for day in range(days + 1):
        here = first + timedelta(days=day)
        there = here + shift
        assert (here.month, here.day, here.weekday()) == (there.month, there.day, there.weekday())


def test_has_start_looks_3000_days_ahead_from_any_leap_day():
    leap = read_rule("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29")

    assert has_start(leap, datetime(2096, 2, 29))
    assert has_start(leap, datetime(2028, 3, 1))
    assert not has_start(leap, datetime(2096, 3, 1))  # 2100 has none
    assert not has_start(read_rule("FREQ=DAILY;UNTIL=20270228T080000"), FIRST)
