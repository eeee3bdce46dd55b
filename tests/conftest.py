"""Two workers share the tests, but one of them has all those of the cluster."""

import contextlib
import gc
import math
import signal
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from forerun.sandbox import binaries
from forerun.sandbox.commands import SandboxError
from forerun.sandbox.versions import PROGRAMS

STARTED = time.monotonic()
HERE = Path(__file__).parent
CLUSTER = "tests/cluster/"
NEEDED = {HERE / "cluster": tuple(PROGRAMS), HERE / "unit" / "helm": ("helm",)}

# how long an example takes says something about the machine, not about the property
settings.register_profile("forerun", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("forerun")

# A shell starts what runs in its background with SIGINT ignored, nohup with SIGHUP; children inherit that, and the
# tests send them both. A handler here is the default again in every child.
with contextlib.suppress(ValueError):  # not the main thread
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.default_int_handler)


class OneClusterWorker(LoadScopeScheduling):
    """Every test is handed out for itself; those on the control plane go together, in order.

    They share one control plane, and what is cluster-wide in it. The `xdist_group` mark
    would say the same, but pytest-xdist 3.8 does not see it with pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        return CLUSTER if nodeid.startswith(CLUSTER) else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneClusterWorker:
    return OneClusterWorker(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--skip-unbuilt", action="store_true", help="skip what needs programs that `make binaries` has not built yet"
    )
    parser.addoption(
        "--minutes", type=float, default=math.inf, help="begin no test after so many minutes; what is left is skipped"
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported here lives to the end: to look through it for garbage takes longer than many a test."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """What is left is dropped with the process; the interpreter need not look through it three times before."""
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    minutes = item.config.getoption("--minutes")
    if time.monotonic() - STARTED > minutes * 60:
        pytest.skip(f"not begun within {minutes:g} minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--skip-unbuilt"):
        return
    for folder, programs in NEEDED.items():
        try:
            binaries.require(programs)
        except SandboxError as missing:
            for item in items:
                if folder in item.path.parents:
                    item.add_marker(pytest.mark.skip(reason=str(missing)))
