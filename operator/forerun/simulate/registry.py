"""The arms by name: how the floors of each are made, and which settings it may choose its best from."""

import importlib.util
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from forerun.domain.policy import Policy as CapacityPolicy
from forerun.simulate.arena import Schedule, Setting
from forerun.simulate.mean_forecast import floors_of, mean_demand
from forerun.simulate.ours import Forerun
from forerun.simulate.peers import cron_floors, no_floors, static_floors
from forerun.simulate.policy import Known, Policy, PolicyFactory, View

ORACLE = "oracle"
MEAN_FORECAST = "mean-forecast"
NAMES = ("forerun", "hpa", "hpa-rps", "keda-cron", "static", MEAN_FORECAST, ORACLE)
TARGETS = (0.6, 0.7, 0.8, 0.9)  # shares of a replica's capacity that autoscalers are tried at
FACTORS = (1.0, 1.25, 1.5)  # times the expected size that floors are tried at
_LONGEST_PAUSE_SECONDS = 86400.0

Sized = Callable[[float], Schedule]  # the floors at so many times the expected size


class RegistryError(ValueError):
    """A policy that cannot be had; one line with the remedy."""


@dataclass(frozen=True, slots=True)
class Planned:
    """An arm whose floors are all known before the scenario begins; they do not depend on the autoscaler's target."""

    name: str
    settings: tuple[Setting, ...]
    plan: Callable[[Known], Sized]


@dataclass(frozen=True, slots=True)
class Deciding:
    """An arm that decides as the scenario goes on."""

    name: str
    settings: tuple[Setting, ...]
    make: PolicyFactory


Arm = Planned | Deciding


@dataclass(slots=True)
class Broken:
    """Stands for a policy that could not be made: the arm's verdict is what its making raised."""

    error: BaseException
    every_seconds: float = _LONGEST_PAUSE_SECONDS

    def floors(self, view: View) -> dict[str, float]:  # the form of the port
        raise self.error


def missing() -> tuple[str, ...]:
    """Arms that need a library that is not installed."""
    return () if _installed("prophet") else (MEAN_FORECAST,)


def arm(name: str, targets: Sequence[float] = TARGETS, policy: CapacityPolicy | None = None) -> Arm:
    """The arm called `name`, each autoscaler at each of `targets`. RegistryError; the oracle is no arm of its own."""
    if name in missing():
        raise RegistryError(f"{name!r} needs prophet, which is not installed; `pip install 'forerun[backtest]'`")
    if name == "forerun":
        return Deciding(name, _on_rate(targets), partial(Forerun, policy=policy or CapacityPolicy()))
    planned = _planned(targets)
    if name not in planned:
        raise RegistryError(f"{name!r} is not a policy; give one of {', '.join(NAMES)}, or path/to/file.py:ClassName")
    return Planned(name, *planned[name])


def _planned(targets: Sequence[float]) -> dict[str, tuple[tuple[Setting, ...], Callable[[Known], Sized]]]:
    """By name the settings of an arm, and how its floors are made."""
    sized = tuple(Setting(target, factor=factor) for target in targets for factor in FACTORS)
    bare = tuple(Setting(None, factor=factor) for factor in FACTORS)
    return {
        "hpa": (tuple(Setting(target, on_cpu=True) for target in targets), _sized(no_floors)),
        "hpa-rps": (_on_rate(targets), _sized(no_floors)),
        "keda-cron": (sized, _sized(cron_floors)),
        # replicas by hand: with an autoscaler above the floor, and, where targets are free, without one
        "static": (sized + bare if len(targets) > 1 else sized, _sized(static_floors)),
        MEAN_FORECAST: (sized, _mean_forecast),
    }


def _on_rate(targets: Sequence[float]) -> tuple[Setting, ...]:
    return tuple(Setting(target) for target in targets)


def arm_from_file(place: str, targets: Sequence[float] = TARGETS) -> Deciding:
    """The user's own: `path/to/file.py:ClassName`, a PolicyFactory. RegistryError where there is none."""
    path, _, name = place.rpartition(":")
    file = Path(path)
    if not file.is_file():
        raise RegistryError(f"{path}: no such file; give path/to/file.py:ClassName")
    spec = importlib.util.spec_from_file_location(f"forerun_policy_{file.stem}", file)
    found = getattr(_loaded(spec, path), name, None)
    if not callable(found):
        raise RegistryError(f"{path}: there is no class {name!r} in it; give path/to/file.py:ClassName")
    return Deciding(name, _on_rate(targets), partial(_made, found))


def _loaded(spec: ModuleSpec | None, path: str) -> object:
    if spec is None or spec.loader is None:
        raise RegistryError(f"{path}: not a Python file; give path/to/file.py:ClassName")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever somebody else's file does
        words = str(error).split("\n", 1)[0]
        raise RegistryError(f"{path}: cannot be imported: {type(error).__name__}: {words}; correct it") from None
    return module


def _made(factory: Callable[[Known], Any], known: Known) -> Policy:
    """Somebody else's policy for one scenario; TypeError where it is none."""
    policy = factory(known)
    every = getattr(policy, "every_seconds", None)
    if not isinstance(every, int | float) or isinstance(every, bool) or not 0.0 < every < math.inf:
        raise TypeError(f"every_seconds is {every!r}; give a number of seconds above 0")
    if not callable(getattr(policy, "floors", None)):
        raise TypeError("there is no method floors(view)")
    made: Policy = policy
    return made


def _sized(floors: Callable[[Known, float], Schedule]) -> Callable[[Known], Sized]:
    return lambda known: partial(floors, known)


def _mean_forecast(known: Known) -> Sized:
    """Fitted once, whatever the factor."""
    demand_rps = mean_demand(known)
    return lambda factor: floors_of(known, demand_rps, factor)


def _installed(library: str) -> bool:
    return find_spec(library) is not None
