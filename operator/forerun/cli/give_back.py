"""What `forerun release --expired` and `--all` do, and what they say of it."""

import asyncio
import json
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import click

from forerun.cli.failure import BadInput, Unreachable
from forerun.cli.run import configure_logging
from forerun.controllers.break_glass import BreakGlass
from forerun.controllers.expiry import Expiry
from forerun.controllers.plan_store import NotLeaderError
from forerun.domain.ledger import ABSENT, Bounds
from forerun.domain.reason import Hold, Reason
from forerun.domain.target import GivenBack
from forerun.kube.cluster import Cluster
from forerun.kube.errors import ApiError, NotFound
from forerun.kube.lease import Leadership
from forerun.observe.giving_back import line
from forerun.observe.words import hold_sentence
from forerun.settings import Settings
from forerun.wiring import Ports, connect

# reasons for which something of ours may still stand although it should not
_FAILURES = {
    Reason.FORBIDDEN,
    Reason.CONFLICT,
    Reason.API_UNAVAILABLE,
    Reason.NOT_LEADER,
    Reason.INVALID,
}

Told = tuple[Sequence[GivenBack], Sequence[Hold]]


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of `release`, but for those of a campaign."""

    expired: bool
    everything: bool
    once: bool
    include_kept: bool
    force: bool
    dry_run: bool
    namespace: str | None
    all_namespaces: bool
    output: str

    def __post_init__(self) -> None:
        if self.namespace and self.all_namespaces:
            raise BadInput("--all-namespaces: goes without --namespace")
        if self.everything and not (self.namespace or self.all_namespaces):
            raise BadInput("--all: say where, with -n NAMESPACE or -A")
        if self.everything and self.once:
            raise BadInput("--once: goes with --expired")
        if self.expired and (self.include_kept or self.force):
            raise BadInput("--include-kept, --force: go with --all")


def give_back(asked: Asked, kubeconfig: str | None) -> None:
    """Do it and tell it, with the exit code that fits."""
    try:
        settings = Settings.from_environment(os.environ)
    except ValueError as error:
        raise BadInput(str(error)) from None
    configure_logging(settings.log_format)
    work = _everything if asked.everything else _expired
    try:
        outcomes, unseen = asyncio.run(work(asked, settings, kubeconfig))
    except ApiError as error:
        raise Unreachable(str(error)) from None
    if asked.output == "json":
        click.echo(json.dumps([_document(one) for one in outcomes], indent=2))
    elif not outcomes:
        click.echo("nothing to give back")
    for hold in unseen:
        click.echo(f"forerun: {hold_sentence(hold)}", err=True)
    if unseen or any(_still_stands(one, asked) for one in outcomes):
        raise SystemExit(1)


async def _everything(asked: Asked, settings: Settings, kubeconfig: str | None) -> Told:
    cluster = await Cluster.connect(kubeconfig, concurrency=settings.api_concurrency)
    try:
        glass = BreakGlass(cluster, include_kept=asked.include_kept, dry_run=asked.dry_run)
        leadership = None if asked.force or asked.dry_run else await _leading(cluster, settings)
        sweep = glass.sweep(asked.namespace)
        outcomes, unseen = await (leadership.keep(sweep) if leadership else sweep)
        _say(asked, outcomes)
        return outcomes, unseen
    finally:
        await cluster.close()


async def _leading(cluster: Cluster, settings: Settings) -> Leadership | None:
    """The operator's Lease, ours now, so that none begins meanwhile; None where its very namespace is gone."""
    name = f"{settings.namespace}/{settings.lease_name}"
    duration = settings.lease_duration_seconds
    leadership = Leadership(
        cluster, settings.namespace, settings.lease_name, _identity("break-glass"), lease_duration_seconds=duration
    )
    try:
        holder = await leadership.seize()
    except NotFound:
        return None
    except ApiError as error:
        raise BadInput(f"{error}; --force goes on without the Lease {name}") from None
    if holder:
        stop = f"kubectl scale deployment {settings.lease_name} -n {settings.namespace} --replicas=0"
        raise BadInput(f"Lease {name}: {holder} leads and would raise again; stop it ({stop}), or go on with --force")
    cluster.fence = leadership.holds
    return leadership


async def _expired(asked: Asked, settings: Settings, kubeconfig: str | None) -> Told:
    namespaces = (asked.namespace,) if asked.namespace else () if asked.all_namespaces else settings.watch_namespaces
    settings = replace(settings, identity=_identity("expiry"), watch_namespaces=namespaces)
    ports = await connect(settings, kubeconfig, forecasting=False)
    try:
        expiry = Expiry(ports, namespaces)
        found = await expiry.expired()  # the Lease is left alone where there is nothing to do
        if asked.dry_run or not found:
            _say(asked, found)
            return found, ()
        return await _rounds(asked, ports, expiry), ()
    except NotLeaderError as error:
        raise BadInput(str(error)) from None
    finally:
        await ports.close()


async def _rounds(asked: Asked, ports: Ports, expiry: Expiry) -> list[GivenBack]:
    """A step of each a minute; the Lease is free in between, for an operator that comes back."""
    last: dict[tuple[str, str], GivenBack] = {}
    while True:
        holder = await ports.leadership.seize()
        if holder:
            click.echo(f"{holder} leads: it gives back what expires by itself", err=True)
            break
        done = await ports.leadership.keep(expiry.round())
        _say(asked, done.outcomes)
        last |= {(one.namespace, str(one.reference)): one for one in done.outcomes}
        if asked.once or done.again_at is None:
            break
        await asyncio.sleep(max(0.0, (done.again_at - ports.clock()).total_seconds()))
    return list(last.values())


def _identity(what: str) -> str:
    return f"{what}-{socket.gethostname()}-{os.getpid()}"


def _say(asked: Asked, outcomes: Sequence[GivenBack]) -> None:
    if asked.output == "lines":
        for one in outcomes:
            click.echo(line(one, dry_run=asked.dry_run))


def _still_stands(one: GivenBack, asked: Asked) -> bool:
    """Whether something of ours stands that should not; what a rule holds up with `--expired` should."""
    if one.hold is None:
        return False
    return one.hold.reason in _FAILURES or (asked.everything and one.hold.reason is Reason.KEPT)


def _document(one: GivenBack) -> dict[str, Any]:
    return {
        "namespace": one.namespace,
        "kind": one.reference.kind,
        "name": one.reference.name,
        "outcome": one.hold.reason if one.hold else "GivenBack" if one.after == one.baseline else "Lowered",
        "before": _bounds(one.before),
        "after": _bounds(one.after),
        "baseline": _bounds(one.baseline),
    }


def _bounds(bounds: Bounds | None) -> dict[str, int | str] | None:
    if bounds is None:
        return None
    shown = {"minReplicas": bounds.minimum, "maxReplicas": bounds.maximum}
    return {name: ABSENT if value is None else value for name, value in shown.items()}
