"""Two workers share the tests; each control plane, that of `cluster` and that of `faults`, belongs to one of them."""

import contextlib
import signal

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

TOGETHER = ("tests/cluster/", "tests/faults/")

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
        return next((folder for folder in TOGETHER if nodeid.startswith(folder)), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneClusterWorker:
    return OneClusterWorker(config, log)
