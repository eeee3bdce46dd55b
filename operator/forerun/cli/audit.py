"""`forerun audit verify`: whether the operator's audit lines are whole."""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict

import click

from forerun.cli.failure import BadInput
from forerun.observe.audit_chain import verify as verify_chain

_DIGEST = re.compile("[0-9a-f]{64}")


@click.group()
def audit() -> None:
    """What Forerun wrote, and whether that record is whole."""


@audit.command()
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option(
    "--head", metavar="DIGEST", help="The last digest, as the Lease's annotation forerun.dev/audit-head has it."
)
@click.option(
    "--from-start", is_flag=True, help="The logs go back to the first line of all: a missing beginning is a fault."
)
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def verify(files: tuple[str, ...], head: str | None, from_start: bool, output: str) -> None:
    """Check the audit lines in the operator's logs, oldest FILE first (none, or -: standard input).

    Other lines are passed over. Exit code 1: a line was changed, taken out or moved.
    """
    if head is not None and not _DIGEST.fullmatch(head):
        raise BadInput("--head: must be 64 hexadecimal digits; see `kubectl describe lease forerun`")
    verdict = verify_chain(_lines(files or ("-",)), head, from_start=from_start)
    if not verdict.records and not verdict.faults:
        raise BadInput(f"{', '.join(files) or 'standard input'}: there is no audit line in it; logs must be JSON lines")
    if output == "json":
        click.echo(json.dumps({"whole": not verdict.faults, **asdict(verdict)}, indent=2))
    else:
        for text in (*verdict.faults, *(f"note: {note}" for note in verdict.notes)):
            click.echo(text)
        word = "BROKEN" if verdict.faults else "whole"
        click.echo(f"{word}: {verdict.records} records of {verdict.runs} runs, the last one {verdict.head}")
    if verdict.faults:
        sys.exit(1)


def _lines(files: tuple[str, ...]) -> Iterator[bytes]:
    """The lines of all files, one after the other."""
    for name in files:
        try:
            with click.open_file(name, "rb") as stream:
                for line in stream:
                    yield line.removesuffix(b"\n")
        except OSError as error:
            raise BadInput(f"{name}: {error.strerror}") from None
