"""The arms of the live benchmark as manifests: the same Deployment and the same target share, one way to scale each.

- `keda`: a ScaledObject with a prometheus trigger, and a cron trigger for the event at the size that is expected.
- `keda-ample`: the same; the cron trigger has what serves that size at the target share, not at full capacity.
- `hpa-rps`: an HPA on requests/s.
- `forerun`: the same HPA, a Storefront and a Campaign; the shipped operator raises its minReplicas.

All read one query of one Prometheus through KEDA's metrics adapter, as only one server can answer
external.metrics.k8s.io: the two plain HPAs name the metric of a ScaledObject beside them, whose own target is one idle
pod. None has a `behavior`: each sync may double the replicas, which is the default, and scales with the sync period.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from live_scenarios import (
    CRON_SLACK_SECONDS,
    LEAD_SECONDS,
    MAX_REPLICAS,
    MIN_REPLICAS,
    SPEED,
    Event,
)

from forerun.domain.campaign import Occurrence
from forerun.sandbox.control_plane import READY_DELAY
from forerun.sandbox.demo.scenario import campaign_type

ARMS = ("keda", "keda-ample", "hpa-rps", "forerun")
KEDA_ARMS = ("keda", "keda-ample")
TARGET = "web"
HPA_NAMES = {arm: f"keda-hpa-{TARGET}" if arm in KEDA_ARMS else TARGET for arm in ARMS}
RATE_SECONDS = 6  # a minute, SPEED times as fast
METRIC = "shop_requests_total"
_METER = "meter"
_POLLING_SECONDS = 3  # KEDA's default of 30 s, SPEED times as fast
_HOLD_SECONDS = 600.0 / SPEED  # the defaults of a Campaign: ten minutes,
_STEP_PERCENT = 10.0 * SPEED  # and 10 % of the surplus per minute

Manifest = dict[str, Any]


def namespace(event: Event, arm: str) -> str:
    return f"{event.name}-{arm}"


def labels(event: Event) -> dict[str, str]:
    """Of the event's demand counter."""
    return {"shop": event.name}


def query(event: Event) -> str:
    return f'sum(rate({METRIC}{{shop="{event.name}"}}[{RATE_SECONDS}s]))'


