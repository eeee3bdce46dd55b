"""Lead time: what is required now is the most that is needed until a raise begun now is Ready."""

from hypothesis import strategies as st
from tests.properties.plan_world import given

from forerun.plan.lead_time import required

pieces = st.lists(st.tuples(st.integers(1, 50), st.integers(0, 100)), min_size=1, max_size=15)


def staircase(raw):
    """Pieces of irregular length as (start, value), and where the last one ends."""
    start, needs = 0, []
    for length, value in raw:
        needs.append((float(start), value))
        start += length
    return needs, float(start)


def value_at(steps, when):
    return next((value for start, value in reversed(steps) if start <= when), 0)


def need_at(needs, end, when):
    return value_at(needs, when) if when < end else 0


@given(pieces, st.integers(0, 120), st.integers(-200, 1000))
def test_required_is_the_maximum_of_need_until_ready(raw, lead, when):
    needs, end = staircase(raw)
    expected = max(need_at(needs, end, second) for second in range(when, when + lead + 1))
    assert value_at(required(needs, end, float(lead)), when) == expected


@given(pieces, st.integers(0, 120), st.integers(-200, 1000))
def test_never_scales_down_ahead_of_a_spike(raw, lead, when):
    """If what is needed within the lead is no less than what stands, nothing goes down."""
    needs, end = staircase(raw)
    steps = required(needs, end, float(lead))
    for second in range(when, when + lead + 1):
        assert value_at(steps, when) >= need_at(needs, end, second)


@given(pieces, st.integers(0, 60), st.integers(0, 60), st.integers(-200, 1000))
def test_a_longer_lead_never_requires_less(raw, one, other, when):
    needs, end = staircase(raw)
    short, long = sorted((one, other))
    assert value_at(required(needs, end, float(short)), when) <= value_at(required(needs, end, float(long)), when)


@given(pieces, st.integers(0, 60))
def test_steps_ascend_and_each_one_changes_something(raw, lead):
    needs, end = staircase(raw)
    steps = required(needs, end, float(lead))
    assert [start for start, _ in steps] == sorted({start for start, _ in steps})
    values = [0, *(value for _, value in steps)]
    assert all(before != after for before, after in zip(values, values[1:], strict=False))
    assert values[-1] == 0
