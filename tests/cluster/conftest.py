"""One real control plane for all cluster tests; each test has a namespace of its own in it.

One worker has them all (tests/conftest.py), so a fixture of the session is enough.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from tests.cluster.scenario import Scenarios, running

from forerun.sandbox import binaries
from forerun.sandbox.binaries import Binaries
from forerun.sandbox.commands import SandboxError
from forerun.sandbox.control_plane import ControlPlane

HERE = Path(__file__).parent
CRDS = HERE.parent.parent / "crds"


@pytest.hookimpl(tryfirst=True)  # before `-m` reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("cluster")


@pytest.fixture(scope="session")
def programs() -> Binaries:
    """Paths of all the sandbox's programs; one line with the remedy where they are not here."""
    try:
        return binaries.require()
    except SandboxError as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture(scope="session")
def prometheus_binary(programs: Binaries) -> Path:
    return programs["prometheus"]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def control_plane(programs: Binaries) -> AsyncIterator[ControlPlane]:
    """Running, with our CRDs and four nodes: two plain ones, two that offer eight GPUs each."""
    async with ControlPlane(programs) as plane:
        if any(CRDS.glob("*.yaml")):
            await plane.kubectl("apply", "--server-side", "-f", str(CRDS))
            await plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
        await asyncio.gather(
            plane.create_nodes(2, prefix="plain"),
            plane.create_nodes(2, prefix="gpu", labels={"pool": "a10"}, allocatable={"nvidia.com/gpu": "8"}),
        )
        yield plane


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def keda_kind(control_plane: ControlPlane) -> None:
    """KEDA's ScaledObject as a kind; KEDA itself does not run."""
    await control_plane.kubectl("apply", "-f", str(HERE / "data" / "scaledobject-crd.yaml"))
    await control_plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd/scaledobjects.keda.sh")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def scenarios(
    request: pytest.FixtureRequest, control_plane: ControlPlane, keda_kind: None
) -> AsyncIterator[Scenarios]:
    """Every selected scenario of the session, begun together under one operator."""
    tests = [getattr(item, "function", None) for item in request.session.items]
    async with running(control_plane, [test for test in tests if hasattr(test, "work")]) as begun:
        yield begun


@pytest.fixture
def kubectl(control_plane: ControlPlane) -> Callable[..., Awaitable[str]]:
    """`await kubectl("get", "pods", text=None)` -> standard output; CommandError where it fails."""
    return control_plane.kubectl


@pytest_asyncio.fixture(loop_scope="session")
async def namespace(control_plane: ControlPlane) -> AsyncIterator[str]:
    """A namespace of this test's own; deleted afterwards, without waiting for it."""
    name = f"t-{secrets.token_hex(4)}"
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    await control_plane.kubectl("create", "-f", "-", text=json.dumps(manifest))
    yield name
    await control_plane.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")
