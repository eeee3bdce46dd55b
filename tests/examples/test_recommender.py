"""The sample recommender, started as its users start it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from forerun.sandbox.workdir import free_ports

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "recommender"
USERS, ITEMS = 50, 80
LIMIT_SECONDS = 120.0


def write_weights(file: Path, *more: str) -> None:
    sizes = ("--users", str(USERS), "--items", str(ITEMS), "--dimension", "8")
    subprocess.run([sys.executable, FOLDER / "make_weights.py", file, *sizes, *more], check=True)


def start(weights: Path, *more: str) -> tuple[subprocess.Popen[str], str]:
    (port,) = free_ports(1)
    command = [sys.executable, FOLDER / "server.py", "--weights", weights, "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*command, *more], stderr=subprocess.PIPE, text=True, env=environment)
    return process, f"http://127.0.0.1:{port}"


def ask(url: str, body: object = None) -> tuple[int, object]:
    """Status and JSON of an answer; status 0 where nobody listens yet."""
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)
    except (ConnectionError, urllib.error.URLError):
        return 0, None


def until(process: subprocess.Popen[str], url: str, status: int) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while ask(url)[0] != status:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, f"{url} never answered {status}"
        time.sleep(0.05)


def opened_by_a_reader(pipe: Path, process: subprocess.Popen[str]) -> int:
    """The writing end, as soon as the server reads the other one: torch is imported then."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while True:
        try:
            writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads yet
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            os.set_blocking(writer, True)
            return writer


def tensor(name: str, shape: list[int], data: list[int], datatype: str = "INT64") -> dict[str, object]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("weights") / "weights.pt"
    write_weights(file)
    return file


@pytest.fixture(scope="module")
def server(weights: Path) -> Iterator[str]:
    process, url = start(weights)
    try:
        until(process, f"{url}/v2/health/ready", 200)
        yield url
    finally:
        process.kill()
        process.communicate()


def infer(server: str, *inputs: dict[str, object], **more: object) -> tuple[int, object]:
    return ask(f"{server}/v2/models/two-tower/infer", {"inputs": list(inputs), **more})


def test_it_is_live_at_once_and_ready_only_when_the_weights_are_loaded(weights: Path, tmp_path: Path) -> None:
    slow = tmp_path / "slow"  # a disk that gives the weights when we say so
    os.mkfifo(slow)
    process, url = start(slow)
    try:
        until(process, f"{url}/v2/health/live", 200)
        with os.fdopen(opened_by_a_reader(slow, process), "wb") as disk:
            assert ask(f"{url}/v2/health/live")[0] == 200
            assert ask(f"{url}/v2/health/ready") == (503, {"ready": False})
            assert ask(f"{url}/v2/models/two-tower/ready")[0] == 503
            assert ask(f"{url}/recommend?user=1")[0] == 503
            assert infer(url, tensor("user", [1], [1]))[0] == 503
            disk.write(weights.read_bytes())
        until(process, f"{url}/v2/health/ready", 200)
        assert ask(f"{url}/recommend?user=1")[0] == 200
    finally:
        process.kill()
        process.communicate()


def test_it_answers_with_the_best_items_first(server: str) -> None:
    status, body = infer(
        server, tensor("user", [2], [3, 4]), tensor("seen", [2, 3], [1, 2, 3, 4, 5, 6]), id="a", parameters={"k": 7}
    )
    assert status == 200
    item, score = body["outputs"]
    assert (body["id"], item["name"], item["shape"], score["shape"]) == ("a", "item", [2, 7], [2, 7])
    for row in range(2):
        items, scores = item["data"][7 * row : 7 * row + 7], score["data"][7 * row : 7 * row + 7]
        assert len(set(items)) == 7
        assert all(0 <= one < ITEMS for one in items)
        assert scores == sorted(scores, reverse=True)
        assert all(-1.001 <= one <= 1.001 for one in scores)


def test_a_batch_gives_what_each_user_alone_gets(server: str) -> None:
    _, together = infer(server, tensor("user", [3], [5, 6, 7]))
    alone = [infer(server, tensor("user", [1], [user]))[1]["outputs"][0]["data"] for user in (5, 6, 7)]
    assert together["outputs"][0]["data"] == [item for row in alone for item in row]
    assert ask(f"{server}/recommend?user=6")[1] == {"user": 6, "items": alone[1]}
    assert alone[0] != alone[1]


