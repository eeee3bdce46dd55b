"""The operator beside the real KEDA and the real HPA, on the same demand, at the same time, on one control plane.

kube-apiserver, kube-controller-manager with its HPA, kube-scheduler, KEDA's operator and metrics adapter, Prometheus
and our operator are the real ones; nodes and pods are kwok's, and a pod is Ready a minute after it is made. Time runs
ten times as fast (live_scenarios.SPEED): all periods are a tenth of the usual ones, a replica takes "600 s". Two
events, each with three arms: a drop of a generated shop, and a football match of the World Cup trace.

The bar, for each event: our arm leaves at most 1/20 of the calls unserved that KEDA's arm does, with fewer
replica-seconds. The timelines and plots lie in bench-out/live.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from live_arms import (
    ARMS,
    KEDA_ARMS,
    METRIC,
    as_list,
    autoscalers,
    campaign,
    labels,
    namespace,
    query,
    starting_after,
    workloads,
)
from live_compare import agreements
from live_plot import write_page
from live_recording import (
    LONGEST_GAP_SECONDS,
    Account,
    Recorder,
    account,
    counted,
    recording,
    save,
    shown_of,
    timeline,
)
from live_scenarios import BEFORE_SECONDS, LEAD_SECONDS, SPEED, TRACE, Event, chosen, has_trace

from forerun.domain.campaign import Occurrence
from forerun.kube.cluster import Cluster
from forerun.report.timeline import timeline_to_csv
from forerun.sandbox import binaries
from forerun.sandbox.commands import SandboxError
from forerun.sandbox.control_plane import ControlPlane
from forerun.sandbox.demo.operator_process import OperatorProcess
from forerun.sandbox.demo.scenario import HISTORY_DAYS
from forerun.sandbox.demo.stage import RELEASE, SYSTEM_NAMESPACE, find_chart
from forerun.sandbox.keda import Keda, crd_folder
from forerun.sandbox.progress import step
from forerun.sandbox.prometheus import CounterHistory, PrometheusServer, ScrapeTarget
from forerun.sandbox.replay import ReplayExporter
from forerun.sandbox.versions import KEDA, KEDA_BUILD, KUBERNETES

ROOT = Path(__file__).parents[2]
SYNC_SECONDS = 15.0 / SPEED
STABILIZATION_SECONDS = 300.0 / SPEED
SCRAPE_SECONDS = 15.0 / SPEED
GOAL_UNSERVED = 1.0 / 20.0
_NODES = 4
_PREPARE_SECONDS = 45.0  # from the first sample to forecasts: history, lessons, the first plan
_AUTOSCALERS_SECONDS = 60.0

# Everything that waits, waits SPEED times shorter; what the operator does once a second it does twice.
OPERATOR_SETTINGS = {
    "FORERUN_NAMESPACE": SYSTEM_NAMESPACE,
    "FORERUN_LEASE_NAME": RELEASE,
    "FORERUN_TIME_COMPRESSION": f"{SPEED:g}",
    "FORERUN_TICK_SECONDS": "0.5",
    "FORERUN_METRIC_INTERVAL_SECONDS": "0.5",
    "FORERUN_METRICS_ALLOWED_CIDRS": "127.0.0.0/8,::1",
    "FORERUN_METRIC_MAX_AGE_SECONDS": "12",
    "FORERUN_HISTORY_SECONDS": f"{HISTORY_DAYS * 86400}",
    "FORERUN_HISTORY_REFRESH_SECONDS": "360",
    "FORERUN_FORECAST_REFRESH_SECONDS": "3",
    "FORERUN_PREPARE_SECONDS": "3",
    "FORERUN_EXPIRY_GRACE_SECONDS": "8640",
}


@dataclass(frozen=True)
class Outcome:
    """One event as it went."""

    event: Event
    window: Occurrence
    accounts: dict[str, Account]


class Run:
    """Brings everything up, plays the events at one time, and writes what was seen into `out`."""

    def __init__(self, events: Sequence[Event], out: Path) -> None:
        self._events = events
        self._out = out
        self._stack = AsyncExitStack()

    async def play(self) -> list[Outcome]:
        """Everything is ended when this returns, however that comes about."""
        async with self._stack:
            await self._build_up()
            return await self._perform()

    async def _build_up(self) -> None:
        programs = {**await asyncio.to_thread(binaries.ensure)}
        programs |= await asyncio.to_thread(binaries.ensure, KEDA_BUILD.programs)
        kinds = await asyncio.to_thread(crd_folder)
        self._plane = ControlPlane(
            programs,
            hpa_sync_seconds=SYNC_SECONDS,
            downscale_stabilization_seconds=STABILIZATION_SECONDS,
            # the usual limits are for the usual periods; at SPEED they would have the HPA skip syncs
            unlimited_requests=True,
        )
        self._programs = programs
        with step("control plane, KEDA, the chart, Deployments until their pods are Ready", 80):
            await self._stack.enter_async_context(self._plane)
            self._keda = Keda(self._plane, programs, kinds)
            await self._plane.create_nodes(_NODES)
            shops = [item for event in self._events for item in workloads(event)]
            await self._plane.kubectl("apply", "-f", "-", text=as_list(shops))
            await self._stack.enter_async_context(self._keda)
            await self._install()
            for event in self._events:
                for arm in ARMS:
                    wait = ("rollout", "status", "deployment/web", "-n", namespace(event, arm), "--timeout=150s")
                    await self._plane.kubectl(*wait)

    async def _install(self) -> None:
        chart = (RELEASE, str(find_chart(ROOT / "helm" / "forerun")), "--namespace", SYSTEM_NAMESPACE)
        # the operator runs beside the cluster, as a process with the ServiceAccount's token
        await self._plane.helm("install", *chart, "--create-namespace", "--set", "replicaCount=0")
        kubeconfig = await self._plane.service_account_kubeconfig(SYSTEM_NAMESPACE, RELEASE)
        self._operator = OperatorProcess(kubeconfig, self._out / "operator.log", OPERATOR_SETTINGS)
        self._stack.push_async_callback(self._operator.stop)
        await self._operator.start()

    async def _perform(self) -> list[Outcome]:
        starts_at = starting_after(datetime.now(UTC) + timedelta(seconds=BEFORE_SECONDS + _PREPARE_SECONDS))
        windows = {
            event.name: Occurrence(starts_at, starts_at + timedelta(seconds=event.scenario.window_seconds))
            for event in self._events
        }
        cluster = await Cluster.connect(str(self._plane.kubeconfig))
        self._stack.push_async_callback(cluster.close)
        recorder = Recorder(cluster, self._events)
        last = max(counted(window).end for window in windows.values())
        usual = round((last - datetime.now(UTC)).total_seconds())
        with step(f"the events begin at {starts_at:%H:%M:%S} UTC; recording until {last:%H:%M:%S}", usual):
            prometheus = await self._replay(starts_at)
            watching = asyncio.create_task(recorder.watch())
            self._stack.callback(watching.cancel)
            await self._declare(prometheus, windows)
            if (late := datetime.now(UTC) - counted(windows[self._events[0].name]).start) > timedelta(0):
                raise SandboxError(
                    f"the machine is too slow: declared {late.total_seconds():.0f} s after counting began"
                )
            await self._until(last, watching)
            watching.cancel()
        return [await self._outcome(event, windows[event.name], recorder, prometheus) for event in self._events]

    async def _replay(self, starts_at: datetime) -> PrometheusServer:
        """Prometheus with the weeks before as history, and one counter for each event."""
        targets, histories = [], []
        for event in self._events:
            integral = event.integral(starts_at)
            exporter = ReplayExporter(integral, metric=METRIC, labels=labels(event))
            exporter.start()
            self._stack.callback(exporter.stop)
            targets.append(ScrapeTarget(exporter.address, instance=event.name))
            first = event.scenario.real(event.scenario.series.start, starts_at)
            samples = integral.history(first, datetime.now(UTC), SCRAPE_SECONDS)
            histories.append(CounterHistory(METRIC, labels(event), samples, instance=event.name))
        prometheus = PrometheusServer(targets, scrape_interval_seconds=SCRAPE_SECONDS, binaries=self._programs)
        self._stack.push_async_callback(prometheus.stop)
        await prometheus.backfill(histories)
        await prometheus.start()
        await asyncio.sleep(4 * SCRAPE_SECONDS)  # until the query's window holds live samples only
        return prometheus

    async def _declare(self, prometheus: PrometheusServer, windows: dict[str, Occurrence]) -> None:
        """Autoscalers until they work, then the campaigns."""
        for event in self._events:
            scalers = autoscalers(event, prometheus.url, windows[event.name])
            await self._plane.kubectl("apply", "-f", "-", text=as_list(scalers))
        for event in self._events:
            declared = campaign(event, prometheus.url, windows[event.name])
            await self._plane.kubectl("apply", "-f", "-", text=as_list(declared))
        active = ("--for=condition=ScalingActive", f"--timeout={_AUTOSCALERS_SECONDS:g}s", "--all")
        for event in self._events:
            for arm in ARMS:
                await self._plane.kubectl("wait", "hpa", "-n", namespace(event, arm), *active)

    async def _until(self, end: datetime, watching: asyncio.Task[None]) -> None:
        """What has ended by itself ends the run, with its own words."""
        while datetime.now(UTC) < end:
            self._keda.refuse_dead()
            self._operator.refuse_dead()
            if watching.done():
                watching.result()
            await asyncio.sleep(0.5)

    async def _outcome(
        self, event: Event, window: Occurrence, recorder: Recorder, prometheus: PrometheusServer
    ) -> Outcome:
        stretch = counted(window)
        integral = event.integral(window.start)
        result = await prometheus.query_range(query(event), stretch.start, stretch.end, 0.25)
        shown = shown_of(result, window.start)
        document = recording(event, window, recorder.sights, shown, SYNC_SECONDS, STABILIZATION_SECONDS)
        save(document, self._out / f"{event.name}.json")
        seen = {arm: recorder.sights[namespace(event, arm)] for arm in ARMS}
        rows = [row for arm in ARMS for row in timeline(arm, seen[arm], event, window)]
        (self._out / f"{event.name}.csv").write_text(timeline_to_csv(rows), encoding="utf-8")
        accounts = {arm: account(seen[arm], integral, event.capacity_rps, stretch) for arm in ARMS}
        title = f"{event.name}: {event.scenario.event.name}, a replica takes {LEAD_SECONDS * SPEED:g} s"
        write_page(self._out / f"{event.name}.html", title, rows, event.capacity_rps, window, SPEED)
        return Outcome(event, window, accounts)


def peer(outcome: Outcome) -> str:
    """The better of KEDA's arms, by J: that is the one to beat."""
    return min(KEDA_ARMS, key=lambda arm: outcome.accounts[arm].cost)


