from datetime import UTC, datetime, timedelta, timezone

import pytest

from forerun.observe.conditions import Condition, merge_conditions, timestamp

NOW = datetime(2026, 11, 27, 7, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)

READY = Condition("Ready", status=False, reason="Warming", message="cache 1/4")
LIVE = Condition("Live", status=False, reason="Warming")


def stored(*conditions, generation=1, now=NOW):
    return merge_conditions([], conditions, generation, now)


def test_the_first_time_is_now():
    assert stored(READY) == [
        {
            "type": "Ready",
            "status": "False",
            "reason": "Warming",
            "message": "cache 1/4",
            "observedGeneration": 1,
            "lastTransitionTime": "2026-11-27T07:00:00Z",
        }
    ]


def test_nothing_new_is_an_equal_list_so_that_nothing_is_written():
    before = stored(READY, LIVE)
    assert merge_conditions(before, [READY, LIVE], 1, LATER) == before


@pytest.mark.parametrize(
    "other",
    [
        Condition("Ready", status=False, reason="Live", message="cache 1/4"),
        Condition("Ready", status=False, reason="Warming", message="cache 3/4"),
    ],
)
def test_other_words_do_not_move_the_time(other):
    [merged] = merge_conditions(stored(READY), [other], 1, LATER)
    assert (merged["reason"], merged["message"]) == (other.reason, other.message)
    assert merged["lastTransitionTime"] == timestamp(NOW)


def test_another_generation_does_not_move_the_time():
    [merged] = merge_conditions(stored(READY), [READY], 2, LATER)
    assert (merged["observedGeneration"], merged["lastTransitionTime"]) == (2, timestamp(NOW))


@pytest.mark.parametrize(("status", "text"), [(True, "True"), (None, "Unknown")])
def test_another_status_moves_the_time_of_that_condition_alone(status, text):
    turned = Condition("Ready", status, READY.reason, READY.message)
    ready, live = merge_conditions(stored(READY, LIVE), [turned, LIVE], 1, LATER)
    assert (ready["status"], ready["lastTransitionTime"]) == (text, timestamp(LATER))
    assert live["lastTransitionTime"] == timestamp(NOW)


def test_conditions_are_found_by_type_and_not_by_place():
    before = stored(LIVE, READY)
    merged = merge_conditions(before, [READY, LIVE], 1, LATER)
    assert [condition["type"] for condition in merged] == ["Ready", "Live"]
    assert {condition["lastTransitionTime"] for condition in merged} == {timestamp(NOW)}


def test_a_condition_that_is_not_made_any_more_goes():
    merged = merge_conditions(stored(READY, LIVE), [READY], 1, LATER)
    assert [condition["type"] for condition in merged] == ["Ready"]


def test_a_stored_condition_without_a_time_gets_one():
    before = [{"type": "Ready", "status": "False"}]
    assert merge_conditions(before, [READY], 1, NOW)[0]["lastTransitionTime"] == timestamp(NOW)


def test_a_long_message_fits_the_schema_and_still_compares_equal():
    long = Condition("Ready", status=False, reason="Warming", message="x" * 5000)
    before = stored(long)
    assert len(before[0]["message"]) == 1024
    assert merge_conditions(before, [long], 1, LATER) == before


def test_times_are_utc_in_whole_seconds():
    warsaw = timezone(timedelta(hours=1))
    assert timestamp(datetime(2026, 11, 27, 8, 0, 0, 999_999, warsaw)) == "2026-11-27T07:00:00Z"
