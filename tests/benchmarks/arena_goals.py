"""The goals: each a figure, what it should be, and whether it is."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from arena_cases import DECLARED, GENERATED, QUIET
from arena_store import OURS, REACTIVE, Cell, Figures, Store

EVERY_WORST, EXCESS, EXCESS_DROPS, DROPS_180 = 1.02, 0.5, 0.25, 1.5
FEWER_UNSERVED, CHURN, WRONG, HOURS_PER_SECOND = 20.0, 1.5, 1.05, 200.0
SAMPLE_SECONDS, SAMPLES = 15.0, 5
# five samples that show no campaign, and one more tick
DOWN_SECONDS = SAMPLES * SAMPLE_SECONDS + SAMPLE_SECONDS
LEAST_CAMPAIGNS = 2000


@dataclass(frozen=True)
class Goal:
    """`met` is None where the figure is only told."""

    name: str
    figure: str
    goal: str
    met: bool | None


@dataclass(frozen=True)
class Match:
    """One cell: ours and the best-set peer, each on the runs that both were in."""

    cell: Cell
    peer: str
    ours_words: str
    peer_words: str
    ours: Figures
    theirs: Figures
    whole: Figures  # ours on all of its runs

    @property
    def ratio(self) -> float:
        return self.ours.relative_at[0] / self.theirs.relative_at[0]

    @property
    def label(self) -> str:
        return f"{self.cell.group.name} at {self.cell.lead:g} s"


def match(cell: Cell, against: str | None = None) -> Match | None:
    """Ours against the best-set peer, or against one that is named; None where one of them is missing."""
    ours = cell.chosen(OURS)
    peer = cell.chosen(against) if against else cell.best_peer()
    if ours is None or peer is None or not cell.common(ours, peer).any():
        return None
    rows = cell.common(ours, peer)
    mine, theirs = cell.entries[ours], cell.entries[peer]
    figures = (cell.summed(ours, rows), cell.summed(peer, rows), cell.summed(ours, cell.common(ours)))
    return Match(cell, theirs.policy, mine.words, theirs.words, *figures)


def is_declared(cell: Cell) -> bool:
    """An event of a trace, or a generated campaign, that was declared as it came."""
    return cell.group.part == DECLARED or (cell.group.part == GENERATED and not cell.group.is_wrong)


def matches(store: Store, wanted: Callable[[Cell], bool], against: str | None = None) -> list[Match]:
    found = (match(cell, against) for cell in store.cells() if wanted(cell))
    return [each for each in found if each is not None]


def goals(store: Store, speed: tuple[float, float, float] | None, *, whole: bool = True) -> list[Goal]:
    """All of them, of what has been run; `whole`: all of it was wanted."""
    return [
        *every_trace(matches(store, lambda cell: cell.group.part == DECLARED)),
        *sharp_drops(matches(store, lambda cell: cell.group.name == "drop")),
        *far_events(matches(store, lambda cell: is_declared(cell) and cell.lead == 600.0)),
        *calm(matches(store, is_declared)),
        *wrong(matches(store, lambda cell: cell.group.is_wrong, REACTIVE)),
        *quiet(store),
        *cancelled(store),
        *speed_goal(speed),
        *sound(store, whole=whole),
    ]


def geometric(values: Sequence[float]) -> float:
    return math.exp(statistics.fmean(math.log(value) for value in values))


def every_trace(found: Sequence[Match]) -> list[Goal]:
    if not found:
        return []
    worst = max(found, key=lambda each: each.ratio)
    won = sum(each.ratio <= EVERY_WORST for each in found)
    name = "J of ours / of the best-set peer, every trace with events and lead time: worst"
    figure = f"{worst.ratio:.3f} ({worst.label}; {won} of {len(found)} kept)"
    rows = [Goal(name, figure, f"<= {EVERY_WORST}", worst.ratio <= EVERY_WORST)]
    rows.append(_excess("excess J/J* - 1 over all traces, ours / best-set peers'", found, EXCESS))
    return rows + _by_lead(found, EXCESS)


def _excess(name: str, found: Sequence[Match], goal: float | None) -> Goal:
    ours = geometric([each.ours.relative_at[0] for each in found]) - 1.0
    theirs = geometric([each.theirs.relative_at[0] for each in found]) - 1.0
    ratio = ours / theirs if theirs > 0 else math.inf
    figure = f"{ours:.3f} / {theirs:.3f} = {ratio:.3f}"
    return Goal(name, figure, "" if goal is None else f"<= {goal}", None if goal is None else ratio <= goal)


def _by_lead(found: Sequence[Match], goal: float) -> list[Goal]:
    leads = sorted({each.cell.lead for each in found})
    return [
        _excess(f"  lead time {lead:g} s", [each for each in found if each.cell.lead == lead], None) for lead in leads
    ]


def sharp_drops(found: Sequence[Match]) -> list[Goal]:
    if not found:
        return []
    rows = [
        _excess("excess on sharp drops, ours / best-set peer's", found, EXCESS_DROPS),
        *_by_lead(found, EXCESS_DROPS),
    ]
    for each in found:
        if each.cell.lead == 180.0:
            figure = f"{each.whole.relative:.3f} ({each.whole.low:.3f} to {each.whole.high:.3f})"
            rows.append(
                Goal("J/J* on sharp drops at 180 s", figure, f"<= {DROPS_180}", each.whole.relative <= DROPS_180)
            )
    return rows + _fewer("on sharp drops", found)


def far_events(found: Sequence[Match]) -> list[Goal]:
    return _fewer("on all events at 600 s", found) if found else []


def _fewer(where: str, found: Sequence[Match]) -> list[Goal]:
    """Unserved as a mean of percents, cells alike; replica-seconds as a geometric mean."""
    ours = statistics.fmean(each.ours.unserved_percent for each in found)
    theirs = statistics.fmean(each.theirs.unserved_percent for each in found)
    times = theirs / ours if ours > 0 else math.inf
    replicas = geometric([each.ours.replicas / each.theirs.replicas for each in found])
    return [
        Goal(
            f"unserved {where}: times less than the best-set peer's",
            f"{theirs:.4f} % / {ours:.4f} % = {times:.1f}",
            f">= {FEWER_UNSERVED:g}",
            times >= FEWER_UNSERVED,
        ),
        Goal(f"  at replica-seconds of, {where}", f"{replicas:.3f} times the peer's", "<= 1", replicas <= 1.0),
    ]


def calm(found: Sequence[Match]) -> list[Goal]:
    if not found:
        return []
    churn = geometric([each.whole.churn for each in found])
    worst = max(found, key=lambda each: each.whole.churn)
    name = "churn / the optimum's, declared events"
    figure = f"{churn:.2f} (worst {worst.whole.churn:.2f}, {worst.label})"
    return [Goal(name, figure, f"<= {CHURN}", churn <= CHURN)]


def wrong(found: Sequence[Match]) -> list[Goal]:
    """Against the autoscaler on requests at its best setting of the same scenarios."""
    rows = []
    for name in dict.fromkeys(each.cell.group.name for each in found):
        mine = [each for each in found if each.cell.group.name == name]
        worst = max(mine, key=lambda each: each.ratio)
        single = max(value for each in mine for value in _single(each.cell).values())
        figure = f"{worst.ratio:.3f} at {worst.cell.lead:g} s (single campaigns up to {single:.2f})"
        rows.append(Goal(f"J / {REACTIVE}'s, {name}: worst lead time", figure, f"<= {WRONG}", worst.ratio <= WRONG))
    return rows


def _single(cell: Cell) -> dict[str, float]:
    ours, peer = cell.chosen(OURS), cell.chosen(REACTIVE)
    return {} if ours is None or peer is None else cell.ratios(ours, peer)


def quiet(store: Store) -> list[Goal]:
    """Where nobody declares anything, the same numbers at every target that both ran with."""
    off, runs = 0.0, 0
    for cell in (cell for cell in store.cells() if cell.group.has_none):
        places = {(entry.policy, entry.setting.hpa_target): place for place, entry in enumerate(cell.entries)}
        for (policy, target), place in places.items():
            other = places.get((REACTIVE, target))
            if policy != OURS or other is None:
                continue
            both = cell.common(place, other)
            runs += int(both.sum())
            off = max(off, float(np.abs(cell.figures[both, place] - cell.figures[both, other]).max(initial=0.0)))
    if not runs:
        return []
    figure = f"the same in all {runs} runs" if off == 0.0 else f"differs, by up to {off:.3g}"
    return [Goal(f"nothing declared: ours as {REACTIVE}", figure, "the same", off == 0.0)]


def cancelled(store: Store) -> list[Goal]:
    """From the declared start: what shows that nothing comes cannot be seen before."""
    seconds = sorted(each.seconds for each in store.descents)
    if not seconds:
        return []
    median = statistics.median(seconds)
    share = statistics.fmean(each <= DOWN_SECONDS for each in seconds)
    figure = f"{median:.0f} s, {100 * share:.0f} % within {DOWN_SECONDS:.0f} s, the slowest {seconds[-1]:.0f} s"
    name = "cancelled: the floor comes down after the start, median"
    return [Goal(name, figure, f"<= {DOWN_SECONDS:.0f} s", median <= DOWN_SECONDS)]


def speed_goal(speed: tuple[float, float, float] | None) -> list[Goal]:
    if speed is None:
        return []
    hours, cpu, wall = speed
    rate = hours / cpu
    figure = f"{rate:.0f} ({hours:.0f} h in {cpu:.1f} CPU s, {wall:.1f} s of wall clock)"
    name = "campaign-hours simulated in a CPU second, forerun alone"
    return [Goal(name, figure, f">= {HOURS_PER_SECOND:g}", rate >= HOURS_PER_SECOND)]


def sound(store: Store, *, whole: bool) -> list[Goal]:
    campaigns = len({(row.group, row.repeat, row.name) for row in store.rows if row.group.part == GENERATED})
    enough = campaigns >= LEAST_CAMPAIGNS
    ended = f"{len(store.verdicts)}" + (f": {store.verdicts[0]}" if store.verdicts else "")
    return [
        Goal("generated campaigns", f"{campaigns}", f">= {LEAST_CAMPAIGNS}", enough if whole else None),
        Goal("arms that ended early", ended, "0", not store.verdicts),
    ]


def lost(store: Store) -> list[str]:
    """Where a peer fares better than ours, the clearest first."""
    found = sorted(matches(store, lambda cell: cell.group.part != QUIET), key=lambda each: -each.ratio)
    return [
        f"{each.label}: {each.peer} ({each.peer_words.strip()}) J/J* {each.theirs.relative_at[0]:.3f}, "
        f"ours {each.ours.relative_at[0]:.3f}, {each.ratio:.3f} times as much"
        for each in found
        if each.ratio > 1.0
    ]
