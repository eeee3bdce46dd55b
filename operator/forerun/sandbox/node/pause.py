"""The container that holds a pod's namespaces: it waits, and takes in orphans. Built here: no registry is needed."""

import os
import tarfile
import tempfile
from pathlib import Path

from forerun.sandbox.commands import run
from forerun.sandbox.node.configuration import PAUSE_IMAGE
from forerun.sandbox.node.oci import Image, write_archive

_SOURCE = """
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void leave(int number) { _exit(0); }
static void reap(int number) { while (waitpid(-1, 0, WNOHANG) > 0) ; }
int main(void) {
  signal(SIGINT, leave); signal(SIGTERM, leave); signal(SIGCHLD, reap);
  for (;;) pause();
}
"""


def write_pause(archive: Path) -> None:
    """Write the image as an OCI archive. Raises CommandError where it cannot be compiled."""
    with tempfile.TemporaryDirectory(prefix="pause-", dir=archive.parent) as scratch:
        program, layer = Path(scratch) / "pause", Path(scratch) / "layer.tar"
        run(["gcc", "-x", "c", "-", "-static", "-Os", "-s", "-o", str(program)], os.environ, _SOURCE)
        with tarfile.open(layer, "w") as tar:
            tar.add(program, "pause")
        write_archive(Image(PAUSE_IMAGE, layer, ("/pause",)), archive)
