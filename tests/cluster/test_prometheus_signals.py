"""Demand read from a real Prometheus that scrapes a real exporter."""

import asyncio
import math
import socket
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest
import pytest_asyncio
from aiohttp import ClientError, ClientSession, web

from forerun.domain.observation import DemandSeries, Sample
from forerun.domain.policy import MetricsSource
from forerun.domain.reason import Hold, Reason
from forerun.signals.prometheus import PrometheusSignals

RATE = 50.0
DEMAND = 'sum(rate(shop_requests_total{service="shop"}[20s]))'
CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
- job_name: shop
  static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


class Exporter:
    """Counts `RATE` requests a second; idles on one service."""

    def __init__(self):
        self.began = time.monotonic()

    async def answer(self, request):
        count = RATE * (time.monotonic() - self.began)
        return web.Response(
            text=f'shop_requests_total{{service="shop"}} {count}\nshop_requests_total{{service="idle"}} 7\n'
            "shop_broken NaN\nshop_negative -3\n"
        )


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


async def until(condition, seconds=60.0):
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.2)


async def known(signals, source):
    return isinstance(await signals.sample(source, DEMAND, datetime.now(UTC)), Sample)


async def right(signals, source):
    """Before the window of the rate has filled, its value is too low."""
    found = await signals.sample(source, DEMAND, datetime.now(UTC))
    return isinstance(found, Sample) and found.value == pytest.approx(RATE, rel=0.1)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def scraped(prometheus_binary, tmp_path_factory):
    """(source, runner of the exporter)"""
    folder = tmp_path_factory.mktemp("prometheus")
    app = web.Application()
    app.router.add_get("/metrics", Exporter().answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port := free_port()).start()
    (folder / "prometheus.yml").write_text(CONFIG.format(port=port))
    url = f"http://127.0.0.1:{(own := free_port())}"
    process = await asyncio.create_subprocess_exec(
        str(prometheus_binary),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{own}",
        "--log.level=error",
    )

    async def ready():
        try:
            async with ClientSession() as client, client.get(f"{url}/-/ready") as response:
                return response.status == 200
        except ClientError:
            return False

    try:
        await until(ready)
        yield MetricsSource("default", url, timeout_seconds=10.0), runner
    finally:
        process.terminate()
        await process.wait()
        await runner.cleanup()


@pytest_asyncio.fixture(loop_scope="session")
async def signals():
    signals = PrometheusSignals(max_age_seconds=30.0, allowed_cidrs=(ip_network("127.0.0.0/8"), ip_network("::1")))
    yield signals
    await signals.close()


async def test_demand_is_read_live(scraped, signals):
    source, _ = scraped

    await until(lambda: right(signals, source))


async def test_zero_is_a_value_and_absence_is_not(scraped, signals):
    source, _ = scraped
    await until(lambda: known(signals, source))
    now = datetime.now(UTC)
    assert (await signals.sample(source, 'sum(rate(shop_requests_total{service="idle"}[20s]))', now)).value == 0.0
    assert (
        await signals.sample(source, 'sum(rate(shop_requests_total{service="no"}[20s]))', now)
    ).reason is Reason.DEMAND_UNKNOWN


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("shop_requests_total", Reason.METRIC_ABSURD),
        ("shop_broken", Reason.METRIC_ABSURD),
        ("shop_negative", Reason.METRIC_ABSURD),
        ("sum(rate(", Reason.INVALID),
        ('"text"', Reason.METRICS_UNREACHABLE),
        ("shop_requests_total[1m]", Reason.METRIC_ABSURD),
    ],
)
async def test_what_is_no_demand_is_a_hold(scraped, signals, query, reason):
    source, _ = scraped
    found = await signals.sample(source, query, datetime.now(UTC))
    assert isinstance(found, Hold) and found.reason is reason, found


async def test_history_has_gaps_before_the_first_scrape(scraped, signals):
    source, _ = scraped
    await until(lambda: right(signals, source))
    end = datetime.now(UTC)
    found = await signals.series(source, DEMAND, end - timedelta(hours=4), end, 1.0)
    assert isinstance(found, DemandSeries)
    assert len(found.values) == pytest.approx(4 * 3600, abs=1)
    assert math.isnan(found.values[0])
    measured = [value for value in found.values[-3600:] if not math.isnan(value)]
    assert any(value == pytest.approx(RATE, rel=0.2) for value in measured)
    nothing = await signals.series(source, "sum(no_such_metric)", end - timedelta(hours=4), end, 60.0)
    assert nothing.reason is Reason.DEMAND_UNKNOWN


async def test_enforced_matchers_hold(scraped, signals):
    source, _ = scraped
    await until(lambda: known(signals, source))
    own = MetricsSource("own", source.url, enforced_matchers=(("service", "shop"),))
    assert isinstance(await signals.sample(own, DEMAND, datetime.now(UTC)), Sample)
    assert (await signals.sample(own, "sum(shop_requests_total)", datetime.now(UTC))).reason is Reason.INVALID


async def test_a_dead_exporter_becomes_unknown_not_zero(scraped, signals):
    source, exporter = scraped
    await exporter.cleanup()

    async def unknown():
        found = await signals.sample(source, DEMAND, datetime.now(UTC))
        assert not isinstance(found, Sample) or found.value > 0
        return isinstance(found, Hold) and found.reason is Reason.DEMAND_UNKNOWN

    await until(unknown)
