"""The sandbox itself: the real control plane, the real Prometheus, and an HPA between them."""

import asyncio
import contextlib
import hashlib
import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from forerun.domain.observation import DemandSeries
from forerun.sandbox import binaries, releases, versions
from forerun.sandbox.commands import CommandError, SandboxError
from forerun.sandbox.control_plane import READY_DELAY, ControlPlane
from forerun.sandbox.external_metrics import ExternalMetricsApi
from forerun.sandbox.prometheus import CounterHistory, PrometheusServer, ScrapeTarget
from forerun.sandbox.replay import LABELS, METRIC, DemandIntegral, ReplayExporter
from forerun.sandbox.versions import PROGRAMS

Kubectl = Callable[..., Awaitable[str]]
WAIT_SECONDS = 60.0  # how long to wait for what must come; never how long a test takes


async def eventually(what: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not await what():
            await asyncio.sleep(0.2)


def deployment(name: str, namespace: str, delay: str = "0s", **spec: object) -> str:
    template = {
        "metadata": {"labels": {"app": name}, "annotations": {READY_DELAY: delay}},
        "spec": {"containers": [{"name": "main", "image": "example/none"}], **spec},
    }
    return json.dumps(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template},
        }
    )


async def test_pods_become_ready_after_the_delay_of_their_workload(kubectl: Kubectl, namespace: str) -> None:
    await kubectl("create", "-f", "-", text=deployment("slow", namespace, delay="4s"))
    await kubectl("create", "-f", "-", text=deployment("fast", namespace, delay="0s"))
    await kubectl("rollout", "status", "deployment/slow", "deployment/fast", "-n", namespace, "--timeout=60s")
    pods = json.loads(await kubectl("get", "pods", "-n", namespace, "-o", "json"))["items"]

    def seconds_to_ready(pod: dict) -> float:
        ready = next(c for c in pod["status"]["conditions"] if c["type"] == "Ready" and c["status"] == "True")
        stamps = pod["metadata"]["creationTimestamp"], ready["lastTransitionTime"]
        created, became = (datetime.fromisoformat(stamp) for stamp in stamps)
        return (became - created).total_seconds()

    took = {pod["metadata"]["labels"]["app"]: seconds_to_ready(pod) for pod in pods}
    assert took["slow"] >= 3.0  # stamps are whole seconds
    assert took["slow"] > took["fast"]


async def test_gpu_pods_are_scheduled_only_where_gpus_are_offered(kubectl: Kubectl, namespace: str) -> None:
    container = {"name": "main", "image": "example/none", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    await kubectl("create", "-f", "-", text=deployment("gpu", namespace, containers=[container]))
    await kubectl("scale", "deployment/gpu", "-n", namespace, "--replicas=17")  # 16 GPUs are offered

    async def sixteen_run() -> bool:
        pods = json.loads(await kubectl("get", "pods", "-n", namespace, "-o", "json"))["items"]
        return sum(pod["status"]["phase"] == "Running" for pod in pods) == 16

    await eventually(sixteen_run)
    pods = json.loads(await kubectl("get", "pods", "-n", namespace, "-o", "json"))["items"]
    placed = {pod["spec"].get("nodeName") for pod in pods}
    assert placed == {"gpu-0", "gpu-1", None}


async def test_service_account_kubeconfig_has_the_rights_of_the_account_only(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str
) -> None:
    await kubectl("create", "serviceaccount", "reader", "-n", namespace)
    await kubectl("create", "role", "reads", "--verb=list", "--resource=pods", "-n", namespace)
    await kubectl(
        "create", "rolebinding", "reads", "--role=reads", f"--serviceaccount={namespace}:reader", "-n", namespace
    )
    config = await control_plane.service_account_kubeconfig(namespace, "reader")
    assert config.stat().st_mode & 0o077 == 0
    assert await kubectl("--kubeconfig", str(config), "get", "pods") == ""  # its own namespace is the default
    with pytest.raises(CommandError) as refused:
        await kubectl("--kubeconfig", str(config), "get", "secrets")
    assert f"system:serviceaccount:{namespace}:reader" in refused.value.stderr


async def test_helm_installs_into_the_control_plane(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str, tmp_path: Path
) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: tiny\nversion: 0.1.0\n")
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "tiny"}, "data": {"a": "b"}}
    (tmp_path / "templates" / "map.yaml").write_text(json.dumps(config_map))
    await control_plane.helm("install", "tiny", str(tmp_path), "--namespace", namespace)
    assert await kubectl("get", "configmap", "tiny", "-n", namespace, "-o", "jsonpath={.data.a}") == "b"


