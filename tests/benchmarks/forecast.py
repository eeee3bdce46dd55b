"""How good the forecast is beside library baselines, event by event on real traces.

Every model answers the same decisions, on one thread, from what was known at each: our model, seasonal naive, a
profile of the event's kind, statsforecast's MSTL, Prophet and LightGBM. A ratio is ours over the best baseline OF THAT
TRACE; the goals are over five traces, three more are reported. `--fresh` asks the baselines anew instead of reading
the user's cache; `--trace` and `--models` take a part, and then the goals are judged on that part.

`usual peak` below is the window's highest bin of the median of the last four same weekdays.
"""

import argparse
import json
import logging
import math
import os
import statistics
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from forecast_arms import JUDGED, REPORTED, TRACES, Course, Said, answers, courses
from forecast_speed import Row, speed

from forerun.backtest.baselines import available, missing
from forerun.backtest.baselines.profile import usual
from forerun.backtest.baselines.view import View
from forerun.backtest.decision import Decision, Prediction
from forerun.backtest.ours import Forerun
from forerun.backtest.scores import Scores, is_measured, peak_error, peak_of, score
from forerun.backtest.threads import pin_threads
from forerun.domain.forecast import LEVELS

ROOT = Path(__file__).parents[2]
OURS = Forerun.name
GOAL_RATIO, GOAL_WORST, GOAL_LIVE, GOAL_NIL = 0.8, 1.05, 0.5, 0.10
GOAL_COVERAGE = {0.9: (0.85, 0.95), 0.99: (0.975, 0.999)}
NIL = 1.05  # times the usual peak: no more is a nil or negative event
LEAST_KNOWN_DAYS = 14  # for a usual to compare with


@dataclass(frozen=True)
class Outcome:
    """One course: the judged decisions, and per model what it said of them."""

    course: Course
    decisions: list[Decision]
    said: dict[str, list[Prediction]]
    unanswered: int  # by ours, of measured events
    seconds: dict[str, float]
    live: list[tuple[float, float]]  # error of ours (before the start, live) per event

    def scores(self, kind: str | None = None) -> dict[str, Scores]:
        rows = [place for place, decision in enumerate(self.decisions) if kind in (None, decision.kind)]
        return {
            name: score([self.decisions[row] for row in rows], [said[row] for row in rows])
            for name, said in self.said.items()
        }

    def ratio(self, field: str) -> tuple[float, str]:
        """(ours over the best baseline, its name); NaN without any."""
        figures = {name: getattr(scores, field) for name, scores in self.scores().items()}
        others = {name: figure for name, figure in figures.items() if name != OURS and figure is not None}
        if not others or figures.get(OURS) is None:
            return math.nan, "-"
        best = min(others, key=others.get)
        # where demand is nothing and a baseline says so exactly, a ratio says nothing
        level = max((peak_of(decision) for decision in self.decisions), default=0.0)
        return (figures[OURS] / others[best] if others[best] > 1e-6 * level else math.nan), best


def outcome(course: Course, models: Sequence, fresh: bool) -> Outcome:
    said: dict[str, Said] = {}
    for model in models:
        said[model.name] = answers(course, model, fresh)
        source = "from the cache" if said[model.name].cached else f"{said[model.name].seconds:.1f} s"
        print(f"{course.name}: {model.name}, {len(course.decisions)} events, {source}", file=sys.stderr, flush=True)
    measured = [place for place, decision in enumerate(course.decisions) if is_measured(decision)]
    answered = [p for p in measured if all(isinstance(each.predictions[p], Prediction) for each in said.values())]
    ours = said.get(OURS)
    return Outcome(
        course,
        [course.decisions[place] for place in answered],
        {name: [each.predictions[place] for place in answered] for name, each in said.items()},
        sum(not isinstance(ours.predictions[place], Prediction) for place in measured) if ours else 0,
        {name: each.seconds for name, each in said.items()},
        live_errors(course, ours) if ours else [],
    )


