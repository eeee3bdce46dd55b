"""Which bounds are written, whose they are, and what is given back."""

from dataclasses import replace
from datetime import timedelta

import pytest
from actuator_builders import AT, BASELINE, RAISED, entry, snapshot
from hypothesis import given
from hypothesis import strategies as st

from forerun.actuators.floors import (
    Standing,
    bounds_for,
    given_back,
    noted_baseline,
    regressed,
    standing,
    stands,
    still_written,
)
from forerun.domain.ledger import Bounds, Owner

HPA, SO, SCALE = Owner.HPA, Owner.SCALED_OBJECT, Owner.SCALE


@pytest.mark.parametrize(
    ("owner", "minimum", "maximum", "floor", "ceiling", "expected"),
    [
        (HPA, 2, 10, 8, 50, Bounds(8, 10)),
        (HPA, 2, 10, 40, 50, Bounds(40, 40)),
        (HPA, 2, 10, 80, 50, Bounds(50, 50)),
        (HPA, 40, 40, 30, 50, Bounds(30, 40)),  # a step down leaves the maximum to the restore
        (HPA, 60, 80, 55, 50, Bounds(55, 80)),  # a ceiling below what stands lowers nothing by itself
        (HPA, 60, 80, 70, 50, Bounds(60, 80)),
        (HPA, 0, 10, 5, 50, Bounds(5, 10)),
        (SO, None, None, 40, 500, Bounds(40, None)),
        (SO, None, None, 100, 500, Bounds(100, None)),
        (SO, None, None, 101, 500, Bounds(101, 101)),
        (SO, None, 5, 9, 50, Bounds(9, 9)),
        (SCALE, 3, None, 9, 50, Bounds(9, None)),
        (SCALE, 0, None, 1, 50, Bounds(1, None)),
        (SCALE, 9, None, 3, 50, Bounds(3, None)),
    ],
)
def test_bounds_of_a_floor(owner, minimum, maximum, floor, ceiling, expected):
    assert bounds_for(snapshot(owner, minimum, maximum), floor, ceiling) == expected


@given(
    owner=st.sampled_from([HPA, SO]),
    minimum=st.one_of(st.none(), st.integers(0, 200)),
    extra=st.one_of(st.none(), st.integers(0, 200)),
    floor=st.integers(0, 300),
    ceiling=st.integers(1, 300),
)
def test_a_maximum_is_never_below_its_minimum_and_never_lowered(owner, minimum, extra, floor, ceiling):
    maximum = None if extra is None else (minimum or 0) + extra
    written = bounds_for(snapshot(owner, minimum, maximum), floor, ceiling)
    if written.maximum is not None:
        assert written.maximum >= written.minimum
        assert maximum is None or written.maximum >= maximum
    assert written.minimum <= max(floor, minimum or 0, 1)


@pytest.mark.parametrize(
    ("owner", "baseline", "written", "now", "expected"),
    [
        # minimum only was ours
        (HPA, Bounds(2, 50), [Bounds(20, 50)], Bounds(20, 50), Standing.OURS),
        (HPA, Bounds(2, 50), [Bounds(20, 50)], Bounds(20, 60), Standing.OURS),  # their maximum, our minimum
        (HPA, Bounds(2, 50), [Bounds(20, 50)], Bounds(2, 50), Standing.AT_BASELINE),
        (HPA, Bounds(2, 50), [Bounds(20, 50)], Bounds(2, 60), Standing.AT_BASELINE),
        (HPA, Bounds(2, 50), [Bounds(20, 50)], Bounds(5, 50), Standing.FOREIGN),
        # both were ours
        (HPA, Bounds(2, 10), [Bounds(20, 20)], Bounds(20, 20), Standing.OURS),
        (HPA, Bounds(2, 10), [Bounds(20, 20)], Bounds(20, 30), Standing.FOREIGN),
        (HPA, Bounds(2, 10), [Bounds(20, 20)], Bounds(2, 20), Standing.FOREIGN),
        # confirmed and about to be written: either may stand
        (HPA, Bounds(2, 10), [Bounds(8, 10), Bounds(20, 20)], Bounds(8, 10), Standing.OURS),
        (HPA, Bounds(2, 10), [Bounds(8, 10), Bounds(20, 20)], Bounds(20, 20), Standing.OURS),
        (HPA, Bounds(2, 10), [Bounds(8, 10), Bounds(20, 20)], Bounds(20, 10), Standing.FOREIGN),
        # absent is what it amounts to
        (HPA, Bounds(None, 10), [Bounds(5, 10)], Bounds(1, 10), Standing.AT_BASELINE),
        (SO, Bounds(None, None), [Bounds(5, None)], Bounds(0, 100), Standing.AT_BASELINE),
        (SO, Bounds(None, None), [Bounds(5, None)], Bounds(1, None), Standing.FOREIGN),
        (SO, Bounds(None, None), [Bounds(5, None)], Bounds(5, None), Standing.OURS),
        (SCALE, Bounds(3, None), [Bounds(9, None)], Bounds(9, None), Standing.OURS),
        (SCALE, Bounds(3, None), [Bounds(9, None)], Bounds(3, None), Standing.AT_BASELINE),
        (SCALE, Bounds(3, None), [Bounds(9, None)], Bounds(4, None), Standing.FOREIGN),
        (SCALE, Bounds(0, None), [Bounds(1, None)], Bounds(1, None), Standing.OURS),
        # a raise that changed nothing is the baseline
        (HPA, Bounds(2, 10), [Bounds(2, 10)], Bounds(7, 10), Standing.AT_BASELINE),
        (HPA, Bounds(2, 10), [], Bounds(7, 10), Standing.AT_BASELINE),
    ],
)
def test_whose_bounds_stand(owner, baseline, written, now, expected):
    seen = snapshot(owner, now.minimum, now.maximum)
    assert standing(seen, entry(owner, baseline, written)) is expected