async def test_everything_listens_on_loopback_only(control_plane: ControlPlane) -> None:
    if not Path("/proc/net/tcp").exists():
        pytest.fail("this test reads /proc/net/tcp: run it on Linux", pytrace=False)
    owners = {}  # inode of a socket -> name of the component that holds it
    for pid in control_plane.pids():
        name = Path(Path(f"/proc/{pid}/cmdline").read_text().partition("\0")[0]).name
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                owners[str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]")] = name
    listening = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in owners:
                listening.add((owners[fields[9]], fields[1]))
    assert {name for name, _ in listening} >= {"kube-apiserver", "etcd"}
    assert [line for line in listening if not line[1].startswith("0100007F:")] == []


async def test_stop_leaves_no_process_and_no_folder(programs: binaries.Binaries, tmp_path: Path) -> None:
    plane = ControlPlane(programs, parent=tmp_path)
    await plane.start()
    pids = plane.pids()
    assert len(pids) == 5
    await plane.stop()
    assert not any(alive(pid) for pid in pids)
    assert list(tmp_path.iterdir()) == []
    await plane.stop()  # any number of times


OWNER = """
import asyncio, sys
from pathlib import Path
from forerun.sandbox.control_plane import ControlPlane

async def main():
    async with ControlPlane(parent=Path(sys.argv[1])) as plane:
        print(*plane.pids(), flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_a_signal_to_the_owner_leaves_nothing_behind(
    programs: binaries.Binaries, tmp_path: Path, number: signal.Signals
) -> None:
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, str(tmp_path), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    pids = [int(pid) for pid in (await owner.stdout.readline()).split()]
    assert len(pids) == 5
    assert all(alive(pid) for pid in pids)
    owner.send_signal(number)
    await owner.wait()
    if number == signal.SIGKILL:
        assert all(alive(pid) for pid in pids)  # nobody could clean up; the next start does
        async with ControlPlane(programs, parent=tmp_path) as plane:
            assert not any(alive(pid) for pid in pids)
            assert plane.work_folder.parent == tmp_path
            assert list(tmp_path.iterdir()) == [plane.work_folder]
    assert not any(alive(pid) for pid in pids)
    assert list(tmp_path.iterdir()) == []


async def test_a_component_that_ends_at_the_start_is_named_at_once(programs: binaries.Binaries, tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(SandboxError, match=r"^kube-apiserver ended .*no-such-flag"):
        await ControlPlane(programs, parent=tmp_path, flags={"kube-apiserver": {"no-such-flag": "1"}}).start()
    assert time.monotonic() - started < WAIT_SECONDS  # kwokctl itself would wait two minutes
    assert list(tmp_path.iterdir()) == []


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


async def test_history_and_live_samples_are_one_series(programs: binaries.Binaries, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    begin = now - timedelta(hours=30)
    rate = 200.0
    integral = DemandIntegral(DemandSeries(begin, 3600.0, (rate,) * 31))
    with ReplayExporter(integral) as exporter:
        prometheus = PrometheusServer([ScrapeTarget(exporter.address)], binaries=programs, parent=tmp_path)
        samples = integral.history(begin, datetime.now(UTC), 15.0)
        await prometheus.backfill([CounterHistory(METRIC, LABELS, samples)])
        async with prometheus:
            selector = f'{METRIC}{{service="shop"}}'

            async def scraped_live() -> bool:
                return (await prometheus.value(f"count_over_time({selector}[10s])") or 0.0) >= 5.0

            await eventually(scraped_live)
            query = f"sum(rate({selector}[1m]))"
            (series,) = await prometheus.query_range(query, begin + timedelta(minutes=2), datetime.now(UTC), 30.0)
            (only,) = await prometheus.query(f"count({selector})")
    assert only["value"][1] == "1"
    assert len(series["values"]) > 30 * 118  # from the first hours to this second, no gap
    assert [float(value) for _, value in series["values"]] == pytest.approx([rate] * len(series["values"]), rel=0.05)
    assert list(tmp_path.iterdir()) == []


async def test_prometheus_refuses_a_bad_query_in_words(programs: binaries.Binaries, tmp_path: Path) -> None:
    async with PrometheusServer(binaries=programs, parent=tmp_path) as prometheus:
        with pytest.raises(SandboxError, match="sum"):
            await prometheus.query("sum(")
        assert await prometheus.value("vector(7)") == 7.0
        assert await prometheus.value("nothing_of_the_kind") is None


async def test_an_hpa_follows_the_demand_that_prometheus_measured(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str
) -> None:
    begin = datetime.now(UTC) - timedelta(minutes=10)
    integral = DemandIntegral(DemandSeries(begin, 3600.0, (97.5, 97.5)))
    await kubectl("create", "-f", "-", text=deployment("ingress", namespace))
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "ingress", "namespace": namespace},
        "spec": {
            "minReplicas": 1,
            "maxReplicas": 40,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "ingress"},
            "metrics": [external("door"), external("nothing")],
            "behavior": {"scaleUp": {"policies": [{"type": "Pods", "value": 40, "periodSeconds": 1}]}},
        },
    }
    queries = {"door": f"sum(rate({METRIC}[1m]))", "nothing": "sum(rate(nothing_total[1m]))"}
    with ReplayExporter(integral) as exporter:
        prometheus = PrometheusServer([ScrapeTarget(exporter.address)], binaries=control_plane.binaries)
        history = integral.history(begin, datetime.now(UTC), 5.0)
        await prometheus.backfill([CounterHistory(METRIC, LABELS, history)])
        async with prometheus, ExternalMetricsApi(control_plane, prometheus, queries):
            answer = json.loads(
                await kubectl("get", "--raw", f"/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/door")
            )
            assert answer["items"][0]["value"].endswith("m")
            await kubectl("create", "-f", "-", text=json.dumps(autoscaler))

            async def follows() -> bool:
                ready = await kubectl(
                    "get", "deployment/ingress", "-n", namespace, "-o", "jsonpath={.status.readyReplicas}"
                )
                return ready == "10"  # 97.5 requests/s at 10 a replica

            await eventually(follows)
            status = json.loads(await kubectl("get", "hpa/ingress", "-n", namespace, "-o", "json"))["status"]
            assert status["desiredReplicas"] == 10
            with pytest.raises(CommandError, match="NotFound"):
                await kubectl("get", "--raw", f"/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/nothing")
    with pytest.raises(CommandError, match="NotFound"):
        await kubectl("get", "apiservice", "v1beta1.external.metrics.k8s.io")


def external(name: str) -> dict:
    target = {"type": "AverageValue", "averageValue": "10"}
    return {"type": "External", "external": {"metric": {"name": name}, "target": target}}


async def test_binaries_come_from_the_release_pages_where_they_are_reached(
    programs: binaries.Binaries, tmp_path: Path
) -> None:
    pages = tmp_path / "pages"
    lay_out_release_pages(programs, pages)
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(pages))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        environment = {
            "PATH": str(tmp_path),  # no Go here: it can only be downloaded
            "HOME": str(tmp_path),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "KWOK_BINARY_PREFIX": f"{url}/kwok",
            "KWOK_KUBE_BINARY_PREFIX": f"{url}/kubernetes",
            "KWOK_ETCD_BINARY_PREFIX": f"{url}/etcd",
            "KWOK_PROMETHEUS_BINARY_PREFIX": f"{url}/prometheus",
            "FORERUN_HELM_PREFIX": f"{url}/helm",
        }
        run = [sys.executable, "-m", "forerun.sandbox.binaries"]
        done = await asyncio.to_thread(
            subprocess.run, run, env=environment, capture_output=True, text=True, check=False
        )
        server.shutdown()
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.strip())
    assert {path.name for path in folder.iterdir()} == set(PROGRAMS)
    assert all(os.access(folder / name, os.X_OK) for name in PROGRAMS)
    assert {name: sha256(folder / name) for name in PROGRAMS} == {name: sha256(programs[name]) for name in PROGRAMS}
    assert {path.name for path in (tmp_path / "cache" / "forerun").iterdir()} == {"lock", folder.parent.name}
    assert "building" not in done.stderr
    shutil.rmtree(tmp_path)  # more than half a GiB


def sha256(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def lay_out_release_pages(programs: binaries.Binaries, pages: Path) -> None:
    """As the projects lay out theirs: names, archives and lists of sums."""
    system = releases._system()

    def folder(name: str) -> Path:
        (pages / name).mkdir(parents=True)
        return pages / name

    def archive(path: Path, *names: str) -> str:
        with tarfile.open(path, "w:gz", compresslevel=0) as opened:
            for name in names:
                opened.add(programs[name], arcname=f"{path.name.removesuffix('.tar.gz')}/{name}")
        return sha256(path)

    kwok = folder("kwok")
    for name in ("kwok", "kwokctl"):
        (kwok / f"{name}-{system}").symlink_to(programs[name])
    kubernetes = folder("kubernetes")
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"):
        (kubernetes / name).symlink_to(programs[name])
        (kubernetes / f"{name}.sha256").write_text(sha256(programs[name]))
    etcd = folder("etcd") / f"etcd-{versions.ETCD}-{system}.tar.gz"
    (etcd.parent / "SHA256SUMS").write_text(f"{'0' * 64}  another.tar.gz\n{archive(etcd, 'etcd')}  {etcd.name}\n")
    prometheus = folder("prometheus") / f"prometheus-{versions.PROMETHEUS.removeprefix('v')}.{system}.tar.gz"
    sum_of = archive(prometheus, "prometheus", "promtool")
    (prometheus.parent / "sha256sums.txt").write_text(f"{sum_of}  {prometheus.name}\n")
    helm = folder("helm") / f"helm-{versions.HELM}-{system}.tar.gz"
    (helm.parent / f"{helm.name}.sha256sum").write_text(f"{archive(helm, 'helm')}  {helm.name}\n")
