"""What the arena's benchmark makes of runs: the best setting, the figures, and whether a goal is met."""

import importlib
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def load(name):
    """Benchmarks are scripts: they find each other beside themselves. Last on the path, so that none hides a package."""
    sys.path.append(str(BENCHMARKS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(BENCHMARKS))


cases, store, race, goals, work = (load(f"arena_{name}") for name in ("cases", "store", "race", "goals", "work"))
generator = load("arena_generator")

from forerun.simulate.arena import Setting, compete  # noqa: E402
from forerun.simulate.oracle import optimum  # noqa: E402
from forerun.simulate.scenario import World, with_lead_time  # noqa: E402

DROP = cases.Group("drop", cases.GENERATED)
TRACE = cases.Group("a-trace", cases.DECLARED, "a-trace", (None,))
ENTRIES = [
    store.Entry("forerun", Setting(0.7)),
    store.Entry("forerun", Setting(0.9)),
    store.Entry("hpa-rps", Setting(0.7)),
    store.Entry("hpa-rps", Setting(0.9)),
    store.Entry("static", Setting(0.7)),
]


def row(costs, group=DROP, lead=180.0, repeat=0, name="drop/0000", unserved=0.0, churn=10.0):
    """J of each entry, None where it did not run; J* is 100 at every ratio."""
    figures = np.full((len(costs), 5), np.nan)
    for place, cost in enumerate(costs):
        if cost is not None:
            figures[place] = [cost - 99.0 * unserved, unserved, 50.0, 0.0, churn]
    best = store.Best(np.full(3, 100.0), np.array([100.0, 0.0, 50.0, 0.0, 10.0]))
    return store.Row(group, lead, repeat, name, figures, best)


def filled(*rows):
    return store.Store(list(ENTRIES), rows=list(rows))


def test_the_best_setting_is_that_of_least_geometric_mean():
    cell = store.Cell(ENTRIES, [row([110, 120, 400, 100, 300]), row([130, 121, 100, 390, 300])])
    assert cell.chosen("forerun") == 0  # sqrt(110 x 130) < sqrt(120 x 121)
    assert cell.chosen("hpa-rps") == 3
    assert cell.chosen("static") == 4
    assert cell.chosen("keda-cron") is None


def test_a_setting_is_chosen_on_runs_in_which_all_took_part():
    cell = store.Cell(ENTRIES, [row([110, 120, 300, 300, 300]), row([None, 500, 300, 300, 300])])
    assert cell.chosen("forerun") == 0
    assert store.Cell(ENTRIES, [row([None, 500, 300, 300, 300])]).chosen("forerun") is None


def test_the_best_peer_is_the_one_that_ours_fares_worst_against():
    """Each on the runs that both were in, also where a peer ran on some only."""
    cell = store.Cell(
        ENTRIES, [row([110, 110, 200, 200, 150]), row([110, 110, 200, 200, 150]), row([260, 260, 250, 250, None])]
    )
    assert cell.best_peer() == 4
    cell = store.Cell(ENTRIES, [row([110, 110, 200, 200, None]), row([400, 400, 250, 250, 500])])
    assert cell.best_peer() in {2, 3}


def test_the_figure_is_the_median_of_the_repeats():
    rows = [
        row([cost] * 5, repeat=repeat, name=f"drop/{number}")
        for repeat, cost in enumerate((110, 120, 900))
        for number in range(3)
    ]
    cell = store.Cell(ENTRIES, rows)
    figures = cell.summed(0, cell.common(0))
    assert figures.relative == pytest.approx(1.2)
    assert figures.low <= figures.relative <= figures.high
    assert figures.relative_at[0] == pytest.approx((1.1 * 1.2 * 9.0) ** (1 / 3))


def test_intervals_hold_the_mean_and_are_the_same_each_time():
    logs = np.random.default_rng(1).normal(0.3, 0.2, 200)
    repeats = np.arange(200) % 5
    middle, draws = store.drawn_medians(logs, repeats)
    assert np.quantile(draws, 0.025) < middle < np.quantile(draws, 0.975)
    assert np.array_equal(draws, store.drawn_medians(logs, repeats)[1])


def named(rows, start):
    return next(each for each in rows if each.name.startswith(start))


@pytest.mark.parametrize(("ours", "met"), [(101.0, True), (103.0, False)])
def test_one_trace_that_is_lost_misses_the_goal(ours, met):
    found = filled(row([ours] * 2 + [100.5] * 3, group=TRACE), row([80.0] * 2 + [100.5] * 3, group=TRACE, lead=5.0))
    goal = named(goals.goals(found, None), "J of ours")
    assert goal.met is met
    assert "at 180 s" in goal.figure


def test_the_excess_is_compared_not_j():
    found = filled(row([150.0, 150.0, 300.0, 300.0, 300.0], group=TRACE))
    goal = named(goals.goals(found, None), "excess J/J*")
    assert goal.met
    assert "0.250" in goal.figure
    found = filled(row([210.0, 210.0, 300.0, 300.0, 300.0], group=TRACE))
    assert named(goals.goals(found, None), "excess J/J*").met is False


@pytest.mark.parametrize(("seconds", "met"), [((60.0, 90.0, 300.0), True), ((60.0, 105.0, float("inf")), False)])
def test_a_cancelled_campaign_has_to_come_down(seconds, met):
    found = filled(row([110] * 5))
    found.descents = [store.Descent(180.0, 0.7, each) for each in seconds]
    assert named(goals.goals(found, None), "cancelled").met is met


def test_nothing_declared_has_to_be_the_very_same():
    quiet = cases.Group("elb", cases.QUIET, "elb", (None,))
    same = filled(row([200, 250, 200, 250, 300], group=quiet))
    assert named(goals.goals(same, None), "nothing declared").met
    other = filled(row([200, 250, 200, 250.5, 300], group=quiet))
    assert named(goals.goals(other, None), "nothing declared").met is False


def test_wrong_declarations_are_held_against_the_autoscaler_alone():
    wrong = cases.Group("late-30min", cases.GENERATED)
    found = filled(row([208, 208, 200, 200, 100], group=wrong))
    assert named(goals.goals(found, None), "J / hpa-rps's, late-30min").met
    found = filled(row([215, 215, 200, 200, 400], group=wrong))
    assert named(goals.goals(found, None), "J / hpa-rps's, late-30min").met is False


@pytest.mark.parametrize(("hours", "met"), [(201.0, True), (150.0, False)])
def test_the_speed_is_in_cpu_seconds(hours, met):
    assert named(goals.goals(filled(row([110] * 5)), (hours, 1.0, 3.0)), "campaign-hours").met is met


def test_losses_are_told_the_clearest_first():
    found = filled(
        row([150] * 2 + [100] * 3, lead=5.0), row([300] * 2 + [100] * 3, lead=60.0), row([90] * 2 + [100] * 3)
    )
    assert [line.split(":")[0] for line in goals.lost(found)] == ["drop at 60 s", "drop at 5 s"]


def test_the_optimum_of_many_is_that_of_each_alone():
    """Padding the shorter ones changes neither cost nor replica-seconds."""
    scenarios = [cases.scenario_of(generator.case(3, "drop", index)) for index in range(3)]
    runs = [race._Run(with_lead_time(scenario, lead), lead) for scenario in scenarios for lead in (5.0, 180.0)]
    runs.sort(key=lambda run: run.scenario.ticks)
    for run, best in zip(runs, race.best_of(runs, store.RATIOS), strict=True):
        tier, s = run.scenario.storefront.tiers[0], run.scenario
        first = max(2, int(np.ceil(s.door_rps[0] / tier.capacity_per_replica_rps / 0.9)))
        lanes = ([tier.capacity_per_replica_rps], [round(run.lead / 5.0)], [2], [100_000], [first])
        alone = optimum(s.door_rps[None], *map(np.array, lanes), s.tick_seconds, s.judged_from)
        assert best.costs[0] == pytest.approx(alone.cost[0])
        assert best.columns[store.REPLICA_SECONDS] == pytest.approx(alone.replica_seconds[0], rel=1e-3)
        assert best.costs[1] < best.costs[0] < best.costs[2]


def test_a_scenario_knows_only_what_was_declared():
    """Of two cases that differ in the truth alone, what an arm is told is the same."""
    right, late = (generator.case(3, family, 4) for family in ("drop", "late-30min"))
    assert right.happens_at + timedelta(minutes=30) == late.happens_at
    told = [cases.scenario_of(case) for case in (right, late)]
    assert told[0].campaigns == told[1].campaigns
    assert np.array_equal(*(each.history.values for each in told), equal_nan=True)
    assert cases.scenario_of(generator.case(3, "undeclared", 4)).campaigns == ()


def test_the_floor_of_a_cancelled_campaign_is_timed_from_the_declared_start():
    scenario = cases.scenario_of(generator.case(3, "cancelled", 1))
    start = scenario.tick_of(generator.case(3, "cancelled", 1).start)
    floors = np.full(scenario.ticks, 2)
    floors[start - 20 : start + 18] = 30
    entrant = race.Field(World()).entrant(store.Entry("hpa-rps", Setting(0.7)), scenario)
    entrant = type(entrant)(scenario, "given", Setting(0.7), {"web": floors})
    (result,) = compete([entrant], World(), race.answer, record=True)
    assert race.descent(result, 180.0) == [store.Descent(180.0, 0.7, 90.0)]
    floors[:] = 2
    assert (
        race.first_lower(
            scenario, result.recorded["web"].__class__(*(floors.astype(float),), floors, floors, floors, floors)
        )
        is None
    )


def test_each_campaign_runs_once_and_a_part_with_every_setting():
    amount = work.Amount(repeats=2, trace_repeats=2, campaigns=10, share=1.0, leads=(5.0, 180.0), sweep=4)
    planned = list(work.jobs([DROP], amount, filled()))
    assert len(planned) == 4
    assert [job.repeat for job in planned] == [0, 1, 0, 1]
    assert [job.all_ratios for job in planned] == [True, True, False, False]


def test_after_the_sweep_ours_runs_at_the_chosen_setting_only():
    amount = work.Amount(repeats=1, trace_repeats=1, campaigns=8, share=1.0, leads=(180.0,), sweep=4)
    found = filled()
    swept, rest = work.jobs([DROP], amount, found)
    assert list(swept.entries(180.0)) == [0, 1, 2, 3, 4]
    found.rows.append(row([120, 110, 300, 300, 300]))
    assert sorted(rest.entries(180.0)) == [1, 2, 3, 4]


def test_a_share_is_evenly_apart():
    assert work.thinned(range(10), 1.0) == list(range(10))
    assert work.thinned(range(10), 0.34) == [0, 3, 6, 9]
    assert work.thinned(range(3), 0.01) == [0]


@pytest.mark.traces
@pytest.mark.skipif(not cases.TRACES.is_dir(), reason="the traces are not here")
def test_every_trace_takes_part_and_none_sees_its_end():
    groups = {group.name: group for group in cases.trace_groups()}
    assert {group.part for group in groups.values()} == {cases.DECLARED, cases.QUIET}
    assert "nab-twitter-5min" in groups and "nab-elb-5min (none declared)" in groups
    for name in ("azure-llm-2023-1s (none declared)", "nab-elb-5min (none declared)"):
        scenarios = cases.of_trace(groups[name], race.answer)
        assert scenarios
        for scenario in scenarios:
            assert scenario.campaigns == () and scenario.known.any() and scenario.ticks > scenario.judged_from
            end = scenario.history.start + timedelta(
                seconds=len(scenario.history.values) * scenario.history.step_seconds
            )
            assert end <= scenario.start
