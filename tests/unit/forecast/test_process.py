"""The worker as a real child process."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from forerun.domain.forecast import Forecast
from forerun.domain.reason import Hold, Reason
from forerun.forecast.process import ForecastProcess


@pytest.fixture(scope="module")
async def process():
    process = ForecastProcess(threads=1, time_compression=1.0)
    await process.start()
    yield process
    await process.close()


async def until(condition):
    while not await condition():
        await asyncio.sleep(0.05)


def test_the_operator_side_does_not_import_torch():
    code = "import sys, forerun.forecast.process; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_answers_come_in_order_and_equal_those_of_the_model(process, scene):
    from forerun.forecast.model import forecast_all

    history = scene.history()
    requests = [scene.request(scene.window(f"s/c{i}", multiplier=1.0 + i), history=history) for i in range(60)]
    requests[7] = scene.request(scene.window())
    answers = await process.forecast(requests)
    assert isinstance(answers[7], Hold) and answers[7].reason is Reason.DEMAND_UNKNOWN
    assert answers == forecast_all(requests)
    assert await process.forecast([]) == []


async def test_the_worker_takes_memory_where_it_can_be_read(process, scene):
    await process.forecast([scene.request(scene.window(peak_rps=10.0))])
    assert process.rss_bytes() > 50 * 2**20


async def test_a_cancelled_question_disturbs_no_other(process, scene):
    request = scene.request(scene.window(peak_rps=10.0))
    expected = await process.forecast([request])
    asking = asyncio.create_task(process.forecast([scene.request(scene.window(peak_rps=77.0))] * 40))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await process.forecast([request]) == expected
    assert process.restarts == 0


async def test_a_killed_worker_is_a_hold_and_is_replaced(scene):
    process = ForecastProcess()
    await process.start()
    request = scene.request(scene.window(peak_rps=10.0))
    before = await process.forecast([request])
    os.kill(process._worker.process.pid, signal.SIGKILL)
    (hold,) = await process.forecast([request])
    assert isinstance(hold, Hold) and hold.reason is Reason.FORECAST_UNAVAILABLE and hold.detail

    async def back():
        return isinstance((await process.forecast([request]))[0], Forecast)

    await until(back)
    assert process.restarts == 1
    assert await process.forecast([request]) == before
    pid = process._worker.process.pid
    await process.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    (closed,) = await process.forecast([request])
    assert closed.reason is Reason.FORECAST_UNAVAILABLE


async def test_a_silent_worker_is_killed_and_said_to_be_silent(scene):
    process = ForecastProcess(answer_seconds=0.2)
    await process.start()
    await asyncio.shield(process._worker.opening)
    pid = process._worker.process.pid
    os.kill(pid, signal.SIGSTOP)
    (hold,) = await process.forecast([scene.request(scene.window(peak_rps=10.0))])
    assert hold.reason is Reason.FORECAST_UNAVAILABLE and "silent" in hold.detail
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    await process.close()


async def test_a_worker_that_cannot_import_torch_says_so(scene, tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("raise ImportError('no torch here')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    process = ForecastProcess()
    await process.start()
    (hold,) = await process.forecast([scene.request(scene.window(peak_rps=10.0))])
    assert hold.reason is Reason.FORECAST_UNAVAILABLE
    await process.close()


def test_the_worker_ends_when_its_stdin_does():
    worker = subprocess.run(
        [sys.executable, "-m", "forerun.forecast.worker"], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert worker.returncode == 0
    assert worker.stdout[4:] == b'{"ready":true}'
