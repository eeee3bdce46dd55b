import ast
import importlib
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from forerun.domain.campaign import CampaignType, Expected

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def load(name):
    """Benchmarks are scripts: they find each other beside themselves. Last on the path, so that none hides a package."""
    sys.path.append(str(BENCHMARKS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(BENCHMARKS))


arena = load("arena_generator")
shapes = load("arena_shapes")
SEED, MANY = 11, 2000
ORDINARY = [family for family in arena.FAMILIES if family not in arena.WRONG_DECLARATIONS]


def same(a, b):
    """Equal in every field; NaN is equal to NaN."""
    arrays = ("demand_rps", "usual_rps", "noise_free_rps")
    plain = ("name", "family", "campaign_type", "start", "end", "expected", "declared", "others", "past", "span_start")
    truth = ("tick_seconds", "happens_at", "true_multiplier", "rise_seconds", "shape", "in_family")
    return (
        all(np.array_equal(getattr(a, name), getattr(b, name)) for name in arrays)
        and all(getattr(a, name) == getattr(b, name) for name in plain + truth)
        and a.history.start == b.history.start
        and np.array_equal(a.history.values, b.history.values, equal_nan=True)
    )


def at_seconds(case, values, moment, seconds):
    """The values of the ticks that lie in [moment + seconds[0], moment + seconds[1])."""
    first, last = ((moment - case.span_start).total_seconds() + each for each in seconds)
    return values[int(first // case.tick_seconds) : int(last // case.tick_seconds)]


@pytest.fixture(scope="module")
def drops():
    return list(arena.generate(SEED, 150, "drop"))


@pytest.mark.parametrize("family", arena.FAMILIES)
def test_a_case_is_the_same_however_many_are_made(family):
    first = list(arena.generate(SEED, 3, family))
    assert all(same(a, b) for a, b in zip(first, arena.generate(SEED, 5, family), strict=False))
    assert same(first[2], arena.case(SEED, family, 2))
    assert [each.name for each in first] == [f"{family}/{index:04d}" for index in range(3)]


def test_another_seed_family_or_index_is_another_shop():
    seen = {
        arena.case(seed, family, index).history.values[:50]
        for seed in (1, 2)
        for family in ORDINARY
        for index in (0, 1)
    }
    assert len(seen) == 4 * len(ORDINARY)


def test_an_unknown_family_is_refused_at_once():
    with pytest.raises(ValueError, match="'sale' is none of drop, "):
        arena.generate(SEED, 1, "sale")


@pytest.mark.parametrize("family", arena.FAMILIES)
def test_demand_and_span_are_sound(family):
    for case in arena.generate(SEED, 25, family):
        ticks = case.demand_rps.size
        assert case.demand_rps.dtype == np.float64
        assert case.usual_rps.size == case.noise_free_rps.size == ticks
        assert np.isfinite(case.demand_rps).all() and (case.demand_rps >= 0.0).all()
        assert (case.usual_rps > 0.0).all() and (case.noise_free_rps >= case.usual_rps).all()
        assert timedelta(minutes=60) <= case.start - case.span_start <= timedelta(minutes=90)
        ends = [case.end, *(other.end for other in case.others)]
        if case.happens_at is not None:
            ends.append(case.happens_at + (case.end - case.start))
        left = case.span_start + timedelta(seconds=ticks * case.tick_seconds) - max(ends)
        assert left.total_seconds() >= 3600.0 - 1e-3
        if not case.others:  # whose true start may be late
            assert left.total_seconds() < 3600.0 + case.tick_seconds
        assert case.start.second == case.start.microsecond == 0 and case.start < case.end
        history = np.array(case.history.values)
        assert history.size == 28 * 288
        assert case.history.start + timedelta(days=28) == case.span_start
        assert np.nanmin(history) >= 0.0 and np.isnan(history).mean() < 0.2


def test_ticks_have_the_length_asked_for_and_the_same_case():
    coarse, fine = (arena.case(SEED, "newsletter", 4, tick) for tick in (15.0, 5.0))
    assert (coarse.start, coarse.expected, coarse.past) == (fine.start, fine.expected, fine.past)
    thirds = fine.noise_free_rps[: fine.noise_free_rps.size // 3 * 3].reshape(-1, 3).mean(axis=1)
    assert abs(thirds.size - coarse.noise_free_rps.size) <= 1
    assert np.allclose(thirds, coarse.noise_free_rps[: thirds.size], rtol=0.02)


def test_a_drop_rises_5_to_20_fold_within_one_to_three_minutes_of_its_declared_start(drops):
    reached = []
    for case in drops:
        assert case.happens_at == case.start
        assert timedelta(minutes=30) <= case.end - case.start <= timedelta(hours=4)
        usual = at_seconds(case, case.usual_rps, case.start, (-5.0, 0.0))[0]
        rise = at_seconds(case, case.noise_free_rps, case.start, (0.0, 190.0)) / usual
        top = np.flatnonzero(rise >= 0.97 * rise.max())[0] * case.tick_seconds
        before = at_seconds(case, case.noise_free_rps, case.start, (-5.0, 0.0))[0] / usual
        assert before - 1.0 <= 0.1 * rise.max()
        assert 60.0 <= case.rise_seconds <= 180.0
        assert top <= case.rise_seconds + 5.0 or not case.in_family
        assert 4.5 <= rise.max() <= 21.0
        assert case.true_multiplier >= rise.max() * 0.93
        reached.append(rise.max())
    thirds = np.histogram(np.log(reached), np.log([4.5, 5 * 4 ** (1 / 3), 5 * 4 ** (2 / 3), 21.0]))[0]
    assert (thirds > 0.2 * len(drops)).all()  # log-uniform


def test_the_declared_multiplier_of_a_drop_has_a_log_normal_error_and_a_third_of_the_shops_a_bias():
    cases = list(arena.generate(SEED, 400, "drop"))
    assert {bool(case.expected.multiplier) for case in cases} == {True, False}
    assert any(case.expected == Expected() for case in cases)
    errors = np.array([np.log(c.expected.multiplier / c.true_multiplier) for c in cases if c.expected.multiplier])
    assert abs(np.median(errors)) < 0.06
    middle = np.subtract(*np.percentile(errors, [75, 25])) / 1.349
    assert 0.25 < middle < 0.45  # wider than 0.25: the biased ones
    assert 0.03 < (np.abs(errors) > 0.75).mean() < 0.25  # three sigma of the unbiased


@pytest.mark.parametrize(("family", "factor"), [("declared-x0.1", 0.1), ("declared-x10", 10.0)])
def test_a_wrong_size_is_ten_times_off_and_all_else_is_the_drop(drops, family, factor):
    compared = 0
    for drop, wrong in zip(drops, arena.generate(SEED, 60, family), strict=False):
        assert np.array_equal(drop.demand_rps, wrong.demand_rps)
        assert wrong.expected.peak_rps is None and wrong.expected.multiplier >= 1.05
        if drop.expected.multiplier is not None:
            compared += 1
            assert wrong.expected.multiplier == pytest.approx(max(1.05, drop.expected.multiplier * factor))
    assert compared > 30


@pytest.mark.parametrize(("family", "minutes"), [("early-30min", -30), ("late-30min", 30)])
def test_a_wrong_time_moves_the_burst_but_not_what_was_declared(drops, family, minutes):
    for drop, wrong in zip(drops, arena.generate(SEED, 30, family), strict=False):
        assert (wrong.start, wrong.end, wrong.expected, wrong.past) == (drop.start, drop.end, drop.expected, drop.past)
        assert wrong.happens_at == drop.start + timedelta(minutes=minutes)
        ratio = wrong.noise_free_rps / wrong.usual_rps
        assert at_seconds(wrong, ratio, wrong.happens_at, (-600.0, -480.0)).max() < 1.3
        assert at_seconds(wrong, ratio, wrong.happens_at, (0.0, 190.0)).max() > 4.5


def test_nothing_happens_when_cancelled(drops):
    for drop, case in zip(drops, arena.generate(SEED, 60, "cancelled"), strict=False):
        assert case.happens_at is None and case.true_multiplier == 1.0
        assert np.array_equal(case.noise_free_rps, case.usual_rps)
        assert case.expected == drop.expected and case.declared
        assert at_seconds(case, case.demand_rps, case.start, (0, 600)).mean() < 2.0 * case.usual_rps.max()


def test_nobody_knows_of_the_undeclared_burst(drops):
    for drop, case in zip(drops, arena.generate(SEED, 30, "undeclared"), strict=False):
        assert not case.declared and case.expected == Expected()
        assert np.array_equal(drop.demand_rps, case.demand_rps)
    assert all(drop.declared for drop in drops)


def test_two_campaigns_overlap_and_both_are_in_the_demand():
    for case in arena.generate(SEED, 40, "overlap"):
        (other,) = case.others
        assert case.start < other.start < case.end
        assert other.campaign_type != case.campaign_type
        assert (case.noise_free_rps > case.usual_rps * 1.001).any()
    assert all(not case.others for family in ORDINARY[:-1] for case in arena.generate(SEED, 3, family))


@pytest.mark.parametrize(
    ("family", "types", "low", "high"),
    [
        ("newsletter", {CampaignType.NEWSLETTER, CampaignType.PUSH_NOTIFICATION}, 1.2, 8.0),
        ("influencer", {CampaignType.INFLUENCER}, 1.3, 25.0),
        ("tv-spot", {CampaignType.TV_SPOT}, 1.3, 17.0),
        ("sale-day", {CampaignType.SEASONAL_SALE}, 1.2, 8.0),
        ("launch", {CampaignType.PRODUCT_LAUNCH}, 1.1, 13.0),
    ],
)
def test_sizes_and_types_of_the_other_families(family, types, low, high):
    cases = list(arena.generate(SEED, 60, family))
    assert {case.campaign_type for case in cases} == types
    sizes = [case.true_multiplier for case in cases]
    assert min(sizes) >= low and max(sizes) <= high
    assert max(sizes) > 2.0 * min(sizes)


def test_a_tv_spot_is_up_within_seconds_and_mostly_over_after_three_minutes():
    cases = [case for case in arena.generate(SEED, 80, "tv-spot") if case.shape == "spots-1"]
    assert cases
    for case in cases:
        added = at_seconds(case, case.noise_free_rps - case.usual_rps, case.happens_at, (0.0, 1200.0))
        assert np.argmax(added) * case.tick_seconds <= 60.0
        assert added[-60:].mean() < 0.2 * added.max()


@pytest.mark.parametrize("family", ["drop", "overlap"])
def test_three_of_ten_answers_are_outside_of_the_family(family, monkeypatch):
    # what it takes long to draw, and does not touch the shape
    monkeypatch.setattr(arena, "_demand", lambda *rest: (np.ones(1), np.ones(1), np.ones(1), np.ones(1)))
    cases = list(arena.generate(SEED, MANY, family))
    outside = [case for case in cases if not case.in_family]
    assert 0.27 <= len(outside) / MANY <= 0.33  # three standard errors
    names = {case.shape for case in outside}
    assert names == {"two-hump", "restocks", "growing-steps", "random-walk", "ramp-and-cliff", "bigger-second"}
    assert names.isdisjoint({case.shape for case in cases if case.in_family})


def test_shapes_start_at_the_top_of_the_rise_and_are_never_negative():
    seconds = np.arange(-900.0, 40_000.0, 1.0)
    for index in range(200):
        rng = np.random.default_rng([SEED, index])
        shape = shapes.draw_drop(rng) if index % 2 else shapes.draw_outside(rng, (60.0, 180.0))
        part = shape.at(seconds, 7200.0, index)
        assert (part >= 0.0).all() and part.max() <= 1.75
        assert np.interp(shape.rise_seconds, seconds, part) == pytest.approx(1.0, abs=0.05)
        assert part[seconds < 0].max() <= 0.08
        assert part[seconds > 7200.0 + 28_800.0].max() < 0.02
        assert shape.peak(7200.0, index) == pytest.approx(part[(seconds >= 0) & (seconds <= 7200.0)].max(), rel=0.05)


def test_the_bigger_second_wave_is_bigger():
    drawn = (shapes.draw_outside(np.random.default_rng(index), (60.0, 180.0)) for index in range(100))
    seconds = np.arange(0.0, 7200.0)
    for shape in (each for each in drawn if each.name == "bigger-second"):
        part = shape.at(seconds, 7200.0, 0)
        assert part[2000:].max() > 1.05 and part[600:2000].min() < 0.7


def test_past_occurrences_are_in_the_history(drops):
    ratios, counts = [], set()
    for case in drops:
        counts.add(len(case.past))
        history = np.array(case.history.values)
        ends = [case.history.start, *(past.end for past in case.past)]
        for previous, past in zip(ends, case.past, strict=False):
            assert previous <= past.start and past.end <= case.span_start
            assert past.campaign_type == case.campaign_type
            at = int((past.start - case.history.start).total_seconds() // 300)
            if at >= 4:
                ratios.append(history[at : at + 3].max() / np.mean(history[at - 4 : at - 1]))
    assert counts == set(range(7))
    known = np.array(ratios)[np.isfinite(ratios)]
    assert known.size > 200
    assert (known > 2.0).mean() > 0.97  # the rest: an outage at that moment, or a burst just before it
    assert 4.0 < np.median(known) < 15.0


def test_occurrences_of_one_shop_are_alike_and_the_present_one_is_no_exception():
    """The past says something about the present one, and is neither larger nor smaller on average."""
    present, apart = [], []
    for case in arena.generate(SEED, 300, "drop"):
        said = [past.expected.multiplier for past in case.past if past.expected.multiplier]
        if len(said) >= 3 and case.expected.multiplier:
            present.append(np.log(case.expected.multiplier))
            apart.append(present[-1] - np.mean(np.log(said)))
    assert len(apart) > 100
    assert abs(np.mean(apart)) < 3.0 * np.std(apart) / np.sqrt(len(apart))
    assert 0.25 < np.std(apart) < 0.75 * np.std(present)


def test_the_generator_knows_nothing_of_the_forecast():
    for path in sorted(BENCHMARKS.glob("arena_*.py")):
        if path.stem not in {"arena_generator", "arena_shapes", "arena_shops"}:
            continue
        imported = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0
                imported.add(node.module)
        ours = {name for name in imported if name.split(".")[0] == "forerun"}
        assert ours <= {"forerun.domain.campaign", "forerun.domain.observation"}
        assert imported - ours <= {
            *("zlib", "collections.abc", "dataclasses", "datetime", "functools", "numpy", "numpy.typing"),
            *("arena_shapes", "arena_shops"),
        }
