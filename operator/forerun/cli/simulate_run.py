"""What `forerun simulate` was asked for, read and run. Imports numpy: threads must be pinned before."""

import re
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from forerun.backtest.files import read_inputs
from forerun.cli.failure import BadInput
from forerun.cli.files import load
from forerun.cli.simulate_forecasts import Forecasts
from forerun.domain.forecast import Forecast, ForecastRequest
from forerun.domain.observation import DemandSeries
from forerun.domain.policy import Policy as CapacityPolicy
from forerun.domain.reason import Hold, Reason
from forerun.signals.trace import TraceError, read_trace
from forerun.simulate import registry
from forerun.simulate.comparison import compare
from forerun.simulate.figures import Comparison
from forerun.simulate.from_files import Given, Happened, InputError, scenarios_of
from forerun.simulate.registry import Arm, Planned
from forerun.simulate.scenario import Scenario, World
from forerun.simulate.timeline import write_timeline

Told = Callable[[str], None]

_QUIET_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Asked:
    """The options; `target` None: each arm at its best."""

    files: tuple[str, ...]
    trace: str
    events: str | None
    series: str | None
    lead_time_seconds: float | None
    first: int | None
    target: float | None
    cost_ratio: float
    retry_share: float
    seed: int
    repeats: int


def chosen_arms(asked: Asked, wanted: Sequence[str], told: Told) -> tuple[list[Arm], bool]:
    """The arms, and whether the oracle is to be shown among them."""
    names = _names(wanted) or _installed(told)
    targets = registry.TARGETS if asked.target is None else (asked.target,)
    policy = _given(asked.files).policy
    try:
        arms = [_arm(name, targets, policy) for name in names if name != registry.ORACLE]
    except registry.RegistryError as error:
        raise BadInput(f"--policy: {error}") from None
    _check_names(arms)
    return arms, registry.ORACLE in names


def compared(asked: Asked, arms: Sequence[Arm], keep_floors: bool, told: Told) -> tuple[str, Comparison]:
    """The trace's name, and what came of it. BadInput."""
    given = _given(asked.files)
    name, demand, happened = _read(asked)
    decides = any(not isinstance(arm, Planned) for arm in arms)
    with Forecasts(_Seldom(told)) if decides else nullcontext(_nothing) as answer:
        try:
            scenarios, remarks = scenarios_of(
                name, demand, given, happened, answer, asked.lead_time_seconds, asked.first
            )
        except InputError as error:
            raise BadInput(f"{', '.join(asked.files) or asked.events or asked.trace}: {error}") from None
        for remark in (*remarks, _size(scenarios)):
            told(remark)
        found = compare(
            arms,
            scenarios,
            World(retry_share=asked.retry_share, seed=asked.seed),
            answer,
            cost_ratio=asked.cost_ratio,
            repeats=asked.repeats,
            keep_floors=keep_floors,
            told=told,
        )
    return name, found


def write(name: str, found: Comparison, told: Told) -> None:
    """The timeline. BadInput where it cannot be written."""
    told(f"{name}: writing the timeline")
    try:
        write_timeline(Path(name), found)
    except OSError as error:
        raise BadInput(f"{name}: --timeline: cannot be written: {error.strerror or error}; give another file") from None


def _names(wanted: Sequence[str]) -> list[str]:
    """Each of those that are wanted once; commas part them."""
    return list(dict.fromkeys(name.strip() for text in wanted for name in text.split(",") if name.strip()))


def _installed(told: Told) -> list[str]:
    """All that can run here."""
    lacking = registry.missing()
    if lacking:
        told(f"not installed, so not compared: {', '.join(lacking)}")
    return [name for name in registry.NAMES if name not in lacking]


def _arm(name: str, targets: Sequence[float], policy: CapacityPolicy | None) -> Arm:
    return registry.arm_from_file(name, targets) if ":" in name else registry.arm(name, targets, policy)


def _check_names(arms: Sequence[Arm]) -> None:
    """BadInput where two arms have one name, or one has the oracle's."""
    named = [arm.name for arm in arms]
    twice = [name for name in named if named.count(name) > 1 or name == registry.ORACLE]
    if twice:
        raise BadInput(f"--policy: {twice[0]!r} is the name of two; rename the class")


def _given(files: Sequence[str]) -> Given:
    objects = load(files)
    if len(objects.policies) > 1:
        raise BadInput(f"{', '.join(files)}: CapacityPolicy: {len(objects.policies)} found; give one at most")
    policy = objects.policies[0] if objects.policies else None
    return Given(tuple(objects.storefronts), tuple(objects.campaigns), policy)


def _read(asked: Asked) -> tuple[str, DemandSeries, Happened]:
    """The trace's name, its demand, and what happened."""
    trace = Path(asked.trace)
    if not trace.is_file():
        raise BadInput(f"{trace}: --trace: no such file; give the path of a CSV or CSV.gz")
    try:
        if asked.events is not None:
            inputs = read_inputs(trace, Path(asked.events), asked.series)
            return inputs.name, inputs.trace, Happened(inputs.events, inputs.declared)
        name = re.sub(r"\.csv(\.gz)?$", "", trace.name)
        return f"{name}:{asked.series}" if asked.series else name, read_trace(trace, asked.series), Happened()
    except TraceError as error:
        several = asked.series is None and "the row above" in str(error)
        raise BadInput(f"{error}; --series picks one of several" if several else str(error)) from None


def _size(scenarios: Sequence[Scenario]) -> str:
    hours = sum((one.ticks - one.judged_from) * one.tick_seconds for one in scenarios) / 3600.0
    noun = "scenario" if len(scenarios) == 1 else "scenarios"
    return f"{len(scenarios)} {noun}, {hours:.1f} h in all, {scenarios[0].tick_seconds:g} s a tick"


def _nothing(requests: Sequence[ForecastRequest]) -> list[Forecast | Hold]:
    """The answers where no policy asks: what windows taught is of no use to the others."""
    return [Hold(Reason.FORECAST_UNAVAILABLE, request.storefront) for request in requests]


class _Seldom:
    """How many forecasts there are, said every few seconds."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._count = 0
        self._said_at = time.monotonic()

    def __call__(self, more: int) -> None:
        self._count += more
        if time.monotonic() - self._said_at >= _QUIET_SECONDS:
            self._said_at = time.monotonic()
            self._told(f"{self._count:,} forecasts so far")
