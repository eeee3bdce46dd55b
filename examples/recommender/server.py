"""The sample recommender as a server: `server.py --weights weights.pt [--port 8000] [--cache redis://HOST:6379]`.

It is live as soon as it listens, and ready only after torch is imported, the weights are loaded, the catalogue has
gone through its tower and a warm-up batch was answered: until then a replica serves nobody. One thread computes, so
that the event loop keeps answering probes; requests beyond `--max-waiting` are refused at once with 503. On SIGTERM it
says that it is not ready and goes on serving for `--drain-seconds`.
"""

import argparse
import asyncio
import hashlib
import json
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import protocol
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from two_tower import Ranker

_LARGEST_BODY = 64 * 1024
_WARM_UP_CALLS = 8
_CACHE_SECONDS = 0.25  # a cache that is slower than the model is no cache

REQUESTS = Counter("recommender_requests", "Requests for recommendations, by the status of the answer.", ["code"])
DURATION = Histogram(
    "recommender_request_duration_seconds",
    "From the arrival of a request to its answer.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0),
)
CACHE = Counter("recommender_cache_requests", "Look-ups in the cache, by result.", ["result"])
START_UP = Gauge("recommender_start_up_seconds", "From the start of the process to its readiness.")
READY = Gauge("recommender_ready", "1 while this replica wants traffic.")
WAITING = Gauge("recommender_waiting_requests", "Requests that wait for the model or are computed.")


class Overloaded(Exception):  # noqa: N818  # an answer, not a fault
    """More requests wait than may."""


class Recommender:
    """The model behind one computing thread, once `load` has ended."""

    def __init__(self, weights: Path, device: str, threads: int, max_waiting: int) -> None:
        self._weights = weights
        self._device = device
        self._threads = threads
        self._max_waiting = max_waiting
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._waiting = 0
        self._ranker: Ranker | None = None
        self.version = ""
        self.draining = False

    @property
    def ready(self) -> bool:
        return self._ranker is not None and not self.draining

    @property
    def ranker(self) -> "Ranker":
        """Raises HTTPServiceUnavailable while the weights are still being loaded."""
        if self._ranker is None:
            raise _refusal(web.HTTPServiceUnavailable, "the model is not ready: weights are being loaded")
        return self._ranker

    async def load(self) -> None:
        """Import torch, read the weights, answer a warm-up batch. Raises WeightsError or OSError."""
        ranker, self.version = await asyncio.get_running_loop().run_in_executor(self._pool, self._load)
        self._ranker = ranker
        START_UP.set(time.time() - _started_at())
        READY.set(1)

    async def top(self, question: protocol.Question) -> tuple[list[list[int]], list[list[float]]]:
        """Items and scores. Raises Overloaded."""
        if self._waiting >= self._max_waiting:
            raise Overloaded
        self._waiting += 1
        WAITING.set(self._waiting)
        try:
            arguments = (question.users, question.seen, question.count)
            return await asyncio.get_running_loop().run_in_executor(self._pool, self.ranker.top, *arguments)
        finally:
            self._waiting -= 1
            WAITING.set(self._waiting)

    def _load(self) -> "tuple[Ranker, str]":
        import torch  # noqa: PLC0415  # seconds, in which the server is live and not ready
        from two_tower import Ranker, load  # noqa: PLC0415

        # threads beyond the CPU limit wait for each other
        torch.set_num_threads(self._threads)
        data = self._weights.read_bytes()
        device = self._device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        ranker = Ranker(load(data, str(self._weights)), device)
        batch = min(ranker.users, protocol.MOST_USERS)
        for _ in range(_WARM_UP_CALLS):
            ranker.top(list(range(batch)), [[0]] * batch, protocol.DEFAULT_ITEMS)
            ranker.top([0], [[]], protocol.DEFAULT_ITEMS)
        return ranker, hashlib.sha256(data).hexdigest()[:12]


class Cache:
    """Answers kept in Redis or Valkey, or nowhere. Where it does not answer, the model does."""

    def __init__(self, url: str | None, seconds: int) -> None:
        self._seconds = seconds
        self._redis: Any = None
        if url is not None:
            from redis import asyncio as redis  # noqa: PLC0415  # only where a cache is named

            limits = {"socket_timeout": _CACHE_SECONDS, "socket_connect_timeout": _CACHE_SECONDS}
            self._redis = redis.Redis.from_url(url, **limits)

    async def get(self, key: str) -> Any:
        """What was kept under `key`; None where there is nothing."""
        if self._redis is None:
            return None
        try:
            kept = await self._redis.get(key)
        except Exception:  # noqa: BLE001  # whatever ails the cache, the model answers
            CACHE.labels("error").inc()
            return None
        CACHE.labels("miss" if kept is None else "hit").inc()
        return None if kept is None else json.loads(kept)

    async def put(self, key: str, value: Any) -> None:
        if self._redis is None:
            return
        try:
            await self._redis.set(key, json.dumps(value), ex=self._seconds)
        except Exception:  # noqa: BLE001
            CACHE.labels("error").inc()

    async def close(self) -> None:
        if self._redis is not None:
            await self._redis.close()


