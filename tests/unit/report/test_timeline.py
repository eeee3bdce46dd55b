from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forerun.report.timeline import HEADER, TimelineError, TimelineRow, timeline_from_csv, timeline_to_csv

counts = st.none() | st.integers(0, 10**6)
rates = st.none() | st.floats(0, 1e9)
rows = st.builds(
    TimelineRow,
    policy=st.sampled_from(
        ["forerun", "hpa", 'odd,"name'],
    ),
    at=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(
        lambda at: at.replace(microsecond=0)
    ),
    tier=st.sampled_from(["cache", "web"]),
    demand=rates,
    floor=counts,
    desired=counts,
    ready=counts,
    unserved=rates,
)


@given(st.lists(rows, max_size=5))
def test_what_is_written_is_read_again(written):
    read = timeline_from_csv(timeline_to_csv(written))
    assert [(r.policy, r.at, r.tier, r.floor, r.desired, r.ready) for r in read] == [
        (r.policy, r.at, r.tier, r.floor, r.desired, r.ready) for r in written
    ]
    for before, after in zip(written, read, strict=True):
        for name in ("demand", "unserved"):
            old, new = getattr(before, name), getattr(after, name)
            assert (old is None) == (new is None)  # unknown and zero stay two things
            assert old is None or new == pytest.approx(old, rel=1e-5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "row 1: the header"),
        ("a,b\n", "row 1: the header"),
        (",".join(HEADER) + "\nforerun,2026-11-27T19:00:00Z,web,1\n", "row 2: 4 fields"),
        (",".join(HEADER) + "\nforerun,2026-11-27T19:00:00Z,web,x,1,1,1,0\n", "row 2: could not convert"),
        (",".join(HEADER) + "\nforerun,2026-11-27T19:00:00,web,1,1,1,1,0\n", "row 2: time"),
    ],
)
def test_what_is_no_timeline_is_refused_in_one_line(text, said):
    with pytest.raises(TimelineError) as refused:
        timeline_from_csv(text)
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)
