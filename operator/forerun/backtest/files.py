"""What a backtest reads and writes. Errors name file, field and remedy in one line."""

import csv
import gzip
import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

from forerun.backtest.decision import Decision, Prediction
from forerun.backtest.run import ModelResult, Result
from forerun.backtest.scores import Scores
from forerun.domain.campaign import Expected
from forerun.domain.forecast import LEVELS
from forerun.domain.observation import DemandSeries
from forerun.domain.reason import Hold
from forerun.signals.trace import TraceError, TraceEvent, read_events, read_trace

FORECASTS_HEADER = ("model", "series", "event", "decided_at", "time", "quantile", "value")
_DECLARED = ("audience", "multiplier", "peak_rps")
_OTHER_SERIES = re.compile(r"\bseries=([^\s;,]+)")
_MOST_NAMED = 12


@dataclass(frozen=True, slots=True)
class Inputs:
    """`declared[i]` are the numbers of `events[i]`; `name` says which trace (and series) this is."""

    name: str
    trace: DemandSeries
    events: tuple[TraceEvent, ...]
    declared: tuple[Expected, ...]


def read_inputs(trace: Path, events: Path, series: str | None = None) -> Inputs:
    """The trace and its events; those whose note names another series are left out. Raises TraceError."""
    _check_present(trace, "--trace")
    _check_present(events, "--events")
    _check_series(trace, series)
    rows = list(zip(read_events(events), _declared(events), strict=True))
    if series is not None:
        rows = [(event, expected) for event, expected in rows if not _names_another(event.note, series)]
    if not rows:
        raise TraceError(f"{events}: start: there is no event for this series; add a row `kind,name,start,end,note`")
    name = re.sub(r"\.csv(\.gz)?$", "", trace.name)
    return Inputs(
        name=f"{name}:{series}" if series else name,
        trace=read_trace(trace, series),
        events=tuple(event for event, _ in rows),
        declared=tuple(expected for _, expected in rows),
    )


def _check_present(file: Path, option: str) -> None:
    if not file.is_file():
        raise TraceError(f"{file}: {option}: no such file; give the path of a CSV or CSV.gz")


def _check_series(trace: Path, series: str | None) -> None:
    """Whether `series` picks exactly one of the file."""
    names = _series_names(trace)
    if series is None and len(names) > 1:
        raise TraceError(f"{trace}: series: the file has several; give --series with one of {_listed(names)}")
    if series is not None and series not in names:
        found = f"it has {_listed(names)}" if names else "the file has no column of that name; leave --series out"
        raise TraceError(f"{trace}: series: there is no {series!r}; {found}")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _names_another(note: str, series: str) -> bool:
    named: list[str] = _OTHER_SERIES.findall(note)
    return bool(named) and series not in named


def _series_names(file: Path) -> list[str]:
    """In the order of their first row; empty where the file has no such column."""
    return list(dict.fromkeys(row["series"] or "" for row in _rows(file) if "series" in row))


def _declared(file: Path) -> list[Expected]:
    return [_expected(file, number, row) for number, row in enumerate(_rows(file), start=2)]


def _expected(file: Path, number: int, row: dict[str, Any]) -> Expected:
    found: dict[str, float] = {}
    for field in _DECLARED:
        text = row.get(field)
        if not text:
            continue
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0.0 < value < math.inf:
            raise TraceError(f"{file}, row {number}: {field}: {text!r} is not a positive number; leave it empty")
        found[field] = value
    audience = round(found["audience"]) if "audience" in found else None
    return Expected(audience, found.get("multiplier"), found.get("peak_rps"))


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    """Columns by name; the checks of the values are the readers' own."""
    try:
        packed = file.read_bytes()
        text = (gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed).decode("utf-8-sig")
        yield from csv.DictReader(io.StringIO(text, newline=""))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise TraceError(f"{file}: cannot be read as CSV: {error}") from None


def write_forecasts(file: Path, result: Result, series: str) -> None:
    """Every quantile that every model said, one a row; packed where the name ends in .gz. Raises OSError."""
    with _opened(file) as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(FORECASTS_HEADER)
        for model in result.models:
            for decision, said in zip(result.decisions, model.predictions, strict=True):
                if isinstance(said, Prediction):
                    writer.writerows(_forecast_rows((model.model, series), decision, said))


@contextmanager
def _opened(file: Path) -> Iterator[TextIO]:
    if file.suffix == ".gz":
        with gzip.open(file, "wt", encoding="utf-8", newline="") as packed:
            yield packed
    else:
        with file.open("w", encoding="utf-8", newline="") as plain:
            yield plain


def _forecast_rows(source: tuple[str, str], decision: Decision, said: Prediction) -> Iterator[tuple[str, ...]]:
    head = (*source, decision.name, _utc(decision.decided_at))
    for index, row in enumerate(said.window):
        time = _utc(decision.start + timedelta(seconds=index * decision.step_seconds))
        for level, value in zip(LEVELS, row, strict=True):
            yield (*head, time, f"{level:g}", f"{value:.9g}")
    for level, value in zip(LEVELS, said.peak, strict=True):
        yield (*head, _utc(said.peak_at), f"peak:{level:g}", f"{value:.9g}")


def document(result: Result) -> dict[str, Any]:
    """The result as one JSON document; a figure that no event gives is null."""
    return {
        "trace": result.trace,
        "outside": result.outside,
        "models": [_model_document(model) for model in result.models],
    }


def _model_document(model: ModelResult) -> dict[str, Any]:
    row = {"model": model.model, **_figures(model.scores), "seconds": model.seconds}
    row["kinds"] = [{"kind": kind, **_figures(scores)} for kind, scores in model.kinds]
    row["holds"] = _holds(model)
    if model.live is not None:
        row["live"] = {
            "events": model.live.events,
            "peak_error_before": model.live.before,
            "peak_error_after": model.live.after,
        }
    return row


def _holds(model: ModelResult) -> list[dict[str, str]]:
    found = [said for said in model.predictions if isinstance(said, Hold)]
    return [{"reason": str(hold.reason), "detail": hold.detail} for hold in found]


def _figures(scores: Scores) -> dict[str, Any]:
    return {
        "events": scores.events,
        "unmeasured": scores.unmeasured,
        "missing": scores.missing,
        "peak_pinball": scores.peak_pinball,
        "window_pinball": scores.window_pinball,
        "crps_peak": scores.crps_peak,
        "coverage": _by_level(scores.coverage),
        "coverage_peak": _by_level(scores.coverage_peak),
        "peak_time_error_seconds": scores.peak_time_error_seconds,
        "over_forecast": scores.over_forecast,
    }


def _by_level(shares: Sequence[float] | None) -> dict[str, float] | None:
    return {f"{level:g}": share for level, share in zip(LEVELS, shares, strict=True)} if shares is not None else None


def _utc(at: datetime) -> str:
    at = at.astimezone(UTC)
    return at.isoformat(timespec="milliseconds" if at.microsecond else "seconds").replace("+00:00", "Z")
