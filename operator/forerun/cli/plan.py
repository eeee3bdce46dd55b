"""`forerun plan`: the CapacityPlan that the operator would write; touches no cluster."""

import asyncio
import json
from datetime import UTC, datetime

import click
import yaml
from rich.console import Console

from forerun.cli.failure import BadInput
from forerun.cli.files import instant, load
from forerun.cli.plan_offline import end_of, forecast_request, plan_of, scheduled_of
from forerun.cli.plan_screen import document, screen
from forerun.domain.capacity import CapacityPlan
from forerun.domain.forecast import Forecast, ForecastRequest
from forerun.domain.observation import DemandSeries
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Storefront
from forerun.forecast.process import ForecastProcess
from forerun.observe.words import hold_sentence
from forerun.signals.trace import TraceError, read_trace

SHORT = frozenset(
    {Reason.CAPACITY_SHORT, Reason.MAX_REPLICAS, Reason.BUDGET_EXCEEDED, Reason.LATE, Reason.DEMAND_UNKNOWN}
)


@click.command()
@click.option(
    "-f", "--file", "files", multiple=True, required=True, help="YAML: Storefront, Campaigns, policies, targets."
)
@click.option("--history", metavar="CSV", help="Trace of past demand (timestamp,requests).")
@click.option("--now", metavar="T", help="Decide as at this time; default: the end of the history, else the present.")
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
def plan(files: tuple[str, ...], history: str | None, now: str | None, output: str) -> None:
    """Print the plan; exit code 1 where it falls short."""
    objects = load(files)
    if len(objects.storefronts) != 1:
        raise BadInput(f"{', '.join(files)}: Storefront: {len(objects.storefronts)} found; give exactly one")
    storefront = objects.storefronts[0]
    series = _history(history)
    moment = _moment(now, series)
    scheduled = scheduled_of(objects, storefront, moment, ", ".join(files))
    forecast = None
    if scheduled:
        forecast = _forecast(forecast_request(objects, storefront, scheduled, series, moment))
    made = plan_of(objects, storefront, scheduled, forecast, moment)
    _print(storefront, made, forecast, output)
    if any(risk.reason in SHORT for risk in (*made.risks, *made.holds)):
        raise SystemExit(1)


def _history(path: str | None) -> DemandSeries | None:
    if path is None:
        return None
    try:
        return read_trace(path)
    except TraceError as error:
        raise BadInput(str(error)) from None
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}; give the path of a CSV or CSV.gz trace") from None


def _moment(now: str | None, series: DemandSeries | None) -> datetime:
    if now:
        return instant(now, "--now")
    return end_of(series) if series else datetime.now(UTC)


def _forecast(request: ForecastRequest) -> Forecast:
    forecast = asyncio.run(_answer(request))
    if isinstance(forecast, Hold):
        raise BadInput(f"{request.storefront}: {hold_sentence(forecast)}; give --history or spec.expected.peak")
    return forecast


async def _answer(request: ForecastRequest) -> Forecast | Hold:
    process = ForecastProcess(threads=1, time_compression=1.0)
    await process.start()
    try:
        return (await process.forecast([request]))[0]
    finally:
        await process.close()


def _print(storefront: Storefront, made: CapacityPlan, forecast: Forecast | None, output: str) -> None:
    if output == "json":
        click.echo(json.dumps(document(storefront, made), indent=2))
    elif output == "yaml":
        click.echo(yaml.safe_dump(document(storefront, made), sort_keys=False).rstrip())
    else:
        console = Console(soft_wrap=True, highlight=False)
        for part in screen(made, forecast):
            console.print(part)
