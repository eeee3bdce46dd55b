"""Bad input ends with one line and exit code 2; a `no` ends with exit code 1."""

import click


class BadInput(click.ClickException):
    """One line: file (or object), field, remedy."""

    exit_code = 2

    def show(self, file: object = None) -> None:
        del file
        click.echo(f"forerun: {self.message}", err=True)


class Unreachable(BadInput):
    """The cluster does not answer or refuses; the line says what to do."""
