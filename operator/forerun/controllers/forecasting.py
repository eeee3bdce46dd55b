"""Ask the forecast worker, many Storefronts in one call, and no oftener than it is worth."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from forerun.controllers.learning import Learner
from forerun.controllers.observation import Observer
from forerun.controllers.state import StorefrontState
from forerun.domain.campaign import Key, ScheduledCampaign
from forerun.domain.forecast import EventWindow, Forecast, ForecastRequest
from forerun.domain.observation import DemandSeries, Sample
from forerun.domain.policy import MetricsSource
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Storefront
from forerun.plan.cadence import ForecastMade, forecast_is_due
from forerun.plan.executable import is_executable
from forerun.wiring import Ports

GATHER_SECONDS = 0.05  # requests that come within this time share one call
SHARED_SECONDS = 60.0
RECENT_SECONDS = 7200.0
RECENT_STEP_SECONDS = 60.0
RETRY = timedelta(seconds=10)
LEARNERS = 4


@dataclass(frozen=True, slots=True)
class _Asking:
    """Whose forecast is asked for and when; `over` are the windows that are to be learnt from."""

    storefront: Storefront
    state: StorefrontState
    over: tuple[EventWindow, ...]
    now: datetime
    active: bool
    unchanged: bool = False


class Forecaster:
    """Keeps `state.forecast` as fresh as the moment asks."""

    def __init__(self, ports: Ports, observer: Observer, learner: Learner, wake: Callable[[Key], None]) -> None:
        self._ports = ports
        self._wake = wake
        self._tasks: set[asyncio.Task[None]] = set()
        self._observer = observer
        self._learner = learner
        self._learning = asyncio.Semaphore(LEARNERS)
        self._histories: dict[tuple[str, str], tuple[datetime, asyncio.Task[DemandSeries | Hold]]] = {}
        self._pending: list[tuple[ForecastRequest, asyncio.Future[Forecast | Hold]]] = []
        self._flush: asyncio.Task[None] | None = None

    def refresh(
        self,
        storefront: Storefront,
        state: StorefrontState,
        approved: frozenset[tuple[str, int]],
        now: datetime,
        *,
        active: bool,
        unchanged: bool = False,
    ) -> None:
        """Ask anew where the inputs changed or the time has come; the answer wakes the Storefront.

        Until then the old forecast stands, or, where it was made for other campaigns,
        `state.forecast_pending` says that there is none yet. A failure keeps the old one. What
        finished occurrences taught comes along, or is asked for alone where no forecast is due.
        `unchanged`: only for other campaigns; what is measured now is not to be learnt from.
        """
        over = self._learner.due(storefront.key, state, now)
        asking = _Asking(storefront, state, over, now, active, unchanged)
        if self._begin(asking, approved):
            executable = tuple(c for c in state.campaigns if is_executable(c.campaign, approved))
            asked = self._answer(asking, state.forecast_key, executable, state.campaigns)
        elif asking.over:
            asked = self._learn(asking)
        else:
            return
        self._learner.asked(state, asking.over, now)
        self._tasks.add(task := asyncio.create_task(asked))
        task.add_done_callback(self._tasks.discard)

    def _begin(self, asking: _Asking, approved: frozenset[tuple[str, int]]) -> bool:
        """Whether a forecast is due; the state is made ready for the answer."""
        state = asking.state
        if not state.campaigns:
            state.forecast = state.proposed_forecast = state.forecast_hold = None
            state.forecast_key, state.forecast_pending = (), False
            return False
        key = _fingerprint(asking.storefront, state.campaigns, approved)
        if asking.unchanged and state.forecast is not None and key == state.forecast_key:
            return False
        if not self._is_due(state, key, asking.now, active=asking.active):
            return False
        if key != state.forecast_key:
            # a forecast of other campaigns would be worse than none
            state.forecast = state.proposed_forecast = None
            state.forecast_pending = True
        state.forecast_key, state.forecast_at = key, asking.now
        return True

    async def _answer(
        self,
        asking: _Asking,
        key: tuple[object, ...],
        executable: tuple[ScheduledCampaign, ...],
        everything: tuple[ScheduledCampaign, ...],
    ) -> None:
        state = asking.state
        forecast, proposed = await asyncio.gather(
            self._forecast(asking, executable),
            self._forecast(asking, everything if len(executable) < len(everything) else ()),
        )
        if state.forecast_key != key:
            return  # asked for other campaigns meanwhile
        holds = [found for found in (forecast, proposed) if isinstance(found, Hold)]
        state.forecast_hold = holds[0] if holds else None
        state.forecast_pending = False
        if not isinstance(forecast, Hold):
            state.forecast = forecast
        if not isinstance(proposed, Hold):
            state.proposed_forecast = proposed
        self._wake(asking.storefront.key)

    async def _forecast(self, asking: _Asking, campaigns: tuple[ScheduledCampaign, ...]) -> Forecast | Hold | None:
        return await self._request(asking, campaigns) if campaigns else None

    async def _learn(self, asking: _Asking) -> None:
        """Nothing waits for it: a few at a time, so that many at once, as after a start, are in nobody's way."""
        async with self._learning:
            before = asking.state.learnt
            await self._request(asking, ())
        if asking.state.learnt != before:
            self._wake(asking.storefront.key)

    def _is_due(self, state: StorefrontState, key: tuple[object, ...], now: datetime, *, active: bool) -> bool:
        if key != state.forecast_key or state.forecast_at is None:
            return True
        settings = self._ports.settings
        waited = now - state.forecast_at
        if state.forecast_hold is not None:
            refresh = settings.forecast_refresh_seconds if active else settings.history_refresh_seconds
            return waited >= min(RETRY, timedelta(seconds=refresh))
        newest = state.live[-1] if state.live else None
        return forecast_is_due(
            state.campaigns,
            now,
            ForecastMade(state.forecast_at, state.forecast, newest if isinstance(newest, Sample) else None),
            settings.forecast_refresh_seconds,
            settings.history_refresh_seconds,
            active=active,
        )

    async def _request(self, asking: _Asking, campaigns: tuple[ScheduledCampaign, ...]) -> Forecast | Hold:
        storefront, state, now = asking.storefront, asking.state, asking.now
        history, recent = await self._demand(asking)
        if isinstance(history, Hold):
            self._learner.unanswered(state, asking.over, now)
            if not campaigns:
                return history
        answer = await self._ask(
            ForecastRequest(
                storefront=str(storefront.key),
                now=now,
                history=None if isinstance(history, Hold) else history,
                recent=recent,
                upcoming=tuple(EventWindow.of(scheduled) for scheduled in campaigns),
                past=self._learner.past(storefront.key, now),
                experience=self._learner.experience(storefront.key, state),
            )
        )
        if isinstance(answer, Hold):
            self._learner.unanswered(state, asking.over, now)
            return answer
        if not isinstance(history, Hold):
            self._learner.take(storefront.key, state, answer.learnt, history)
        return replace(answer, learnt=())

    async def _demand(self, asking: _Asking) -> tuple[DemandSeries | Hold, DemandSeries | None]:
        """The history and, where a window is near, the finer demand of late; without the one, not the other."""
        storefront = asking.storefront
        source = await self._observer.source_of(storefront)
        if isinstance(source, Hold):
            return source, None
        history = await self._read(asking, source)
        if isinstance(history, Hold) or not asking.active:
            return history, None
        recent = await self._recent(source, storefront.query, asking.now)
        return history, None if isinstance(recent, Hold) else recent

    async def _read(self, asking: _Asking, source: MetricsSource) -> DemandSeries | Hold:
        """The history, read so late that it holds all that is to be learnt from."""
        query = asking.storefront.query
        since = max((self._learner.readable_at(window) for window in asking.over), default=None)
        history = await self._history(source, query, asking.now, since)
        if not asking.active:
            self._forget_later(source.name, query)
        return history

    async def _history(
        self, source: MetricsSource, query: str, now: datetime, since: datetime | None
    ) -> DemandSeries | Hold:
        """Weeks of demand, read at `since` or later; Storefronts with the same query share one request."""
        settings = self._ports.settings
        known = self._histories.get((source.name, query))
        if known is not None:
            failed = known[1].done() and isinstance(known[1].result(), Hold)
            lifetime = RETRY if failed else timedelta(seconds=settings.history_refresh_seconds)
            if now - known[0] < lifetime and (since is None or known[0] >= since):
                return await asyncio.shield(known[1])
        task = asyncio.create_task(
            self._ports.signals.series(
                source,
                query,
                now - timedelta(seconds=settings.history_seconds / settings.time_compression),
                now,
                settings.history_step_seconds / settings.time_compression,
            )
        )
        self._histories[(source.name, query)] = (now, task)
        return await asyncio.shield(task)

    def _forget_later(self, source: str, query: str) -> None:
        """Weeks of demand are 250 KiB: kept while a window is near, else only as long as others may share them."""
        known = self._histories.get((source, query))

        def forget() -> None:
            if known is not None and self._histories.get((source, query)) is known:
                del self._histories[(source, query)]

        asyncio.get_running_loop().call_later(SHARED_SECONDS, forget)

    async def _recent(self, source: MetricsSource, query: str, now: datetime) -> DemandSeries | Hold:
        compression = self._ports.settings.time_compression
        step = max(1.0, RECENT_STEP_SECONDS / compression)
        start = now - timedelta(seconds=max(120 * step, RECENT_SECONDS / compression))
        return await self._ports.signals.series(source, query, start, now, step)

    async def _ask(self, request: ForecastRequest) -> Forecast | Hold:
        future: asyncio.Future[Forecast | Hold] = asyncio.get_running_loop().create_future()
        self._pending.append((request, future))
        if self._flush is None or self._flush.done():
            self._flush = asyncio.create_task(self._flush_soon())
        return await future

    async def _flush_soon(self) -> None:
        while self._pending:
            await asyncio.sleep(GATHER_SECONDS)
            batch, self._pending = self._pending, []
            try:
                answers = await self._ports.forecast.forecast([request for request, _ in batch])
            except Exception as error:  # noqa: BLE001  # whoever waits gets an answer, whatever happened
                answers = [Hold(Reason.FORECAST_UNAVAILABLE, detail=str(error)) for _ in batch]
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)


def _fingerprint(
    storefront: Storefront, campaigns: tuple[ScheduledCampaign, ...], approved: frozenset[tuple[str, int]]
) -> tuple[object, ...]:
    return (
        storefront.uid,
        storefront.generation,
        approved,
        tuple((c.campaign.key.name, c.campaign.uid, c.campaign.generation, c.occurrence) for c in campaigns),
    )
