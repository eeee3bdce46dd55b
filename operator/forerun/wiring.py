"""Composition root: settings become ports."""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from forerun.forecast.process import ForecastProcess
from forerun.kube.cluster import Cluster
from forerun.kube.lease import Leadership
from forerun.kube.pace import Pace
from forerun.kube.rate import TokenBucket
from forerun.settings import Settings
from forerun.signals.prometheus import PrometheusSignals


def utc_now() -> datetime:
    """The wall clock; schedules use it, time-outs do not."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything through which the stages meet the world."""

    settings: Settings
    identity: str
    clock: Callable[[], datetime]
    cluster: Cluster
    signals: PrometheusSignals
    forecast: ForecastProcess
    leadership: Leadership
    background: TokenBucket

    async def close(self) -> None:
        await self.forecast.close()
        await self.signals.close()
        await self.cluster.close()


async def connect(settings: Settings, kubeconfig: str | None = None, *, forecasting: bool = True) -> Ports:
    """Ports of a real cluster, to which nothing has been sent yet. Raises kube.errors.NotConfigured.

    Without `forecasting` no worker is started: for those who only give back.
    """
    identity = settings.identity or f"{socket.gethostname()}-{os.getpid()}"
    pace = Pace(settings.recovery_requests_per_second, settings.requests_per_second)
    cluster = await Cluster.connect(kubeconfig, pace=pace)
    leadership = Leadership(
        cluster,
        settings.namespace,
        settings.lease_name,
        identity,
        lease_duration_seconds=settings.lease_duration_seconds,
    )
    cluster.fence = leadership.holds
    forecast = ForecastProcess(threads=settings.forecast_threads, time_compression=settings.time_compression)
    if forecasting:
        await forecast.start()
    return Ports(
        settings=settings,
        identity=identity,
        clock=utc_now,
        cluster=cluster,
        signals=PrometheusSignals(settings.metric_max_age_seconds, allowed_cidrs=settings.metrics_allowed_cidrs),
        forecast=forecast,
        leadership=leadership,
        background=TokenBucket(settings.background_writes_per_second),
    )
