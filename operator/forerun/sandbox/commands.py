"""Run a program to its end and take its words: kubectl, helm, kwokctl, promtool."""

import asyncio
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class SandboxError(Exception):
    """The sandbox cannot go on; the message is one line with the remedy."""


class CommandError(SandboxError):
    """A program ended with a status other than zero; `stderr` is what it said."""

    def __init__(self, argv: Sequence[str], returncode: int, stdout: str, stderr: str) -> None:
        self.argv = tuple(argv)
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr
        said = (stderr.strip() or stdout.strip() or "no output").splitlines()
        super().__init__(f"{Path(argv[0]).name} {' '.join(argv[1:3])} failed ({returncode}): {said[-1]}")


def run(argv: Sequence[str], environment: Mapping[str, str], text: str | None = None) -> str:
    """Run `argv` with `text` on its standard input; its standard output. Raises CommandError."""
    done = subprocess.run(
        list(argv),
        input=text or "",
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CommandError(argv, done.returncode, done.stdout, done.stderr)
    return done.stdout


async def run_async(argv: Sequence[str], environment: Mapping[str, str], text: str | None = None) -> str:
    """`run` that leaves the event loop free; a cancelled call ends the program."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        env=dict(environment),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        stdout, stderr = await process.communicate((text or "").encode())
    except BaseException:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    out, err = stdout.decode(errors="replace"), stderr.decode(errors="replace")
    if process.returncode != 0:
        raise CommandError(argv, process.returncode or 0, out, err)
    return out
