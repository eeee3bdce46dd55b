"""Soak: 1,000 campaigns come and go for two hours, sixty times as fast as they would; memory and the event loop are watched.

    make soak                       # two hours
    make soak ARGS="--minutes 20"   # shorter: told with its length, and not counted as the goal

The control plane is real, the shops are those of the control-loop benchmark, demand is constant. One campaign hour is
one minute. What was measured so far stands in fault-out/soak.csv after every ten seconds, the result in fault-out/soak.json.
"""

import argparse
import asyncio
import csv
import os
import re
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import yaml
from tests.benchmarks import control_loop as bench
from tests.faults.figures import FOLDER, Figure
from tests.faults.slope import percentile, slope

from forerun.sandbox import binaries
from forerun.sandbox.control_plane import ControlPlane
from forerun.sandbox.prometheus import PrometheusServer
from forerun.sandbox.workdir import free_ports

COMPRESSION = 60
WINDOW = timedelta(minutes=1)  # an hour, compressed
EVERY_SECONDS = 10.0
WARM_UP = 0.2  # of the time: caches fill, the allocator finds its size
GOAL_MINUTES, GOAL_LAG_SECONDS = 120.0, 0.05
COMMAND = "make soak"


@dataclass
class Course:
    """What was measured, row by row."""

    seconds: list[float] = field(default_factory=list)
    operator_mib: list[float] = field(default_factory=list)
    worker_mib: list[float] = field(default_factory=list)
    buckets: list[tuple[float, float]] = field(default_factory=list)  # of the loop's lag, cumulative
    stalls: float = 0.0
    up: float = 0.0
    down: float = 0.0

    def rows(self) -> list[tuple[float, float, float]]:
        return list(zip(self.seconds, self.operator_mib, self.worker_mib, strict=True))

    def after_warm_up(self) -> tuple[list[float], list[float]]:
        since = self.seconds[0] + WARM_UP * (self.seconds[-1] - self.seconds[0])
        kept = [(at, mib) for at, mib in zip(self.seconds, self.operator_mib, strict=True) if at >= since]
        return [at for at, _ in kept], [mib for _, mib in kept]


def storefront(number: int) -> dict:
    raw = bench.storefront(number)
    raw["spec"]["demand"]["query"] = "vector(100)"
    return raw


def campaign(number: int, storefronts: int, start: datetime) -> dict:
    raw = bench.campaign(number % storefronts, number // storefronts, start)
    raw["spec"]["schedule"]["end"] = (start + WINDOW).strftime("%Y-%m-%dT%H:%M:%SZ")
    raw["spec"]["release"] = {"holdFor": "10s", "maxStepPercent": 100}
    return raw


def resident_mib(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(r"VmRSS:\s+(\d+)", text)
    return int(found[1]) / 1024 if found else 0.0


def metric(text: str, name: str) -> float:
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))


def lag_buckets(text: str) -> list[tuple[float, float]]:
    found = re.findall(r'forerun_loop_lag_seconds_bucket\{le="([^"]+)"\} (\S+)', text)
    return sorted((float(edge), float(count)) for edge, count in found)


def figure(course: Course, campaigns: int, minutes: float) -> Figure:
    grown = slope(*course.after_warm_up())
    p99 = percentile(course.buckets, 0.99)
    value = (
        f"{minutes:.0f} min, {campaigns:,} campaigns: RSS {course.operator_mib[-1]:.0f} MiB, slope {grown}, "
        f"loop lag p99 <= {p99 * 1000:.0f} ms, {course.stalls:.0f} stalls, {course.up:.0f} raises, {course.down:.0f} steps down, "
        f"machine load {os.getloadavg()[0]:.1f}"
    )
    met = grown.is_flat and p99 < GOAL_LAG_SECONDS and minutes >= GOAL_MINUTES and course.up > 0
    goal = "2 h, 1,000 campaigns: RSS slope indistinguishable from 0, loop lag p99 < 50 ms"
    return Figure("soak", "soak at 60x", goal, value, met, "none", COMMAND)


