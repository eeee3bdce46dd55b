"""Which series the worker already holds, by content: the operator's process keeps no series alive for it."""

from array import array
from collections import OrderedDict
from hashlib import blake2b

from forerun.domain.observation import DemandSeries

_HELD = 1024  # series of four weeks in steps of five minutes take 64 KiB each in the worker


def digest_of(series: DemandSeries) -> str:
    """A name for the content: equal series have equal names."""
    head = f"{series.start.timestamp()}|{series.step_seconds}|".encode()
    return blake2b(head + array("d", series.values).tobytes(), digest_size=16).hexdigest()


class SentSeries:
    """The names of what one worker holds, the least recently used first."""

    def __init__(self, held: int = _HELD) -> None:
        self._held = held
        self._names: OrderedDict[str, None] = OrderedDict()

    def is_new(self, name: str) -> bool:
        """Whether the worker must be sent this one; from now on it counts as held and as just used."""
        new = name not in self._names
        self._names[name] = None
        self._names.move_to_end(name)
        return new

    def drop(self, names: set[str]) -> None:
        for name in names:
            self._names.pop(name, None)

    def surplus(self) -> set[str]:
        """Those that are too many: to be dropped here and there."""
        names = list(self._names)
        return set(names[: max(0, len(names) - self._held)])
