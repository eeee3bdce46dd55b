"""What was learnt comes back from the status; what somebody broke there harms nothing else."""

import json
from datetime import UTC, datetime, timedelta
from math import exp, isclose, log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forerun.api.convert import learnt_with, lessons_from
from forerun.api.lessons import LEAST_OF_TYPE, merged, peak_log_uplift
from forerun.api.models_storefront import MOST_LESSONS, NOT_MEASURED
from forerun.api.scalars import DECIMAL_PATTERN
from forerun.domain.campaign import CampaignType, Expected, Occurrence
from forerun.domain.forecast import CURVE_POINTS, EventWindow, Lesson

NOW = datetime(2026, 11, 27, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)

names = st.from_regex(r"[a-z]([-a-z0-9]{0,10}[a-z0-9])?", fullmatch=True)
starts = st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC))
lengths = st.timedeltas(timedelta(seconds=1), timedelta(days=400))
# as a Campaign can declare them: nine digits after the point
multipliers = st.integers(1, 10_000 * 10**9).map(lambda billionths: float(f"{billionths / 10**9:.9f}"))
peaks = st.integers(1, 10**9) | st.floats(0.001, 1e6).map(lambda value: round(value, 9))
expectations = st.builds(
    Expected,
    audience=st.none() | st.integers(1, 10_000_000_000),
    multiplier=st.none() | multipliers,
    peak_rps=st.none() | peaks.map(float),
)
windows = st.builds(
    lambda name, kind, start, length, expected: EventWindow(name, kind, Occurrence(start, start + length), expected),
    names,
    st.sampled_from(CampaignType),
    starts,
    lengths,
    expectations,
)
curves = st.lists(st.none() | st.floats(-30, 30), min_size=CURVE_POINTS, max_size=CURVE_POINTS).map(tuple)
lessons = st.builds(Lesson, windows, st.floats(0, 1e12), st.floats(0, 30), curves)


def lesson(name="sale", hours=0.0, kind=CampaignType.FLASH_SALE, curve=None, usual=40.0):
    start = NOW + hours * HOUR
    values = (0.0,) * CURVE_POINTS if curve is None else curve
    return Lesson(EventWindow(name, kind, Occurrence(start, start + HOUR), Expected()), usual, 0.1, values)


def stored(learnt):
    """As it comes back from an API server."""
    return json.loads(json.dumps(learnt, allow_nan=False))


def read(learnt):
    return lessons_from({"learnt": learnt})


def written(*found):
    return stored(learnt_with(None, found))


@settings(max_examples=60, deadline=None)
@given(st.lists(lessons, min_size=1, max_size=4, unique_by=lambda lesson: lesson.window.identity))
def test_every_lesson_comes_back_to_the_milli(found):
    back = {lesson.window.identity: lesson for lesson in read(written(*found))}

    assert back.keys() == {lesson.window.identity for lesson in found}
    for before in found:
        after = back[before.window.identity]
        assert after.window == before.window  # what was declared as well, to the last digit
        assert isclose(after.usual_rps, before.usual_rps, rel_tol=1e-5, abs_tol=1e-9)
        assert abs(after.noise_log_sd - before.noise_log_sd) <= 0.000_501
        for old, new in zip(before.log_uplift, after.log_uplift, strict=True):
            assert (old is None) is (new is None)
            assert old is None or abs(new - old) <= 0.000_501


@settings(max_examples=30, deadline=None)
@given(lessons)
def test_what_was_read_is_written_to_the_same_bytes(found):
    once = written(found)

    assert stored(learnt_with(None, read(once))) == once


def test_the_stored_form():
    curve = (None, log(2.0), float("nan"), -100.0, *(0.0,) * (CURVE_POINTS - 4))
    window = EventWindow(
        "drop", CampaignType.TV_SPOT, Occurrence(NOW, NOW + HOUR), Expected(audience=1000, multiplier=2.5)
    )
    found = written(Lesson(window, 1234.5678, 0.0815, curve))

    assert found["version"] == 1
    (entry,) = found["occurrences"]
    assert entry.pop("upliftMilli")[:5] == [NOT_MEASURED, 693, NOT_MEASURED, -30000, 0]
    assert entry == {
        "campaign": "drop",
        "type": "TVSpot",
        "start": "2026-11-27T08:00:00Z",
        "end": "2026-11-27T09:00:00Z",
        "expected": {"audience": 1000, "multiplier": "2.5"},
        "usual": "1234.57",
        "noiseMilli": 82,
    }


@given(st.floats(0, 1e300))
def test_usual_demand_always_has_a_stored_form(usual):
    import re

    (entry,) = written(lesson(usual=usual))["occurrences"]

    assert re.fullmatch(DECIMAL_PATTERN, entry["usual"])
    assert 0 <= float(entry["usual"]) <= 999_999_999_999_999


@pytest.mark.parametrize("usual", [float("nan"), float("inf"), -1.0])
def test_a_lesson_that_makes_no_sense_is_not_kept(usual):
    assert merged((), [lesson(usual=usual)]) == ()
    assert merged((), [lesson(curve=(0.0,))]) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"type": "Earthquake"},
        {"start": "soon"},
        {"end": "2026-11-27T07:00:00Z"},  # before the start
        {"usual": "NaN"},
        {"usual": None},
        {"noiseMilli": -1},
        {"upliftMilli": [0]},
        {"upliftMilli": [None] * CURVE_POINTS},
        {"upliftMilli": [0.5] * CURVE_POINTS},
        {"upliftMilli": [10**9] * CURVE_POINTS},
        {"expected": {"peak": 0}},
        {"campaign": ""},
        {"unheardOf": 1},
    ],
    ids=str,
)
def test_an_entry_that_somebody_broke_hides_no_other(change):
    learnt = written(lesson("good"), lesson("bad", hours=1))
    learnt["occurrences"][0] |= change

    assert [found.window.campaign for found in read(learnt)] == ["good"]


