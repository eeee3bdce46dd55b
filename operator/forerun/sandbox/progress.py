"""One line per long step on standard error: what it is, how long it usually takes, how long it took."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def step(what: str, usual_seconds: int | None = None) -> Iterator[None]:
    """Announce a step and close its line when it ends; on a terminal the seconds run meanwhile."""
    usually = f" (usually {_words(usual_seconds)})" if usual_seconds else ""
    started = time.monotonic()
    ended = threading.Event()
    live = sys.stderr.isatty()
    clock = threading.Thread(target=_tick, args=(f"{what}{usually}", started, ended), daemon=True)
    if live:
        clock.start()
    else:
        print(f"{what}{usually} ...", file=sys.stderr, flush=True)
    outcome = "failed after"
    try:
        yield
        outcome = "done in"
    finally:
        ended.set()
        if live:
            clock.join()
        lead = "\r\x1b[K" if live else ""
        print(f"{lead}{what}: {outcome} {_words(time.monotonic() - started)}", file=sys.stderr, flush=True)


def say(line: str) -> None:
    """One line on standard error."""
    print(line, file=sys.stderr, flush=True)


def _tick(text: str, started: float, ended: threading.Event) -> None:
    while not ended.wait(0.5):
        print(f"\r\x1b[K{text} ... {_words(time.monotonic() - started)}", end="", file=sys.stderr, flush=True)


def _words(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