class Endpoints:
    """HTTP around a Recommender and a Cache."""

    def __init__(self, name: str, model: Recommender, cache: Cache) -> None:
        self._name = name
        self._model = model
        self._cache = cache

    def application(self) -> web.Application:
        app = web.Application(client_max_size=_LARGEST_BODY, middlewares=[_measured])
        of_model = f"/v2/models/{self._name}"
        app.add_routes(
            [
                web.get("/v2", self._server),
                web.get("/v2/health/live", _live),
                web.get("/v2/health/ready", self._ready),
                web.get(of_model, self._metadata),
                web.get(f"{of_model}/ready", self._ready),
                web.post(f"{of_model}/infer", self._infer),
                web.get("/recommend", self._recommend),
                web.get("/metrics", _metrics),
            ]
        )
        return app

    async def _server(self, _request: web.Request) -> web.Response:
        return web.json_response({"name": "recommender", "version": self._model.version, "extensions": []})

    async def _ready(self, _request: web.Request) -> web.Response:
        ready = self._model.ready
        return web.json_response({"ready": ready}, status=200 if ready else 503)

    async def _metadata(self, _request: web.Request) -> web.Response:
        return web.json_response(protocol.metadata(self._name, self._model.version))

    async def _infer(self, request: web.Request) -> web.Response:
        ranker = self._model.ranker
        try:
            question = protocol.read(await request.json(), ranker.users, ranker.items)
        except json.JSONDecodeError:
            raise _refusal(web.HTTPBadRequest, "the body is not JSON") from None
        except protocol.RefusedError as refused:
            raise _refusal(web.HTTPBadRequest, str(refused)) from None
        items, scores = await self._asked(question)
        return web.json_response(protocol.answer(self._name, self._model.version, question, items, scores))

    async def _recommend(self, request: web.Request) -> web.Response:
        """`GET /recommend?user=42&k=10`: what a shop's page asks for, kept in the cache."""
        try:
            user = int(request.query.get("user", ""))
            count = protocol.item_count(int(request.query.get("k", protocol.DEFAULT_ITEMS)))
        except ValueError as refused:
            words = str(refused) if isinstance(refused, protocol.RefusedError) else "user, k: numbers are needed"
            raise _refusal(web.HTTPBadRequest, words) from None
        if not 0 <= user < self._model.ranker.users:
            raise _refusal(web.HTTPBadRequest, f"user: a number from 0 to {self._model.ranker.users - 1} is needed")
        key = f"recommend:{self._model.version}:{user}:{count}"
        items = await self._cache.get(key)
        if items is None:
            rows, _ = await self._asked(protocol.Question([user], [[]], count))
            items = rows[0]
            await self._cache.put(key, items)
        return web.json_response({"user": user, "items": items})

    async def _asked(self, question: protocol.Question) -> tuple[list[list[int]], list[list[float]]]:
        try:
            return await self._model.top(question)
        except Overloaded:
            raise _refusal(web.HTTPServiceUnavailable, "too many requests wait; try again") from None


async def _live(_request: web.Request) -> web.Response:
    return web.json_response({"live": True})


async def _metrics(_request: web.Request) -> web.Response:
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


@web.middleware
async def _measured(request: web.Request, handler: Any) -> web.StreamResponse:
    """Count and time what asks the model; probes and scrapes are not demand."""
    if not request.path.endswith(("/infer", "/recommend")):
        answered: web.StreamResponse = await handler(request)
        return answered
    begun = time.perf_counter()
    code = 500
    try:
        answered = await handler(request)
        code = answered.status
        return answered
    except web.HTTPException as refused:
        code = refused.status
        raise
    finally:
        REQUESTS.labels(str(code)).inc()
        DURATION.observe(time.perf_counter() - begun)


def _refusal(kind: type[web.HTTPError], words: str) -> web.HTTPError:
    return kind(text=json.dumps({"error": words}), content_type="application/json")


def _started_at() -> float:
    """Unix time at which this process was started, where the system tells it; else now."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        since_boot = float(Path("/proc/uptime").read_text().split()[0])
    except OSError:
        return time.time()
    return time.time() - since_boot + int(fields[19]) / os.sysconf("SC_CLK_TCK")


async def serve(given: argparse.Namespace) -> int:
    """Until SIGTERM or SIGINT; 1 where the weights cannot be used."""
    model = Recommender(given.weights, given.device, given.threads, given.max_waiting)
    cache = Cache(given.cache, given.cache_seconds)
    runner = web.AppRunner(Endpoints(given.model, model, cache).application(), access_log=None)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await runner.setup()
    try:
        await web.TCPSite(runner, given.host, given.port).start()
        loading = asyncio.ensure_future(model.load())
        waiting = asyncio.ensure_future(stopping.wait())
        await asyncio.wait({loading, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if loading.done() and (failed := loading.exception()) is not None:
            sys.stderr.write(f"recommender: {failed}\n")
            return 1
        await waiting
        model.draining = True
        READY.set(0)
        if loading.done():  # else nobody was sent here yet
            await asyncio.sleep(given.drain_seconds)
    finally:
        await runner.cleanup()
        await cache.close()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Serve recommendations of a two-tower model.")
    parser.add_argument("--weights", type=Path, required=True, help="written by make_weights.py")
    parser.add_argument("--model", default="two-tower", help="its name in the paths")
    parser.add_argument("--host", default="0.0.0.0")  # noqa: S104  # in a container the pod's address is not known
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, default=1, help="of torch; no more than the CPU limit allows")
    parser.add_argument("--max-waiting", type=int, default=64, help="requests beyond it are refused with 503")
    parser.add_argument("--cache", metavar="URL", help="redis://HOST:6379; Valkey and Redis")
    parser.add_argument("--cache-seconds", type=int, default=60)
    parser.add_argument("--drain-seconds", type=float, default=0.0, help="still serving after SIGTERM")
    return asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    # Before torch is imported: its thread pools are made then.
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    status = main()
    sys.stderr.flush()
    # not sys.exit: that would wait for the thread, which may still be loading
    os._exit(status)
