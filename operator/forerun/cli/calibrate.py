"""`forerun calibrate`: how many requests/s one replica serves within a latency objective."""

import asyncio
import json
import math
import os
import re
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from forerun.api.scalars import decimal
from forerun.calibrate.load import LoadGenerator, Target, TargetError
from forerun.calibrate.search import (
    Answer,
    Bounds,
    Measurement,
    Objective,
    Verdict,
    advance,
    capacity_rps,
    verdict,
)
from forerun.calibrate.storefront_file import EditError, with_capacity
from forerun.cli.failure import BadInput
from forerun.cli.files import load

_MOST_BODY = 1024 * 1024
_UNITS = {"ms": 0.001, "s": 1.0}


class _Latency(click.ParamType[float]):
    """A latency such as 50ms or 1.5s, in seconds."""

    name = "latency"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)(ms|s)", str(value))
        seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
        if not 0.0005 <= seconds <= 60.0:
            raise BadInput(f"--latency-objective: {value!r}: give a latency from 0.5ms to 60s, for instance 50ms")
        return seconds


class _Between(click.ParamType[float]):
    """A finite number in [low, high]."""

    name = "number"

    def __init__(self, low: float, high: float) -> None:
        self._low, self._high = low, high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not self._low <= number <= self._high:
            option = param.opts[0] if param else "a number"
            raise BadInput(f"{option}: {value!r}: give a number from {self._low:g} to {self._high:g}")
        return number


@click.command()
@click.option("--url", required=True, metavar="URL", help="One Ready replica. {1..500} becomes a random number.")
@click.option("--latency-objective", "latency", type=_Latency(), required=True, metavar="50ms")
@click.option("--quantile", type=_Between(0.5, 0.9999), default="0.99", show_default=True, help="Within the objective.")
@click.option("--body", metavar="FILE", help="POST this; {1..500} becomes a random number.")
@click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="May be repeated.")
@click.option("--replicas", type=_Between(1, 1000), default="1", show_default=True, help="Ready behind the URL.")
@click.option("--step", type=_Between(1, 60), default="10", show_default=True, help="Seconds of one step of load.")
@click.option("--start-rps", type=_Between(0.1, 10_000), default="4", show_default=True)
@click.option("--max-rps", type=_Between(0.1, 10_000), default="1000", show_default=True, help="Never offer more.")
@click.option("--headroom", type=_Between(0, 90), default="10", show_default=True, help="Percent taken off.")
@click.option("--storefront", metavar="FILE", help="Write capacityPerReplica into this file.")
@click.option("--name", metavar="NAME", help="Which Storefront, where the file holds several.")
@click.option("--tier", metavar="NAME", help="Which of its tiers.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def calibrate(
    url: str,
    latency: float,
    quantile: float,
    body: str | None,
    headers: tuple[str, ...],
    replicas: float,
    step: float,
    start_rps: float,
    max_rps: float,
    headroom: float,
    storefront: str | None,
    name: str | None,
    tier: str | None,
    output: str,
) -> None:
    """Measure how many requests/s one replica serves within a latency objective, with no errors.

    Load comes from this machine, at rates that rise until the objective is missed; only the address that you name is
    asked. Take a replica that serves nobody else, with the CPU limit and the accelerator of the real ones.
    """
    objective = Objective(latency, quantile)
    target = Target(_address(url), _body(body), _headers(headers))
    if (storefront is None) != (tier is None):
        raise BadInput("--storefront, --tier: give both, or neither")
    if storefront is not None and tier is not None:
        _edited(storefront, tier, "1", name)  # before minutes of load, not after
    bounds = Bounds(start_rps=start_rps, most_rps=max_rps)
    measured, answer = asyncio.run(_measure(target, objective, bounds, step))
    capacity = None if answer.rate_rps is None else capacity_rps(answer.rate_rps, round(replicas), headroom)
    if capacity is not None and storefront is not None and tier is not None:
        _write(storefront, _edited(storefront, tier, decimal(capacity), name))
        _tell(f"{storefront}: tiers[{tier}].capacityPerReplica is {decimal(capacity)} now")
    if output == "json":
        document = _document(target, objective, round(replicas), headroom, measured, answer, capacity)
        click.echo(json.dumps(document, indent=2, allow_nan=False))
    else:
        click.echo(_words(objective, answer, capacity, round(replicas), headroom))
    if capacity is None:
        raise SystemExit(1)


async def _measure(
    target: Target, objective: Objective, bounds: Bounds, step_seconds: float
) -> tuple[list[Measurement], Answer]:
    measured: list[Measurement] = []
    async with LoadGenerator(target, objective, step_seconds) as generator:
        try:
            await generator.check()
        except TargetError as failed:
            raise BadInput(f"--url: {failed}") from None
        while not isinstance(following := advance(measured, objective, bounds), Answer):
            measured.append(await generator.measure(following))
            _tell(_line(measured[-1], objective))
    return measured, following


