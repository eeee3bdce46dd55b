"""Arms side by side: the best setting of each, ratios to the oracle, verdicts and interrupts."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest

from forerun.simulate.arena import Setting
from forerun.simulate.comparison import compare
from forerun.simulate.figures import ratio
from forerun.simulate.registry import Deciding, Planned, arm
from forerun.simulate.scenario import World
from forerun.simulate.timeline import write_timeline
from forerun.simulate.yardstick import optima, oracle_sums

from .arena_world import CALM, no_answer, scenario, tier

STEADY = [95.0] * 240
BURST = [95.0] * 120 + [400.0] * 60 + [95.0] * 120
NAMES = ("hpa", "hpa-rps", "keda-cron", "static")


def shops(*doors, group="made"):
    return [scenario(door, name=f"{group} {at}", group=group, judged_from=60) for at, door in enumerate(doors)]


def arms(*names):
    return [arm(name) for name in names]


def row(found, name, group=None):
    (figures,) = [figures for figures in found.figures(group) if figures.policy == name]
    return figures


@dataclass
class Asked:
    """Floors of 3 at each turn, until `until` says that it is enough."""

    until: int = 10**9
    every_seconds: float = 60.0
    error: type[BaseException] = ValueError

    def floors(self, view):
        if view.tick >= self.until:
            raise self.error("enough")
        return {"web": 3}


def deciding(make, name="mine", targets=(0.7, 0.9)):
    return Deciding(name, tuple(Setting(target) for target in targets), make)


def test_each_arm_stands_at_the_setting_of_the_least_cost():
    found = compare(arms(*NAMES), shops(BURST, STEADY), CALM, no_answer)
    for name in NAMES:
        means = {
            setting: math.prod(sums.cost / found.oracle[number].cost for (number, _), sums in runs.items()) ** 0.5
            for setting, runs in found.found[name].items()
        }
        assert len(means) == len(arm(name).settings)
        best = found.best(name, "made")
        assert means[best] == min(means.values())
        assert row(found, name).settings == {"made": best}
        assert row(found, name).j_ratio == pytest.approx(means[best])


def test_nobody_beats_the_oracle_where_pods_start_when_they_should():
    found = compare(arms(*NAMES), shops(BURST, STEADY), CALM, no_answer)
    costs = [
        (sums.cost, found.oracle[number].cost)
        for settings in found.found.values()
        for runs in settings.values()
        for (number, _), sums in runs.items()
    ]
    assert len(costs) == 2 * sum(len(arm(name).settings) for name in NAMES)
    assert all(cost >= best * (1 - 1e-9) for cost, best in costs)
    assert any(cost > 1.1 * best for cost, best in costs)


def test_groups_choose_for_themselves():
    found = compare(arms("hpa-rps"), [*shops(STEADY, group="a"), *shops(BURST, group="b")], CALM, no_answer)
    alone = {
        group: compare(arms("hpa-rps"), shops(door, group=group), CALM, no_answer)
        for group, door in (("a", STEADY), ("b", BURST))
    }
    for group, one in alone.items():
        assert row(found, "hpa-rps", group) == row(one, "hpa-rps")
    assert set(row(found, "hpa-rps").settings) == {"a", "b"}
    assert row(found, "hpa-rps").scenarios == 2


def test_the_oracle_sums_are_those_of_its_schedule():
    (made,) = shops(BURST)
    made = replace(made, storefront=replace(made.storefront, tiers=(tier(), tier("db", demand_per_request=0.5))))
    best, sums = optima(made, CALM), oracle_sums(made, CALM)
    judged = slice(made.judged_from, None)
    assert sums.replica_seconds == 5.0 * best.desired[:, judged].sum()
    assert sums.demand == pytest.approx(5.0 * 1.5 * made.door_rps[judged].sum())
    lost = np.maximum(np.array([[1.0], [0.5]]) * made.door_rps - 10.0 * best.ready, 0.0)[:, judged]
    assert sums.unserved == pytest.approx(5.0 * lost.sum())
    assert sums.cost == pytest.approx(sums.replica_seconds + 99.0 * sums.unserved / 10.0)


def test_an_arm_that_ended_early_has_a_verdict_and_does_not_harm_the_others():
    broken = deciding(lambda _: Asked(until=100), "broken")
    found = compare([*arms("hpa-rps"), broken, deciding(lambda _: Asked())], shops(BURST, STEADY), CALM, no_answer)
    assert row(found, "broken").verdict == "ended early in 2 of 2: raised ValueError: enough"
    assert row(found, "mine").verdict is row(found, "hpa-rps").verdict is None
    alone = compare(arms("hpa-rps"), shops(BURST, STEADY), CALM, no_answer)
    assert row(found, "hpa-rps").j_ratio == row(alone, "hpa-rps").j_ratio


def test_a_setting_that_held_goes_before_a_cheaper_one_that_did_not():
    hot = deciding(lambda known: Asked(until=100 if known.hpa_target == 0.9 else 10**9))
    found = compare([hot], shops(STEADY), CALM, no_answer)
    by_target = {setting.hpa_target: next(iter(runs.values())) for setting, runs in found.found["mine"].items()}
    assert by_target[0.9].cost < by_target[0.7].cost
    assert row(found, "mine").settings["made"].hpa_target == 0.7


def test_an_arm_that_cannot_be_made_has_a_verdict():
    def never(_):
        raise RuntimeError("never")

    planned = Planned("planned", (Setting(0.7),), never)
    sized = Planned("sized", (Setting(0.7),), lambda _: never)
    found = compare([planned, sized, deciding(never)], shops(STEADY), CALM, no_answer)
    for name in ("planned", "sized", "mine"):
        assert row(found, name).verdict == "ended early in 1 of 1: raised RuntimeError: never"


def test_floors_that_are_none_have_a_verdict_and_no_figures():
    planned = Planned("planned", (Setting(0.7),), lambda _: lambda _: {"web": np.array([math.nan])})
    found = compare([planned, *arms("hpa")], shops(STEADY), CALM, no_answer)
    figures = row(found, "planned")
    assert "gave floors for web" in figures.verdict
    assert (figures.scenarios, figures.j_ratio, figures.replica_hours) == (0, None, None)
    assert row(found, "hpa").j_ratio >= 1.0


def test_an_interrupt_keeps_what_was_finished():
    made = [0]

    def make(_):
        made[0] += 1
        return Asked() if made[0] <= 16 else Asked(until=50, error=KeyboardInterrupt)

    doors = [STEADY] * 20
    found = compare([*arms("hpa-rps"), deciding(make)], shops(*doors), CALM, no_answer)
    assert found.interrupted
    assert row(found, "mine").scenarios == 8  # a batch of eight, two settings each, was done
    assert row(found, "hpa-rps").scenarios == 16
    whole = compare(arms("hpa-rps"), shops(*doors), CALM, no_answer)
    assert row(found, "hpa-rps").j_ratio == pytest.approx(row(whole, "hpa-rps").j_ratio)
    assert not whole.interrupted


def test_repeats_differ_in_luck_and_the_median_stands():
    world = World(jitter=0.6)
    steps = np.repeat(np.random.default_rng(3).uniform(50.0, 900.0, 24), 25)
    seeds = [
        row(compare(arms("hpa-rps"), shops(steps), replace(world, seed=seed), no_answer), "hpa-rps").unserved_percent
        for seed in (5, 6, 7)
    ]
    assert len(set(seeds)) > 1
    found = compare(arms("hpa-rps"), shops(steps), replace(world, seed=5), no_answer, repeats=3)
    assert row(found, "hpa-rps").unserved_percent == pytest.approx(sorted(seeds)[1])


def test_wins_count_for_each_of_equals_and_not_for_what_ended():
    twin, late = deciding(lambda _: Asked(), "twin"), deciding(lambda _: Asked(until=100), "late")
    found = compare([deciding(lambda _: Asked()), twin, late], shops(BURST, STEADY), CALM, no_answer)
    assert [row(found, name).best_in for name in ("mine", "twin", "late")] == [2, 2, 0]


def test_no_demand_at_all_is_no_division_by_zero():
    idle = scenario([0.0] * 200, tier(min_replicas=0), judged_from=60)
    found = compare(arms("static", "hpa"), [idle], CALM, no_answer)
    static = row(found, "static")
    assert (static.replica_hours, static.unserved_percent) == (0.0, 0.0)
    assert (static.replica_hours_ratio, static.churn_ratio) == (1.0, 1.0)
    assert row(found, "hpa").replica_hours_ratio is None  # an HPA keeps one replica, the oracle none
    assert row(found, "hpa").j_ratio is None
    assert (ratio(3.0, 2.0), ratio(0.0, 0.0), ratio(1.0, 0.0)) == (1.5, 1.0, None)


def test_the_replay_for_a_timeline_does_what_the_policy_did(tmp_path):
    from forerun.report.timeline import timeline_from_csv

    @dataclass
    class Follows:
        every_seconds: float = 30.0

        def floors(self, view):
            return {"web": math.ceil((view.demand_rps or 0.0) / 9.0)}

    found = compare([deciding(lambda _: Follows())], shops(BURST), CALM, no_answer, keep_floors=True)
    write_timeline(tmp_path / "ticks.csv", found)
    rows = [line for line in timeline_from_csv((tmp_path / "ticks.csv").read_text()) if line.policy == "mine"]
    (sums,) = found.chosen("mine").values()
    assert len(rows) == len(BURST) - 60
    assert sum(line.desired for line in rows) * 5.0 == sums.replica_seconds
    assert sum(line.unserved for line in rows) * 5.0 == pytest.approx(sums.unserved, rel=1e-5)
    assert max(line.floor for line in rows) == math.ceil(400.0 / 9.0)