def goals(outcome: Outcome) -> list[tuple[str, str, bool]]:
    """Name, figure, met: of one event."""
    ours, theirs = outcome.accounts["forerun"], outcome.accounts[peer(outcome)]
    name, beside = outcome.event.name, f"forerun / {peer(outcome)}"
    gaps = max(found.longest_gap_seconds for found in outcome.accounts.values())
    unserved = (
        f"{ours.unserved_percent:.3f} % / {theirs.unserved_percent:.3f} % = "
        f"{_ratio(ours.unserved, theirs.unserved)}  goal <= {GOAL_UNSERVED:g}"
    )
    cost = (
        f"{ours.replica_seconds:.0f} / {theirs.replica_seconds:.0f} = "
        f"{_ratio(ours.replica_seconds, theirs.replica_seconds)}  goal < 1"
    )
    gap = f"{gaps:.1f} s  goal <= {LONGEST_GAP_SECONDS:g} s"
    return [
        (f"{name}: unserved, {beside}", unserved, ours.unserved <= GOAL_UNSERVED * theirs.unserved),
        (f"{name}: replica-seconds, {beside}", cost, ours.replica_seconds < theirs.replica_seconds),
        (f"{name}: longest gap of the recording", gap, gaps <= LONGEST_GAP_SECONDS),
    ]


