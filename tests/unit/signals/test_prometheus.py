"""Against servers on the loopback that answer as no Prometheus should."""

import asyncio
import json
import math
import socket
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest
from aiohttp import web

from forerun.domain.observation import DemandSeries, Sample
from forerun.domain.policy import MetricsSource
from forerun.domain.reason import Hold, Reason
from forerun.signals.prometheus import PrometheusSignals, measured

NOW = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1"))


@pytest.fixture
async def signals():
    signals = PrometheusSignals(max_age_seconds=120.0, max_concurrency=4, allowed_cidrs=LOOPBACK)
    yield signals
    await signals.close()


@asynccontextmanager
async def serving(answer, path="/api/v1/query", timeout=60.0, **source):
    app = web.Application()
    app.router.add_route("*", path, answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    try:
        yield MetricsSource("default", f"http://127.0.0.1:{port}", timeout_seconds=timeout, **source)
    finally:
        await runner.cleanup()


def vector(*values, at=NOW):
    rows = [{"metric": {"pod": str(i)}, "value": [at.timestamp(), value]} for i, value in enumerate(values)]
    return {"status": "success", "data": {"resultType": "vector", "result": rows}}


def saying(body, **options):
    async def answer(request):
        if isinstance(body, dict):
            return web.json_response(body, **options)
        return web.Response(text=body, **options)

    return answer


async def ask(signals, answer, **options):
    async with serving(answer, **options) as source:
        return await signals.sample(source, "q", NOW)


async def test_a_value_a_zero_and_a_scalar(signals):
    assert await ask(signals, saying(vector("12.5"))) == Sample(NOW, 12.5)
    assert await ask(signals, saying(vector("0"))) == Sample(NOW, 0.0)
    scalar = {"status": "success", "data": {"resultType": "scalar", "result": [NOW.timestamp(), "3"]}}
    assert await ask(signals, saying(scalar)) == Sample(NOW, 3.0)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (vector(), Reason.DEMAND_UNKNOWN),
        (vector("1", "2"), Reason.METRIC_ABSURD),
        (vector("NaN"), Reason.METRIC_ABSURD),
        (vector("+Inf"), Reason.METRIC_ABSURD),
        (vector("-1"), Reason.METRIC_ABSURD),
        (vector("1e18"), Reason.METRIC_ABSURD),
        (vector("1", at=NOW - timedelta(seconds=121)), Reason.METRIC_STALE),
        (vector("1", at=NOW + timedelta(seconds=121)), Reason.METRIC_STALE),
        (vector("what"), Reason.METRICS_UNREACHABLE),
        ({"status": "success"}, Reason.METRICS_UNREACHABLE),
        ({"data": {"result": {"a": 1}}}, Reason.METRICS_UNREACHABLE),
        ({"data": {"result": [None]}}, Reason.METRICS_UNREACHABLE),
        ("<html>login</html>", Reason.METRICS_UNREACHABLE),
        ("[" * 100_000, Reason.METRICS_UNREACHABLE),
        ("null", Reason.METRICS_UNREACHABLE),
        ("", Reason.METRICS_UNREACHABLE),
    ],
)
async def test_what_is_no_sample_is_a_hold(signals, body, reason):
    found = await ask(signals, saying(body))
    assert isinstance(found, Hold) and found.reason is reason, found
    assert "\n" not in found.detail


async def test_several_series_name_the_remedy(signals):
    assert "sum(" in (await ask(signals, saying(vector("1", "2")))).detail


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, Reason.INVALID),
        (422, Reason.INVALID),
        (401, Reason.METRICS_UNREACHABLE),
        (500, Reason.METRICS_UNREACHABLE),
        (503, Reason.METRICS_UNREACHABLE),
    ],
)
async def test_statuses(signals, status, reason):
    assert (await ask(signals, saying({"status": "error", "error": "why"}, status=status))).reason is reason


