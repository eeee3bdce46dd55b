"""Demand from a Prometheus-compatible endpoint, off the event loop: a value, a real zero, or a Hold that says why not.

How stale data show: an instant query is answered with the time of its evaluation, not of the scrape. So
`lookback_delta` is sent along: a plain selector whose last scrape is older than the allowed age then comes back
empty (unknown), as `rate(x[w])` does once its window `w` holds fewer than two scrapes. An old evaluation time
(a caching proxy, a stopped clock) is `MetricStale`.
"""

import asyncio
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from prometheus_api_client import PrometheusApiClientException, PrometheusConnect
from urllib3.util.retry import Retry

from forerun.domain.observation import DemandSeries, Measurement, Sample
from forerun.domain.policy import MetricsSource
from forerun.domain.reason import Hold, Reason
from forerun.signals.addresses import Network
from forerun.signals.confinement import unconfined
from forerun.signals.session import AddressRefusedError, ConfinedSession

_MOST_POINTS = 11_000  # Prometheus' own limit for one range query
_MOST_POINTS_IN_ALL = 200_000
_ABSURD = 1e15  # requests/s that nobody serves: a wrong unit or a broken exporter
_GRACE_SECONDS = 1.0  # beyond the request's own deadline, then nobody waits for its thread
_CONNECTIONS = 16  # per thread; sources change seldom

Result = list[Any]


class PrometheusSignals:
    """Asks in at most `max_concurrency` threads; what is older than `max_age_seconds` is stale."""

    def __init__(
        self, max_age_seconds: float = 120.0, max_concurrency: int = 8, allowed_cidrs: Sequence[Network] = ()
    ) -> None:
        """`allowed_cidrs`: addresses that are asked although they are loopback, link-local or the like."""
        self._max_age_seconds = max_age_seconds
        self._allowed = tuple(allowed_cidrs)
        self._threads = ThreadPoolExecutor(max_concurrency, thread_name_prefix="prometheus")
        self._local = threading.local()
        self._free = asyncio.Semaphore(max_concurrency)

    async def sample(self, source: MetricsSource, query: str, now: datetime) -> Measurement:
        """The value of `query` at this moment; exactly one series must come of it."""
        refused = _refused(source, query)
        if refused:
            return refused
        params = self._params(source)
        result = await self._ask(source, lambda connect: connect.custom_query(query, params=params))
        return result if isinstance(result, Hold) else measured(result, source.name, now, self._max_age_seconds)

    async def series(
        self, source: MetricsSource, query: str, start: datetime, end: datetime, step_seconds: float
    ) -> DemandSeries | Hold:
        """`query` over `[start, end)` on a regular grid; what is not there or cannot be is NaN.

        Each bin holds the value at its end, as `rate` looks backwards. `start` is taken at its whole second.
        """
        refused = _refused(source, query)
        if refused:
            return refused
        first = start.astimezone(UTC).replace(microsecond=0)
        bins = int((end - first).total_seconds() / step_seconds) if step_seconds >= 1.0 else 0
        if not 0 < bins <= _MOST_POINTS_IN_ALL:
            detail = "a range needs an end after its start, steps of a second or more, and 200,000 points at most"
            return Hold(Reason.INVALID, source.name, {"points": float(bins)}, detail)
        values = [math.nan] * bins
        for low in range(0, bins, _MOST_POINTS):
            high = min(bins, low + _MOST_POINTS)
            rows = await self._range(source, query, first, (low, high), step_seconds)
            if isinstance(rows, Hold):
                return rows
            for index, value in rows:
                values[index] = value
        if all(math.isnan(value) for value in values):
            return Hold(Reason.DEMAND_UNKNOWN, source.name, {}, "the query has no history")
        return DemandSeries(first, step_seconds, tuple(values))

    async def close(self) -> None:
        """Let go of the threads and their connections; requests on their way end by their time-outs."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _range(
        self, source: MetricsSource, query: str, first: datetime, bins: tuple[int, int], step_seconds: float
    ) -> list[tuple[int, float]] | Hold:
        low, high = bins
        # the library rounds both ends to whole seconds: evaluate from a whole second on, whatever the step
        offset = math.floor((low + 1) * step_seconds)
        params = self._params(source)
        begin, end = first + timedelta(seconds=offset), first + timedelta(seconds=math.ceil(high * step_seconds))
        result = await self._ask(
            source,
            lambda connect: connect.custom_query_range(query, begin, end, f"{step_seconds:g}", params=params),
        )
        if isinstance(result, Hold):
            return result
        if len(result) > 1:
            return _several(source.name, len(result))
        try:
            pairs = [(float(at), float(text)) for row in result for at, text in row["values"]]
            origin = begin.timestamp()
            return [
                (index, value)
                for index, value in ((low + round((at - origin) / step_seconds), value) for at, value in pairs)
                if low <= index < high and 0.0 <= value <= _ABSURD
            ]
        except (TypeError, ValueError, KeyError, OverflowError):
            return Hold(Reason.METRICS_UNREACHABLE, source.name, {}, "the answer is not a range of samples")

    def _params(self, source: MetricsSource) -> dict[str, str]:
        return {"timeout": f"{source.timeout_seconds:g}s", "lookback_delta": f"{self._max_age_seconds:g}s"}

    async def _ask(self, source: MetricsSource, question: Callable[[PrometheusConnect], Result]) -> Result | Hold:
        """Put a question in a thread; whatever goes wrong there becomes a Hold."""

        def ask() -> Result | Hold:
            return answered(source.name, lambda: question(self._connection(source)))

        try:
            async with self._free, asyncio.timeout(source.timeout_seconds + _GRACE_SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        except TimeoutError:
            return Hold(
                Reason.METRICS_UNREACHABLE, source.name, {"timeout_seconds": source.timeout_seconds}, "no answer"
            )
        except RuntimeError as error:  # the threads are closed already
            return Hold(Reason.METRICS_UNREACHABLE, source.name, {}, _one_line(error))

    def _connection(self, source: MetricsSource) -> PrometheusConnect:
        """The thread's own connection: a requests.Session is not made to be shared."""
        known: dict[MetricsSource, PrometheusConnect] = self._local.__dict__.setdefault("known", {})
        if source not in known:
            if len(known) >= _CONNECTIONS:
                known.pop(next(iter(known))).close()
            headers = {"Accept-Encoding": "identity"}
            if source.bearer_token:
                headers["Authorization"] = f"Bearer {source.bearer_token}"
            known[source] = PrometheusConnect(
                url=source.url.rstrip("/"),
                headers=headers,
                retry=Retry(total=0),
                session=ConfinedSession(source.timeout_seconds, self._allowed),
            )
        return known[source]