@pytest.mark.parametrize(
    "learnt", [None, [], "x", {}, {"version": 1}, {"version": 1, "occurrences": {}}, {"version": 0}]
)
def test_what_is_no_lesson_at_all(learnt):
    assert read(learnt) == ()
    assert read(written(lesson())) == read(stored(learnt_with(learnt, [lesson()])))


@pytest.mark.parametrize("status", [None, 3, [], {"learnt": {"version": 1, "occurrences": [None, 3, "x", []]}}])
def test_a_status_of_any_shape(status):
    assert lessons_from(status) == ()


def test_a_later_version_is_neither_read_nor_overwritten():
    later = {"version": 2, "occurrences": written(lesson())["occurrences"], "more": True}

    assert read(later) == ()
    assert learnt_with(later, [lesson("another")]) is later


def test_what_changes_nothing_is_not_written():
    first = written(lesson("a"), lesson("b", hours=1))

    assert learnt_with(first, []) is first
    assert learnt_with(None, []) is None
    # read off once more, a little differently: what was learnt first stays
    assert learnt_with(first, [lesson("a", curve=(1.0,) * CURVE_POINTS)]) is first
    assert len(learnt_with(first, [lesson("c")])["occurrences"]) == 3


def test_an_occurrence_is_known_by_campaign_type_and_time():
    one = lesson("a")
    others = [lesson("b"), lesson("a", hours=1), lesson("a", kind=CampaignType.TV_SPOT)]

    assert len(merged([one], [one, *others])) == 4


def test_newest_first_and_at_most_64():
    many = [lesson("daily", hours=24 * day) for day in range(100)]
    kept = merged(many[:50], many[50:])

    assert kept == tuple(reversed(many[-MOST_LESSONS:]))


def test_the_newest_of_a_rare_type_stay():
    rare = [lesson("yearly", hours=-9000 * year, kind=CampaignType.SEASONAL_SALE) for year in range(12)]
    kept = merged(rare, [lesson("daily", hours=24 * day) for day in range(100)])

    assert len(kept) == MOST_LESSONS
    assert [found for found in kept if found.window.campaign == "yearly"] == rare[:LEAST_OF_TYPE]


@given(st.lists(st.tuples(st.sampled_from(CampaignType), st.integers(0, 500)), max_size=200))
def test_the_cap_holds_for_any_mixture(found):
    every = [lesson("a", hours=hours, kind=kind) for kind, hours in found]
    kept = merged((), every)
    newest_first = sorted(every, key=lambda one: one.window.occurrence, reverse=True)

    assert len(kept) == min(MOST_LESSONS, len({one.window.identity for one in every}))
    for kind in CampaignType:
        unique = list({one.window.identity: one for one in newest_first if one.window.type is kind}.values())
        assert {one.window.identity for one in unique[:LEAST_OF_TYPE]} <= {one.window.identity for one in kept}
    # the order in which they were learnt does not matter
    assert merged(every[::-1], kept) == kept


def test_all_of_it_is_small():
    curve = (-12.345,) * CURVE_POINTS
    full = [
        lesson("c" * 60, hours=hours, kind=kind, curve=curve) for kind in CampaignType for hours in range(MOST_LESSONS)
    ]

    assert len(json.dumps(written(*full))) < 64 * 1024


def test_the_peak_is_no_single_slice():
    quiet = [0.0] * CURVE_POINTS
    spike, hill = list(quiet), list(quiet)
    spike[7] = 3.0
    hill[7:10] = [2.0, 2.0, 2.0]

    assert peak_log_uplift(lesson(curve=tuple(spike))) == pytest.approx(1.0)
    assert peak_log_uplift(lesson(curve=tuple(hill))) == pytest.approx(2.0)
    assert peak_log_uplift(lesson(curve=(None,) * CURVE_POINTS)) is None
    assert peak_log_uplift(lesson(curve=(None, 0.7, *[None] * (CURVE_POINTS - 2)))) == pytest.approx(0.7)


def test_the_summary_is_for_people():
    def times(multiplier, **more):
        return lesson(curve=(log(multiplier),) * CURVE_POINTS, **more)

    found = written(
        *(times(2.4), times(4.0, hours=24), times(0.85, kind=CampaignType.NEWSLETTER)),
        lesson(kind=CampaignType.TV_SPOT, curve=(None,) * CURVE_POINTS),
    )

    assert found["summary"] == [
        {"type": "FlashSale", "occurrences": 2, "multiplier": "3.1", "lowest": "2.4", "highest": "4"},
        {"type": "Newsletter", "occurrences": 1, "multiplier": "0.85", "lowest": "0.85", "highest": "0.85"},
    ]
    assert exp(30) > float(written(times(1e20))["summary"][0]["multiplier"]) * 0.9


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("2026-11-27T08:00:00Z"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([*written(lesson())["occurrences"][0], "more"]), anything)
def test_no_entry_makes_anything_but_a_lesson_or_nothing(field, value):
    learnt = written(lesson("good"), lesson("bad", hours=1))
    learnt["occurrences"][0][field] = value
    found = read(learnt)

    assert read(written(lesson("good")))[0] in found
    assert len(found) <= 2
    stored(learnt_with(learnt, [lesson("another", hours=5)]))  # and all of it can be written again
