"""Forecasts for a simulation, from the same worker process as in the operator."""

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from forerun.domain.forecast import Forecast, ForecastRequest
from forerun.domain.reason import Hold
from forerun.forecast.process import ForecastProcess

_BATCH = 32  # requests at once: bounds the worker's memory
_ANSWER_SECONDS = 300.0  # long histories, many at once, on a busy machine


class Forecasts:
    """Called with requests, it answers them in order. The worker starts at the first one, and ends with the context."""

    def __init__(self, told: Callable[[int], None] = lambda _: None) -> None:
        self._runner = asyncio.Runner()
        self._process: ForecastProcess | None = None
        self._told = told

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._runner.run(self._process.close())
        self._runner.close()

    def __call__(self, requests: Sequence[ForecastRequest]) -> list[Forecast | Hold]:
        if self._process is None:
            self._process = ForecastProcess(threads=1, answer_seconds=_ANSWER_SECONDS)
            self._runner.run(self._process.start())
        answers: list[Forecast | Hold] = []
        for first in range(0, len(requests), _BATCH):
            share = requests[first : first + _BATCH]
            answers += self._runner.run(self._process.forecast(share))
            self._told(len(share))
        return answers
