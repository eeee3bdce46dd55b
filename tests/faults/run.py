"""`make test-faults`: every plan of every life, with progress and a report that a later run continues."""

import argparse
import asyncio
import re
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from tests.faults import outages
from tests.faults.bench import Bench, open_bench
from tests.faults.carrying import Outcome, carry_out_all, live
from tests.faults.judge import Evidence, verdict
from tests.faults.lane import Lane
from tests.faults.plans import Plan, all_plans
from tests.faults.report import ENUMERATED, ROOT, Report, tree_hash
from tests.faults.workloads import WORKLOADS

from forerun.sandbox import binaries

DEFAULT = ROOT / "bench-out" / "faults.jsonl"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make test-faults", description=__doc__)
    parser.add_argument("--report", type=Path, default=DEFAULT)
    parser.add_argument("--parallel", type=int, default=6, help="plans at once")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no plan after so many minutes")
    parser.add_argument("--groups", help="only these groups of plans, separated by commas")
    parser.add_argument("--workloads", help="only these lives, separated by commas")
    parser.add_argument("--only", help="only plans whose id has this regular expression")
    parser.add_argument("--share", type=float, default=1.0, help="only this share of the plans, always the same ones")
    parser.add_argument("--outage-seconds", type=float, default=600.0, help="how long the API server is away")
    parser.add_argument("--rounds", type=int, default=1000, help="of two leaders, one of them stopped")
    parser.add_argument("--references", action="store_true", help="only the runs without faults; prints their writes")
    return asyncio.run(_run(parser.parse_args()))


async def _run(given: argparse.Namespace) -> int:
    until = time.monotonic() + given.minutes * 60
    report = Report(given.report, tree_hash())
    names = given.workloads.split(",") if given.workloads else list(WORKLOADS)
    async with open_bench(binaries.require()) as bench:
        references = await take_references(bench, names, given.parallel)
        if given.references:
            for name, found in references.items():
                _show_reference(name, found)
        bad = {name: found.problems for name, found in references.items() if found.problems}
        for name, problems in bad.items():
            _say(f"{name}: the run without faults is wrong itself: {problems}")
        chosen = [
            (plan, references[name]) for name in names if name not in bad for plan in _chosen(given, name, references)
        ]
        done = report.done()
        left = [(plan, reference) for plan, reference in chosen if plan.id not in done]
        _say(
            f"{len(chosen)} plans enumerated, {len(chosen) - len(left)} of them done before, for sources {report.tree}"
        )
        if given.references:
            return bool(bad)
        if names == list(WORKLOADS) and not bad:
            everything = (plan.group for name in names for plan in all_plans(name, references[name]))
            report.add({"plan": ENUMERATED, "counts": Counter(everything)})
        progress = Progress(report, len(left))
        await carry_out_all(bench, left, given.parallel, progress.take, until)
        outages_good = await _outages(bench, given, report, until)
    _summary((plan for plan, _ in chosen), report)
    return int(bool(bad) or bool(progress.failed) or progress.count < len(left) or not outages_good)


async def take_references(bench: Bench, names: Iterable[str], parallel: int) -> dict[str, Evidence]:
    """Every life twice without faults: the second time it is judged as if there had been some."""
    found: dict[str, Evidence] = {}
    waiting = list(names)

    async def work() -> None:
        while waiting:
            name = waiting.pop(0)
            first = await live(bench, Plan("reference", name), None)
            if not first.problems:
                second = await live(bench, Plan("reference", name), first)
                first.problems += [f"not the same twice: {wrong}" for wrong in verdict(second, first)]
            found[name] = first

    async with asyncio.TaskGroup() as group:
        for _ in range(parallel):
            group.create_task(work())
    return found


class Progress:
    """Writes each outcome down and says how far the run is."""

    def __init__(self, report: Report, total: int) -> None:
        self._report = report
        self._total = total
        self._began = time.monotonic()
        self.count = 0
        self.failed: list[Outcome] = []

    def take(self, outcome: Outcome) -> None:
        self._report.add(outcome.as_json())
        self.count += 1
        if not outcome.ok:
            self.failed.append(outcome)
            _say(f"{'MISSED' if outcome.missed else 'WRONG'} {outcome.plan}")
            for wrong in outcome.wrong:
                _say(f"    {wrong[:600]}")
        if self.count % 20 == 0 or self.count == self._total:
            each = (time.monotonic() - self._began) / self.count
            left = each * (self._total - self.count) / 60
            _say(
                f"{self.count}/{self._total} plans, {len(self.failed)} not good, {each:.2f} s each, {left:.0f} min left"
            )


async def _outages(bench: Bench, given: argparse.Namespace, report: Report, until: float) -> bool:
    """Those that are measured, not enumerated; False where something was wrong or there was no time for it."""
    if given.only or (given.groups and "outage" not in given.groups.split(",")):
        return True
    lane = Lane("split-brain", lambda: None)
    works = {
        "outage / operator dead from raise to end": lambda: outages.dead_from_raise_to_end(bench),
        f"outage / API server down for {given.outage_seconds:g} s": lambda: outages.api_down(
            bench, given.outage_seconds
        ),
        "outage / five operators, the leader stopped": lambda: outages.five_operators(bench),
        f"outage / {given.rounds} rounds of two leaders": lambda: outages.rounds(bench, lane, given.rounds),
    }
    done, good = report.done(), True
    for name, work in works.items():
        if name in done and not done[name]["wrong"]:
            continue
        if time.monotonic() > until:
            return False
        _say(name)
        measured = await work()
        good = good and not measured.wrong
        report.add({"plan": name, "group": "outage", "missed": False, **asdict(measured)})
        _say(f"    {measured.seconds} {measured.requests} {measured.wrong or 'good'}")
    return good


def _chosen(given: argparse.Namespace, name: str, references: dict[str, Evidence]) -> list[Plan]:
    groups = given.groups.split(",") if given.groups else None
    return [
        plan
        for plan in all_plans(name, references[name])
        if (groups is None or plan.group in groups)
        and (not given.only or re.search(given.only, plan.id))
        and plan.is_in_short_form(given.share)
    ]


def _summary(chosen: Iterable[Plan], report: Report) -> None:
    done = report.done()
    enumerated, executed, good = Counter[str](), Counter[str](), Counter[str]()
    for plan in chosen:
        enumerated[plan.group] += 1
        executed[plan.group] += plan.id in done
        good[plan.group] += plan.id in done and not done[plan.id]["wrong"]
    for group, count in enumerated.items():
        _say(
            f"{group}: {executed[group]} of {count} plans executed ({executed[group] / count:.1%}), {good[group]} good"
        )


def _show_reference(name: str, found: Evidence) -> None:
    _say(f"== {name}: {len(found.writes)} writes, floors {found.floors}, updates {found.updates}, {found.problems}")
    for write in found.writes:
        _say(f"     {write}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
