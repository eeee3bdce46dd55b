from datetime import UTC, datetime, timedelta

import pytest

from forerun.signals.start_up import lead_time

SINCE = datetime(2026, 11, 27, tzinfo=UTC)


def pod(seconds, created=SINCE, restarts=0, status="True", **metadata):
    stamp = (created + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    return {
        "metadata": {"creationTimestamp": created.isoformat().replace("+00:00", "Z"), **metadata},
        "status": {
            "conditions": [
                {"type": "Initialized", "status": "True", "lastTransitionTime": created.isoformat()},
                {"type": "Ready", "status": status, "lastTransitionTime": stamp},
            ],
            "containerStatuses": [{"restartCount": restarts}],
        },
    }


def test_below_three_nothing_is_known():
    assert lead_time([pod(1), pod(2)], SINCE) is None


def test_with_few_samples_p95_is_the_longest():
    found = lead_time([pod(30), pod(10), pod(20)], SINCE)
    assert (found.p50_seconds, found.p95_seconds, found.samples) == (20, 30, 3)


def test_with_many_samples_p95_is_the_nearest_rank():
    found = lead_time([pod(i) for i in range(1, 101)], SINCE)
    assert (found.p50_seconds, found.p95_seconds, found.samples) == (50, 95, 100)


@pytest.mark.parametrize(
    "other",
    [
        pod(900, restarts=1),
        pod(900, status="False"),
        pod(900, created=SINCE - timedelta(seconds=1)),
        pod(900, deletionTimestamp="2026-11-27T01:00:00Z"),
        pod(-5),
        {},
        {"metadata": None, "status": None},
        {"metadata": {"creationTimestamp": "x"}, "status": {"conditions": "x"}},
        {
            "metadata": {"creationTimestamp": "2026-11-28T00:00:00Z"},
            "status": {"conditions": [None, {"type": "Ready"}]},
        },
    ],
)
def test_what_is_no_clean_start_does_not_count(other):
    assert lead_time([pod(10), pod(10), pod(10), other], SINCE).samples == 3
    assert lead_time([pod(10), pod(10), other], SINCE) is None
