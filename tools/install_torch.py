#!/usr/bin/env python3
"""Install torch as pinned: its CPU wheels where their index answers, else the default ones.

    install_torch.py requirements-torch.lock

The default wheels bring some gigabytes for GPUs that the forecast does not need, and work as
well. uv is the one beside the interpreter that runs this.
"""

import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
ANSWER_SECONDS = 3.0


def answers(url: str, seconds: float) -> bool:
    """Whether `url` answers within `seconds`, the look-up of its host's name included."""
    answered = threading.Event()

    def ask() -> None:
        try:
            with urllib.request.urlopen(url, timeout=seconds):  # noqa: S310
                answered.set()
        except OSError:
            return

    # in a thread, as nothing else bounds the look-up of a name
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds)
    return answered.is_set()


def main(lock: str) -> int:
    """Install what `lock` pins; the exit status of uv."""
    uv = str(Path(sys.executable).with_name("uv"))
    command = [uv, "pip", "install", "--quiet", "--python", sys.executable, "-r", lock]
    if answers(f"{CPU_INDEX}/torch/", ANSWER_SECONDS):
        print("installing torch, CPU wheels (usually 20 s)", file=sys.stderr, flush=True)  # noqa: T201
        # what it needs besides is in requirements.lock already
        if subprocess.run([*command, "--no-deps", "--default-index", CPU_INDEX], check=False).returncode == 0:  # noqa: S603
            return 0
    print("installing torch, default wheels, 2.7 GB (usually 1 to 2 min)", file=sys.stderr, flush=True)  # noqa: T201
    return subprocess.run(command, check=False).returncode  # noqa: S603


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
