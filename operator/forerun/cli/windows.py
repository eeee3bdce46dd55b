"""`forerun windows`: when the campaigns of a file happen, in absolute UTC."""

import json
from datetime import datetime

import click

from forerun.api.windows import occurrences
from forerun.cli.failure import BadInput
from forerun.cli.files import instant, load


@click.command()
@click.option("-f", "--file", "files", multiple=True, required=True, help="YAML with Campaign objects.")
@click.option("--from", "after", required=True, metavar="T", help="ISO 8601 time with an offset.")
@click.option("--to", "before", required=True, metavar="T", help="ISO 8601 time with an offset.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def windows(files: tuple[str, ...], after: str, before: str, output: str) -> None:
    """List the occurrences that overlap [FROM, TO)."""
    start, end = instant(after, "--from"), instant(before, "--to")
    if end <= start:
        raise BadInput("--to: must be later than --from")
    campaigns = load(files).campaigns
    if not campaigns:
        raise BadInput(f"{', '.join(files)}: kind: there is no Campaign in it")
    rows = []
    for campaign in campaigns:
        for occurrence in occurrences(campaign.schedule, start, end):
            row = {"start": _utc(occurrence.start), "end": _utc(occurrence.end)}
            rows.append(row if len(campaigns) == 1 else {"campaign": str(campaign.key), **row})
    rows.sort(key=lambda row: (row["start"], row["end"]))
    if output == "json":
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        click.echo("  ".join(row.values()))
    if not rows:
        click.echo("no occurrence in this time", err=True)


def _utc(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