def answered(subject: str, ask: Callable[[], Result]) -> Result | Hold:
    """The list of results that `ask` brings, or the Hold that says what came instead."""
    try:
        result = ask()
    except (requests.RequestException, AddressRefusedError) as error:
        return Hold(Reason.METRICS_UNREACHABLE, subject, {}, _one_line(error))
    except PrometheusApiClientException as error:
        return _status(subject, str(error))
    except (ValueError, TypeError, LookupError, RuntimeError, OSError) as error:
        return Hold(Reason.METRICS_UNREACHABLE, subject, {}, f"not an answer of Prometheus: {_one_line(error)}")
    if not isinstance(result, list):
        return Hold(Reason.METRICS_UNREACHABLE, subject, {}, "not an answer of Prometheus: no list of results")
    return result


def measured(result: Result, subject: str, now: datetime, max_age_seconds: float) -> Measurement:
    """The one sample of an instant query's result: a scalar, or a vector of one element."""
    rows = [{"value": result}] if len(result) == 2 and not isinstance(result[0], Mapping) else result
    if not rows:
        return Hold(Reason.DEMAND_UNKNOWN, subject, {}, "the query returns nothing; is the exporter scraped?")
    if len(rows) > 1:
        return _several(subject, len(rows))
    try:
        at, text = rows[0]["value"]
        # Prometheus writes its numbers as strings; "true" is no demand of 1
        value = float(text) if isinstance(text, str) else math.nan
        moment = datetime.fromtimestamp(float(at), UTC)
    except (TypeError, ValueError, KeyError, OverflowError, OSError):
        return Hold(Reason.METRICS_UNREACHABLE, subject, {}, "the answer is not a sample")
    if not 0.0 <= value <= _ABSURD:
        numbers = {"value": value} if math.isfinite(value) else {}
        return Hold(Reason.METRIC_ABSURD, subject, numbers, f"demand cannot be {str(text)[:40]}")
    age = (now - moment).total_seconds()
    if abs(age) > max_age_seconds:
        return Hold(Reason.METRIC_STALE, subject, {"age_seconds": age}, "the answer's time is not now")
    return Sample(moment, value)


def _refused(source: MetricsSource, query: str) -> Hold | None:
    found = unconfined(query, source.enforced_matchers)
    if found is None:
        return None
    return Hold(Reason.INVALID, source.name, {}, f"the query must keep to the source's matchers, but has {found}")


def _several(subject: str, count: int) -> Hold:
    return Hold(Reason.METRIC_ABSURD, subject, {"series": float(count)}, "several series: aggregate with sum()")


def _status(subject: str, message: str) -> Hold:
    """A status other than 200. 400 and 422 are Prometheus' words for a query that is wrong."""
    wrong = any(f"HTTP Status Code {code}" in message for code in (400, 422))
    return Hold(Reason.INVALID if wrong else Reason.METRICS_UNREACHABLE, subject, {}, _one_line(message))


def _one_line(error: object) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
