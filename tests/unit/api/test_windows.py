"""Where the edges of windows are, beyond the listed cases."""

from datetime import UTC, date, datetime, timedelta

import pytest

from forerun.api.convert import campaign_from
from forerun.api.windows import current_or_next, latest_before, occurrences, past_occurrences
from forerun.domain.campaign import Campaign, Occurrence, Schedule
from forerun.domain.reason import Refusal


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def schedule(**written):
    found = campaign_from(
        {
            "kind": "Campaign",
            "metadata": {"name": "case", "namespace": "shop"},
            "spec": {"storefrontRef": {"name": "main"}, "type": "Custom", "schedule": written},
        }
    )
    return found.schedule if isinstance(found, Campaign) else found


def once(**written):
    (found,) = occurrences(schedule(**written), utc("2000-01-01"), utc("2099-01-01"))
    return found


def test_a_window_is_half_open():
    found = schedule(timeZone="UTC", start="2026-06-01T08:00:00", end="2026-06-01T09:00:00")
    start, end = utc("2026-06-01T08:00:00"), utc("2026-06-01T09:00:00")
    second = timedelta(seconds=1)

    assert occurrences(found, start - second, start) == ()
    assert occurrences(found, start - second, start + second) == (Occurrence(start, end),)
    assert occurrences(found, end, end + second) == ()
    assert current_or_next(found, end) is None
    assert latest_before(found, end) == Occurrence(start, end)
    assert latest_before(found, end - second) is None


def test_a_window_whose_end_falls_before_its_start_in_a_gap_keeps_its_elapsed_length():
    # 02:30 is 03:30 of the new time on that day, and 03:00 of the new time is before it
    found = once(timeZone="Europe/Berlin", start="2026-03-29T02:30:00", end="2026-03-29T03:00:00")

    assert found == Occurrence(utc("2026-03-29T01:30:00"), utc("2026-03-29T02:00:00"))


@pytest.mark.parametrize(
    ("written", "start", "end"),
    [
        # with its offset the second pass of the hour can be meant
        (
            {"timeZone": "Europe/Berlin", "start": "2026-10-25T02:30:00+01:00", "duration": "1h"},
            "2026-10-25T01:30:00",
            "2026-10-25T02:30:00",
        ),
        # 45 minutes, although the wall clock stands earlier at the end
        (
            {"timeZone": "Europe/Berlin", "start": "2026-10-25T02:30:00+02:00", "end": "2026-10-25T02:15:00+01:00"},
            "2026-10-25T00:30:00",
            "2026-10-25T01:15:00",
        ),
        (
            {"start": "2026-06-01T08:00:00Z", "end": "2026-06-01T08:00:00-01:00"},
            "2026-06-01T08:00:00",
            "2026-06-01T09:00:00",
        ),
        ({"start": "2026-06-01 08:00+02:00", "duration": "90m"}, "2026-06-01T06:00:00", "2026-06-01T07:30:00"),
        # a local end beside an absolute start is wall time of the zone
        (
            {"timeZone": "Asia/Tokyo", "start": "2026-06-01T00:00:00Z", "end": "2026-06-01T10:00:00"},
            "2026-06-01T00:00:00",
            "2026-06-01T01:00:00",
        ),
        (
            {"timeZone": "UTC", "start": "2026-06-01T08:00:00.25", "end": "2026-06-01T08:00:00.75"},
            "2026-06-01T08:00:00.25",
            "2026-06-01T08:00:00.75",
        ),
    ],
)
def test_offsets(written, start, end):
    assert once(**written) == Occurrence(utc(start), utc(end))


def test_both_passes_of_an_hour_stay_apart_although_their_wall_times_are_equal():
    first, second = (
        schedule(
            timeZone="Europe/Berlin",
            start=f"2026-10-25T02:30:00+0{offset}:00",
            duration="10m",
            recurrence="FREQ=WEEKLY;BYDAY=SU",
        )
        for offset in (2, 1)
    )
    now = utc("2026-10-24")

    assert current_or_next(first, now).start == utc("2026-10-25T00:30:00")
    assert current_or_next(second, now).start == utc("2026-10-25T01:30:00")


