"""The synthetic sample: five days of a steady shop, a small sale on Wednesday, the large one on Friday.

`python -m forerun.sandbox.demo.sample` writes it anew to sandbox/traces; the same function
makes the same bytes on every machine, and a test holds the files against it.
"""

import math
import random
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

SAMPLE = resources.files("forerun.sandbox") / "traces"
TRACE_NAME, EVENTS_NAME = "sample-shop.csv", "sample-shop.events.csv"

_FIRST = datetime(2026, 11, 23, tzinfo=UTC)
_DAYS = 5
_MINUTES = _DAYS * 24 * 60
_SALE = timedelta(minutes=15)
_SALES = (
    ("flash-sale", "Wednesday drop", datetime(2026, 11, 25, 12, 0, tzinfo=UTC), 6.0),
    ("flash-sale", "Black Friday drop", datetime(2026, 11, 27, 19, 0, tzinfo=UTC), 8.0),
)


def trace_csv() -> str:
    """`timestamp,requests`: the count of each minute."""
    noise = random.Random(20261127)  # noqa: S311  # the same sample everywhere; nothing is secret
    lines = ["timestamp,requests"]
    for minute in range(_MINUTES):
        at = _FIRST + timedelta(minutes=minute)
        rps = _usual_rps(at) * _uplift(at) * math.exp(0.04 * noise.gauss(0.0, 1.0))
        lines.append(f"{at:%Y-%m-%dT%H:%M:%SZ},{round(rps * 60)}")
    return "\n".join(lines) + "\n"


def events_csv() -> str:
    """`kind,name,start,end,note`; ends are as declared beforehand."""
    lines = ["kind,name,start,end,note"]
    for kind, name, start, peak in _SALES:
        end = start + _SALE
        note = f"synthetic; peak x{peak:g} within a minute"
        lines.append(f"{kind},{name},{start:%Y-%m-%dT%H:%M:%SZ},{end:%Y-%m-%dT%H:%M:%SZ},{note}")
    return "\n".join(lines) + "\n"


def _usual_rps(at: datetime) -> float:
    """Quiet at 4 in the morning, busiest at 19 in the evening; requests/s."""
    hour = at.hour + at.minute / 60
    return 240.0 * (1.0 + 0.55 * math.cos((hour - 19.0) / 24.0 * 2.0 * math.pi)) + 20.0


def _uplift(at: datetime) -> float:
    """The multiplier of the sale that is on: full within a minute, a slow tail, gone soon after the end."""
    total = 1.0
    for _, _, start, peak in _SALES:
        passed = (at - start) / _SALE
        if passed < 0:
            continue
        tail = (peak - 1.0) / (1.0 + 3.0 * min(passed, 1.0))
        total += tail * math.exp(-max(0.0, passed - 1.0) / 0.12)
    return total


def main() -> None:
    folder = Path(str(SAMPLE))
    folder.mkdir(exist_ok=True)
    (folder / TRACE_NAME).write_text(trace_csv(), encoding="utf-8")
    (folder / EVENTS_NAME).write_text(events_csv(), encoding="utf-8")


if __name__ == "__main__":
    main()
