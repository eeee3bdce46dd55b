"""What a metrics source can answer: the truth, and every way we know of telling something else.

Each answer is the body and status of an HTTP response, read by the operator's own parsing. A lie is `plain` where the
answer itself shows that it is none (NaN, an hour old, HTML): then nothing at all may be lowered on it. It is
`plausible` where it cannot be told from the truth (a dip after an exporter restarted): then only time and a second
signal can help.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass

import requests


@dataclass(frozen=True)
class Answer:
    """One HTTP answer; `slow`: it does not come in time."""

    body: bytes
    status: int = 200
    slow: bool = False


def vector(*rows: tuple[dict[str, str], object, object]) -> Answer:
    """An instant query's answer; each row is labels, time and value."""
    result = [{"metric": labels, "value": [at, value]} for labels, at, value in rows]
    return Answer(json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode())


def honest(now: float, true: float) -> Answer:
    return vector(({}, now, repr(true)))


def _value(text: str) -> Callable[[random.Random, float, float], Answer]:
    return lambda rng, now, true: vector(({}, now, text))


def _body(text: str, status: int = 200) -> Callable[[random.Random, float, float], Answer]:
    return lambda rng, now, true: Answer(text.encode(), status)


def _duplicates(rng: random.Random, now: float, true: float) -> Answer:
    rows = [({"pod": f"exporter-{i}"}, now, repr(true / 2)) for i in range(rng.choice((2, 3, 50)))]
    return vector(*rows)


def _stale(rng: random.Random, now: float, true: float) -> Answer:
    return vector(({}, now - rng.choice((1000, 3600, 86400, 1e9)), repr(true * rng.random())))


def _future(rng: random.Random, now: float, true: float) -> Answer:
    return vector(({}, now + rng.choice((1000, 3600, 86400, 1e11)), repr(true * rng.random())))


PLAIN: dict[str, Callable[[random.Random, float, float], Answer]] = {
    "NaN": _value("NaN"),
    "+Inf": _value("+Inf"),
    "-Inf": _value("-Inf"),
    "10^18": _value("1e18"),
    "negative": lambda rng, now, true: vector(({}, now, repr(-true - 1e-9))),
    "empty": lambda rng, now, true: vector(),
    "wrong labels": lambda rng, now, true: vector(
        ({"service": "shop"}, now, repr(true * 0.1)), ({"service": "blog"}, now, repr(true * 0.9))
    ),
    "duplicates": _duplicates,
    "stale": _stale,
    "future": _future,
    "HTML": _body("<html><body>please log in</body></html>"),
    "HTML 502": _body("<html><h1>Bad Gateway</h1></html>", 502),
    "error": _body('{"status":"error","errorType":"execution","error":"out of memory"}', 422),
    "error 200": _body('{"status":"error","errorType":"execution","error":"out of memory"}'),
    "redirect": _body("", 302),
    "nothing": _body(""),
    "cut off": lambda rng, now, true: Answer(honest(now, true).body[: rng.randrange(1, 60)]),
    "no number": _value("lots"),
    "bare number": lambda rng, now, true: vector(({}, now, 1e18)),
    "true": lambda rng, now, true: vector(({}, now, True)),
    "control characters": _value("1\n\x1b[2Jforged line"),
    "null": lambda rng, now, true: vector(({}, now, None)),
    "no result": _body('{"status":"success","data":null}'),
    "a word": _body('"up"'),
    "deep": _body("[" * 20_000 + "]" * 20_000),
    "slow body": lambda rng, now, true: Answer(b"", slow=True),
}


def dip(rng: random.Random, now: float, true: float) -> Answer:
    """Exporters have restarted: counters begin anew, and the rate of the new series is not there yet."""
    return vector(({}, now, repr(true * rng.choice((0.0, 0.0, 0.1, 0.5)))))


def part(share: float) -> Callable[[random.Random, float, float], Answer]:
    """The query matches only some of what it should: a relabelling, a shard that is gone."""
    return lambda rng, now, true: vector(({}, now, repr(true * share)))


def doubled(rng: random.Random, now: float, true: float) -> Answer:
    """Two scrapes of the same exporter, summed."""
    return vector(({}, now, repr(true * 2)))


class Canned:
    """As much of a requests.Session as prometheus-api-client asks of one; answers what it was told to."""

    verify, cert = True, None

    def __init__(self) -> None:
        self.answer = Answer(b"")

    def request(self, *_: object, **__: object) -> requests.Response:
        if self.answer.slow:
            raise requests.Timeout("the answer came too slowly")
        response = requests.Response()
        response.status_code = self.answer.status
        response._content = self.answer.body
        response.encoding = "utf-8"
        return response

    def get(self, *_: object, **__: object) -> requests.Response:
        return self.request()

    def mount(self, *_: object) -> None:
        """Adapters are for the network."""
