#!/usr/bin/env python3
"""Pin everything anew, with hashes but for torch: requirements.lock and its -uv, -torch and -backtest.

torch stands apart because its CPU wheels and its default wheels are different files, and
only the latter bring the NVIDIA ones; what both need is in requirements.lock. The libraries
that only `make bench-forecast` compares with stand apart because nothing else needs them:
requirements-backtest.lock holds what they add to requirements.lock. uv, which installs all
of them, comes first and from pip. `uv` must be on PATH (`make lock` sees to it).
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
APART = re.compile(r"(torch|triton|nvidia-|cuda-|uv==)")
COMMAND = [
    *("uv", "pip", "compile", "pyproject.toml", "-", "--universal", "--python-version", "3.11"),
    *("--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", "--upgrade", "--quiet"),
]
# what pyproject.toml builds the package with, so that the set-up needs no other download, and what installs it all
BUILD = "setuptools>=77\nuv>=0.13\n"
HEAD = "# Written by `make lock`; not edited by hand.\n"


def main() -> int:
    """Write the four files; 1 where uv fails."""
    try:
        pinned = compiled("--extra", "dev")
        write("requirements-uv.lock", [text for text in pinned if text.startswith("uv==")])
        others = [text for text in pinned if not APART.match(text)]
        torch = [text.split(" ")[0] + "\n" for text in pinned if text.startswith("torch==")]
        write("requirements.lock", others)
        write("requirements-torch.lock", torch)
        write("requirements-backtest.lock", backtest())
    except subprocess.CalledProcessError:
        return 1
    return 0


def backtest() -> list[str]:
    """What the extra `backtest` adds to requirements.lock, in versions that agree with it."""
    lock = ROOT / "requirements.lock"
    known = {line.split("==")[0] for line in lock.read_text(encoding="utf-8").splitlines() if "==" in line}
    pinned = compiled("--extra", "backtest", "--constraint", str(lock))
    return [text for text in pinned if not APART.match(text) and text.split("==")[0] not in known]


def compiled(*options: str) -> list[str]:
    """The requirements that uv finds, each with its hashes. Raises CalledProcessError."""
    done = subprocess.run([*COMMAND, *options], cwd=ROOT, input=BUILD, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
    # one requirement is a line that starts at the margin, and the indented ones below it
    return re.findall(r"^\S.*\n(?:[ \t].*\n)*", done.stdout, flags=re.MULTILINE)


def write(name: str, requirements: list[str]) -> None:
    (ROOT / name).write_text(HEAD + "".join(requirements), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
