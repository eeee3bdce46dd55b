"""Windows under every rule, zone and moment: checked against a plain walk day by day."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from forerun.api.convert import campaign_from
from forerun.api.windows import current_or_next, latest_before, occurrences, past_occurrences
from forerun.domain.campaign import Campaign

ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca", "UTC"]
DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


def some_days(ordinals):
    day = st.sampled_from(DAYS)
    one = st.builds("{}{}".format, st.sampled_from(ordinals), day) if ordinals else day
    return st.lists(one, min_size=1, max_size=3, unique=True).map(",".join).map("BYDAY={}".format)


def numbers(name, highest):
    signed = st.integers(1, highest).flatmap(lambda number: st.sampled_from([number, -number]))
    listed = signed if name != "BYMONTH" else st.integers(1, highest)
    return st.lists(listed.map(str), min_size=1, max_size=3, unique=True).map(",".join).map((name + "={}").format)


PARTS = {
    "DAILY": [some_days([]), numbers("BYMONTH", 12), numbers("BYMONTHDAY", 31)],
    "WEEKLY": [some_days([]), numbers("BYMONTH", 12)],
    "MONTHLY": [some_days(["", "1", "-1", "2"]), numbers("BYMONTH", 12), numbers("BYMONTHDAY", 31)],
    "YEARLY": [numbers("BYMONTH", 12), numbers("BYMONTHDAY", 31), numbers("BYYEARDAY", 366)],
}


@st.composite
def rules(draw):
    frequency = draw(st.sampled_from(sorted(PARTS)))
    parts = [f"FREQ={frequency}", f"INTERVAL={draw(st.integers(1, 5))}"]
    parts += [draw(part) for part in PARTS[frequency] if draw(st.booleans())]
    if draw(st.booleans()):
        parts.append(f"WKST={draw(st.sampled_from(DAYS))}")
    if draw(st.booleans()):
        parts.append(f"COUNT={draw(st.integers(1, 50))}")
    return ";".join(parts)


@st.composite
def schedules(draw):
    start = draw(st.datetimes(datetime(2019, 1, 1), datetime(2026, 1, 1))).replace(microsecond=0)
    written = {"timeZone": draw(st.sampled_from(ZONES)), "start": start.isoformat()}
    minutes = draw(st.integers(1, 60 * 40))
    if draw(st.booleans()):
        written["duration"] = f"{minutes}m"
    else:
        written["end"] = (start + timedelta(minutes=minutes)).isoformat()
    if draw(st.booleans()):
        written["recurrence"] = draw(rules())
    written["exclude"] = [
        day.isoformat() for day in draw(st.lists(st.dates(date(2019, 1, 1), date(2027, 1, 1)), max_size=3))
    ]
    found = campaign_from(
        {
            "kind": "Campaign",
            "metadata": {"name": "any", "namespace": "shop"},
            "spec": {"storefrontRef": {"name": "main"}, "type": "Custom", "schedule": written},
        }
    )
    assume(isinstance(found, Campaign))  # a rule that never happens is refused
    return written, found.schedule


moments = st.datetimes(datetime(2024, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))


def plain(written, after, before):
    """The same windows by the shortest way: dateutil from the very start, and PEP 495."""
    zone = ZoneInfo(written["timeZone"])
    first = datetime.fromisoformat(written["start"])
    starts = [first]
    if "recurrence" in written:
        high = before.replace(tzinfo=None) + timedelta(days=2)
        starts = rrulestr(written["recurrence"], dtstart=first).between(first, high, inc=True)
    for wall in starts:
        start = wall.replace(tzinfo=zone).astimezone(UTC)
        if "duration" in written:
            end = start + timedelta(minutes=int(written["duration"][:-1]))
        else:
            length = datetime.fromisoformat(written["end"]) - first
            end = (wall + length).replace(tzinfo=zone).astimezone(UTC)
            end = end if end > start else start + length
        if wall.date().isoformat() not in written["exclude"] and start < before and end > after:
            yield start, end


@settings(max_examples=150, deadline=None)
@given(schedules(), moments, st.integers(1, 500))
def test_as_the_plain_walk(drawn, after, days):
    written, schedule = drawn
    before = after + timedelta(days=days)

    found = occurrences(schedule, after, before)

    assert [(window.start, window.end) for window in found] == list(plain(written, after, before))


@settings(max_examples=100, deadline=None)
@given(schedules(), moments)
def test_current_next_and_last_agree_with_the_list(drawn, now):
    _, schedule = drawn
    ahead = occurrences(schedule, now, now + timedelta(days=400))
    ended = past_occurrences(schedule, now - timedelta(days=4000), now)

    assert current_or_next(schedule, now) == (ahead[0] if ahead else None)
    last = latest_before(schedule, now)
    if last is None:
        assert not [window for window in ended if window.end > now - timedelta(days=3000)]
    else:
        assert last.end == max(window.end for window in ended)
    assert all(window.start < window.end <= now for window in ended)


@settings(max_examples=60, deadline=None)
@given(schedules(), moments, st.integers(0, 60 * 24 * 30))
def test_windows_do_not_depend_on_where_one_looks_from(drawn, now, minutes):
    """Level-triggered: a window that is seen from one moment is the same window from another."""
    _, schedule = drawn
    earlier = now - timedelta(minutes=minutes)
    until = now + timedelta(days=20)

    seen = [window for window in occurrences(schedule, earlier, until) if window.end > now]
    assert seen == list(occurrences(schedule, now, until))
