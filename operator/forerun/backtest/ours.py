"""Our model, asked through the same worker process as in the operator."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from forerun.backtest.decision import Decision, Prediction
from forerun.domain.forecast import Forecast, ForecastRequest, Lesson, Peak
from forerun.domain.reason import Hold, Reason
from forerun.forecast.process import ForecastProcess

Array = npt.NDArray[np.float64]

_BATCH = 8  # what one batch taught the next one knows, as in the operator
_BATCH_VALUES = 2_000_000  # of history: the worker's memory while it answers
_WORKER_VALUES = 20_000_000  # the worker keeps the series it was sent; a new one begins with none
_ANSWER_SECONDS = 300.0  # long histories, many at once, on a busy machine


class Forerun:
    """The forecast of the product; no worker outlives a call of `predict`."""

    name = "forerun"

    def predict(self, decisions: Sequence[Decision]) -> list[Prediction | Hold]:
        """A Hold where the worker gave one, or where its forecast does not reach over the window."""
        answers = asyncio.run(_ask([decision.request for decision in decisions]))
        return [
            answer if isinstance(answer, Hold) else prediction_from(decision, answer)
            for decision, answer in zip(decisions, answers, strict=True)
        ]


async def _ask(requests: Sequence[ForecastRequest]) -> list[Forecast | Hold]:
    """In order of time. What earlier answers taught goes with later questions: so it is kept in the operator."""
    answers: list[Forecast | Hold] = []
    experience: tuple[Lesson, ...] = ()
    for share in batches(requests, len(requests), _WORKER_VALUES):
        process = ForecastProcess(threads=1, answer_seconds=_ANSWER_SECONDS)
        await process.start()
        try:
            for batch in batches(share, _BATCH, _BATCH_VALUES):
                found = await process.forecast([replace(request, experience=experience) for request in batch])
                answers.extend(found)
                experience = _taught(experience, found)
        finally:
            await process.close()
    return answers


def _taught(experience: tuple[Lesson, ...], answers: Sequence[Forecast | Hold]) -> tuple[Lesson, ...]:
    learnt = {lesson.window: lesson for lesson in experience}
    for answer in answers:
        if isinstance(answer, Forecast):
            learnt |= {lesson.window: lesson for lesson in answer.learnt if lesson.window not in learnt}
    return tuple(learnt.values())


def batches(requests: Sequence[ForecastRequest], most: int, most_values: int) -> Iterator[Sequence[ForecastRequest]]:
    """In order, each of `most` requests and `most_values` values of history at most, but of one request at least."""
    first = values = 0
    for index, request in enumerate(requests):
        size = len(request.history.values) if request.history is not None else 0
        if index > first and (index - first >= most or values + size > most_values):
            yield requests[first:index]
            first, values = index, 0
        values += size
    if first < len(requests):
        yield requests[first:]


def prediction_from(decision: Decision, forecast: Forecast) -> Prediction | Hold:
    """The forecast on the decision's bins: per level the mean of the cells, weighted by how much of a bin they fill.

    A cell wider than a bin gives it its own value.
    """
    peak = _peak(decision, forecast)
    window = _window(decision, forecast)
    if peak is None or window is None:
        lacking = "the peak" if peak is None else "a part of the window"
        return Hold(Reason.FORECAST_UNAVAILABLE, decision.trace, {}, f"the forecast lacks {lacking} of {decision.name}")
    step = decision.step_seconds
    at = (peak.at - decision.start).total_seconds()
    cell = min(max(int(at // step), 0), decision.bins - 1)
    middle = decision.start + timedelta(seconds=(cell + 0.5) * step)
    return Prediction(tuple(map(tuple, window.tolist())), peak.quantiles, middle)


def _peak(decision: Decision, forecast: Forecast) -> Peak | None:
    own = decision.request.upcoming[0]
    return next((p for p in forecast.peaks if (p.campaign, p.occurrence) == (own.campaign, own.occurrence)), None)


def _window(decision: Decision, forecast: Forecast) -> Array | None:
    """Quantiles of shape (bins, levels); None where a bin has no cell."""
    begins, ends, rows = [], [], []
    for segment in forecast.segments:
        offset = (segment.start - decision.start).total_seconds()
        cells = offset + np.arange(len(segment.quantiles)) * segment.step_seconds
        begins.append(cells)
        ends.append(cells + segment.step_seconds)
        rows.append(np.asarray(segment.quantiles))
    if not rows:
        return None
    edges = np.arange(decision.bins + 1) * decision.step_seconds
    shared = np.minimum(edges[1:, None], np.concatenate(ends)) - np.maximum(edges[:-1, None], np.concatenate(begins))
    weights = np.maximum(shared, 0.0)
    filled = weights.sum(axis=1, keepdims=True)
    if not (filled > 0.0).all():
        return None
    return np.asarray((weights / filled) @ np.concatenate(rows))
