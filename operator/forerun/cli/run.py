"""`forerun run`: the operator."""

import asyncio
import logging
import os
import sys

import click
import structlog

from forerun.cli.failure import BadInput, Unreachable
from forerun.observe.audit import CHAIN
from forerun.settings import Settings


@click.command()
@click.option("--kubeconfig", envvar="KUBECONFIG", help="Else the service account of the pod.")
def run(kubeconfig: str | None) -> None:
    """Run the operator; settings come from FORERUN_* variables."""
    try:
        settings = Settings.from_environment(os.environ)
    except ValueError as error:
        raise BadInput(str(error)) from None
    if kubeconfig:
        os.environ["KUBECONFIG"] = kubeconfig  # kopf looks nowhere else
    configure_logging(settings.log_format)
    from forerun.controllers.operator import run as run_operator  # noqa: PLC0415  # kopf only where it is needed
    from forerun.kube.errors import ApiError  # noqa: PLC0415

    try:
        code = asyncio.run(run_operator(settings, kubeconfig))
    except ApiError as error:
        raise Unreachable(str(error)) from None
    except OSError as error:
        raise BadInput(f"port {settings.health_port}: {error}; set FORERUN_HEALTH_PORT to a free one") from None
    sys.exit(code)


def configure_logging(log_format: str) -> None:
    """JSON lines on stderr (or text, for people); kopf's own chatter only from warnings up."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    logging.getLogger("kopf").setLevel(logging.ERROR)
    renderers: list[structlog.typing.Processor] = [structlog.dev.ConsoleRenderer()]
    if log_format == "json":
        renderers = [CHAIN, structlog.processors.JSONRenderer()]  # the seal is over all that the line says
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *renderers,
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