def as_list(items: list[Manifest]) -> str:
    """For `kubectl apply -f -`."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def workloads(event: Event) -> list[Manifest]:
    """Namespaces and Deployments: they are there, and Ready, before anybody measures."""
    items: list[Manifest] = []
    for arm in ARMS:
        space = namespace(event, arm)
        items.append({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}})
        items.append(_deployment(space, TARGET, event.standing_replicas, LEAD_SECONDS))
        if arm not in KEDA_ARMS:
            items.append(_deployment(space, _METER, 1, 1.0))
    return items


def autoscalers(event: Event, prometheus_url: str, window: Occurrence) -> list[Manifest]:
    """One way to scale for each arm."""
    demand = _prometheus_trigger(event, prometheus_url)
    items: list[Manifest] = []
    for arm in KEDA_ARMS:
        triggers = [demand, cron_trigger(event, arm, window)]
        items.append(_scaled_object(namespace(event, arm), TARGET, triggers, MIN_REPLICAS, MAX_REPLICAS))
    for arm in ("hpa-rps", "forerun"):
        items.append(_scaled_object(namespace(event, arm), _METER, [demand], 1, 1))
        items.append(_hpa(namespace(event, arm), event))
    return items


def campaign(event: Event, prometheus_url: str, window: Occurrence) -> list[Manifest]:
    """The arm `forerun`: what is measured where, the campaigns that were, and the one to come."""
    space = namespace(event, "forerun")
    scenario = event.scenario
    items: list[Manifest] = [
        {
            "apiVersion": "forerun.dev/v1alpha1",
            "kind": "MetricsSource",
            "metadata": {"name": "default"},
            "spec": {"url": prometheus_url, "timeout": "5s"},
        },
        {
            "apiVersion": "forerun.dev/v1alpha1",
            "kind": "CapacityPolicy",
            "metadata": {"name": event.name},
            "spec": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space}},
                "maxStepDownPercentPerMinute": f"{_STEP_PERCENT:g}",
            },
        },
        _storefront(space, event),
    ]
    for number, (past, multiplier) in enumerate(zip(scenario.past, event.multipliers, strict=True)):
        occurrence = Occurrence(scenario.real(past.start, window.start), scenario.real(past.end, window.start))
        items.append(_campaign(space, f"past-{number}", past.kind, occurrence, multiplier))
    items.append(_campaign(space, event.name, scenario.event.kind, window, scenario.multiplier))
    return items


def cron_trigger(event: Event, arm: str, window: Occurrence) -> Manifest:
    """From a lead time and a minute of slack (trace time) before the start; the start and end must suit that."""
    first, last = cron_span(window)
    return {
        "type": "cron",
        "metadata": {
            "timezone": "Etc/UTC",
            "start": _cron(first),
            "end": _cron(last),
            "desiredReplicas": str(event.cron_replicas(arm)),
        },
    }


def cron_span(window: Occurrence) -> tuple[datetime, datetime]:
    """When the cron trigger is on, in whole minutes of real time.

    A minute of real time is ten of the trace, so the event is placed to begin CRON_SLACK_SECONDS after a whole one:
    then the trigger is on from a lead time and a minute (trace time) before the start until a minute before the end,
    which the HPA's stabilization window covers.
    """
    slack = timedelta(seconds=CRON_SLACK_SECONDS)
    first, last = window.start - slack - timedelta(seconds=LEAD_SECONDS), window.end - slack
    if any(moment.second or moment.microsecond for moment in (first, last)):
        raise ValueError(f"{window}: a cron expression has whole minutes: begin {CRON_SLACK_SECONDS:g} s after one")
    return first, last


def starting_after(earliest: datetime) -> datetime:
    """The first moment from `earliest` on at which an event suits the cron trigger."""
    slack = timedelta(seconds=CRON_SLACK_SECONDS)
    minute = (earliest - slack).replace(second=0, microsecond=0)
    while minute + slack < earliest:
        minute += timedelta(minutes=1)
    return minute + slack


def _cron(at: datetime) -> str:
    at = at.astimezone(UTC)
    return f"{at.minute} {at.hour} {at.day} {at.month} *"


def _prometheus_trigger(event: Event, url: str) -> Manifest:
    metadata = {"serverAddress": url, "query": query(event), "threshold": f"{event.target_rps:.6g}"}
    return {"type": "prometheus", "metadata": metadata}


def _scaled_object(space: str, target: str, triggers: list[Manifest], least: int, most: int) -> Manifest:
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": target, "namespace": space},
        "spec": {
            "scaleTargetRef": {"name": target},
            "minReplicaCount": least,
            "maxReplicaCount": most,
            "pollingInterval": _POLLING_SECONDS,
            "triggers": triggers,
        },
    }


def _hpa(space: str, event: Event) -> Manifest:
    metric = {"name": "s0-prometheus", "selector": {"matchLabels": {"scaledobject.keda.sh/name": _METER}}}
    target = {"type": "AverageValue", "averageValue": f"{round(event.target_rps * 1000)}m"}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": TARGET, "namespace": space},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": TARGET},
            "minReplicas": MIN_REPLICAS,
            "maxReplicas": MAX_REPLICAS,
            "metrics": [{"type": "External", "external": {"metric": metric, "target": target}}],
        },
    }


def _deployment(space: str, name: str, replicas: int, ready_seconds: float) -> Manifest:
    tags = {"app.kubernetes.io/name": name}
    container = {"name": "main", "image": "registry.example/shop:1", "resources": {"requests": {"cpu": "100m"}}}
    template = {
        "metadata": {"labels": tags, "annotations": {READY_DELAY: f"{ready_seconds:g}s"}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": space, "labels": tags},
        "spec": {"replicas": replicas, "selector": {"matchLabels": tags}, "template": template},
    }


def _storefront(space: str, event: Event) -> Manifest:
    return {
        "apiVersion": "forerun.dev/v1alpha1",
        "kind": "Storefront",
        "metadata": {"name": "main", "namespace": space},
        "spec": {
            "demand": {"metricsSourceRef": {"name": "default"}, "query": query(event), "unit": "requests"},
            "tiers": [
                {
                    "name": TARGET,
                    "role": "Web",
                    "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": TARGET},
                    "demandPerRequest": "1",
                    "capacityPerReplica": f"{event.capacity_rps:g}",
                    "minReplicas": MIN_REPLICAS,
                    "maxReplicas": MAX_REPLICAS,
                    "leadTime": f"{LEAD_SECONDS:g}s",
                }
            ],
        },
    }


def _campaign(space: str, name: str, kind: str, window: Occurrence, multiplier: float | None) -> Manifest:
    expected = {} if multiplier is None else {"multiplier": f"{multiplier:g}"}
    return {
        "apiVersion": "forerun.dev/v1alpha1",
        "kind": "Campaign",
        "metadata": {"name": name, "namespace": space},
        "spec": {
            "storefrontRef": {"name": "main"},
            "type": campaign_type(kind).value,
            "schedule": {"start": _instant(window.start), "end": _instant(window.end)},
            "expected": expected,
            "release": {"holdFor": f"{_HOLD_SECONDS:g}s", "maxStepPercent": f"{_STEP_PERCENT:g}"},
        },
    }


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")