def _line(measured: Measurement, objective: Objective) -> str:
    at = f"p{100 * objective.quantile:g}"
    latency = "none answered" if measured.latency_seconds is None else f"{at} {1000 * measured.latency_seconds:.1f} ms"
    said = f"{measured.errors} errors: {_SAID[verdict(measured, objective)]}"
    return f"{measured.rate_rps:8.1f} requests/s for {measured.seconds:4.1f} s: {latency}, {said}"


_SAID = {
    Verdict.MET: "met",
    Verdict.TOO_SLOW: "too slow",
    Verdict.ERRORS: "errors",
    Verdict.GENERATOR_LATE: "this machine sent too late",
}


def _words(objective: Objective, answer: Answer, capacity: float | None, replicas: int, headroom: float) -> str:
    if answer.rate_rps is None or capacity is None:
        why = "" if answer.limited_by is None else f" ({_SAID[answer.limited_by]})"
        return f"no rate met {1000 * objective.latency_seconds:g} ms at p{100 * objective.quantile:g}{why}"
    met = (
        f"{answer.rate_rps:.1f} requests/s met {1000 * objective.latency_seconds:g} ms at p{100 * objective.quantile:g}"
    )
    over = f"{answer.times} times, over {replicas} replica{'s' if replicas > 1 else ''}"
    lines = [f"{met}, {over}; {headroom:g}% headroom taken off", f'capacityPerReplica: "{decimal(capacity)}"']
    if answer.limited_by is None:
        lines.insert(1, "more was not offered (--max-rps): the replica may serve more")
    elif answer.limited_by is Verdict.GENERATOR_LATE:
        lines.insert(1, "this machine could not send more in time: the replica may serve more")
    return "\n".join(lines)


def _document(
    target: Target,
    objective: Objective,
    replicas: int,
    headroom: float,
    measured: list[Measurement],
    answer: Answer,
    capacity: float | None,
) -> dict[str, Any]:
    return {
        "url": target.url,
        "objective": {"latency_seconds": objective.latency_seconds, "quantile": objective.quantile},
        "replicas": replicas,
        "headroom_percent": headroom,
        "rate_rps": answer.rate_rps,
        "confirmations": answer.times,
        "limited_by": answer.limited_by,
        "capacityPerReplica": None if capacity is None else decimal(capacity),
        "steps": [
            {
                "rate_rps": step.rate_rps,
                "seconds": step.seconds,
                "requests": step.requests,
                "slow": step.slow,
                "errors": step.errors,
                "latency_seconds": step.latency_seconds,
                "send_delay_seconds": step.send_delay_seconds,
                "verdict": verdict(step, objective),
            }
            for step in measured
        ],
    }


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise BadInput(f"--url: {url!r}: give an address such as http://10.0.0.7:8000/recommend?user={{1..500}}")
    return url


def _body(file: str | None) -> str | None:
    if file is None:
        return None
    try:
        if Path(file).stat().st_size > _MOST_BODY:
            raise BadInput(f"--body: {file}: larger than 1 MiB; give a smaller one")
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failed:
        said = failed.strerror if isinstance(failed, OSError) else "not UTF-8"
        raise BadInput(f"--body: {file}: {said}; give the path of a text file") from None


def _headers(given: tuple[str, ...]) -> dict[str, str]:
    headers = {}
    for header in given:
        name, colon, value = header.partition(":")
        if not colon or not re.fullmatch(r"[A-Za-z0-9-]+", name.strip()) or "\n" in value or "\r" in value:
            # the value may be a secret
            raise BadInput("--header: write it as 'Name: value'")
        headers[name.strip()] = value.strip()
    return headers


def _edited(file: str, tier: str, capacity: str, name: str | None) -> str:
    load([file])  # every object in it must be one that the API server takes
    try:
        return with_capacity(Path(file).read_text(encoding="utf-8"), tier, capacity, name)
    except EditError as failed:
        raise BadInput(f"{file}: {failed}") from None


def _write(file: str, text: str) -> None:
    """In one rename, so that a crash leaves the old file or the new one."""
    path = Path(file).resolve()
    try:
        handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(scratch).chmod(path.stat().st_mode & 0o777)
        Path(scratch).replace(path)
    except OSError as failed:
        raise BadInput(f"{file}: cannot be written: {failed.strerror}; set capacityPerReplica by hand") from None


def _tell(words: str) -> None:
    click.echo(f"forerun: {words}", err=True)
