"""What a suite found, as one small file in fault-out/."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

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
