"""A control group of a node's own in every hierarchy, version 1 or 2, and its removal with all below it."""

import contextlib
import os
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_NEEDED = ("cpu", "cpuset", "memory", "pids")


def hierarchies(root: Path = ROOT) -> tuple[Path, ...]:
    """Mount points of the hierarchies: one of version 2, or one per controller."""
    if (root / "cgroup.controllers").exists():
        return (root,)
    # links such as cpu -> cpu,cpuacct name one hierarchy twice
    found = {path.resolve() for path in root.iterdir() if (path / "cgroup.procs").exists()}
    return tuple(sorted(found))


def make(name: str, root: Path = ROOT) -> None:
    """Make the group `name`. Raises OSError where control groups cannot be written."""
    unified = (root / "cgroup.controllers").exists()
    for hierarchy in hierarchies(root):
        group = hierarchy / name
        group.mkdir(exist_ok=True)
        if unified:
            for controller in _NEEDED:
                with contextlib.suppress(OSError):  # one that is not there is missed by the kubelet, in its words
                    (hierarchy / "cgroup.subtree_control").write_text(f"+{controller}")
                    (group / "cgroup.subtree_control").write_text(f"+{controller}")
        elif (group / "cpuset.cpus").exists():
            # in version 1 a new group has none, and takes no process before it has some
            for file in ("cpuset.cpus", "cpuset.mems"):
                (group / file).write_text((hierarchy / file).read_text())


def remove(name: str, root: Path = ROOT, seconds: float = 10.0) -> None:
    """Remove the group and all below it, as soon as their processes have gone. Never raises."""
    deadline = time.monotonic() + seconds
    for hierarchy in hierarchies(root):
        group = hierarchy / name
        while group.exists():
            for folder, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()
            if time.monotonic() > deadline:
                break
            if group.exists():
                time.sleep(0.05)
