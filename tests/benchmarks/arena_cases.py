"""What the arena is run on: the events of real traces, stretches without any, and generated campaigns."""

import csv
import gzip
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import numpy as np
from arena_generator import FAMILIES, WRONG_DECLARATIONS, GeneratedCampaign, case

from forerun.domain.campaign import Occurrence
from forerun.domain.forecast import EventWindow, Forecast, ForecastRequest
from forerun.domain.observation import DemandSeries
from forerun.domain.reason import Hold
from forerun.signals.trace import TraceEvent, read_events, read_trace
from forerun.simulate.from_trace import Shop, as_a_shape, campaign_of, cut, one_tier, rule_of, scenarios_from
from forerun.simulate.scenario import Scenario

Answer = Callable[[Sequence[ForecastRequest]], list[Forecast | Hold]]

TRACES = Path(__file__).parents[3] / "shared" / "traces"
DECLARED, QUIET, GENERATED = "trace", "no campaign", "generated"
SEED = 20261127  # of the first repeat; the next ones count on
BUSY_GENERATED = 10  # replicas at a busy moment: a shop's drop of 20 times the usual then needs some two hundred
SETTLE_SECONDS = 1800.0
QUIET_DAYS = 3
_TOGETHER = 32
UNDECLARED = ("nab-twitter-5min",)  # bursts that nobody announces: cut out around the highest days


@dataclass(frozen=True)
class Group:
    """Scenarios whose best setting is chosen together: the events of one trace, or a family."""

    name: str
    part: str
    trace: str | None = None
    series: tuple[str | None, ...] = ()

    @property
    def is_wrong(self) -> bool:
        """Declared wrongly, or not at all."""
        return self.part == GENERATED and self.name in WRONG_DECLARATIONS

    @property
    def has_none(self) -> bool:
        """Nobody declared anything."""
        return self.part == QUIET or self.name == "undeclared"


def trace_groups(wanted: Sequence[str] | None = None) -> list[Group]:
    """Every trace, with the events of all its series, and its stretches without; the wanted ones (by a part of the
    name) only.
    """
    groups = []
    for file in sorted(TRACES.glob("*.csv.gz")):
        name = file.name.removesuffix(".csv.gz")
        if wanted and not any(part in name for part in wanted):
            continue
        series = _series(file)
        with_events = tuple(one for one in series if _events(name, one))
        if with_events:
            groups.append(Group(name, DECLARED, name, with_events))
        if not with_events or name in UNDECLARED:
            groups.append(Group(f"{name} (none declared)", QUIET, name, series))
    return groups


def family_groups(wanted: Sequence[str] | None = None) -> list[Group]:
    return [Group(family, GENERATED) for family in FAMILIES if not wanted or family in wanted]


@cache
def of_trace(group: Group, answer: Answer) -> tuple[Scenario, ...]:
    """The scenarios of a trace's group, series by series."""
    return tuple(scenario for series in group.series for scenario in _of_series(group, series, answer))


def _of_series(group: Group, series: str | None, answer: Answer) -> list[Scenario]:
    trace = as_a_shape(read_trace(TRACES / f"{group.trace}.csv.gz", series))
    label = f"{group.trace}/{series}" if series else str(group.trace)
    if group.part == QUIET:
        return _quiet(label, trace, bursts=group.trace in UNDECLARED)
    made = scenarios_from(label, trace, _events(str(group.trace), series), answer)
    # pods of one event start as fast in every arm, but not as those of another event
    return [replace(scenario, seed=_seed(scenario.name)) for scenario in made]


def generated(group: Group, repeat: int, indices: Sequence[int], answer: Answer) -> list[Scenario]:
    """Campaigns of a family, with what their shops had learnt before."""
    made = [scenario_of(case(SEED + repeat, group.name, index)) for index in indices]
    return _taught(made, answer)