def report(outcomes: Sequence[Outcome], out: Path) -> bool:
    """Print the tables and the headline; whether every goal is met."""
    met = True
    lines = []
    for outcome in outcomes:
        event = outcome.event
        print(
            f"\n{event.name}: {event.scenario.event.name}; usual demand {event.scenario.usual_rps:.0f}/s = "
            f"{event.scenario.usual_rps / event.capacity_rps:.1f} replicas, KEDA's cron triggers "
            f"{' and '.join(str(event.cron_replicas(arm)) for arm in KEDA_ARMS)}"
        )
        print(f"  {'arm':<12}{'unserved':>10}{'seconds > 1 %':>15}{'replica-hours':>15}{'J (99)':>12}")
        for arm, found in outcome.accounts.items():
            print(
                f"  {arm:<12}{found.unserved_percent:>8.3f} %{found.violation_seconds * SPEED:>15.0f}"
                f"{found.replica_seconds * SPEED / 3600.0:>15.1f}{found.cost * SPEED / 3600.0:>12.1f}"
            )
        for agreement in agreements(out / f"{event.name}.json"):
            print(f"  {agreement}")
        for name, figure, kept in goals(outcome):
            lines.append(f"{name:<46} {figure}  {'met' if kept else 'MISSED'}")
            met = met and kept
    print("\nall times and hours as of the trace, which ran", f"{SPEED:g} times as fast")
    print("\n".join(lines))
    print(f"Kubernetes {KUBERNETES}, KEDA {KEDA}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; see {out}")
    ratios = "; ".join(f"{outcome.event.name} {_headline(outcome)}" for outcome in outcomes)
    print(f"bench-live: {ratios}: {'all goals met' if met else 'a goal is MISSED'}")
    return met