async def test_a_server_error_is_not_asked_again(signals):
    asked = []

    async def answer(request):
        asked.append(1)
        raise web.HTTPServiceUnavailable

    await ask(signals, answer)
    assert len(asked) == 1


async def test_a_redirect_is_not_followed_and_the_token_stays(signals):
    followed = []

    async def other(request):
        followed.append(request.headers.get("Authorization"))
        return web.json_response(vector("1"))

    async with serving(other) as target:

        async def answer(request):
            raise web.HTTPTemporaryRedirect(f"{target.url}/api/v1/query")

        found = await ask(signals, answer, bearer_token="secret")
    assert found.reason is Reason.METRICS_UNREACHABLE
    assert followed == []


async def test_the_token_is_sent(signals, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    seen = []

    async def answer(request):
        seen.append(request.headers.get("Authorization"))
        return web.json_response(vector("1"))

    await ask(signals, answer, bearer_token="secret")
    assert seen == ["Bearer secret"]


async def test_a_body_that_drips_ends_at_the_deadline(signals):
    dripped = asyncio.Event()

    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        while not dripped.is_set():
            await response.write(b" ")
            await asyncio.sleep(0.05)
        return response

    async with serving(answer, timeout=0.5) as source:
        found = await signals.sample(source, "q", NOW)
        dripped.set()
    assert found.reason is Reason.METRICS_UNREACHABLE


@pytest.mark.parametrize("ends", [False, True])
async def test_a_body_that_stalls_or_ends_in_the_middle_is_no_answer(signals, ends):
    heard = asyncio.Event()

    async def answer(request):
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"status": "success"')
        if ends:
            request.transport.close()
        else:
            await heard.wait()
        return response

    async with serving(answer, timeout=60.0 if ends else 0.5) as source:
        found = await signals.sample(source, "q", NOW)
        heard.set()
    assert found.reason is Reason.METRICS_UNREACHABLE


async def test_silence_ends_at_the_deadline(signals):
    heard = asyncio.Event()

    async def answer(request):
        await heard.wait()
        return web.json_response(vector("1"))

    async with serving(answer, timeout=0.5) as source:
        assert (await signals.sample(source, "q", NOW)).reason is Reason.METRICS_UNREACHABLE
        heard.set()


async def test_nobody_waits_for_those_who_are_not_answered(signals):
    heard = asyncio.Event()

    async def answer(request):
        if request.query["query"] == "silent":
            await heard.wait()
        return web.json_response(vector("1"))

    async with serving(answer) as source:
        silent = [asyncio.create_task(signals.sample(source, "silent", NOW)) for _ in range(3)]
        assert await signals.sample(source, "q", NOW) == Sample(NOW, 1.0)
        assert not any(task.done() for task in silent)
        heard.set()
        assert await asyncio.gather(*silent) == [Sample(NOW, 1.0)] * 3


async def test_a_huge_body_is_not_read_to_its_end(signals):
    written = []

    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            for _ in range(1000):
                await response.write(b" " * 2**20)
                written.append(1)
        except ConnectionError:
            pass
        return response

    found = await ask(signals, answer)
    assert found.reason is Reason.METRICS_UNREACHABLE and "larger" in found.detail
    assert len(written) < 100


async def test_a_closed_port_is_unreachable(signals):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        source = MetricsSource("default", f"http://127.0.0.1:{free.getsockname()[1]}")
        assert (await signals.sample(source, "q", NOW)).reason is Reason.METRICS_UNREACHABLE


@pytest.mark.parametrize("url", ["http://", "nonsense", "file:///etc/passwd", "http://[::1"])
async def test_a_bad_url_is_unreachable(signals, url):
    assert (await signals.sample(MetricsSource("default", url), "q", NOW)).reason is Reason.METRICS_UNREACHABLE


async def test_a_query_beyond_the_matchers_is_not_asked(signals):
    source = MetricsSource("default", "http://127.0.0.1:1", enforced_matchers=(("tenant", "a"),))
    assert (await signals.sample(source, "sum(x)", NOW)).reason is Reason.INVALID
    assert (await signals.series(source, "sum(x)", NOW, NOW + timedelta(hours=1), 60.0)).reason is Reason.INVALID


def matrix(*series):
    return {"status": "success", "data": {"result": [{"metric": {}, "values": values} for values in series]}}


async def ranged(signals, answer, hours=1.0, step=60.0):
    async with serving(answer, path="/api/v1/query_range") as source:
        return await signals.series(source, "q", NOW, NOW + timedelta(hours=hours), step)


async def test_a_range_holds_the_value_at_the_end_of_each_bin_and_gaps_stay(signals):
    at = NOW.timestamp()
    values = [[at + 60, "1"], [at + 180, "3"], [at + 240, "NaN"], [at + 300, "-4"], [at + 3600, "60"]]
    found = await ranged(signals, saying(matrix(values)))
    assert isinstance(found, DemandSeries)
    assert (found.start, found.step_seconds, len(found.values)) == (NOW, 60.0, 60)
    assert (found.values[0], found.values[2], found.values[59]) == (1.0, 3.0, 60.0)
    assert sum(map(math.isnan, found.values)) == 57


async def test_a_long_range_is_asked_in_pieces_that_prometheus_allows(signals):
    async def answer(request):
        start, end, step = (float(request.query[name]) for name in ("start", "end", "step"))
        points = int((end - start) // step) + 1
        assert points <= 11_000
        values = [[start + i * step, str((start + i * step - NOW.timestamp()) / step)] for i in range(points)]
        return web.json_response(matrix(values), dumps=json.dumps)

    found = await ranged(signals, answer, hours=24 * 28, step=60.0)
    assert len(found.values) == 40320
    assert found.values == tuple(float(i + 1) for i in range(40320))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (matrix(), Reason.DEMAND_UNKNOWN),
        (matrix([[1, "1"]], [[1, "2"]]), Reason.METRIC_ABSURD),
        (matrix([["x"]]), Reason.METRICS_UNREACHABLE),
        (vector("1"), Reason.METRICS_UNREACHABLE),
        ("<html>", Reason.METRICS_UNREACHABLE),
    ],
)
async def test_what_is_no_range_is_a_hold(signals, body, reason):
    assert (await ranged(signals, saying(body))).reason is reason


