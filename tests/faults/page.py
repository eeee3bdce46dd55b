"""`python -m tests.faults.page`: the table of docs/reliability.md, made from the report of `make test-faults`."""

import argparse
import subprocess
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.faults.report import ROOT, Report, tree_hash
from tests.faults.run import DEFAULT

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- the last run: begin -->", "<!-- the last run: end -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path, default=DEFAULT)
    given = parser.parse_args()
    report = Report(given.report, tree_hash())
    at = datetime.fromtimestamp(given.report.stat().st_mtime, UTC)
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    table = "\n".join(_lines(report, at))
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")


def _lines(report: Report, at: datetime) -> list[str]:
    commit = subprocess.run(["git", "log", "-1", "--format=%h"], cwd=ROOT, capture_output=True, text=True, check=True)
    enumerated, done = report.enumerated(), list(report.done().values())
    by_group: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in done:
        by_group[line["group"]].append(line)
    lines = [
        f"`make test-faults`, {at:%Y-%m-%d %H:%M} UTC, at commit {commit.stdout.strip()} (sources of the operator: {report.tree}).",
        "",
        "| plans | enumerated | carried out | wrong | seconds each |",
        "|---|---|---|---|---|",
    ]
    for group in sorted({*enumerated, *by_group} - {"outage"}):
        plans = by_group[group]
        wrong = sum(bool(line["wrong"]) for line in plans)
        each = sum(line["seconds"] for line in plans) / len(plans) if plans else 0.0
        lines.append(f"| {group} | {enumerated.get(group, len(plans))} | {len(plans)} | {wrong} | {each:.1f} |")
    if by_group["outage"]:
        lines += ["", "| outage | measured | wrong |", "|---|---|---|"]
    for line in by_group["outage"]:
        measured = [f"{name}: {value:.1f} s" for name, value in line["seconds"].items()]
        measured += [f"{name}: {value:g}" for name, value in line["requests"].items()]
        lines.append(f"| {line['plan'].partition(' / ')[2]} | {'; '.join(measured)} | {len(line['wrong'])} |")
    wrong_plans = [line["plan"] for line in done if line["wrong"]]
    if wrong_plans:
        lines += ["", "Wrong:", "", *(f"- {plan}" for plan in wrong_plans)]
    return lines


if __name__ == "__main__":
    main()
