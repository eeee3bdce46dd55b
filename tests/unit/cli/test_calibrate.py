"""`forerun calibrate`, as a person runs it, against a server whose capacity is known."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from forerun.cli.main import main

STOREFRONT = """# the shop
apiVersion: forerun.dev/v1alpha1
kind: Storefront
metadata: {name: main, namespace: shop}
spec:
  demand:
    metricsSourceRef: {name: default}
    query: 'sum(rate(requests_total[1m]))'
  tiers:
  - name: recommender   # two towers
    role: Recommender
    targetRef: {apiVersion: apps/v1, kind: Deployment, name: recommender}
    maxReplicas: 9
"""


class Shop:
    """Answers at once; counts what it was asked, and refuses all after the first `good` requests."""

    def __init__(self) -> None:
        self.good = 1_000_000
        self.asked: list[str] = []
        self._lock = threading.Lock()

    def status(self, path: str) -> int:
        with self._lock:
            self.asked.append(path)
            if path == "/missing":
                return 404
            return 200 if len(self.asked) <= self.good else 500


@pytest.fixture
def server() -> Iterator[tuple[Shop, str]]:
    shop = Shop()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(shop.status(self.path))
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 256  # of five, a burst of connections would be reset

    here = Server(("127.0.0.1", 0), Handler)
    here.daemon_threads = True
    thread = threading.Thread(target=here.serve_forever, daemon=True)
    thread.start()
    yield shop, f"http://127.0.0.1:{here.server_port}"
    here.shutdown()
    here.server_close()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "forerun.cli.main", "calibrate", *arguments], capture_output=True, text=True, check=False
    )


def test_it_measures_confirms_and_writes_the_capacity(server: tuple[Shop, str], tmp_path: Path) -> None:
    shop, url = server
    file = tmp_path / "shop.yaml"
    file.write_text(STOREFRONT)
    file.chmod(0o640)
    done = run(
        *("--url", f"{url}/recommend?user={{1..5}}", "--latency-objective", "60s"),
        *("--step", "1", "--start-rps", "100", "--max-rps", "100", "--replicas", "2"),
        *("--storefront", str(file), "--tier", "recommender", "-o", "json"),
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert [step["rate_rps"] for step in said["steps"]] == [100.0, 100.0, 100.0]
    assert (said["rate_rps"], said["limited_by"], said["capacityPerReplica"]) == (100.0, None, "45")
    # every request of the steps reached it, and one before them
    assert len(shop.asked) == 1 + sum(step["requests"] for step in said["steps"])
    assert set(shop.asked) == {f"/recommend?user={user}" for user in range(1, 6)}
    text = file.read_text()
    assert yaml.safe_load(text)["spec"]["tiers"][0]["capacityPerReplica"] == "45"
    assert text.replace('    capacityPerReplica: "45"\n', "") == STOREFRONT
    assert file.stat().st_mode & 0o777 == 0o640
    assert len(done.stderr.splitlines()) == 4  # the steps, and what was written


def test_errors_bound_the_rate(server: tuple[Shop, str]) -> None:
    shop, url = server
    shop.good = 1
    done = run("--url", url, "--latency-objective", "60s", "--step", "1", "--start-rps", "100", "-o", "json")
    assert done.returncode == 1
    said = json.loads(done.stdout)
    assert (said["rate_rps"], said["capacityPerReplica"], said["limited_by"]) == (None, None, "Errors")
    assert all(step["errors"] > 0 for step in said["steps"])


def test_an_objective_that_no_rate_meets_is_a_no_and_nothing_is_written(
    server: tuple[Shop, str], tmp_path: Path
) -> None:
    _, url = server
    file = tmp_path / "shop.yaml"
    file.write_text(STOREFRONT)
    done = run(
        *("--url", url, "--latency-objective", "0.5ms", "--step", "1", "--start-rps", "0.15"),
        *("--storefront", str(file), "--tier", "recommender"),
    )
    assert done.returncode == 1
    assert "no rate met 0.5 ms at p99" in done.stdout
    assert file.read_text() == STOREFRONT


GOOD = ("--url", "http://127.0.0.1:9/", "--latency-objective", "50ms")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--url", "http://127.0.0.1:9/", "--latency-objective", "soon"), "--latency-objective: 'soon'"),
        (("--url", "http://127.0.0.1:9/", "--latency-objective", "0s"), "0.5ms to 60s"),
        (("--url", "ftp://here/", "--latency-objective", "1s"), "--url: 'ftp://here/'"),
        (("--url", "http://:99999/", "--latency-objective", "1s"), "--url:"),
        (GOOD, "--url: "),
        ((*GOOD, "--quantile", "nan"), "--quantile: 'nan'"),
        ((*GOOD, "--replicas", "0"), "--replicas: '0'"),
        ((*GOOD, "--max-rps", "1e9"), "--max-rps"),
        ((*GOOD, "--header", "secret-without-colon"), "--header: write it as"),
        ((*GOOD, "--body", "/nowhere"), "--body: /nowhere"),
        ((*GOOD, "--tier", "web"), "give both"),
        ((*GOOD, "--storefront", "/nowhere", "--tier", "web"), "/nowhere"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_option(arguments: tuple[str, ...], words: str) -> None:
    done = CliRunner().invoke(main, ["calibrate", *arguments])
    assert done.exit_code == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "secret-without-colon" not in done.stderr


def test_a_tier_that_is_not_in_the_file_is_refused_before_any_load(server: tuple[Shop, str], tmp_path: Path) -> None:
    shop, url = server
    file = tmp_path / "shop.yaml"
    file.write_text(STOREFRONT)
    done = CliRunner().invoke(
        main, ["calibrate", "--url", url, "--latency-objective", "1s", "--storefront", str(file), "--tier", "web"]
    )
    assert done.exit_code == 2
    assert "it has recommender" in done.stderr
    assert shop.asked == []


def test_an_address_that_is_not_there_is_refused(server: tuple[Shop, str]) -> None:
    _, url = server
    done = CliRunner().invoke(main, ["calibrate", "--url", f"{url}/missing", "--latency-objective", "1s"])
    assert done.exit_code == 2
    assert "status 404" in done.stderr
