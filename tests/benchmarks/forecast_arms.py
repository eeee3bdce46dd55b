"""The traces, and what each model says at their events.

What a baseline says does not change while our model does, so it is kept in the user's cache, under a digest of the
trace, of the splits' source and of the baseline's source and library.
"""

import csv
import gzip
import hashlib
import importlib.metadata
import inspect
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import forerun.backtest.baselines
from forerun.backtest import decision as decision_module
from forerun.backtest import grid, splits
from forerun.backtest.baselines import available
from forerun.backtest.decision import Decision, Model, Prediction
from forerun.domain.forecast import LEVELS
from forerun.domain.reason import Hold
from forerun.signals.trace import read_events, read_trace

TRACES = Path(__file__).parents[3] / "shared" / "traces"
JUDGED = (
    "worldcup98-minute",
    "dodgers-loop-5min",
    "melbourne-birrarung-hourly",
    "wikipedia-peyton-manning-daily",
    "metro-traffic-hourly",
)
REPORTED = ("nasa-http-minute", "uci-online-retail-5min", "nab-twitter-5min")
LIBRARIES = {"mstl": "statsforecast", "prophet": "prophet", "lightgbm": "lightgbm"}
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "forerun" / "bench-forecast"


@dataclass(frozen=True)
class Course:
    """One series with its decisions; `judged` where the goals are taken from it."""

    name: str
    judged: bool
    decisions: tuple[Decision, ...]
    live: tuple[Decision, ...]
    digest: str


@dataclass(frozen=True)
class Said:
    predictions: list[Prediction | Hold]
    seconds: float
    cached: bool


def courses(names: Sequence[str]) -> Iterator[Course]:
    """One by one: their histories are large."""
    for name in names:
        files = [TRACES / f"{name}.csv.gz", TRACES / f"{name}.events.csv"]
        if not all(file.exists() for file in files):
            print(f"{name}: not in {TRACES}, left out")
            continue
        raw = [file.read_bytes() for file in files]
        for series in _series(raw[0]):
            trace = read_trace(files[0], series)
            events = [event for event in read_events(files[1]) if _concerns(event.note, series)]
            label = f"{name}/{series}" if series else name
            digest = _digest(*raw, label.encode(), *(_source(module) for module in (splits, grid, decision_module)))
            decided = splits.decisions(trace, events, label)
            live = splits.live_decisions(trace, events, label)
            if decided:
                yield Course(label, name in JUDGED, decided, live, digest)


def _series(packed: bytes) -> list[str | None]:
    """The series of a file, in order of name; None alone where it holds one that has no name."""
    rows = csv.DictReader(gzip.decompress(packed).decode().splitlines())
    return sorted({row.get("series") for row in rows}, key=str)


def _concerns(note: str, series: str | None) -> bool:
    """Events of one series among several say so in their note."""
    return series is None or "series=" not in note or f"series={series}" in note.replace(";", " ").split()


def answers(course: Course, model: Model, fresh: bool) -> Said:
    """What `model` says at every event of the course; a baseline from the cache where it is there."""
    baseline = model.name != "forerun"
    file = CACHE / course.digest / f"{model.name}-{_model_digest(model)}.json" if baseline else None
    if file and file.exists() and not fresh:
        kept = json.loads(file.read_text())
        if len(kept["predictions"]) == len(course.decisions):
            return Said([_decoded(entry) for entry in kept["predictions"]], kept["seconds"], cached=True)
    began = time.monotonic()
    predictions = list(model.predict(course.decisions))
    seconds = time.monotonic() - began
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps({"seconds": seconds, "predictions": [_encoded(entry) for entry in predictions]}))
        part.replace(file)
    return Said(predictions, seconds, cached=False)


def _encoded(said: Prediction) -> dict:
    window = [[float(f"{value:.7g}") for value in row] for row in said.window]
    return {"window": window, "peak": [float(f"{value:.7g}") for value in said.peak], "at": said.peak_at.isoformat()}


def _decoded(entry: dict) -> Prediction:
    window = tuple(tuple(row) for row in entry["window"])
    return Prediction(window, tuple(entry["peak"]), datetime.fromisoformat(entry["at"]))


def _model_digest(model: Model) -> str:
    """Of the model's own module, of what the baselines share, and of the library's version."""
    own = {Path(inspect.getfile(type(other))) for other in available()} - {Path(inspect.getfile(type(model)))}
    folder = Path(forerun.backtest.baselines.__file__).parent
    shared = [file.read_bytes() for file in sorted(folder.glob("*.py")) if file not in own and file.stem != "__init__"]
    library = LIBRARIES.get(model.name)
    version = importlib.metadata.version(library) if library else ""
    return _digest(*shared, version.encode(), repr(LEVELS).encode())


def _source(module: object) -> bytes:
    return Path(inspect.getfile(module)).read_bytes()


def _digest(*parts: bytes) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()[:16]