async def watch(course: Course, pid: int, port: int, minutes: float) -> None:
    """A row every ten seconds; RuntimeError where the operator has ended."""
    began = time.monotonic()
    path = FOLDER / "soak.csv"
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("seconds", "operator_mib", "worker_mib", "stalls"))
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
            while (at := time.monotonic() - began) < minutes * 60:
                await _row(course, session, pid, port, at)
                table.writerow((f"{at:.0f}", *(f"{x:.1f}" for x in course.rows()[-1][1:]), f"{course.stalls:.0f}"))
                file.flush()
                if len(course.seconds) % 6 == 0:
                    p99 = percentile(course.buckets, 0.99)
                    bench.say(
                        f"{at / 60:.0f} of {minutes:.0f} min: {course.operator_mib[-1]:.0f} MiB, lag p99 <= {p99} s"
                    )
                await asyncio.sleep(EVERY_SECONDS)


async def _row(course: Course, session: aiohttp.ClientSession, pid: int, port: int, at: float) -> None:
    try:
        operator = resident_mib(pid)
    except FileNotFoundError:
        raise RuntimeError("the operator has ended; its log says why") from None
    async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
        text = await answer.text()
    course.seconds.append(at)
    course.operator_mib.append(operator)
    course.worker_mib.append(max((resident_mib(child) for child in bench.children(pid)), default=0.0))
    course.buckets = lag_buckets(text)
    course.stalls = metric(text, "forerun_loop_stalls_total")
    course.up = metric(text, 'forerun_floor_writes_total{direction="up"}')
    course.down = metric(text, 'forerun_floor_writes_total{direction="down"}')


async def soak(plane: ControlPlane, folder: Path, campaigns: int, storefronts: int, minutes: float) -> Course:
    course = Course()
    (port,) = free_ports(1)
    os.environ |= {
        "FORERUN_TIME_COMPRESSION": str(COMPRESSION),
        "FORERUN_EXPIRY_GRACE_SECONDS": "600",
        "FORERUN_PREPARE_SECONDS": "5",
    }
    async with bench.operator(plane, folder, port) as process:
        await asyncio.sleep(20)  # torch is loaded, the Lease taken
        first, span = datetime.now(UTC) + timedelta(seconds=90), minutes * 60 - 180
        starts = [first + timedelta(seconds=max(0.0, span) * i / campaigns) for i in range(campaigns)]
        objects = [storefront(number) for number in range(storefronts)]
        objects += [campaign(number, storefronts, start) for number, start in enumerate(starts)]
        (folder / "soak.yaml").write_text(yaml.safe_dump_all(objects), encoding="utf-8")
        bench.say(f"{campaigns} Campaigns on {storefronts} Storefronts are applied")
        await plane.kubectl("apply", "--server-side", "-f", str(folder / "soak.yaml"))
        await watch(course, process.pid, port, minutes)
    return course


async def run(arguments: argparse.Namespace) -> Figure:
    programs = binaries.require()
    with tempfile.TemporaryDirectory(prefix="forerun-soak-") as temporary:
        folder = Path(temporary)
        plane = ControlPlane(programs, hpa_sync_seconds=15, downscale_stabilization_seconds=300)
        async with plane, PrometheusServer(binaries=programs) as prometheus:
            await plane.kubectl("apply", "--server-side", "-f", str(bench.ROOT / "crds"))
            await plane.create_nodes(24, prefix="plain")
            await bench.prepare(plane, prometheus, folder, arguments.storefronts)
            course = await soak(plane, folder, arguments.campaigns, arguments.storefronts, arguments.minutes)
    return figure(course, arguments.campaigns, arguments.minutes)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=GOAL_MINUTES)
    parser.add_argument("--campaigns", type=int, default=1000)
    parser.add_argument("--storefronts", type=int, default=250)
    found = asyncio.run(run(parser.parse_args()))
    found.write()
    print(found)
    return not found.met


if __name__ == "__main__":
    sys.exit(main())
