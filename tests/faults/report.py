"""The report: one line of JSON for each plan that was carried out, so that a run that was cut short goes on."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
OPERATOR = ROOT / "operator"
ENUMERATED = "enumerated"  # what stands in place of a plan's name in the line that counts them


def tree_hash() -> str:
    """Of the operator's sources as they are: a plan counts for these only."""
    digest = hashlib.sha256()
    for path in sorted(OPERATOR.rglob("*.py")):
        digest.update(str(path.relative_to(OPERATOR)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


class Report:
    """Appends; what stands there already for the same sources need not be done again."""

    def __init__(self, path: Path, tree: str) -> None:
        self.path = path
        self.tree = tree
        path.parent.mkdir(parents=True, exist_ok=True)

    def done(self) -> dict[str, dict[str, Any]]:
        """The last outcome of each plan that was carried out, by its id."""
        return {line["plan"]: line for line in self.lines() if line["plan"] != ENUMERATED and not line["missed"]}

    def enumerated(self) -> dict[str, int]:
        """How many plans there are, by group, as the last run counted them."""
        found: dict[str, int] = {}
        for line in self.lines():
            if line["plan"] == ENUMERATED:
                found |= line["counts"]
        return found

    def lines(self) -> Iterator[dict[str, Any]]:
        if not self.path.exists():
            return
        for text in self.path.read_text().splitlines():
            line = json.loads(text)
            if line["tree"] == self.tree:
                yield line

    def add(self, line: dict[str, Any]) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps({"tree": self.tree, **line}) + "\n")