def test_another_incarnation_is_never_ours():
    assert standing(snapshot(minimum=20, maximum=20, uid="u2"), entry()) is Standing.REPLACED


def test_only_fields_of_ours_are_given_back():
    one = entry(baseline=Bounds(2, 50), written=[Bounds(20, 50)])
    assert given_back(snapshot(minimum=20, maximum=60), one) == Bounds(2, 60)
    both = entry(baseline=Bounds(2, 10), written=[Bounds(20, 20)])
    assert given_back(snapshot(minimum=20, maximum=20), both) == Bounds(2, 10)


def test_each_bound_is_given_back_for_itself():
    """Somebody changed one of the two that were ours: theirs stays, ours goes back."""
    both = entry(baseline=Bounds(2, 10), written=[Bounds(20, 20)])
    assert given_back(snapshot(minimum=20, maximum=30), both) == Bounds(2, 30)
    assert given_back(snapshot(minimum=5, maximum=20), both) == Bounds(5, 10)
    # a floor of theirs above the old maximum keeps room to stand
    assert given_back(snapshot(minimum=15, maximum=20), both) == Bounds(15, 15)
    assert given_back(snapshot(minimum=5, maximum=30), both) == Bounds(5, 30)


def test_what_equals_ours_before_we_wrote_it_is_theirs():
    """The ledger is written ahead of the raise: somebody sets the very same floor in between."""
    ahead = entry(baseline=Bounds(2, 50), written=[Bounds(20, 50)], confirmed=False)
    theirs = snapshot(minimum=20, maximum=50)
    assert standing(theirs, ahead) is Standing.AT_BASELINE
    assert not stands(theirs, ahead)
    assert given_back(theirs, ahead) == Bounds(20, 50)
    ours = replace(theirs, annotation="{}")
    assert standing(ours, ahead) is Standing.OURS
    assert stands(ours, ahead)


def test_a_maximum_that_somebody_sets_meanwhile_becomes_the_baseline():
    """We hold the minimum alone, and will have to lift the maximum later: what goes back then is theirs."""
    one = entry(baseline=Bounds(2, 50), written=[Bounds(20, 50)])
    assert noted_baseline(snapshot(minimum=20, maximum=60), one) == Bounds(2, 60)
    assert still_written(snapshot(minimum=20, maximum=60), one) == (Bounds(20, 60),)
    both = entry(baseline=Bounds(2, 10), written=[Bounds(20, 20)])
    assert noted_baseline(snapshot(minimum=20, maximum=30), both) == Bounds(2, 10)
    assert still_written(snapshot(minimum=20, maximum=30), both) == (Bounds(20, 20),)
    assert still_written(snapshot(minimum=2, maximum=10), both) == ()


def test_an_absent_baseline_is_given_back_as_absent():
    one = entry(SO, Bounds(None, None), [Bounds(120, 120)])
    assert given_back(snapshot(SO, 120, 120), one) == Bounds(None, None)


@given(
    baseline=st.tuples(st.integers(1, 30), st.integers(0, 30)),
    floors=st.lists(st.integers(1, 90), min_size=1, max_size=6),
    owner=st.sampled_from([HPA, SO]),
)
def test_any_series_of_floors_ends_at_the_baseline(baseline, floors, owner):
    """Raise and lower as often as you like: what is ours is recognised, and all of it goes back."""
    before = Bounds(baseline[0], baseline[0] + baseline[1])
    bounds, written = before, []
    for floor in floors:
        bounds = bounds_for(snapshot(owner, bounds.minimum, bounds.maximum), max(floor, before.minimum), 100)
        written = [*written[-1:], bounds]
        seen = snapshot(owner, bounds.minimum, bounds.maximum)
        held = entry(owner, before, written)
        assert standing(seen, held) in (Standing.OURS, Standing.AT_BASELINE)
        if standing(seen, held) is Standing.OURS:
            assert given_back(seen, held) == before
        else:
            assert bounds == before


def test_a_ledger_that_is_older_than_its_mirror_has_regressed():
    """The CapacityPlan came back from a backup: the mirror says what stands, the ledger does not know it."""
    mirror = replace(entry(written=(Bounds(30, 30),)), changed_at=AT + timedelta(minutes=1))
    assert regressed(snapshot(minimum=30, maximum=30), entry(), mirror)


@pytest.mark.parametrize(
    ("now", "stored", "mirror"),
    [
        pytest.param(RAISED, {}, {}, id="the ledger covers what stands"),
        pytest.param(
            Bounds(30, 30), {"epoch": 2}, {}, id="the mirror is of an earlier leader: an old manifest applied"
        ),
        pytest.param(Bounds(7, 30), {}, {}, id="somebody has edited the floor since"),
        pytest.param(Bounds(30, 30), {}, {"owner_uid": "u2"}, id="the mirror was copied from another object"),
        pytest.param(BASELINE, {}, {}, id="given back: nothing of ours stands"),
    ],
)
def test_a_mirror_that_says_nothing_newer_is_not_believed(now, stored, mirror):
    of_ledger = replace(entry(), **stored)
    of_mirror = replace(entry(written=(Bounds(30, 30),)), **mirror)
    assert not regressed(snapshot(minimum=now.minimum, maximum=now.maximum), of_ledger, of_mirror)
