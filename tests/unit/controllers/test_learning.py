"""Which finished occurrences are asked for and when, with whatever the forecast answers."""

import asyncio
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from forerun.api.convert import learnt_with
from forerun.controllers.forecasting import Forecaster
from forerun.controllers.index import Index
from forerun.controllers.learning import UNANSWERED, Learner
from forerun.controllers.state import StorefrontState
from forerun.domain.campaign import Key, ScheduledCampaign
from forerun.domain.forecast import CURVE_POINTS, Forecast, Lesson
from forerun.domain.observation import DemandSeries
from forerun.domain.policy import MetricsSource
from forerun.domain.reason import Hold, Reason, Refusal
from forerun.settings import Settings

KEY = Key("shop", "main")
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
DAY = timedelta(days=1)
STEP = timedelta(minutes=5)
TAIL = timedelta(minutes=15)  # of an hour's window
TIER = {
    "name": "web",
    "role": "Web",
    "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
    "maxReplicas": 9,
}
numbers = iter(range(1, 10_000))


def stored(kind, name, spec, status=None):
    metadata = {"name": name, "namespace": "shop", "uid": f"{kind}-{name}", "generation": 1}
    metadata |= {"resourceVersion": str(next(numbers)), "creationTimestamp": "2026-01-01T00:00:00Z"}
    raw = {"apiVersion": "forerun.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
    return raw if status is None else {**raw, "status": status}


def storefront(learnt=None):
    demand = {"metricsSourceRef": {"name": "prometheus"}, "query": "demand"}
    status = None if learnt is None else {"learnt": learnt}
    return stored("Storefront", "main", {"demand": demand, "tiers": [TIER]}, status)


def sale(name="sale", start=NOW - 3 * timedelta(hours=1), recurrence=None, **more):
    schedule = {"start": start.isoformat(), "duration": "1h", "timeZone": "UTC"}
    if recurrence:
        schedule["recurrence"] = recurrence
    spec = {"storefrontRef": {"name": "main"}, "type": "FlashSale", "schedule": schedule} | more
    return stored("Campaign", name, spec)


def lesson_of(window):
    return Lesson(window, 40.0, 0.1, (0.5,) * CURVE_POINTS)


class Signals:
    """Demand of 40/s for as long as anybody asks; counts how often."""

    def __init__(self):
        self.reads = 0
        self.answer = None

    async def series(self, source, query, start, end, step_seconds):
        self.reads += 1
        if self.answer is not None:
            return self.answer
        return DemandSeries(start, step_seconds, (40.0,) * int((end - start).total_seconds() / step_seconds))


class Worker:
    """Answers at once, with a lesson of every window over that is not known yet, unless told otherwise."""

    def __init__(self):
        self.requests = []
        self.readable = True
        self.answer = None

    async def forecast(self, requests):
        self.requests += requests
        if self.answer is not None:
            return [self.answer for _ in requests]
        known = [{lesson.window for lesson in request.experience} for request in requests]
        return [
            Forecast(
                *(request.storefront, request.now, (), (), "nothing"),
                learnt=tuple(lesson_of(w) for w in request.past if w not in there) if self.readable else (),
            )
            for request, there in zip(requests, known, strict=True)
        ]


class Source:
    async def source_of(self, storefront):
        return MetricsSource("prometheus", "http://prometheus.example")


class World:
    """The real Forecaster and Learner on an index; only metrics and worker are stand-ins."""

    def __init__(self, *raws, **settings):
        self.index = Index()
        for raw in raws:
            self.index.upsert(deepcopy(raw))
        self.settings = replace(Settings(), **settings)
        self.signals, self.worker = Signals(), Worker()
        self.learner = Learner(self.settings, self.index)
        ports = SimpleNamespace(settings=self.settings, signals=self.signals, forecast=self.worker)
        self.woken = []
        self.forecaster = Forecaster(ports, Source(), self.learner, self.woken.append)
        self.state = StorefrontState()

    async def tick(self, now=NOW, active=False):
        """One look at the Storefront, and every answer to it."""
        found = self.index.storefronts[KEY].value
        self.forecaster.refresh(found, self.state, frozenset(), now, active=active)
        while self.forecaster._tasks:
            await asyncio.gather(*self.forecaster._tasks)
        return self.worker.requests

    def write(self):
        """What the Reporter does."""
        raw = deepcopy(self.index.storefronts[KEY].raw)
        raw["status"] = {"learnt": learnt_with((raw.get("status") or {}).get("learnt"), self.state.learnt)}
        raw["metadata"]["resourceVersion"] = str(next(numbers))
        self.index.upsert(raw)
        self.learner.written(KEY, self.state)

    def names(self):
        return [lesson.window.campaign for lesson in self.learner.experience(KEY, self.state)]

    def schedule(self, name="sale"):
        """The campaign's next occurrence, as the Reconciler puts it into the state."""
        from forerun.api.windows import current_or_next

        campaign = self.index.campaigns[Key("shop", name)].value
        self.state.campaigns = (ScheduledCampaign(campaign, current_or_next(campaign.schedule, NOW)),)


async def test_what_ended_while_nobody_watched_is_asked_for_in_one_request():
    world = World(storefront(), sale("daily", NOW - 5 * DAY - timedelta(hours=2), "FREQ=DAILY"), sale("once"))
    (request,) = await world.tick()

    assert request.upcoming == ()
    assert len(request.past) == 7
    assert sorted(set(world.names())) == ["daily", "once"]
    assert len(world.names()) == 7
    assert world.woken == [KEY]
    # neither before nor after it was written is anything asked again
    await world.tick(NOW + timedelta(seconds=1))
    world.write()
    assert world.state.learnt == ()
    assert len(await world.tick(NOW + timedelta(seconds=2))) == 1
    assert world.state.unlearnt == {}


async def test_what_stands_in_the_status_is_passed_on_and_not_asked_for():
    first = World(storefront(), sale())
    await first.tick()
    first.write()
    restarted = World(first.index.storefronts[KEY].raw, sale(), sale("next", NOW + DAY))
    assert await restarted.tick() == []
    restarted.schedule("next")
    (request,) = await restarted.tick()

    assert [lesson.window.campaign for lesson in request.experience] == ["sale"]
    assert restarted.state.learnt == ()


async def test_a_window_is_asked_for_once_its_tail_is_in_the_history():
    world = World(storefront(), sale(start=NOW - timedelta(hours=1)))
    readable = NOW + TAIL + STEP
    await world.tick()
    assert world.worker.requests == []
    assert list(world.state.unlearnt.values()) == [readable]  # which is when the Storefront is looked at again
    await world.tick(readable - timedelta(seconds=1))
    assert world.worker.requests == []
    await world.tick(readable)
    assert world.names() == ["sale"]


async def test_time_compression_shortens_the_tail_and_the_history():
    length = timedelta(hours=1) / 60
    start = NOW - length
    schedule = {"start": start.isoformat(), "duration": "1m", "timeZone": "UTC"}
    world = World(storefront(), sale(schedule=schedule), sale("long-ago", NOW - DAY), time_compression=60.0)
    await world.tick()
    assert list(world.state.unlearnt.values()) == [NOW + TAIL / 60 + STEP / 60]
    await world.tick(NOW + timedelta(seconds=21))
    assert world.names() == ["sale"]  # 28 days are eleven hours here


async def test_a_long_window_has_a_tail_of_an_hour_at_most():
    ended = {"start": (NOW - 2 * DAY).isoformat(), "duration": "48h", "timeZone": "UTC"}
    world = World(storefront(), sale(schedule=ended))
    await world.tick()
    assert list(world.state.unlearnt.values()) == [NOW + timedelta(hours=1) + STEP]


async def test_what_cannot_be_read_off_is_asked_for_again_with_the_next_history_and_not_before():
    world = World(storefront(), sale())
    world.worker.readable = False
    for seconds in (0, 1, 60, 600, 3599):
        await world.tick(NOW + timedelta(seconds=seconds))
    assert len(world.worker.requests) == 1
    await world.tick(NOW + timedelta(seconds=3600))
    assert len(world.worker.requests) == 2
    assert world.signals.reads == 2
    assert world.state.learnt == ()


@pytest.mark.parametrize("what", ["metrics", "worker"])
async def test_without_metrics_or_worker_it_is_tried_again_after_a_minute(what):
    world = World(storefront(), sale())
    if what == "metrics":
        world.signals.answer = Hold(Reason.METRICS_UNREACHABLE, "prometheus")
    else:
        world.worker.answer = Hold(Reason.FORECAST_UNAVAILABLE, "shop/main")
    for seconds in (0, 1, 59):
        await world.tick(NOW + timedelta(seconds=seconds))
    assert world.signals.reads == 1
    assert len(world.worker.requests) == (0 if what == "metrics" else 1)
    world.signals.answer = world.worker.answer = None
    await world.tick(NOW + UNANSWERED)
    assert world.names() == ["sale"]


async def test_a_forecast_that_is_due_brings_it_along():
    world = World(storefront(), sale(), sale("next", NOW + DAY))
    world.schedule("next")
    (request,) = await world.tick()

    assert [window.campaign for window in request.upcoming] == ["next"]
    assert world.names() == ["sale"]
    assert world.state.forecast is not None
    assert world.state.forecast.learnt == ()  # kept once


async def test_two_forecasts_of_one_tick_teach_once():
    world = World(storefront(), sale(), sale("next", NOW + DAY), sale("preview", NOW + DAY, mode="Preview"))
    world.schedule("next")
    both = world.state.campaigns
    world.schedule("preview")
    world.state.campaigns += both
    requests = await world.tick()

    assert len(requests) == 2
    assert world.names() == ["sale"]
    assert len(world.state.learnt) == 1
    assert world.state.forecast is not None
    assert world.state.proposed_forecast is not None


async def test_the_history_is_read_again_where_it_ends_too_early():
    world = World(storefront(), sale("ending", NOW - timedelta(minutes=50)), sale("next", NOW + DAY))
    world.schedule("next")
    await world.tick(active=True)  # reads a history that shows most of what is not over
    over = NOW + timedelta(minutes=10) + TAIL + STEP
    first, second = await world.tick(over, active=True)

    assert len(second.history.values) == len(first.history.values)
    assert second.history.start > first.history.start
    assert world.names() == ["ending"]
    *_, third = await world.tick(over + timedelta(minutes=10), active=True)
    assert third.history is second.history  # nothing to learn from: the same for an hour


async def test_a_lesson_from_a_history_that_lacks_the_tail_is_not_taken():
    world = World(storefront(), sale(start=NOW - timedelta(hours=1)))
    (window,) = world.learner.past(KEY, NOW)
    halfway = DemandSeries(NOW - DAY, 300.0, (40.0,) * 288)
    assert not world.learner.take(KEY, world.state, (lesson_of(window),), halfway)
    assert world.state.learnt == ()
    enough = DemandSeries(NOW - DAY, 300.0, (40.0,) * 291)
    assert world.learner.take(KEY, world.state, (lesson_of(window),), enough)


async def test_a_suspended_occurrence_is_not_learnt_and_one_in_preview_is():
    world = World(storefront(), sale("off", suspend=True), sale("shown", mode="Preview"))
    (request,) = await world.tick()

    assert [window.campaign for window in request.past] == ["shown"]
    assert world.names() == ["shown"]


async def test_a_rejected_campaign_is_not_learnt():
    world = World(storefront(), sale(schedule={"start": "2026-11-27T08:00:00", "duration": "1h", "timeZone": "Mars"}))
    assert isinstance(world.index.campaigns[Key("shop", "sale")].parsed, Refusal)
    assert await world.tick() == []


async def test_lessons_outlive_their_campaign():
    world = World(storefront(), sale(), sale("gone"))
    await world.tick()
    world.write()
    world.index.remove(deepcopy(world.index.campaigns[Key("shop", "gone")].raw))
    await world.tick(NOW + DAY)

    assert sorted(world.names()) == ["gone", "sale"]


async def test_what_would_have_no_place_is_not_asked_for():
    """Three that recur daily have more past occurrences than are kept."""
    hours = [timedelta(hours=2 + 2 * number) for number in range(3)]
    daily = [sale(f"daily-{number}", NOW - 60 * DAY - before, "FREQ=DAILY") for number, before in enumerate(hours)]
    world = World(storefront(), *daily)
    (request,) = await world.tick()

    assert len(request.past) > 64
    assert len(world.names()) == 64
    world.write()
    assert world.state.learnt == ()
    assert world.learner.due(KEY, world.state, NOW + timedelta(hours=2)) == ()
    assert len(await world.tick(NOW + timedelta(minutes=61))) == 1


async def test_a_later_version_in_the_status_stays_and_lessons_are_held_in_memory():
    later = {"version": 7, "occurrences": []}
    world = World(storefront(later), sale())
    await world.tick()
    world.write()

    assert world.index.storefronts[KEY].raw["status"]["learnt"] == later
    assert world.names() == ["sale"]
    assert len(await world.tick(NOW + timedelta(hours=2))) == 1


async def test_nothing_is_asked_for_a_storefront_that_is_refused():
    world = World(storefront(), sale())
    accepted = world.index.storefronts[KEY].value
    broken = storefront()
    broken["spec"]["tiers"] = [{**TIER, "dependsOn": ["web"]}]
    broken["metadata"]["generation"] = 2
    world.index.upsert(broken)
    world.forecaster.refresh(accepted, world.state, frozenset(), NOW, active=False)
    assert not world.forecaster._tasks


async def test_a_status_that_somebody_emptied_is_filled_again():
    world = World(storefront(), sale())
    await world.tick()
    world.write()
    world.index.upsert(storefront())
    assert world.names() == []
    await world.tick(NOW + timedelta(hours=1))
    assert world.names() == ["sale"]
