#!/usr/bin/env python3
"""Pin everything anew: requirements.lock with hashes, and requirements-torch.lock.

torch stands apart because its CPU wheels and its default wheels are different files, and
only the latter bring the NVIDIA ones; what both need is in requirements.lock. `uv` must be
on PATH (`make lock` sees to it).
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
APART = re.compile(r"(torch|triton|nvidia-|cuda-)")
COMMAND = [
    *("uv", "pip", "compile", "pyproject.toml", "-", "--extra", "dev", "--universal", "--python-version", "3.11"),
    *("--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", "--upgrade", "--quiet"),
]
BUILD = "setuptools>=77\n"  # what pyproject.toml builds the package with, so that the set-up needs no other download


def main() -> int:
    """Write both files; the exit status of uv."""
    done = subprocess.run(COMMAND, cwd=ROOT, input=BUILD, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        return done.returncode
    # one requirement is a line that starts at the margin, and the indented ones below it
    pinned = re.findall(r"^\S.*\n(?:[ \t].*\n)*", done.stdout, flags=re.MULTILINE)
    head = "# Written by `make lock`; not edited by hand.\n"
    others = [text for text in pinned if not APART.match(text)]
    torch = [text.split(" ")[0] for text in pinned if text.startswith("torch==")]
    (ROOT / "requirements.lock").write_text(head + "".join(others), encoding="utf-8")
    (ROOT / "requirements-torch.lock").write_text(head + "\n".join(torch) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
