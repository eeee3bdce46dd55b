"""What arms cost and missed, each at its best setting, as multiples of what the oracle did."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median

from forerun.simulate.arena import Schedule, Setting
from forerun.simulate.registry import ORACLE, Arm
from forerun.simulate.scenario import Scenario, World
from forerun.simulate.score import COST_RATIO

Run = tuple[int, int]  # (scenario, repeat)


@dataclass(frozen=True, slots=True)
class Sums:
    """One arm at one setting in one run, over its tiers. `cost` is J in replica-seconds; demand in calls."""

    cost: float
    replica_seconds: float
    unserved: float
    demand: float
    violation_seconds: float
    churn: float
    verdict: str | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """One arm at its best settings over all its runs; ratios are to the oracle's, None where that has nothing. An arm
    that took part in no run has no figures but a verdict.

    `j_ratio` is the geometric mean over scenarios, the other ratios are of totals; of repeats it is the median.
    """

    policy: str
    settings: Mapping[str, Setting]  # by group
    scenarios: int
    best_in: int  # scenarios in which no other arm but the oracle has a lower J
    unserved_percent: float | None
    violation_seconds: float | None
    replica_hours: float | None
    replica_hours_ratio: float | None
    j_ratio: float | None
    churn_ratio: float | None
    verdict: str | None


@dataclass(slots=True, eq=False)
class Comparison:
    """What was run so far. `floors`, where they are kept, are those of the first repeat, for a timeline."""

    scenarios: Sequence[Scenario]
    arms: Sequence[Arm]
    world: World
    cost_ratio: float = COST_RATIO
    interrupted: bool = False
    oracle: dict[int, Sums] = field(default_factory=dict)
    found: dict[str, dict[Setting, dict[Run, Sums]]] = field(default_factory=dict)
    floors: dict[tuple[str, Setting, int], Schedule] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)  # arm -> why it did not take part in some run

    def note(self, arm: str, setting: Setting, run: Run, sums: Sums) -> None:
        self.found.setdefault(arm, {}).setdefault(setting, {})[run] = sums

    def best(self, arm: str, group: str) -> Setting | None:
        """The setting of the least J/J* (geometric mean) in a group; one that held to the end goes first."""
        settings = self.found.get(arm, {})
        if not settings:
            return None
        return min(settings, key=lambda setting: self._rank(self._runs(settings[setting], group)))

    def chosen(self, arm: str) -> dict[Run, Sums]:
        """The arm's runs, each at the best setting of its group."""
        runs: dict[Run, Sums] = {}
        for group in self.groups():
            setting = self.best(arm, group)
            if setting is not None:
                runs |= self._runs(self.found[arm][setting], group)
        return runs

    def groups(self) -> list[str]:
        return list(dict.fromkeys(scenario.group for scenario in self.scenarios))

    def figures(self, group: str | None = None) -> list[Figures]:
        """Every arm, then the oracle; of one group, or of all."""
        wins = self._wins()
        winners = [arms for number, arms in wins.items() if group in (None, self.scenarios[number].group)]
        each = [self._row(arm.name, group, winners) for arm in self.arms]
        rows = [row for row in each if row is not None]
        optimal = self._runs({(number, 0): sums for number, sums in self.oracle.items()}, group)
        return [*rows, self._figures(ORACLE, {}, optimal, 0)] if optimal else rows

    def j_ratios(self) -> dict[int, dict[str, float | None]]:
        """Scenario -> J/J* of every arm at its best setting, first repeat."""
        ratios: dict[int, dict[str, float | None]] = {}
        for arm in self.arms:
            for (number, repeat), sums in self.chosen(arm.name).items():
                if repeat == 0:
                    ratios.setdefault(number, {})[arm.name] = ratio(sums.cost, self.oracle[number].cost)
        return ratios

    def _row(self, arm: str, group: str | None, winners: Sequence[set[str]]) -> Figures | None:
        """None where nothing of the arm was run yet."""
        runs = self._runs(self.chosen(arm), group)
        if not runs:
            return _no_figures(arm, self.refused[arm]) if arm in self.refused else None
        best = [(name, self.best(arm, name)) for name in self.groups() if group in (None, name)]
        settings = {name: setting for name, setting in best if setting is not None}
        return self._figures(arm, settings, runs, sum(arm in arms for arms in winners))

    def _runs(self, runs: Mapping[Run, Sums], group: str | None) -> dict[Run, Sums]:
        return {run: sums for run, sums in runs.items() if group in (None, self.scenarios[run[0]].group)}

    def _rank(self, runs: Mapping[Run, Sums]) -> tuple[int, int, int, float, float]:
        """Less is better. Where the oracle needs nothing at all, whoever needs nothing either goes first."""
        ended = sum(sums.verdict is not None for sums in runs.values())
        needless = sum(ratio(sums.cost, self.oracle[number].cost) is None for (number, _), sums in runs.items())
        cost = sum(sums.cost for sums in runs.values())
        return -len(runs), ended, needless, self._j_ratio(runs) or 0.0, cost

    def _wins(self) -> dict[int, set[str]]:
        """Scenario -> the arms of least J, first repeat; several where they are equal."""
        costs: dict[int, dict[str, float]] = {}
        for arm in self.arms:
            for (number, repeat), sums in self.chosen(arm.name).items():
                if repeat == 0 and sums.verdict is None:
                    costs.setdefault(number, {})[arm.name] = sums.cost
        return {
            number: {arm for arm, cost in found.items() if math.isclose(cost, min(found.values()), rel_tol=1e-9)}
            for number, found in costs.items()
        }

    def _figures(self, arm: str, settings: Mapping[str, Setting], runs: Mapping[Run, Sums], best_in: int) -> Figures:
        repeats = sorted({repeat for _, repeat in runs})
        each = [self._of_repeat({run: sums for run, sums in runs.items() if run[1] == repeat}) for repeat in repeats]
        middle = {name: _median([one[name] for one in each]) for name in each[0]}
        return Figures(
            policy=arm,
            settings=settings,
            scenarios=len({number for number, _ in runs}),
            best_in=best_in,
            unserved_percent=middle["unserved_percent"],
            violation_seconds=middle["violation_seconds"],
            replica_hours=middle["replica_hours"],
            replica_hours_ratio=middle["replica_hours_ratio"],
            j_ratio=middle["j_ratio"],
            churn_ratio=middle["churn_ratio"],
            verdict=_verdict(runs) or self.refused.get(arm),
        )

    def _of_repeat(self, runs: Mapping[Run, Sums]) -> dict[str, float | None]:
        mine = list(runs.values())
        best = [self.oracle[number] for number, _ in runs]
        demand = sum(sums.demand for sums in mine)
        replica_seconds = sum(sums.replica_seconds for sums in mine)
        return {
            "unserved_percent": 100.0 * sum(sums.unserved for sums in mine) / demand if demand > 0.0 else 0.0,
            "violation_seconds": sum(sums.violation_seconds for sums in mine),
            "replica_hours": replica_seconds / 3600.0,
            "replica_hours_ratio": ratio(replica_seconds, sum(sums.replica_seconds for sums in best)),
            "j_ratio": self._j_ratio(runs),
            "churn_ratio": ratio(sum(sums.churn for sums in mine), sum(sums.churn for sums in best)),
        }

    def _j_ratio(self, runs: Mapping[Run, Sums]) -> float | None:
        """The geometric mean; scenarios that cost the oracle nothing are left out, unless they cost nothing here."""
        ratios = [ratio(sums.cost, self.oracle[number].cost) for (number, _), sums in runs.items()]
        logs = [math.log(one) for one in ratios if one is not None and one > 0.0]
        return math.exp(fmean(logs)) if logs else None


def ratio(mine: float, best: float) -> float | None:
    """`mine / best`; 1 where both are nothing, None where only the other one is."""
    if best > 0.0:
        return mine / best
    return 1.0 if mine == 0.0 else None


def _no_figures(arm: str, verdict: str) -> Figures:
    return Figures(arm, {}, 0, 0, None, None, None, None, None, None, verdict)


def _verdict(runs: Mapping[Run, Sums]) -> str | None:
    """The first that ended early, and how many did."""
    ended = [sums.verdict for _, sums in sorted(runs.items()) if sums.verdict is not None]
    return f"ended early in {len(ended)} of {len(runs)}: {ended[0]}" if ended else None


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
