"""What is run in which order: first a part with every setting, of each group; then the rest, with those chosen."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from arena_cases import DECLARED, Group, generated, of_trace
from arena_race import Job, answer
from arena_store import OURS, Entry, Store

from forerun.simulate.registry import MEAN_FORECAST
from forerun.simulate.scenario import Scenario

LEADS = (5.0, 60.0, 180.0, 600.0)
MIDDLE = 180.0  # every campaign is run at this one
_TOGETHER = 16  # scenarios of one job: what an interrupt may lose
_EVERY_LEAD = ("drop",)  # the other families run a share of their campaigns at the other lead times
_OTHER_LEADS = 4  # ... one in so many


@dataclass(frozen=True)
class Amount:
    """How much of all there is; `sweep`: one scenario in so many is run with every setting of ours."""

    repeats: int
    trace_repeats: int  # with other start-up times of the pods; all else stays
    campaigns: int  # of each family in each repeat
    share: float  # of the events of each trace
    leads: tuple[float, ...]
    sweep: int


def jobs(groups: Sequence[Group], amount: Amount, store: Store) -> Iterator[Job]:
    """Those that come later ask the store for what the earlier ones chose."""
    for swept in (True, False):
        for repeat in range(max(amount.repeats, amount.trace_repeats)):
            for group in groups:
                if group.trace is None and repeat < amount.repeats:
                    yield from _generated(group, repeat, amount, store, swept=swept)
                elif group.trace and (repeat == 0 or (_repeats(group, repeat, amount) and not swept)):
                    yield from _traced(group, repeat, amount, store, swept=swept)


def _repeats(group: Group, repeat: int, amount: Amount) -> bool:
    return group.part == DECLARED and repeat < amount.trace_repeats


def _generated(group: Group, repeat: int, amount: Amount, store: Store, *, swept: bool) -> Iterator[Job]:
    mine = [index for index in range(amount.campaigns) if _is_swept(group, index, amount.campaigns, amount) is swept]
    for first in range(0, len(mine), _TOGETHER):
        some = mine[first : first + _TOGETHER]
        yield Job(
            group,
            repeat,
            scenarios=partial(generated, group, repeat, some, answer),
            leads_of=partial(_leads_of, group, some, amount),
            entries=partial(_entries, store, group, swept=swept),
            all_ratios=swept,
            label=f"repeat {repeat + 1}, {group.name}: {len(some)} campaigns{', every setting' if swept else ''}",
        )


def _leads_of(group: Group, indices: Sequence[int], amount: Amount, place: int) -> list[float]:
    """Sharp drops at every lead time; of the other families a share at those that are not the middle one."""
    if group.name in _EVERY_LEAD or MIDDLE not in amount.leads:
        return list(amount.leads)
    index = indices[place]
    others = index // amount.sweep + index % amount.sweep  # some of those with every setting, and some of the rest
    return [lead for lead in amount.leads if lead == MIDDLE or others % _OTHER_LEADS == 0]


def _traced(group: Group, repeat: int, amount: Amount, store: Store, *, swept: bool) -> Iterator[Job]:
    """The first repeat runs peers with every setting on all events; the others draw other start-up times."""
    taken = thinned(of_trace(group, answer), amount.share)
    part = [s for place, s in enumerate(taken) if repeat > 0 or _is_swept(group, place, len(taken), amount) is swept]
    for first in range(0, len(part), _TOGETHER):
        some = part[first : first + _TOGETHER]
        again = [replace(scenario, seed=scenario.seed + repeat) for scenario in some]
        entries = partial(_chosen, store, group) if repeat > 0 else partial(_entries, store, group, swept=swept)
        words = f"{len(some)} scenarios{', every setting' if swept else ''}"
        yield Job(
            group,
            repeat,
            scenarios=partial(list, again),
            leads_of=lambda _: amount.leads,
            entries=entries,
            all_ratios=repeat == 0,
            label=f"repeat {repeat + 1}, {group.name}: {words}",
        )


def _is_swept(group: Group, place: int, count: int, amount: Amount) -> bool:
    """Ours is fast where there is no campaign; and to choose from few is to choose by chance."""
    few = group.trace is not None and count <= 2 * amount.sweep
    return group.has_none or few or place % amount.sweep == 0


def thinned(scenarios: Sequence[Scenario], share: float) -> list[Scenario]:
    """A share of them, evenly apart; at least one."""
    stride = max(1, round(1.0 / share))
    return list(scenarios[::stride])


def _entries(store: Store, group: Group, lead: float, *, swept: bool) -> list[int]:
    """All settings; of what is slow, where it is not swept, ours at the chosen one only."""
    if swept:
        return list(range(len(store.entries)))
    ours = _chosen_of(store, group, lead, OURS)
    fast = [place for place, entry in enumerate(store.entries) if not _is_slow(entry, group)]
    return [*fast, *ours]


def _is_slow(entry: Entry, group: Group) -> bool:
    """Ours decides tick by tick; a fit of Prophet takes a second, so of generated campaigns it sees a part."""
    return entry.policy == OURS or (entry.policy == MEAN_FORECAST and group.trace is None)


def _chosen(store: Store, group: Group, lead: float) -> list[int]:
    arms = dict.fromkeys(entry.policy for entry in store.entries)
    return [place for arm in arms for place in _chosen_of(store, group, lead, arm)]


def _chosen_of(store: Store, group: Group, lead: float, policy: str) -> list[int]:
    cell = store.cell(group, lead)
    place = cell.chosen(policy) if cell is not None else None
    return [] if place is None else [place]
