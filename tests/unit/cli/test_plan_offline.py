"""What `forerun plan` hands to the forecast: nothing of after `--now`, and all that is known before."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from forerun.api.convert import learnt_with
from forerun.cli.files import load
from forerun.cli.plan_offline import end_of, forecast_request, scheduled_of
from forerun.domain.campaign import CampaignType, Expected, Occurrence
from forerun.domain.forecast import CURVE_POINTS, EventWindow, Lesson
from forerun.domain.observation import DemandSeries

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SHOP = {"name": "main", "namespace": "shop"}
TIER = {
    "name": "web",
    "role": "Web",
    "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
    "maxReplicas": 9,
}
HISTORY = DemandSeries(NOW - 10 * DAY, 3600.0, tuple(float(hour) for hour in range(240)))


def storefront(**status):
    spec = {"demand": {"metricsSourceRef": {"name": "prometheus"}, "query": "demand"}, "tiers": [TIER]}
    raw = {"apiVersion": "forerun.dev/v1alpha1", "kind": "Storefront", "metadata": SHOP, "spec": spec}
    return {**raw, "status": status} if status else raw


def campaign(name="daily", start="2026-10-01T08:00:00", **more):
    schedule = {"start": start, "duration": "1h", "timeZone": "UTC", "recurrence": "FREQ=DAILY"}
    spec = {"storefrontRef": {"name": "main"}, "type": "FlashSale", "schedule": schedule} | more
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "forerun.dev/v1alpha1", "kind": "Campaign", "metadata": metadata, "spec": spec}


def lesson(start):
    window = EventWindow("daily", CampaignType.FLASH_SALE, Occurrence(start, start + timedelta(hours=1)), Expected())
    return Lesson(window, 40.0, 0.1, (0.5,) * CURVE_POINTS)


@pytest.fixture
def asked(tmp_path: Path):
    """The request for these objects at a time."""

    def ask(*raws, now=NOW, history=HISTORY):
        file = tmp_path / "shop.yaml"
        file.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": list(raws)}))
        objects = load([str(file)])
        shop = objects.storefronts[0]
        return forecast_request(objects, shop, scheduled_of(objects, shop, now, str(file)), history, now)

    return ask


def test_past_occurrences_within_the_history_are_passed(asked):
    request = asked(storefront(), campaign(), campaign("other", "2026-11-20T20:00:00"))
    past = [(window.campaign, window.occurrence.start) for window in request.past]

    assert past == sorted(past, key=lambda row: row[1])
    eight, twenty = NOW.replace(hour=8), NOW.replace(hour=20)
    assert [start for name, start in past if name == "daily"] == [eight - day * DAY for day in range(9, -1, -1)]
    assert [start for name, start in past if name == "other"] == [twenty - day * DAY for day in range(7, 0, -1)]
    assert [window.occurrence.start for window in request.upcoming] == [eight + DAY, twenty]


def test_nothing_after_now_is_seen(asked):
    """Whatever was measured, happened or was learnt after it makes no difference."""
    now = NOW - 3 * DAY - timedelta(hours=2, minutes=30)
    known = [lesson(NOW.replace(hour=8) - day * DAY) for day in range(8)]
    early = DemandSeries(HISTORY.start, HISTORY.step_seconds, HISTORY.values[: 24 * 7 - 3])
    other = DemandSeries(HISTORY.start, HISTORY.step_seconds, (*early.values, *(9e9,) * 75))
    request = asked(storefront(learnt=learnt_with(None, known)), campaign(), now=now)

    assert end_of(HISTORY) > now
    assert request == asked(storefront(learnt=learnt_with(None, known[3:])), campaign(), now=now, history=other)
    assert request.history == early
    assert end_of(request.history) <= now < end_of(request.history) + timedelta(hours=1)
    assert max(window.occurrence.end for window in request.past) <= now
    assert [found.window.occurrence.start for found in request.experience] == [
        NOW.replace(hour=8) - day * DAY for day in range(3, 8)
    ]


def test_a_lesson_is_known_once_its_tail_is_over(asked):
    start = NOW - timedelta(hours=1)
    learnt = learnt_with(None, [lesson(start)])

    assert asked(storefront(learnt=learnt), campaign(), now=NOW + timedelta(minutes=14)).experience == ()
    assert asked(storefront(learnt=learnt), campaign(), now=NOW + timedelta(minutes=15)).experience == (lesson(start),)


def test_the_status_may_be_missing_broken_or_of_a_later_version(asked):
    learnt = learnt_with(None, [lesson(NOW - 3 * DAY), lesson(NOW - 2 * DAY)])
    learnt["occurrences"][0]["usual"] = "much"

    assert len(asked(storefront(learnt=learnt), campaign()).experience) == 1
    assert asked(storefront(learnt={**learnt, "version": 2}), campaign()).experience == ()
    assert asked(storefront(learnt=[3]), campaign()).experience == ()
    assert asked(storefront(), campaign()).experience == ()


def test_a_suspended_campaign_teaches_nothing(asked):
    assert asked(storefront(), campaign(suspend=True)).past == ()


def test_without_history_there_is_no_past_to_read(asked):
    request = asked(storefront(learnt=learnt_with(None, [lesson(NOW - DAY)])), campaign(), history=None)

    assert request.past == ()
    assert len(request.experience) == 1
