"""The arena: Forerun beside what people use today, on real traces and on generated campaigns, and the goals.

Every arm is shown at its best setting of each trace or family and lead time (least J/J*, geometric mean over the
scenarios in which all of its settings ran); our own chooses on a part of them, peers on all. `--share 0.1` takes a
tenth of everything; Ctrl-C shows what is done so far. One table on stdout, one page with plots in `--out`.
"""

import argparse
import os
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
_INTERRUPTED = 130


def main() -> int:
    arguments = _arguments()
    _on_one_thread()
    warnings.simplefilter("ignore")
    from arena_run import Wanted, run  # noqa: PLC0415  # numpy reads the number of threads when it is imported

    wanted = Wanted(
        traces=None if arguments.traces is None else tuple(arguments.traces),
        families=None if arguments.families is None else tuple(arguments.families),
        repeats=arguments.repeats,
        trace_repeats=arguments.trace_repeats,
        share=arguments.share,
        leads=tuple(sorted(arguments.leads)),
        sweep=arguments.sweep,
        out=arguments.out,
    )
    outcome = run(wanted, _Progress())
    if outcome.interrupted:
        return _INTERRUPTED
    return 0 if outcome.kept else 1


class _Progress:
    """A line on stderr per job, with what is left."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, done: int, of: int, label: str) -> None:
        took = time.monotonic() - self._began
        left = f", about {took / done * (of - done) / 60.0:.0f} min left" if done else ""
        print(f"[{took / 60.0:5.1f} min, {done} of {of} jobs{left}] {label}", file=sys.stderr, flush=True)


def _on_one_thread() -> None:
    """numpy and its like read the number of threads when they are imported: begin again with it set."""
    from forerun.backtest.threads import pin_threads  # noqa: PLC0415

    if os.environ.get("OMP_NUM_THREADS") != "1":
        pin_threads()
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606


def _arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", nargs="*", metavar="NAME", help="only these (a part of the name); none: no trace")
    parser.add_argument("--families", nargs="*", metavar="NAME", help="only these; none: nothing generated")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--trace-repeats", type=int, default=1, help="only the pods' start-up times differ in them")
    parser.add_argument("--share", type=_share, default=1.0, help="of the events and campaigns, 0 to 1")
    parser.add_argument("--leads", nargs="+", type=float, default=(5.0, 60.0, 180.0, 600.0), metavar="SECONDS")
    parser.add_argument("--sweep", type=int, default=4, help="one scenario in so many runs every setting of ours")
    parser.add_argument("--out", type=Path, default=ROOT / "bench-out" / "arena.html")
    found = parser.parse_args(given)
    if min(found.repeats, found.trace_repeats) < 1 or found.sweep < 1 or min(found.leads) < 0:
        parser.error("--repeats, --trace-repeats and --sweep must be at least 1, and lead times not negative")
    return found


def _share(text: str) -> float:
    share = float(text)
    if not 0.0 < share <= 1.0:
        raise argparse.ArgumentTypeError("must be above 0 and at most 1")
    return share


if __name__ == "__main__":
    sys.exit(main())