def test_an_absolute_start_recurs_at_its_wall_time():
    found = schedule(
        timeZone="Europe/Warsaw",
        start="2026-10-23T06:00:00Z",
        end="2026-10-23T08:00:00Z",
        recurrence="FREQ=WEEKLY;BYDAY=FR",
    )

    starts = [window.start for window in occurrences(found, utc("2026-10-20"), utc("2026-11-01"))]
    assert starts == [utc("2026-10-23T06:00:00"), utc("2026-10-30T07:00:00")]


def test_until_in_utc_until_local_and_until_a_date():
    def last(until):
        found = schedule(
            timeZone="Asia/Tokyo", start="2026-06-01T08:00:00", duration="1h", recurrence=f"FREQ=DAILY;UNTIL={until}"
        )
        return occurrences(found, utc("2026-06-01"), utc("2026-07-01"))[-1].start

    assert last("20260609T225959Z") == utc("2026-06-08T23:00:00")  # 9 June 08:00 in Tokyo is 8 June 23:00 UTC
    assert last("20260609T230000Z") == utc("2026-06-09T23:00:00")
    assert last("20260610T075959") == utc("2026-06-08T23:00:00")
    assert last("20260610") == utc("2026-06-09T23:00:00")


def test_count_counts_excluded_dates_too():
    found = schedule(
        timeZone="UTC",
        start="2026-06-01T08:00:00",
        duration="1h",
        recurrence="FREQ=DAILY;COUNT=3",
        exclude=["2026-06-02"],
    )

    days = [window.start.date() for window in occurrences(found, utc("2026-01-01"), utc("2027-01-01"))]
    assert days == [date(2026, 6, 1), date(2026, 6, 3)]
    assert current_or_next(found, utc("2026-06-03T09:00:00")) is None


def test_a_rule_that_began_long_ago_answers_as_if_it_began_now():
    long_ago = schedule(timeZone="UTC", start="2000-01-03T08:00:00", duration="1h", recurrence="FREQ=WEEKLY;INTERVAL=2")
    recent = schedule(timeZone="UTC", start="2026-01-05T08:00:00", duration="1h", recurrence="FREQ=WEEKLY;INTERVAL=2")
    # 26 years of a fortnight: 9,499 days would not be even; 2000-01-03 + 678 * 14 days = 2025-12-29
    shifted = occurrences(long_ago, utc("2026-01-01"), utc("2026-03-01"))

    assert [window.start.date() for window in shifted][:2] == [date(2026, 1, 12), date(2026, 1, 26)]
    assert [window.start.date() for window in occurrences(recent, utc("2026-01-01"), utc("2026-02-01"))] == [
        date(2026, 1, 5),
        date(2026, 1, 19),
    ]


def test_at_most_a_thousand_and_any_time_may_be_asked():
    daily = schedule(timeZone="UTC", start="2000-01-01T08:00:00", duration="1h", recurrence="FREQ=DAILY")

    assert len(occurrences(daily, datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))) == 1000
    past = past_occurrences(daily, utc("2001-01-01"), utc("2026-01-01T08:30:00"))
    assert len(past) == 1000
    assert past[-1].end == utc("2025-12-31T09:00:00")
    assert current_or_next(daily, datetime.max.replace(tzinfo=UTC)) is None
    assert latest_before(daily, datetime.min.replace(tzinfo=UTC)) is None


def test_next_is_looked_for_400_days_ahead_and_last_far_back():
    yearly = schedule(timeZone="UTC", start="2020-02-29T08:00:00", duration="1h", recurrence="FREQ=YEARLY")

    assert current_or_next(yearly, utc("2027-01-20")) is None
    assert current_or_next(yearly, utc("2027-01-26")).start == utc("2028-02-29T08:00:00")
    assert latest_before(yearly, utc("2027-06-01")).start == utc("2024-02-29T08:00:00")