def live_errors(course: Course, ours: Said) -> list[tuple[float, float]]:
    """Per event whose onset was seen: error of the peak estimate as decided before, and minutes after the onset."""
    if not course.live:
        return []
    before = {
        (decision.kind, decision.name, decision.start): peak_error(decision, prediction)
        for decision, prediction in zip(course.decisions, ours.predictions, strict=True)
        if isinstance(prediction, Prediction) and is_measured(decision)
    }
    pairs = []
    for decision, prediction in zip(course.live, Forerun().predict(course.live), strict=True):
        key = (decision.kind, decision.name, decision.start)
        if key in before and isinstance(prediction, Prediction):
            pairs.append((before[key], peak_error(decision, prediction)))
    return [pair for pair in pairs if all(map(math.isfinite, pair))]


def nil_events(found: Outcome) -> list[tuple[str, float, bool]]:
    """Of each event with a usual to compare with: (kind, median of our peak / actual peak - 1, no higher than usual)."""
    rows = []
    for decision, said in zip(found.decisions, found.said.get(OURS, []), strict=False):
        view = View.of(decision)
        actual = peak_of(decision)
        if actual <= 0.0 or np.isfinite(view.values[: view.known]).sum() < LEAST_KNOWN_DAYS * view.day:
            continue
        highest = float((np.exp(usual(view).log_usual[view.window]) - view.floor).max())
        rows.append((decision.kind, said.peak[LEVELS.index(0.5)] / actual - 1.0, actual <= NIL * highest))
    return rows


def table(found: Outcome) -> None:
    """Every kind and the whole, model by model; the best of a column among the baselines is for the reader to find."""
    kinds = sorted({decision.kind for decision in found.decisions})
    print(f"\n{found.course.name}{'' if found.course.judged else ' (reported only)'}")
    head = ("kind", "model", "events", "peak pinball", "window", "CRPS", "in 0.9", "in 0.99", "peak time", "seconds")
    print("  {:<18}{:<16}{:>7}{:>14}{:>12}{:>12}{:>8}{:>8}{:>11}{:>9}".format(*head))
    for kind in [*kinds, None] if len(kinds) > 1 else [None]:
        for name, scores in found.scores(kind).items():
            if scores.peak_pinball is None:
                continue
            nine, ninety_nine = (scores.coverage[LEVELS.index(level)] for level in (0.9, 0.99))
            print(
                f"  {kind or 'all':<18}{name:<16}{scores.events:>7}{scores.peak_pinball:>14.5g}"
                f"{scores.window_pinball:>12.5g}{scores.crps_peak:>12.5g}{nine:>8.3f}{ninety_nine:>8.3f}"
                f"{span(scores.peak_time_error_seconds):>11}{found.seconds[name]:>9.1f}"
            )
    for field, word in (("peak_pinball", "peak"), ("window_pinball", "window")):
        ratio, best = found.ratio(field)
        print(f"  {word}: ours / best baseline ({best}) = {f'{ratio:.3f}' if math.isfinite(ratio) else '-'}")


def span(seconds: float) -> str:
    for width, unit in ((86400.0, "d"), (3600.0, "h")):
        if seconds >= width:
            return f"{seconds / width:.1f} {unit}"
    return f"{seconds / 60.0:.0f} min"


def goal_rows(outcomes: Sequence[Outcome]) -> list[Row]:
    judged = [found for found in outcomes if found.course.judged]
    part = "" if len(judged) == len(JUDGED) else f" (of {len(judged)} of {len(JUDGED)} traces)"
    rows: list[Row] = []
    for field, word in (("peak_pinball", "peak"), ("window_pinball", "window")):
        ratios = {found.course.name: found.ratio(field)[0] for found in judged}
        ratios = {name: ratio for name, ratio in ratios.items() if math.isfinite(ratio) and ratio > 0.0}
        if not ratios:
            continue
        mean = statistics.geometric_mean(ratios.values())
        worst = max(ratios, key=ratios.get)
        label = f"{word} pinball, ours / best baseline"
        rows.append(Row(f"{label}: geometric mean{part}", f"{mean:.3f}", f"<= {GOAL_RATIO}", mean <= GOAL_RATIO))
        figure = f"{ratios[worst]:.3f} ({worst})"
        rows.append(Row(f"{label}: worst", figure, f"<= {GOAL_WORST}", ratios[worst] <= GOAL_WORST))
    return rows + coverage_rows(judged) + live_rows(outcomes) + nil_rows(judged) + answered_rows(outcomes)


