"""What came of every run, and what is made of it: the best setting of each arm, and figures with their intervals."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from arena_cases import Group

from forerun.simulate import registry
from forerun.simulate.arena import Setting
from forerun.simulate.score import COST_RATIO, Score

RATIOS = (COST_RATIO, 9.0, 999.0)
OURS, REACTIVE = "forerun", "hpa-rps"
REPLICA_SECONDS, UNSERVED, DEMAND, VIOLATION, CHURN = range(5)  # columns of what is kept of a run
_RESAMPLES = 400
INTERVAL = (0.025, 0.975)
_SEED = 5


@dataclass(frozen=True)
class Entry:
    """An arm with one setting."""

    policy: str
    setting: Setting

    @property
    def words(self) -> str:
        target = self.setting.hpa_target
        words = [] if self.setting.factor == 1.0 else [f"x{self.setting.factor:g}"]
        return " ".join(["no HPA" if target is None else f"{100 * target:.0f} %", *words])


def entries_of(names: Sequence[str]) -> list[Entry]:
    """Every arm with every setting that it may choose its best from."""
    return [Entry(name, setting) for name in names for setting in registry.arm(name).settings]


@dataclass(frozen=True)
class Best:
    """What the clairvoyant optimum does: J at each of RATIOS, and the columns of the one at COST_RATIO."""

    costs: np.ndarray
    columns: np.ndarray


@dataclass(frozen=True)
class Row:
    """One scenario at one lead time; `figures` [entries, columns], NaN where an entry did not run.

    Unserved and demand are in replica-seconds, so that traces of any size add up.
    """

    group: Group
    lead: float
    repeat: int
    name: str
    figures: np.ndarray
    best: Best


@dataclass(frozen=True)
class Figures:
    """One entry over the scenarios of a cell; `relative` is J/J*, a median of the repeats' geometric means."""

    relative: float
    low: float
    high: float
    draws: np.ndarray = field(repr=False)  # log of `relative` with the campaigns drawn anew
    relative_at: tuple[float, ...]  # at each of RATIOS
    unserved_percent: float
    violation_seconds: float
    replicas: float  # replica-seconds / the optimum's, geometric mean
    churn: float
    runs: int


@dataclass
class Store:
    entries: list[Entry]
    rows: list[Row] = field(default_factory=list)
    descents: list["Descent"] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    hours: float = 0.0  # simulated by ours, of all its settings
    load: list[float] = field(default_factory=list)

    def cell(self, group: Group, lead: float) -> "Cell | None":
        rows = [row for row in self.rows if row.group == group and row.lead == lead]
        return Cell(self.entries, rows) if rows else None

    def cells(self, parts: Iterable[str] | None = None) -> list["Cell"]:
        """One per group and lead time, in the order in which they were run first."""
        found: dict[tuple[Group, float], list[Row]] = {}
        for row in self.rows:
            if parts is None or row.group.part in parts:
                found.setdefault((row.group, row.lead), []).append(row)
        return [Cell(self.entries, rows) for rows in found.values()]


@dataclass(frozen=True)
class Descent:
    """How long after its declared start a cancelled campaign's floor first came down; infinite: never while it ran."""

    lead: float
    target: float
    seconds: float


def columns(score: Score) -> np.ndarray:
    capacity = score.capacity_rps
    unserved, demand = score.unserved / capacity, score.demand / capacity
    return np.array([score.replica_seconds, unserved, demand, score.violation_seconds, score.churn])