def test_windows_longer_than_their_distance_overlap_and_the_earliest_is_current():
    found = schedule(timeZone="UTC", start="2026-06-01T00:00:00", duration="36h", recurrence="FREQ=DAILY")

    assert current_or_next(found, utc("2026-06-02T06:00:00")).start == utc("2026-06-01")
    assert current_or_next(found, utc("2026-06-02T12:00:00")).start == utc("2026-06-02")


@pytest.mark.parametrize(
    ("written", "field"),
    [
        ({"timeZone": "Europe/Berlin", "start": "2026-06-01"}, "start"),
        ({"timeZone": "Europe/Berlin", "start": "2026-02-30T08:00:00"}, "start"),
        ({"timeZone": "Europe/Berlin", "start": "2026-06-01T24:00:00"}, "start"),
        ({"timeZone": "Europe/Berlin", "start": "1999-12-31T08:00:00"}, "start"),
        ({"timeZone": "Europe/Berlin", "start": "2101-01-01T08:00:00"}, "start"),
        ({"timeZone": "Europe/Berlin", "start": 1764230400}, "start"),
        ({"timeZone": "Europe/Berlin", "start": "2026-06-01T08:00:00\n"}, "start"),
        ({"timeZone": "../../etc/localtime", "start": "2026-06-01T08:00:00"}, "timeZone"),
        ({"timeZone": "right/Europe/Berlin", "start": "2026-06-01T08:00:00"}, "timeZone"),
        ({"timeZone": "Europe", "start": "2026-06-01T08:00:00"}, "timeZone"),
        ({"timeZone": "localtime", "start": "2026-06-01T08:00:00"}, "timeZone"),
        ({"timeZone": "leapseconds", "start": "2026-06-01T08:00:00"}, "timeZone"),
        ({"timeZone": "Europe/Berlin", "start": "2026-06-01T08:00:00", "duration": "9601h"}, "duration"),
        ({"timeZone": "Europe/Berlin", "start": "2026-06-01T08:00:00", "duration": ""}, "duration"),
        ({"timeZone": "Europe/Berlin", "start": "2026-06-01T08:00:00", "duration": "1.5h"}, "duration"),
        ({"timeZone": "Europe/Berlin", "start": "2026-06-01T08:00:00", "duration": "90"}, "duration"),
        ({"start": "2026-06-01T08:00:00Z", "end": "2026-06-01T12:00:00", "duration": None}, "timeZone"),
        ({"timeZone": "UTC", "start": "2026-06-01T08:00:00", "end": "2027-07-07T08:00:00", "duration": None}, "end"),
        ({"timeZone": "UTC", "start": "2026-06-01T08:00:00", "end": "2026-06-01T08:00:00", "duration": None}, "end"),
        ({"timeZone": "UTC", "start": "2026-06-01T08:00:00", "duration": None}, "end"),
        ({"timeZone": "UTC", "start": "2026-06-01T08:00:00", "exclude": ["2026-13-01"]}, "exclude[0]"),
        ({"timeZone": "UTC", "start": "2026-06-01T08:00:00", "exclude": "2026-12-01"}, "exclude"),
    ],
)
def test_refused(written, field):
    refusal = schedule(**{"duration": "4h", **written})

    assert isinstance(refusal, Refusal), refusal
    assert refusal.field == f"spec.schedule.{field}"


def test_yaml_without_quotes_means_the_same():
    quoted = schedule(timeZone="UTC", start="2026-06-01T08:00:00", duration="1h", exclude=["2026-06-02"])
    plain = schedule(timeZone="UTC", start=datetime(2026, 6, 1, 8, 0, 0), duration="1h", exclude=[date(2026, 6, 2)])

    assert plain == quoted


def test_an_unchecked_schedule_is_not_guessed_at():
    with pytest.raises(ValueError, match="no zone"):
        current_or_next(Schedule("Europe/Wroclaw", datetime(2026, 6, 1), duration_seconds=60.0), utc("2026-01-01"))
