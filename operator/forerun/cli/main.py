"""Entry point: one command a module, imported only when it is called."""

import importlib
import sys
from typing import Any

import click

COMMANDS = {
    "demo": "forerun.cli.demo:demo",
    "run": "forerun.cli.run:run",
    "windows": "forerun.cli.windows:windows",
    "plan": "forerun.cli.plan:plan",
    "simulate": "forerun.cli.simulate:simulate",
    "backtest": "forerun.cli.backtest:backtest",
    "calibrate": "forerun.cli.calibrate:calibrate",
    "crds": "forerun.cli.crds:crds",
    "status": "forerun.cli.status:status",
    "why": "forerun.cli.why:why",
    "suspend": "forerun.cli.requests:suspend",
    "release": "forerun.cli.release:release",
    "approve": "forerun.cli.requests:approve",
    "audit": "forerun.cli.audit:audit",
}


class LazyGroup(click.Group):
    """Imports a command's module when it is used: `forerun windows` needs no Kubernetes client."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, name = target.split(":")
        command: Any = getattr(importlib.import_module(module), name)
        return command if isinstance(command, click.Command) else None


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="forerun")
def main() -> None:
    """Capacity that arrives before the campaign does."""


if __name__ == "__main__":
    sys.exit(main())
