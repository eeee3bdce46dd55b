"""`forerun simulate`: a trace replayed on the virtual clock, policies side by side."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forerun.api.scalars import Duration
from forerun.backtest.threads import pin_threads
from forerun.cli.failure import BadInput

if TYPE_CHECKING:
    from forerun.cli.simulate_run import Asked
    from forerun.simulate.figures import Comparison

_LONGEST_LEAD_SECONDS = 6 * 3600
_INTERRUPTED = 130  # as a shell counts an interrupt at the keyboard


class _Lead(click.ParamType[float]):
    """A duration such as 180s."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if not isinstance(value, str):
            return float(value)
        duration = Duration(1, _LONGEST_LEAD_SECONDS)
        try:
            return duration.parse(value)
        except ValueError:
            raise BadInput(f"--lead-time: {value!r}: {duration.remedy}") from None


@click.command()
@click.option("-f", "--file", "files", multiple=True, help="YAML: a Storefront, Campaigns, a CapacityPolicy.")
@click.option("--trace", "trace", required=True, metavar="CSV", help="Demand: timestamp,requests[,series].")
@click.option("--events", "events", metavar="CSV", help="What happened: kind,name,start,end,note.")
@click.option("--series", metavar="NAME", help="Which series, where the trace holds several.")
@click.option("--policy", "wanted", multiple=True, metavar="NAME,...", help="Only these; file.py:ClassName is yours.")
@click.option("--lead-time", "lead_time", type=_Lead(), metavar="180s", help="Start-up time of every tier's pods.")
@click.option("--hpa-target", "target", type=float, metavar="SHARE", help="One target for all; default: each its best.")
@click.option("--cost-ratio", "cost_ratio", type=float, default=99.0, show_default=True, help="What unserved costs.")
@click.option("--retry", "retry", type=float, default=0.0, metavar="SHARE", help="So much of what is unserved returns.")
@click.option("--first", "first", type=int, metavar="N", help="Only the first N scenarios.")
@click.option("--seed", type=int, default=0, show_default=True, help="Luck of the start-up times.")
@click.option("--repeats", type=int, default=1, show_default=True, help="Seeds; figures are the medians.")
@click.option("--timeline", metavar="CSV", help="Write every tick of every policy at its best setting.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def simulate(
    files: tuple[str, ...],
    trace: str,
    events: str | None,
    series: str | None,
    wanted: tuple[str, ...],
    lead_time: float | None,
    target: float | None,
    cost_ratio: float,
    retry: float,
    first: int | None,
    seed: int,
    repeats: int,
    timeline: str | None,
    output: str,
) -> None:
    """Serve the demand of a trace by each policy, and compare with the clairvoyant optimum.

    Campaigns of the files, or the events, say what was declared beforehand. An interrupt prints what there is so far.
    """
    pin_threads()
    _check_numbers(target, cost_ratio, retry, first, seed, repeats)
    _check_writable(timeline)
    # numpy reads the number of threads when it is imported
    from forerun.cli.simulate_run import Asked, chosen_arms, compared, write  # noqa: PLC0415

    asked = Asked(files, trace, events, series, lead_time, first, target, cost_ratio, retry, seed, repeats)
    try:
        arms, oracle = chosen_arms(asked, wanted, _tell)
        name, found = compared(asked, arms, bool(timeline), _tell)
        if timeline:
            write(timeline, found, _tell)
        _print(name, found, asked, oracle, output)
    except KeyboardInterrupt:
        _tell("interrupted")
        raise SystemExit(_INTERRUPTED) from None
    if found.interrupted:
        raise SystemExit(_INTERRUPTED)


def _check_numbers(
    target: float | None, cost_ratio: float, retry: float, first: int | None, seed: int, repeats: int
) -> None:
    """NaN passes no comparison."""
    checks = (
        ("--hpa-target", target, target is None or 0.05 <= target <= 1.0, "from 0.05 to 1, for example 0.7"),
        ("--cost-ratio", cost_ratio, 0.0 <= cost_ratio <= 1e6, "from 0 to 1000000, for example 99"),
        ("--retry", retry, 0.0 <= retry <= 0.99, "from 0 to 0.99, for example 0.5"),
        ("--first", first, first is None or first >= 1, "1 or more"),
        ("--seed", seed, 0 <= seed <= 1_000_000_000, "from 0 to 1000000000"),
        ("--repeats", repeats, 1 <= repeats <= 100, "from 1 to 100"),
    )
    for option, value, fits, remedy in checks:
        if not fits:
            raise BadInput(f"{option}: {value}: must be {remedy}")


def _check_writable(name: str | None) -> None:
    """Before minutes of work, not after."""
    if name is not None and (Path(name).is_dir() or not Path(name).resolve().parent.is_dir()):
        raise BadInput(f"{name}: --timeline: cannot be written; give a file in a folder that exists")


def _print(name: str, found: "Comparison", asked: "Asked", oracle: bool, output: str) -> None:
    from rich.console import Console  # noqa: PLC0415

    from forerun.cli.simulate_screen import WIDTH, document, screen  # noqa: PLC0415

    if output == "json":
        click.echo(json.dumps(document(name, found, asked.seed, asked.repeats, oracle), indent=2, allow_nan=False))
        return
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)
    for part in screen(name, found, oracle):
        console.print(part, soft_wrap=True)


def _tell(words: str) -> None:
    click.echo(f"forerun: {words}", err=True)
