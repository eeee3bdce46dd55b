"""What a suite found, and how far it is, as small files in fault-out/."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "fault-out"


@dataclass(frozen=True)
class Figure:
    """One figure of one suite: what was to be reached, what was, and how to do it again."""

    suite: str
    figure: str
    goal: str
    value: str
    met: bool
    seeds: str
    command: str

    def write(self, folder: Path = FOLDER) -> Path:
        """Put it into `folder`/`suite`.json, replacing the one before."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.suite}.json"
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        return path

    def __str__(self) -> str:
        return f"{self.suite}: {self.figure}: {self.value} (goal {self.goal}): {'met' if self.met else 'MISSED'}"


class Progress:
    """How far a suite is, in `folder`/`suite`.progress.json: where it was cut off, it goes on."""

    def __init__(self, suite: str, *, fresh: bool = False, folder: Path = FOLDER) -> None:
        self._path = folder / f"{suite}.progress.json"
        if fresh:
            self._path.unlink(missing_ok=True)

    def read(self) -> dict[str, Any]:
        """What was kept last; empty where nothing was."""
        return dict(json.loads(self._path.read_text(encoding="utf-8"))) if self._path.is_file() else {}

    def keep(self, known: Mapping[str, Any]) -> None:
        """Replace what was kept; whoever is cut off meanwhile still has the one before."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(known), encoding="utf-8")
        new.replace(self._path)
