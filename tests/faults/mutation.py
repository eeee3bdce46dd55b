"""Mutation testing: each of mutants.py is put into a copy of the operator, and the tests have to notice.

python -m tests.faults.mutation                 # all; where it was cut off, it goes on
python -m tests.faults.mutation --only lease    # one group, or one mutant by name
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults.figures import Figure, Progress
from tests.faults.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 900
LEAST_CAUGHT = 0.95
COMMAND = "python -m tests.faults.mutation"
SUCCESSION = "tests/unit/controllers/test_succession.py"
# the fast tests that are to notice, quickest first
WATCHES = {
    "plan": ("tests/unit/plan", "tests/properties/test_plan_due.py", "tests/faults/test_metric_lies.py"),
    "floors": ("tests/unit/actuators", "tests/unit/api/test_plans.py", "tests/faults/test_antagonists.py"),
    "ledger": (SUCCESSION, "tests/faults/test_antagonists.py"),
    "lease": ("tests/unit/kube/test_lease.py", "tests/unit/kube/test_lease_history.py", SUCCESSION),
}


def place(mutant: Mutant, tree: Path) -> None:
    """Put it into a copy of `operator/`; ValueError where the text is not there exactly once."""
    path = tree / mutant.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.original) != 1:
        raise ValueError(f"{mutant.name}: its text stands {text.count(mutant.original)} times in {mutant.file}")
    path.write_text(text.replace(mutant.original, mutant.mutated), encoding="utf-8")


def noticed(mutant: Mutant | None, tests: tuple[str, ...]) -> bool | None:
    """Whether a test fails with it; None where the tests could not even be collected or took too long."""
    with tempfile.TemporaryDirectory(prefix="forerun-mutant-") as folder:
        tree = Path(folder) / "operator"
        shutil.copytree(ROOT / "operator", tree, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        if mutant is not None:
            place(mutant, tree)
        environment = {**os.environ, "PYTHONPATH": f"{tree}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
        command = (sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", *tests)
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, timeout=TIMEOUT_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return True  # a test that does not end has noticed something
    return None if done.returncode not in (0, 1) else done.returncode == 1


def run(mutants: list[Mutant], jobs: int, progress: Progress) -> dict[str, bool | None]:
    """Verdict by name; those of an earlier run are kept."""
    known: dict[str, bool | None] = progress.read()
    left = [mutant for mutant in mutants if mutant.name not in known]

    def judge(mutant: Mutant) -> tuple[Mutant, bool | None]:
        return mutant, noticed(mutant, WATCHES[mutant.watch])

    began = time.monotonic()
    with ThreadPoolExecutor(jobs) as pool:
        for number, (mutant, verdict) in enumerate(pool.map(judge, left), 1):
            known[mutant.name] = verdict
            progress.keep(known)
            words = {True: "caught", False: "SURVIVED", None: "NOT JUDGED"}[verdict]
            print(f"{number}/{len(left)} {time.monotonic() - began:.0f} s {mutant.name}: {words}", file=sys.stderr)
    return {mutant.name: known[mutant.name] for mutant in mutants}


def figure(verdicts: dict[str, bool | None]) -> Figure:
    caught = sum(1 for verdict in verdicts.values() if verdict)
    left = [name for name, verdict in verdicts.items() if not verdict]
    value = f"{caught} of {len(verdicts)} caught" + (f"; survived: {', '.join(left)}" if left else "")
    met = len(verdicts) >= 60 and caught >= LEAST_CAUGHT * len(verdicts)
    return Figure("mutants", "seeded faults that the tests notice", ">= 95 % of >= 60", value, met, "none", COMMAND)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="a group or a mutant's name")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--fresh", action="store_true", help="judge all anew")
    arguments = parser.parse_args()
    chosen = [m for m in MUTANTS if arguments.only in (None, m.watch, m.name)]
    progress = Progress("mutants", fresh=arguments.fresh)
    for watch in sorted({mutant.watch for mutant in chosen}):
        if noticed(None, WATCHES[watch]) is not False:
            print(f"the tests of {watch} fail without a mutant", file=sys.stderr)
            return 2
    found = figure(run(chosen, arguments.jobs, progress))
    print(found)
    if arguments.only is None:
        found.write()
    return not found.met


if __name__ == "__main__":
    sys.exit(main())
