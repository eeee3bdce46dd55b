"""Decisions, models and scores in a row."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from forerun.backtest.decision import Decision, Model, Prediction
from forerun.backtest.scores import Scores, is_measured, peak_error, score
from forerun.backtest.splits import decisions, live_decisions
from forerun.domain.campaign import Expected
from forerun.domain.observation import DemandSeries
from forerun.domain.reason import Hold
from forerun.signals.trace import TraceEvent

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class LiveErrors:
    """Mean of |median of the peak / actual peak - 1| over the same events: before the start, and after the onset."""

    events: int
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True)
class ModelResult:
    """`predictions` are in the order of the decisions; `kinds` has the scores of each kind of event.

    `seconds` is the wall time of all predictions of this model, what it needs to start included.
    """

    model: str
    predictions: tuple[Prediction | Hold, ...]
    scores: Scores
    kinds: tuple[tuple[str, Scores], ...]
    seconds: float
    live: LiveErrors | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """`outside` counts events that lie outside the trace or have nothing measured before them."""

    trace: str
    decisions: tuple[Decision, ...]
    outside: int
    models: tuple[ModelResult, ...]


def backtest(
    name: str,
    trace: DemandSeries,
    events: Sequence[TraceEvent],
    models: Sequence[Model],
    declared: Sequence[Expected] = (),
    decide_seconds: float | None = None,
    live: bool = False,
    told: Told = lambda _: None,
) -> Result:
    """Ask every model about every event; `told` hears of the progress.

    `live` also asks 300 s after each event's onset, on traces in bins of a minute or less.
    """
    made = decisions(trace, events, name, decide_seconds, declared)
    later = live_decisions(trace, events, name, declared=declared) if live else ()
    if made:
        told(f"{name}: {len(made)} events, {len(events) - len(made)} more outside the trace")
    results = tuple(_asked(model, made, later, told) for model in models) if made else ()
    return Result(name, made, len(events) - len(made), results)


def _asked(model: Model, made: Sequence[Decision], later: Sequence[Decision], told: Told) -> ModelResult:
    told(f"asking {model.name}")
    began = time.perf_counter()
    predictions = tuple(model.predict(made))
    seconds = time.perf_counter() - began
    told(f"{model.name} took {seconds:.1f} s")
    holds = [said for said in predictions if isinstance(said, Hold)]
    if holds:
        told(f"{model.name} left {len(holds)} without an answer: {holds[0].detail or holds[0].reason}")
    kinds = sorted({decision.kind for decision in made})
    return ModelResult(
        model=model.name,
        predictions=predictions,
        scores=score(made, predictions),
        kinds=tuple((kind, _of_kind(kind, made, predictions)) for kind in kinds),
        seconds=seconds,
        live=_live(made, predictions, later, tuple(model.predict(later))) if later else None,
    )


def _of_kind(kind: str, made: Sequence[Decision], predictions: Sequence[Prediction | Hold]) -> Scores:
    mine = [(decision, said) for decision, said in zip(made, predictions, strict=True) if decision.kind == kind]
    return score([decision for decision, _ in mine], [said for _, said in mine])


def _live(
    made: Sequence[Decision],
    before: Sequence[Prediction | Hold],
    later: Sequence[Decision],
    after: Sequence[Prediction | Hold],
) -> LiveErrors:
    """Only events that were answered both times are compared."""
    early = {(decision.kind, decision.name, decision.start): said for decision, said in zip(made, before, strict=True)}
    pairs = []
    for decision, said in zip(later, after, strict=True):
        first = early.get((decision.kind, decision.name, decision.start))
        if isinstance(first, Prediction) and isinstance(said, Prediction) and is_measured(decision):
            pairs.append((peak_error(decision, first), peak_error(decision, said)))
    if not pairs:
        return LiveErrors(0, None, None)
    mean_before, mean_after = np.mean(pairs, axis=0).tolist()
    return LiveErrors(len(pairs), mean_before, mean_after)