def coverage_rows(judged: Sequence[Outcome]) -> list[Row]:
    rows = []
    for level, (low, high) in GOAL_COVERAGE.items():
        place = LEVELS.index(level)
        below: dict[str, list[bool]] = {}
        for found in judged:
            below[found.course.name] = [
                actual <= quantiles[place]
                for decision, said in zip(found.decisions, found.said.get(OURS, []), strict=False)
                for actual, quantiles in zip(decision.actual, said.window, strict=True)
                if math.isfinite(actual)
            ]
        pooled = [one for many in below.values() for one in many]
        if not pooled:
            continue
        share = statistics.mean(pooled)
        rows.append(Row(f"coverage of {level}, pooled", f"{share:.4f}", f"{low}..{high}", low <= share <= high))
        rows += [Row(f"  {name}", f"{statistics.mean(many):.4f}", "", None) for name, many in below.items() if many]
    return rows


def live_rows(outcomes: Sequence[Outcome]) -> list[Row]:
    rows = []
    for found in outcomes:
        if found.live:
            before, live = (statistics.mean(errors) for errors in zip(*found.live, strict=True))
            ratio = live / max(before, 1e-12)
            figure = f"{live:.3f} / {before:.3f} = {ratio:.2f}, {len(found.live)} events"
            # one or two events of a reported trace are an anecdote
            goal, met = (f"<= {GOAL_LIVE}", ratio <= GOAL_LIVE) if found.course.judged else ("", None)
            name = f"peak error 5 min after onset / before: {found.course.name}"
            rows.append(Row(name, figure, goal, met))
    return rows


def nil_rows(judged: Sequence[Outcome]) -> list[Row]:
    """The goal is for kinds that seldom raise demand: what a nil event of another kind does is luck, seen afterwards."""
    nil: dict[tuple[str, str], list[float]] = {}
    judgeable: dict[tuple[str, str], int] = {}
    for found in judged:
        for kind, over, is_nil in nil_events(found):
            key = (found.course.name, kind)
            judgeable[key] = judgeable.get(key, 0) + 1
            if is_nil:
                nil.setdefault(key, []).append(over)
    rows, pooled = [], []
    for key, many in nil.items():
        counts = 2 * len(many) >= judgeable[key]
        pooled += many if counts else []
        name = f"  {', '.join(key)}: {len(many)} of {judgeable[key]} {'' if counts else '(not in the goal)'}"
        rows.append(Row(name.rstrip(), f"{statistics.mean(many):+.3f}", "", None))
    if not pooled:
        return rows
    mean = statistics.mean(pooled)
    name = f"nil and negative events of kinds that are mostly so, {len(pooled)}: over-forecast of the peak"
    return [Row(name, f"{mean:+.3f}", f"<= {GOAL_NIL}", mean <= GOAL_NIL), *rows]


def answered_rows(outcomes: Sequence[Outcome]) -> list[Row]:
    unanswered = {found.course.name: found.unanswered for found in outcomes if found.unanswered}
    figure = ", ".join(f"{count} of {name}" for name, count in unanswered.items()) or "0"
    return [Row("events without an answer of ours", figure, "0", not unanswered)]


