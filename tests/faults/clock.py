"""A wall clock that the tests set: real time runs on it, and nobody waits for hours in which nothing is due."""

import mmap
import struct
import time
from datetime import UTC, datetime
from pathlib import Path

_FORMAT = struct.Struct("d")


class SharedClock:
    """Real time and an offset in a file that every operator of a plan maps."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(_FORMAT.pack(0.0))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _FORMAT.size)
        self.path = path

    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time() + _FORMAT.unpack_from(self._memory)[0], UTC)

    def set(self, now: datetime) -> None:
        _FORMAT.pack_into(self._memory, 0, now.timestamp() - time.time())