class Cell:
    """The rows of one group at one lead time."""

    def __init__(self, entries: Sequence[Entry], rows: Sequence[Row]) -> None:
        self.entries, self.rows = entries, rows
        self.group, self.lead = rows[0].group, rows[0].lead
        self.figures = np.array([row.figures for row in rows])
        self.repeats = np.array([row.repeat for row in rows])
        self._best_costs = np.array([row.best.costs for row in rows])
        self._best = np.array([row.best.columns for row in rows])

    def relative(self, entry: int, ratio: int = 0) -> np.ndarray:
        """J/J* of each row; NaN where the entry did not run."""
        own = self.figures[:, entry]
        return (own[:, REPLICA_SECONDS] + RATIOS[ratio] * own[:, UNSERVED]) / self._best_costs[:, ratio]

    def chosen(self, policy: str) -> int | None:
        """The setting of least J/J* (geometric mean), over the runs in which all settings of the arm took part."""
        mine = [place for place, entry in enumerate(self.entries) if entry.policy == policy]
        if not mine:
            return None
        logs = np.log(np.array([self.relative(place) for place in mine]))
        whole = np.isfinite(logs).all(axis=0)
        return mine[int(np.argmin(logs[:, whole].mean(axis=1)))] if whole.any() else None

    def arms(self) -> dict[str, int]:
        """The chosen entry of each arm that ran."""
        found = {policy: self.chosen(policy) for policy in dict.fromkeys(entry.policy for entry in self.entries)}
        return {policy: place for policy, place in found.items() if place is not None}

    def best_peer(self) -> int | None:
        """The peer's entry that ours fares worst against, each on the runs that both were in."""
        arms = self.arms()
        ours = arms.pop(OURS, None)
        worth = {
            place: self.against(ours, place) if ours is not None else -self._mean_log(place) for place in arms.values()
        }
        return max(worth, key=worth.__getitem__) if worth else None

    def against(self, one: int, other: int) -> float:
        """Geometric mean of J of one / J of another, over the runs that both were in."""
        logs = np.log(self.relative(one)) - np.log(self.relative(other))
        return float(np.exp(logs[np.isfinite(logs)].mean()))

    def ratios(self, one: int, other: int) -> dict[str, float]:
        """J of one / J of another by scenario."""
        both = self.relative(one) / self.relative(other)
        names = [f"{row.name} ({row.repeat + 1})" for row in self.rows]
        return {name: float(value) for name, value in zip(names, both, strict=True) if np.isfinite(value)}

    def common(self, *entries: int) -> np.ndarray:
        """Rows in which all of them ran."""
        return np.all([np.isfinite(self.relative(entry)) for entry in entries], axis=0)

    def summed(self, entry: int, rows: np.ndarray) -> Figures:
        """The figures of an entry over some rows."""
        own, best = self.figures[rows, entry], self._best[rows]
        relative = self.relative(entry)[rows]
        value, draws = drawn_medians(np.log(relative), self.repeats[rows])
        low, high = np.quantile(draws, INTERVAL)
        unserved = np.divide(own[:, UNSERVED], own[:, DEMAND], out=np.zeros(len(own)), where=own[:, DEMAND] > 0)
        return Figures(
            *(float(np.exp(log)) for log in (value, low, high)),
            draws=draws,
            relative_at=tuple(_geometric(self.relative(entry, ratio)[rows]) for ratio in range(len(RATIOS))),
            unserved_percent=100.0 * float(unserved.mean()),
            violation_seconds=float(own[:, VIOLATION].mean()),
            replicas=float(np.exp(np.log(own[:, REPLICA_SECONDS] / best[:, REPLICA_SECONDS]).mean())),
            churn=float(np.exp(np.log(np.maximum(own[:, CHURN], 1.0) / np.maximum(best[:, CHURN], 1.0)).mean())),
            runs=int(rows.sum()),
        )

    def optimum(self) -> Figures:
        """The clairvoyant optimum beside itself."""
        unserved = self._best[:, UNSERVED] / np.maximum(self._best[:, DEMAND], 1e-12)
        seconds = float(self._best[:, VIOLATION].mean())
        same = np.zeros(_RESAMPLES)
        return Figures(
            1.0, 1.0, 1.0, same, (1.0,) * 3, 100.0 * float(unserved.mean()), seconds, 1.0, 1.0, len(self.rows)
        )

    def _mean_log(self, entry: int) -> float:
        return float(np.nanmean(np.log(self.relative(entry))))


def _geometric(values: np.ndarray) -> float:
    """Geometric mean of those that are known; NaN without any."""
    known = values[np.isfinite(values)]
    return float(np.exp(np.log(known).mean())) if known.size else float("nan")


def drawn_medians(logs: np.ndarray, repeats: np.ndarray) -> tuple[float, np.ndarray]:
    """Median over the repeats of each one's mean, and the same with their campaigns drawn anew (bootstrap) [draws]."""
    rng = np.random.default_rng(_SEED)
    groups = [logs[repeats == repeat] for repeat in np.unique(repeats)]
    drawn = [values[rng.integers(values.size, size=(_RESAMPLES, values.size))].mean(axis=1) for values in groups]
    return float(np.median([values.mean() for values in groups])), np.median(drawn, axis=0)
