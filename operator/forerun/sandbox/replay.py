"""Replay demand as a counter that Prometheus scrapes: past values for its history, live ones on request.

Both come from one integral over time, so the counter never jumps where history ends, and a
late scrape sees the right value: nothing ticks.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import HTTPServer
from threading import Thread
from types import TracebackType
from typing import Self

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily

from forerun.domain.observation import DemandSeries

METRIC = "nginx_ingress_requests_total"
LABELS: Mapping[str, str] = {"service": "shop"}


def place(series: DemandSeries, trace_time: datetime, at: datetime, speed: float = 1.0) -> DemandSeries:
    """The series moved so that its moment `trace_time` happens at `at`, and runs `speed` times as fast.

    Demand keeps its size (requests/s), only time is compressed: a day takes 86,400 s / speed.
    """
    before = (trace_time - series.start) / speed
    return replace(series, start=at - before, step_seconds=series.step_seconds / speed)


def sampled(curve: Callable[[datetime], float], start: datetime, step_seconds: float, count: int) -> DemandSeries:
    """A curve (requests/s at a moment) as a series: its value in the middle of each step."""
    middles = (start + timedelta(seconds=(index + 0.5) * step_seconds) for index in range(count))
    return DemandSeries(start, step_seconds, tuple(curve(middle) for middle in middles))


class DemandIntegral:
    """Requests since the start of a series, at any moment: linear within each step.

    A gap (NaN) keeps the demand before it, as a counter cannot have one; before the start
    nothing has come, after the end nothing more comes.
    """

    def __init__(self, series: DemandSeries) -> None:
        self._start = series.start
        self._step_seconds = series.step_seconds
        self._rates = tuple(_filled(series.values))
        requests = (rate * series.step_seconds for rate in self._rates)
        self._totals = tuple(itertools.accumulate(requests, initial=0.0))

    def total(self, at: datetime) -> float:
        """Requests in `[start, at)`."""
        steps = (at - self._start).total_seconds() / self._step_seconds
        if steps <= 0.0:
            return 0.0
        if steps >= len(self._rates):
            return self._totals[-1]
        index = math.floor(steps)
        return self._totals[index] + (steps - index) * self._step_seconds * self._rates[index]

    def rate(self, at: datetime) -> float:
        """Requests/s at a moment; 0.0 outside the series."""
        index = math.floor((at - self._start).total_seconds() / self._step_seconds)
        return self._rates[index] if 0 <= index < len(self._rates) else 0.0

    def history(self, start: datetime, end: datetime, step_seconds: float) -> Iterator[tuple[datetime, float]]:
        """The counter at `start`, `start + step`, ... before `end`: samples for a CounterHistory."""
        for index in itertools.count():
            at = start + timedelta(seconds=index * step_seconds)
            if at >= end:
                return
            yield at, self.total(at)


class ReplayExporter:
    """Serves the counter on a free loopback port: `address` once started, `/metrics` as usual."""

    def __init__(
        self,
        integral: DemandIntegral,
        *,
        metric: str = METRIC,
        labels: Mapping[str, str] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._integral = integral
        self._metric = metric
        self._labels = dict(LABELS if labels is None else labels)
        self._clock = clock
        self._server: tuple[HTTPServer, Thread] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def address(self) -> str:
        """`127.0.0.1:<port>`, for a ScrapeTarget."""
        if self._server is None:
            raise RuntimeError("the exporter is not started")
        return f"127.0.0.1:{self._server[0].server_port}"

    def start(self) -> None:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        self._server = start_http_server(0, addr="127.0.0.1", registry=registry)

    def stop(self) -> None:
        """Any number of times."""
        server, self._server = self._server, None
        if server is not None:
            server[0].shutdown()
            server[0].server_close()
            server[1].join()

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Called by prometheus_client for each scrape."""
        family = CounterMetricFamily(
            self._metric.removesuffix("_total"), "Requests that have come in.", labels=list(self._labels)
        )
        family.add_metric(list(self._labels.values()), self._integral.total(self._clock()))
        yield family


def _filled(values: tuple[float, ...]) -> Iterator[float]:
    last = 0.0
    for value in values:
        last = last if math.isnan(value) else value
        yield last