def test_what_was_seen_counts(server: str) -> None:
    _, without = infer(server, tensor("user", [1], [5]))
    _, with_history = infer(server, tensor("user", [1], [5]), tensor("seen", [1, 2], [70, 71]))
    assert without["outputs"][1]["data"] != with_history["outputs"][1]["data"]


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ([], "`user` is missing"),
        ([tensor("user", [1], [USERS])], f"from 0 to {USERS - 1}"),
        ([tensor("user", [1], [-1])], "from 0 to"),
        ([tensor("user", [1], [True])], "from 0 to"),
        ([tensor("user", [2], [1])], "does not fit 1 numbers"),
        ([tensor("user", [1, 1], [1])], r"must be [n]"),
        ([tensor("user", [65], list(range(1, 50)) * 2)], "does not fit"),
        ([tensor("user", [1], [1], "FP32")], "must be INT64"),
        ([tensor("user", [1], [1]), tensor("seen", [2, 1], [1, 2])], "seen: the shape must be [1, h]"),
        ([tensor("user", [1], [1]), tensor("price", [1], [1])], "price"),
        ([{"name": "user", "datatype": "INT64"}], "`shape` and `data`"),
    ],
)
def test_a_question_it_cannot_answer_is_refused_with_the_field(server: str, inputs: list, words: str) -> None:
    status, body = infer(server, *inputs)
    assert status == 400
    assert words in body["error"]


@pytest.mark.parametrize("count", [0, 101, "7", True, 1.5])
def test_an_absurd_count_is_refused(server: str, count: object) -> None:
    assert infer(server, tensor("user", [1], [1]), parameters={"k": count})[0] == 400


@pytest.mark.parametrize("query", ["", "user=x", "user=1&k=x", "user=1&k=0", f"user={USERS}", "user=-1"])
def test_a_page_that_asks_for_nobody_is_refused(server: str, query: str) -> None:
    status, body = ask(f"{server}/recommend?{query}")
    assert status == 400
    assert body["error"]


def metrics(server: str) -> dict[str, float]:
    with urllib.request.urlopen(f"{server}/metrics", timeout=30) as answer:
        lines = [line for line in answer.read().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_requests_are_counted_and_timed_and_probes_are_not(server: str) -> None:
    before = metrics(server)
    ask(f"{server}/recommend?user=1")
    ask(f"{server}/recommend?user=nobody")
    ask(f"{server}/v2/health/ready")
    after = metrics(server)

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0.0)

    assert grown('recommender_requests_total{code="200"}') == 1
    assert grown('recommender_requests_total{code="400"}') == 1
    assert grown("recommender_request_duration_seconds_count") == 2
    assert after["recommender_ready"] == 1
    assert 0 < after["recommender_start_up_seconds"] < LIMIT_SECONDS


def test_after_sigterm_it_is_not_ready_and_serves_on_until_it_has_drained(weights: Path) -> None:
    process, url = start(weights, "--drain-seconds", "600")
    try:
        until(process, f"{url}/v2/health/ready", 200)
        process.send_signal(signal.SIGTERM)
        until(process, f"{url}/v2/health/ready", 503)
        assert ask(f"{url}/recommend?user=1")[0] == 200
        assert ask(f"{url}/v2/health/live")[0] == 200
    finally:
        process.kill()
        process.communicate()


def test_sigterm_ends_it_in_order(weights: Path) -> None:
    process, url = start(weights)
    until(process, f"{url}/v2/health/ready", 200)
    process.send_signal(signal.SIGTERM)
    assert process.wait(LIMIT_SECONDS) == 0


@pytest.mark.parametrize("content", [b"", b"not weights", None])
def test_weights_that_cannot_be_used_end_it_with_one_line(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "weights.pt"
    if content is not None:
        file.write_bytes(content)
    process, _ = start(file)
    _, said = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 1
    assert said.startswith("recommender: ")
    assert len(said.splitlines()) == 1
    assert "weights.pt" in said


def test_weights_that_run_code_when_they_are_read_are_refused(tmp_path: Path) -> None:
    file, mark = tmp_path / "weights.pt", tmp_path / "ran"
    code = (
        "import sys, torch, pathlib\n"
        "class Evil:\n"
        "    def __reduce__(self): return (pathlib.Path.touch, (pathlib.Path(sys.argv[2]),))\n"
        "torch.save({'user_embedding.weight': Evil()}, sys.argv[1])\n"
    )
    subprocess.run([sys.executable, "-c", code, file, mark], check=True)
    process, _ = start(file)
    _, said = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 1
    assert "not the weights of this model" in said
    assert not mark.exists()


def test_the_same_seed_gives_the_same_recommendations(server: str, tmp_path: Path) -> None:
    same, other = tmp_path / "same.pt", tmp_path / "other.pt"
    write_weights(same)
    write_weights(other, "--seed", "1")
    answers = []
    for file in (same, other):
        process, url = start(file)
        until(process, f"{url}/v2/health/ready", 200)
        answers.append(infer(url, tensor("user", [1], [9]))[1]["outputs"][0]["data"])
        process.kill()
        process.communicate()
    here = infer(server, tensor("user", [1], [9]))[1]["outputs"][0]["data"]
    assert answers[0] == here
    assert answers[1] != here
