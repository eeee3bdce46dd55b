"""Load against a real server on loopback that counts what reaches it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from forerun.calibrate.load import LoadGenerator, Target, TargetError, at_quantile
from forerun.calibrate.search import Objective

PATIENT = Objective(60.0, 0.99)  # a busy machine is no fault


class Server:
    """Answers after `release` is set; `status` of each answer."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []
        self.status = 200
        self.release = asyncio.Event()
        self.release.set()
        self.waiting = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.seen.append((request.method, str(request.rel_url), await request.text()))
        self.waiting += 1
        await self.release.wait()
        self.waiting -= 1
        headers = {"Location": "/elsewhere"} if self.status == 302 else {}
        return web.Response(text="x" * 1000, status=self.status, headers=headers)


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, str]]:
    here = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", here.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield here, f"http://127.0.0.1:{port}"
    here.release.set()
    await runner.cleanup()


async def test_it_offers_the_rate_whether_or_not_it_is_answered(server: tuple[Server, str]) -> None:
    here, url = server
    here.release.clear()
    async with LoadGenerator(Target(url), PATIENT, 1.0) as generator:
        measuring = asyncio.create_task(generator.measure(200.0))
        while here.waiting < 100:  # a closed loop would stop at the first
            await asyncio.sleep(0.01)
        here.release.set()
        measured = await measuring
    assert (measured.requests, measured.errors, measured.slow) == (len(here.seen), 0, 0)
    assert 130 <= measured.requests <= 280  # 200 expected, standard deviation 14


async def test_a_request_that_waits_is_as_late_as_it_is(server: tuple[Server, str]) -> None:
    here, url = server
    here.release.clear()
    async with LoadGenerator(Target(url), Objective(0.05, 0.5), 1.0) as generator:
        measuring = asyncio.create_task(generator.measure(300.0))
        while len(here.seen) < 30:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        here.release.set()
        measured = await measuring
    assert measured.slow > 0


async def test_errors_are_counted_and_end_the_step_early(server: tuple[Server, str]) -> None:
    here, url = server
    here.status = 500
    async with LoadGenerator(Target(url), PATIENT, 30.0) as generator:
        measured = await generator.measure(100.0)
    assert measured.errors > 5
    assert measured.requests < 1000  # of about 3,000 that were planned
    assert measured.latency_seconds is None


async def test_numbers_are_filled_in_anew_for_each_request(server: tuple[Server, str]) -> None:
    here, url = server
    target = Target(url + "/a?user={1..9}", body='{"user": {5..7}}', headers={"X-A": "b"})
    async with LoadGenerator(target, PATIENT, 1.0) as generator:
        await generator.measure(150.0)
    methods, urls, bodies = (set(column) for column in zip(*here.seen, strict=True))
    assert methods == {"POST"}
    assert urls == {f"/a?user={number}" for number in range(1, 10)}
    assert bodies == {f'{{"user": {number}}}' for number in (5, 6, 7)}


@pytest.mark.parametrize("status", [404, 500, 302])
async def test_an_address_that_does_not_answer_with_2xx_is_refused(server: tuple[Server, str], status: int) -> None:
    here, url = server
    here.status = status
    async with LoadGenerator(Target(url), PATIENT, 1.0) as generator:
        with pytest.raises(TargetError, match=str(status)):
            await generator.check()
    assert len(here.seen) == 1  # a redirect is not followed


async def test_nobody_who_listens_is_refused() -> None:
    async with LoadGenerator(Target("http://127.0.0.1:9"), PATIENT, 1.0) as generator:
        with pytest.raises(TargetError, match="Ready"):
            await generator.check()


def test_quantiles_are_values_that_were_measured() -> None:
    values = [float(value) for value in range(1, 101)]
    assert at_quantile(values, 0.99) == 99.0
    assert at_quantile(values, 0.5) == 50.0
    assert at_quantile([3.0, 1.0], 0.99) == 3.0
    assert at_quantile([], 0.5) is None
