"""How fast the forecast is on one thread: rows for the table of `forecast.py`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table; `met` is None where there is no goal."""

    name: str
    figure: str
    goal: str
    met: bool | None


def speed() -> list[Row]:
    return []