def scenario_of(campaign: GeneratedCampaign) -> Scenario:
    """What the arena runs; the truth about the campaign stays behind."""
    values = np.array(campaign.history.values)
    own = EventWindow("sale", campaign.campaign_type, Occurrence(campaign.start, campaign.end), campaign.expected)
    others = [EventWindow("other", o.campaign_type, Occurrence(o.start, o.end), o.expected) for o in campaign.others]
    windows = [*([own] if campaign.declared else []), *others]
    past = tuple(EventWindow("sale", p.campaign_type, Occurrence(p.start, p.end), p.expected) for p in campaign.past)
    capacity = float(np.nanquantile(values, 0.99)) / BUSY_GENERATED
    return Scenario(
        name=campaign.name,
        group=campaign.family,
        storefront=one_tier("generated", capacity, Shop()),
        campaigns=tuple(campaign_of(window) for window in windows),
        start=campaign.span_start,
        tick_seconds=campaign.tick_seconds,
        door_rps=campaign.demand_rps,
        known=np.ones(campaign.demand_rps.size, dtype=np.bool_),
        judged_from=round(SETTLE_SECONDS / campaign.tick_seconds),
        history=campaign.history,
        past=past,
        last_peak_rps=_last_peak(campaign.history, past),
        # wrong declarations are paired with the drop that they are made of
        seed=_seed(campaign.name.split("/")[1]),
    )


def _last_peak(history: DemandSeries, past: Sequence[EventWindow]) -> float | None:
    if not past:
        return None
    window = past[-1].occurrence
    first, last = (
        int((at - history.start).total_seconds() // history.step_seconds) for at in (window.start, window.end)
    )
    seen = [value for value in history.values[max(0, first) : last + 1] if math.isfinite(value)]
    return max(seen, default=None)


def _taught(scenarios: Sequence[Scenario], answer: Answer) -> list[Scenario]:
    """With the lessons of the earlier campaigns, as the operator has learnt them by the begin."""
    taught = []
    for first in range(0, len(scenarios), _TOGETHER):
        some = scenarios[first : first + _TOGETHER]
        asked = [ForecastRequest(s.name, s.start, s.history, None, (), s.past) for s in some if s.history is not None]
        for scenario, found in zip(some, answer(asked), strict=True):
            lessons = found.learnt if isinstance(found, Forecast) else ()
            taught.append(replace(scenario, experience=lessons))
    return taught


def _quiet(label: str, trace: DemandSeries, *, bursts: bool) -> list[Scenario]:
    """Some days of a trace that nobody declares anything on: the highest where bursts are wanted, else evenly apart."""
    rule = rule_of(trace.step_seconds)
    length = len(trace.values) * trace.step_seconds
    settle, day = rule.settle.total_seconds(), 86400.0
    least = settle + 2 * max(trace.step_seconds, 300.0)
    if length < least + 2 * day:  # an hour of a trace: all of it
        begins = [least] if length > least + 600.0 else []
        span = timedelta(seconds=length - least)
    else:
        most = int((length - settle) // day) - 1
        days = _highest_days(trace, most) if bursts else _evenly(most)
        begins, span = [settle + day * number for number in days], timedelta(days=1)
    starts = [trace.start + timedelta(seconds=begin) for begin in begins]
    return [replace(cut(label, trace, start, span), seed=number) for number, start in enumerate(starts)]


def _evenly(most: int) -> list[int]:
    return sorted({1 + (most - 1) * k // QUIET_DAYS for k in range(1, QUIET_DAYS + 1)})


def _highest_days(trace: DemandSeries, most: int) -> list[int]:
    """The days (from the first whole one on) in which the highest bins lie."""
    settle = rule_of(trace.step_seconds).settle.total_seconds()
    first, per_day = round(settle / trace.step_seconds), round(86400.0 / trace.step_seconds)
    values = np.nan_to_num(np.array(trace.values[first : first + (most + 1) * per_day]))
    peaks = values[: values.size // per_day * per_day].reshape(-1, per_day).max(axis=1)
    peaks[0] = 0.0  # a day of history first
    return sorted(int(day) for day in np.argsort(-peaks, kind="stable")[:QUIET_DAYS])


def _series(file: Path) -> tuple[str | None, ...]:
    with gzip.open(file, "rt", newline="") as text:
        return tuple(sorted({row.get("series") for row in csv.DictReader(text)}, key=str))


def _events(name: str, series: str | None) -> list[TraceEvent]:
    """Those of one series say so in their note; a file without such notes concerns all."""
    file = TRACES / f"{name}.events.csv"
    if not file.exists():
        return []
    events = read_events(file)
    return [event for event in events if _concerns(event.note, series)]


def _concerns(note: str, series: str | None) -> bool:
    words = note.replace(";", " ").split()
    return series is None or "series=" not in note or f"series={series}" in words


def _seed(name: str) -> int:
    return zlib.crc32(name.encode()) % 100_000
