"""One performance: bring everything up, apply the campaign, watch, judge, give everything back."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from forerun.domain.campaign import Occurrence
from forerun.sandbox.commands import SandboxError
from forerun.sandbox.demo import shop
from forerun.sandbox.demo.observer import Observer
from forerun.sandbox.demo.recording import Moment, Story, timeline
from forerun.sandbox.demo.scenario import Scenario
from forerun.sandbox.demo.screen import Screen
from forerun.sandbox.demo.stage import Stage, Stopwatch
from forerun.sandbox.demo.verdict import Check, floors_are_back, verdict
from forerun.sandbox.demo.view import Frame

_REFRESH_SECONDS = 0.5
_SETTLE_SECONDS = 3.0  # after the floors are back, so that a late write would still be seen
_PICTURE_AT = 0.25  # of the window: demand, forecast and floors are all to be seen


@dataclass(frozen=True, slots=True)
class Performance:
    """What the demo leaves behind."""

    scenario: Scenario
    window: Occurrence
    moments: tuple[Moment, ...]
    story: Story
    checks: tuple[Check, ...]
    peak_before_start: tuple[float, float, float] | None  # p50, p90, p99 of the last forecast made before it
    seconds_to_up: float

    @property
    def passed(self) -> bool:
        return bool(self.checks) and all(check.passed for check in self.checks)


class Play:
    """The order of the demo; `run` once."""

    def __init__(
        self,
        scenario: Scenario,
        chart: Path,
        log: Path,
        screen: Screen,
        *,
        keep: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._scenario = scenario
        self._chart = chart
        self._log = log
        self._screen = screen
        self._keep = keep
        self._clock = clock
        self._watch = Stopwatch()
        self._opened_at = clock()
        self._window: Occurrence | None = None
        self._doing = ""
        self._done: list[str] = []
        self._begun_at = 0.0
        self._seconds_to_up = 0.0

    async def run(self) -> Performance:
        """Raises SandboxError where something does not work; everything is ended in any case."""
        async with Stage(self._scenario, self._chart, self._log) as stage:
            observer = Observer(await stage.connect(), self._scenario, self._clock)
            self._seconds_to_up = self._watch.seconds
            self._opened_at = self._clock()
            self._next("etcd, kube-apiserver, controller manager, scheduler, kwok")
            with self._screen:
                watching = asyncio.create_task(observer.watch())
                showing = asyncio.create_task(self._show(observer))
                try:
                    performance = await self._acts(stage, observer, (watching, showing))
                finally:
                    for task in (watching, showing):
                        task.cancel()
                    await asyncio.gather(watching, showing, return_exceptions=True)
            self._screen.farewell(self._frame(observer))
            if self._keep:
                await self._wait_for_ever(stage, performance)
        return performance

    async def _acts(self, stage: Stage, observer: Observer, tasks: tuple[asyncio.Task[None], ...]) -> Performance:
        before, window = await self._prepare(stage, observer)
        self._next("")
        await self._until(window.end, stage, tasks)
        await self._until_given_back(before, observer, stage, tasks)
        after = await observer.read_objects() or {}
        rows = timeline(observer.moments, self._scenario.tiers)
        return Performance(
            scenario=self._scenario,
            window=window,
            moments=tuple(observer.moments),
            story=observer.story,
            checks=verdict(rows, self._scenario.tiers, window, before, after),
            peak_before_start=next((peak for at, peak in reversed(observer.peaks) if at < window.start), None),
            seconds_to_up=self._seconds_to_up,
        )

    async def _prepare(self, stage: Stage, observer: Observer) -> tuple[Mapping[str, dict[str, Any]], Occurrence]:
        """Everything up to the applied campaign; the objects as they stood just before it, and its window."""
        self._next("nodes that offer GPUs, the chart by helm, the sample shop")
        await stage.furnish()
        self._next("the operator, with the rights of the chart's ServiceAccount; the shop's first pods")
        await asyncio.gather(stage.wait_for_pods(), stage.operate())
        # only now, so that a slow machine loses nothing of the time before the start
        starts_at = self._clock() + timedelta(seconds=self._scenario.warm_up_seconds)
        window = Occurrence(starts_at, starts_at + timedelta(seconds=self._scenario.window_seconds))
        self._window = window
        self._next("Prometheus, with the days before as history; the replay goes on from there")
        prometheus = await stage.replay(starts_at)
        observer.prometheus = prometheus
        await stage.apply(shop.storefront(self._scenario, prometheus.url))
        await stage.apply(shop.past_campaigns(self._scenario, starts_at))
        self._next("the real HPAs, on the demand that Prometheus shows")
        await stage.wait_for_autoscalers()
        before = await observer.read_objects()
        if before is None:
            raise SandboxError("the API server does not answer; run the demo again")
        await stage.apply(shop.campaign(self._scenario, starts_at))
        return before, window

    async def _until(self, end: datetime, stage: Stage, tasks: tuple[asyncio.Task[None], ...]) -> None:
        while self._clock() < end:
            _refuse_dead(stage, tasks)
            await asyncio.sleep(_REFRESH_SECONDS)
            self._screen.maybe_picture(self._past_picture())

    async def _until_given_back(
        self,
        before: Mapping[str, Mapping[str, Any]],
        observer: Observer,
        stage: Stage,
        tasks: tuple[asyncio.Task[None], ...],
    ) -> None:
        """Bounded: live demand may rightly hold floors up for long after the declared end."""
        limit = self._clock() + timedelta(seconds=self._scenario.release_seconds)
        self._doing = "capacity is given back, in steps, and never below live demand"
        while self._clock() < limit:
            _refuse_dead(stage, tasks)
            if floors_are_back(before, observer.objects):
                self._doing = "everything is given back; a last look"
                await self._until(self._clock() + timedelta(seconds=_SETTLE_SECONDS), stage, tasks)
                return
            await asyncio.sleep(_REFRESH_SECONDS)

    def _next(self, doing: str) -> None:
        """The step before is done."""
        if self._doing:
            self._done.append(f"{self._doing} ({self._watch.seconds - self._begun_at:.0f} s)")
        self._doing, self._begun_at = doing, self._watch.seconds if self._doing else 0.0

    async def _show(self, observer: Observer) -> None:
        while True:
            self._screen.show(self._frame(observer))
            await asyncio.sleep(_REFRESH_SECONDS)

    def _frame(self, observer: Observer) -> Frame:
        return Frame(
            scenario=self._scenario,
            now=self._clock(),
            opened_at=self._opened_at,
            window=self._window,
            moments=tuple(observer.moments),
            story=observer.story,
            doing=self._doing,
            done=tuple(self._done),
        )

    def _past_picture(self) -> bool:
        if self._window is None:
            return False
        return self._clock() >= self._window.start + _PICTURE_AT * (self._window.end - self._window.start)

    async def _wait_for_ever(self, stage: Stage, performance: Performance) -> None:
        self._screen.keep(stage.plane.kubeconfig, performance.checks)
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


def _refuse_dead(stage: Stage, tasks: tuple[asyncio.Task[None], ...]) -> None:
    """What has ended by itself ends the demo, with its own words."""
    if stage.operator is not None:
        stage.operator.refuse_dead()
    for task in tasks:
        if task.done():
            task.result()
