"""`forerun backtest`: how good the forecast is at the events of a trace."""

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

from forerun.api.scalars import Duration
from forerun.backtest.threads import pin_threads
from forerun.cli.failure import BadInput

if TYPE_CHECKING:
    from forerun.backtest.decision import Model
    from forerun.backtest.run import Result

_LONGEST_LEAD_SECONDS = 30 * 86400


class _Lead(click.ParamType[float]):
    """A duration such as 15m."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        duration = Duration(0, _LONGEST_LEAD_SECONDS)
        try:
            return duration.parse(value)
        except ValueError:
            raise BadInput(f"--decide: {value!r}: {duration.remedy}") from None


@click.command()
@click.option("--trace", "trace", required=True, metavar="CSV", help="Demand: timestamp,requests[,series].")
@click.option("--events", "events", required=True, metavar="CSV", help="What happened: kind,name,start,end,note.")
@click.option("--series", metavar="NAME", help="Which series, where the trace holds several.")
@click.option("--decide", type=_Lead(), metavar="15m", help="Decide this long before each start.")
@click.option("--model", "wanted", multiple=True, metavar="NAME", help="Ask only this model; may be repeated.")
@click.option("--live", is_flag=True, help="Ask again 5 minutes after each onset (minute data).")
@click.option("--forecasts", metavar="CSV", help="Write every quantile that every model said.")
@click.option("--html", metavar="FILE", help="Write figures and a plot of each event, one file.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def backtest(
    trace: str,
    events: str,
    series: str | None,
    decide: float | None,
    wanted: tuple[str, ...],
    live: bool,
    forecasts: str | None,
    html: str | None,
    output: str,
) -> None:
    """Forecast each event of a trace on what was known before it, and compare with what happened.

    Beside ours, the library baselines that are installed are asked the same.
    """
    pin_threads()
    _check_writable({"--forecasts": forecasts, "--html": html})
    result = _asked(trace, events, series, decide, wanted, live)
    missing = [] if wanted else list(_baselines().missing())
    if missing:
        _tell(f"not installed, so not compared: {', '.join(missing)}")
    _write(result, series or result.trace, forecasts, html)
    _print(result, output)
    if result.models[0].scores.events == 0:
        raise SystemExit(1)


def _asked(
    trace: str, events: str, series: str | None, decide: float | None, wanted: tuple[str, ...], live: bool
) -> "Result":
    # numpy reads the number of threads when it is imported
    from forerun.backtest import files, run  # noqa: PLC0415
    from forerun.signals.trace import TraceError  # noqa: PLC0415

    try:
        inputs = files.read_inputs(Path(trace), Path(events), series)
    except TraceError as error:
        raise BadInput(str(error)) from None
    models = _models(wanted)
    result = run.backtest(inputs.name, inputs.trace, inputs.events, models, inputs.declared, decide, live, told=_tell)
    if not result.decisions:
        span = f"{inputs.trace.start:%Y-%m-%dT%H:%MZ} and lasts {_days(inputs.trace)} days"
        raise BadInput(
            f"{events}: start: none of {len(inputs.events)} events lies inside the trace, which begins {span}; "
            "give events with demand measured before them"
        )
    return result


def _days(series: Any) -> str:
    return f"{len(series.values) * series.step_seconds / 86400.0:.1f}"


def _models(wanted: tuple[str, ...]) -> "list[Model]":
    """Ours first, then what is installed of the others; BadInput for a name that is neither."""
    from forerun.backtest.ours import Forerun  # noqa: PLC0415

    baselines = _baselines()
    known: list[Model] = [Forerun(), *baselines.available()]
    names = [model.name for model in known]
    for name in wanted:
        if name in baselines.missing():
            raise BadInput(
                f"--model: {name!r} needs a library that is not installed; `pip install 'forerun[backtest]'` brings it"
            )
        if name not in names:
            raise BadInput(f"--model: {name!r} is not a model; give one of {', '.join(names)}")
    return [model for model in known if not wanted or model.name in wanted]


def _baselines() -> ModuleType:
    return importlib.import_module("forerun.backtest.baselines")


def _check_writable(files: dict[str, str | None]) -> None:
    """Before minutes of work, not after."""
    for option, name in files.items():
        if name is not None and (Path(name).is_dir() or not Path(name).resolve().parent.is_dir()):
            raise BadInput(f"{name}: {option}: cannot be written; give a file in a folder that exists")


def _write(result: "Result", series: str, forecasts: str | None, html: str | None) -> None:
    from forerun.backtest.files import write_forecasts  # noqa: PLC0415
    from forerun.backtest.pages import page_of  # noqa: PLC0415
    from forerun.report.backtest_page import backtest_page  # noqa: PLC0415

    name = forecasts
    try:
        if forecasts is not None:
            write_forecasts(Path(forecasts), result, series)
        name = html
        if html is not None:
            Path(html).write_text(backtest_page(page_of(result)), encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{name}: cannot be written: {error.strerror or error}; give another file") from None


def _print(result: "Result", output: str) -> None:
    if output == "json":
        from forerun.backtest.files import document  # noqa: PLC0415

        click.echo(json.dumps(document(result), indent=2, allow_nan=False))
        return
    from rich.console import Console  # noqa: PLC0415

    from forerun.cli.backtest_screen import WIDTH, screen  # noqa: PLC0415

    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)
    for part in screen(result):
        console.print(part, soft_wrap=True)


def _tell(words: str) -> None:
    click.echo(f"forerun: {words}", err=True)
