"""One control plane with a proxy before it for all fault tests, and the runs without faults that the others are judged by."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.faults.bench import Bench, open_bench
from tests.faults.judge import Evidence
from tests.faults.run import take_references
from tests.faults.workloads import WORKLOADS

from forerun.sandbox import binaries
from forerun.sandbox.commands import SandboxError

HERE = Path(__file__).parent
PARALLEL = 4


@pytest.hookimpl(tryfirst=True)  # before `-m` reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("cluster")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bench() -> AsyncIterator[Bench]:
    try:
        programs = binaries.require()
    except SandboxError as missing:
        pytest.fail(str(missing), pytrace=False)
    async with open_bench(programs) as opened:
        yield opened


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def references(bench: Bench) -> dict[str, Evidence]:
    """Every life without faults, by name."""
    return await take_references(bench, WORKLOADS, PARALLEL)
