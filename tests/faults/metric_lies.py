"""Metric lies: many simulated lives of a shop whose metrics lie, and not one floor that comes down because of it.

    python -m tests.faults.metric_lies                    # 100,000 campaign-hours; where it was cut off, it goes on
    python -m tests.faults.metric_lies --seed 4711        # one life again, with all that was wrong in it

Every life is made from one number. The progress stands in fault-out/metric-lies.progress.json.
"""

import argparse
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict

from tests.faults.figures import Figure, Progress
from tests.faults.lies_life import Counts, Life

HOURS = 100_000
BATCH = 25  # lives in one piece of work
COMMAND = "python -m tests.faults.metric_lies"


def live(seeds: range) -> Counts:
    """These lives, one after the other."""
    counts = Counts()
    for seed in seeds:
        counts.add(Life(seed).run())
    return counts


def figure(counts: Counts, lives: int, hours: float) -> Figure:
    told = sum(counts.lies.values())
    value = (
        f"{len(counts.faults)} floors lowered because of a lie in {counts.hours:,.0f} campaign-hours "
        f"({lives:,} lives, {counts.decisions:,} decisions, {told:,} lies of {len(counts.lies)} kinds; "
        f"{counts.justified:,} of {counts.lowered:,} steps down inside windows, where the truth allowed it)"
    )
    goal = f"0 in >= {hours:,.0f} campaign-hours"
    met = not counts.faults and counts.hours >= hours and counts.justified > 0
    return Figure("metric-lies", "metric lies, simulated", goal, value, met, f"0..{lives - 1}", COMMAND)


def run(hours: float, jobs: int, minutes: float, progress: Progress) -> tuple[Counts, int]:
    """Lives from the first seed that is not done yet until there are enough hours, or the time is up."""
    known = progress.read()
    counts, done = Counts(**known.get("counts", {})), known.get("done", 0)
    until = time.monotonic() + minutes * 60
    with ProcessPoolExecutor(jobs) as pool:
        while counts.hours < hours and time.monotonic() < until and len(counts.faults) < 100:
            pieces = [range(done + i * BATCH, done + (i + 1) * BATCH) for i in range(jobs)]
            for piece in pool.map(live, pieces):
                counts.add(piece)
            done += jobs * BATCH
            progress.keep({"done": done, "counts": asdict(counts)})
            print(
                f"{counts.hours:,.0f} of {hours:,.0f} hours, {done} lives, {len(counts.faults)} faults", file=sys.stderr
            )
    return counts, done


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=HOURS)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=600.0, help="stop after this long, with what there is")
    parser.add_argument("--seed", type=int, help="only this life")
    parser.add_argument("--fresh", action="store_true", help="from the first seed on")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        counts = Life(arguments.seed).run()
        print(json.dumps(asdict(counts), indent=2))
        return bool(counts.faults)
    progress = Progress("metric-lies", fresh=arguments.fresh)
    counts, lives = run(arguments.hours, arguments.jobs, arguments.minutes, progress)
    for fault in counts.faults[:20]:
        print(fault, file=sys.stderr)
    found = figure(counts, lives, arguments.hours)
    found.write()
    print(found)
    return not found.met


if __name__ == "__main__":
    sys.exit(main())