def document(outcomes: Sequence[Outcome], rows: Sequence[Row]) -> dict:
    traces = []
    for found in outcomes:
        kinds = {"all": found.scores()} | {kind: found.scores(kind) for kind in {d.kind for d in found.decisions}}
        models = [
            {"kind": kind, "model": name, **figures(scores)}
            for kind, by_model in sorted(kinds.items())
            for name, scores in by_model.items()
        ]
        ratios = {}
        for field in ("peak_pinball", "window_pinball"):
            ratio, best = found.ratio(field)
            ratios[field] = {"ratio": ratio if math.isfinite(ratio) else None, "best_baseline": best}
        judged = {"trace": found.course.name, "judged": found.course.judged, "seconds": found.seconds}
        traces.append({**judged, "ratios": ratios, "models": models})
    goals = [{"name": row.name, "figure": row.figure, "goal": row.goal, "met": row.met} for row in rows]
    return {"traces": traces, "goals": goals, "missing_baselines": missing()}


def figures(scores: Scores) -> dict:
    coverage = dict(zip(map(str, LEVELS), scores.coverage or (), strict=False))
    coverage_peak = dict(zip(map(str, LEVELS), scores.coverage_peak or (), strict=False))
    return {
        "events": scores.events,
        "peak_pinball": scores.peak_pinball,
        "window_pinball": scores.window_pinball,
        "crps_peak": scores.crps_peak,
        "coverage": coverage,
        "coverage_peak": coverage_peak,
        "peak_time_error_seconds": scores.peak_time_error_seconds,
        "over_forecast": scores.over_forecast,
    }


def report(outcomes: Sequence[Outcome], rows: Sequence[Row]) -> bool:
    for found in outcomes:
        table(found)
    print()
    width = max(len(row.name) for row in rows)
    for row in rows:
        word = "" if row.met is None else f"goal {row.goal:<12}  {'met' if row.met else 'MISSED'}"
        print(f"{row.name:<{width}}  {row.figure:<44}  {word}".rstrip())
    if missing():
        print(f"without {', '.join(missing())}: not installed here, so the best baseline may be better than it looks")
    missed = [row.name.strip() for row in rows if row.met is False]
    heads = [row.figure for row in rows if "geometric mean" in row.name]
    said = f"peak and window pinball over the best baseline of each trace {' and '.join(heads) or '-'}"
    print(f"bench-forecast: {said}, {'missed: ' + '; '.join(missed) if missed else 'all met'}")
    return not missed


def on_one_thread() -> None:
    """numpy and its like read the number of threads when they are imported: begin again with it set."""
    if os.environ.get("OMP_NUM_THREADS") != "1":
        pin_threads()
        os.execv(sys.executable, [sys.executable, *sys.argv])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trace", action="append", choices=[*JUDGED, *REPORTED], help="only this one (repeatable)")
    parser.add_argument("--models", help="only these, separated by commas: forerun, seasonal-naive, ...")
    parser.add_argument("--fresh", action="store_true", help="ask the baselines anew")
    parser.add_argument("--output", type=Path, default=ROOT / "bench-out" / "forecast.json")
    arguments = parser.parse_args()
    if not TRACES.is_dir():
        print(f"bench-forecast: skipped, the traces are not in {TRACES}")
        return 0
    on_one_thread()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)  # libraries that log each fit
    models = [Forerun(), *available()]
    if arguments.models:
        wanted = arguments.models.split(",")
        models = [model for model in models if model.name in wanted]
        unknown = sorted(set(wanted) - {model.name for model in models})
        if unknown:
            parser.error(f"no such model here: {', '.join(unknown)}")
    outcomes = [outcome(course, models, arguments.fresh) for course in courses(arguments.trace or [*JUDGED, *REPORTED])]
    rows = [*(goal_rows(outcomes) if any(model.name == OURS for model in models) else []), *speed()]
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(document(outcomes, rows), indent=1) + "\n")
    if not rows:
        for found in outcomes:
            table(found)
        return 0
    return 0 if report(outcomes, rows) else 1


if __name__ == "__main__":
    sys.exit(main())