@pytest.mark.parametrize(("hours", "step"), [(-1.0, 60.0), (0.0, 60.0), (1.0, 0.0), (1.0, -1.0), (1e5, 1.0)])
async def test_an_impossible_range_is_refused(signals, hours, step):
    source = MetricsSource("default", "http://127.0.0.1:1")
    assert (await signals.series(source, "q", NOW, NOW + timedelta(hours=hours), step)).reason is Reason.INVALID


def test_measured_never_raises_for_what_json_can_say():
    for rows in (
        [1, "2"],
        [[]],
        [{}],
        [{"value": 1}],
        [{"value": [1]}],
        [{"value": [1e300, "1"]}],
        [{"value": ["x", "1"]}],
    ):
        assert isinstance(measured(rows, "s", NOW, 120.0), Hold)


async def test_what_means_the_pod_or_its_node_is_not_asked():
    """The server answers everybody else here: without the setting its address is refused before a byte is sent."""
    asked = []

    async def answer(request):
        asked.append(request)
        return web.json_response(vector("1"))

    signals = PrometheusSignals(max_age_seconds=120.0)
    async with serving(answer) as source:
        port = source.url.rpartition(":")[2]
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]"):
            hold = await signals.sample(MetricsSource("s", f"http://{host}:{port}", bearer_token="t"), "x", NOW)
            assert hold.reason is Reason.METRICS_UNREACHABLE
            assert "loopback" in hold.detail
    await signals.close()
    assert not asked
