"""What Prophet expects of each scenario, kept in the user's cache: a fit takes as long as a whole simulated day."""

import hashlib
import importlib.metadata
import inspect
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from forerun.simulate import mean_forecast
from forerun.simulate.arena import Schedule
from forerun.simulate.policy import Known

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "forerun" / "bench-arena"


def kept_mean_floors(known: Known) -> Callable[[float], Schedule]:
    """The floors of `mean-forecast` by factor."""
    demand = _kept_demand(known)
    return lambda factor: mean_forecast.floors_of(known, demand, factor)


def _kept_demand(known: Known) -> np.ndarray:
    file = CACHE / f"{_digest(known)}.npy"
    if file.exists():
        kept = np.load(file)
        if kept.shape == (known.ticks,):
            return kept.astype(np.float64)
    demand = mean_forecast.mean_demand(known)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(f".{os.getpid()}.npy")
    np.save(part, demand)
    part.replace(file)
    return demand


def _digest(known: Known) -> str:
    """Of all that the forecast is made of: what is known, the code, and the library."""
    whole = hashlib.sha256(_version())
    for part in (known.campaigns, known.past, known.start, known.tick_seconds, known.ticks):
        whole.update(repr(part).encode())
    if known.history is not None:
        whole.update(f"{known.history.start} {known.history.step_seconds}".encode())
        whole.update(np.array(known.history.values).tobytes())
    return whole.hexdigest()[:24]


@cache
def _version() -> bytes:
    source = Path(inspect.getfile(mean_forecast)).read_bytes()
    return hashlib.sha256(source + importlib.metadata.version("prophet").encode()).digest()