def _headline(outcome: Outcome) -> str:
    ours, theirs = outcome.accounts["forerun"], outcome.accounts[peer(outcome)]
    unserved, cost = _ratio(ours.unserved, theirs.unserved), _ratio(ours.replica_seconds, theirs.replica_seconds)
    return f"{unserved} of {peer(outcome)}'s unserved calls at {cost} of its replica-seconds"


def _ratio(ours: float, theirs: float) -> str:
    if theirs == 0.0:
        return "0 / 0" if ours == 0.0 else "more than none"
    return f"{ours / theirs:.3f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", nargs="+", choices=("drop", "match"), default=["drop", "match"])
    parser.add_argument("--out", type=Path, default=ROOT / "bench-out" / "live", help="folder for timelines and plots")
    arguments = parser.parse_args()
    if "match" in arguments.events and not has_trace():
        print(
            f"bench-live: the match is skipped: shared/traces/{TRACE}.csv.gz is not beside this clone", file=sys.stderr
        )
    events = chosen(arguments.events)
    if not events:
        return 0
    arguments.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    try:
        outcomes = asyncio.run(Run(events, arguments.out).play())
    except SandboxError as failed:
        print(f"bench-live: {failed}", file=sys.stderr)
        return 1
    print(f"took {(time.monotonic() - began) / 60:.1f} min", file=sys.stderr)
    return 0 if report(outcomes, arguments.out) else 1


if __name__ == "__main__":
    sys.exit(main())
