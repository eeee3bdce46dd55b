"""Malformed and hostile objects: everything that reads what a user can write, fed with it in process.

    python -m tests.faults.hostile                     # 200,000 objects; where it was cut off, it goes on
    python -m tests.faults.hostile --seed 4711         # one life of an object again

Each seed is the life of one object: made from a valid one, changed a few times (fields replaced, dropped, added, made
huge, deep or poisonous, or rewritten so that they are valid and mean harm), and valid again at the end. Index, readers,
windows, plan, statuses and metrics of the shipped code read every version of it.
"""

import argparse
import copy
import json
import random
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from tests.faults.figures import Figure, Progress

from forerun.api import convert
from forerun.api.windows import windows_of
from forerun.controllers.index import Index, key_of
from forerun.domain.campaign import Campaign, Occurrence, ScheduledCampaign
from forerun.domain.forecast import LEVELS, Forecast, Segment
from forerun.domain.reason import Refusal
from forerun.domain.storefront import Storefront
from forerun.observe.campaign_status import CampaignView, campaign_status, refused_status
from forerun.plan.inputs import PlanInput
from forerun.plan.planner import make_plan

OBJECTS = 200_000
COMMAND = "python -m tests.faults.hostile"
STALL_SECONDS = 1.0  # of the processor's time, for one object: a busy machine is not its fault
LARGEST_STATUS = 256 * 1024
NOW = datetime(2027, 11, 26, 6, 0, tzinfo=UTC)
SAMPLES = Path(__file__).parents[2] / "manifests" / "samples"
BASES = [
    obj
    for path in sorted(SAMPLES.glob("*.yaml"))
    for obj in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    if obj and str(obj.get("apiVersion", "")).startswith("forerun.dev/")
]
READERS = {
    "Campaign": convert.campaign_from,
    "Storefront": convert.storefront_from,
    "CapacityPlan": convert.plan_from,
    "CapacityPolicy": convert.policy_from,
    "MetricsSource": lambda obj: convert.metrics_source_from(obj, None),
}
POISON: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**30, 0.1, -0.0, 1e308, float("nan"), float("inf"),
    "", " ", "absent", "NaN", "1e400", "-1", "0", "00", "+5", "1,5", "١٢", "9" * 16, "9" * 5000, "0.0000000001",
    "line\nbreak", "\x1b[2J\x1b[31mforged", '","level":"error"}', "'; DROP", "\x00", "\u202e", "\u2028", "\ud800", "é" * 300,
    "a" * 70_000, "../../etc/passwd", "{{ .Values }}", "${HOME}", "%s%n", "*", ".*" * 40, "(a+)+$", "a" * 253, "A", "-", ".",
    [], {}, [[]], [None], {"": None}, {"name": {}}, ["a"] * 5000, [{"name": "a"}] * 400,
    "2027-11-26T08:00:00", "2027-11-26T08:00:00+14:00", "2027-02-30T00:00:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00",
    "Europe/Warsaw", "Etc/GMT+14", "../UTC", "localtime", "posixrules", "UTC\n", "0s", "1s", "9600h", "99999h999999m99999999s",
    "FREQ=DAILY", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=YEARLY;BYYEARDAY=366;INTERVAL=1000", "FREQ=SECONDLY",
    "FREQ=DAILY;BYMONTHDAY=31;BYMONTH=2", "FREQ=MONTHLY;BYDAY=5MO;BYSETPOS=-366", "FREQ=WEEKLY;BYDAY=" + "MO," * 60 + "MO",
    "FREQ=DAILY;COUNT=1000", "FREQ=DAILY;UNTIL=99999999T999999Z", "FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO",
    'sum(rate(x{a="b"}[1m]))', "(" * 2000, '{__name__=~".+"}' * 100, "x" + "{" * 500, "`", '"', "# comment",
    "forerun.dev/v1alpha1", "v1", "Deployment", "Secret", "kube-system",
)  # fmt: skip
RULES = (
    "FREQ=DAILY", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;INTERVAL=4",
    "FREQ=YEARLY;BYYEARDAY=366", "FREQ=MONTHLY;BYDAY=5FR", "FREQ=MONTHLY;BYMONTHDAY=31;BYMONTH=2,4,6", "FREQ=YEARLY;INTERVAL=1000",
    "FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO,TU,WE,TH,FR,SA,SU", "FREQ=WEEKLY;INTERVAL=1000;BYDAY=MO,TU,WE,TH,FR,SA,SU",
    "FREQ=YEARLY;BYMONTH=1,2,3,4,5,6,7,8,9,10,11,12;BYMONTHDAY=" + ",".join(map(str, range(1, 32))),
)  # fmt: skip


@dataclass
class Counts:
    objects: int = 0
    accepted: int = 0
    refused: int = 0
    planned: int = 0
    longest_seconds: float = 0.0
    faults: list[str] = field(default_factory=list)
    stalls: list[str] = field(default_factory=list)

    def add(self, other: "Counts") -> None:
        self.objects += other.objects
        self.accepted += other.accepted
        self.refused += other.refused
        self.planned += other.planned
        self.longest_seconds = max(self.longest_seconds, other.longest_seconds)
        self.faults += other.faults
        self.stalls += other.stalls


class Life:
    """One object through all its versions; the same seed gives the same life."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.index = Index()
        self.version = 0
        self.counts = Counts()

    def run(self) -> Counts:
        base = copy.deepcopy(self.rng.choice(BASES))
        for _ in range(self.rng.randrange(2, 7)):
            obj = copy.deepcopy(base)
            change = self.rng.random()
            if change < 0.7:
                for _ in range(self.rng.randrange(1, 4)):
                    self._poison(obj)
            else:
                self._rewrite(obj)
            self._read(obj)
        verdict = self._read(base)
        if isinstance(verdict, Refusal):
            self._fault(base, f"not accepted again once it was valid: {verdict}")
        return self.counts

    # what is done to an object

    def _poison(self, obj: dict[str, Any]) -> None:
        """Replace, drop or add something at a random place."""
        place, key = self.rng.choice(list(_places(obj)))
        change = self.rng.choice(("replace", "replace", "drop", "add", "deep", "copy"))
        value = copy.deepcopy(self.rng.choice(POISON))
        if change == "drop":
            del place[key]
        elif change == "add" and isinstance(place, dict):
            place[self.rng.choice(("", "extra", "\x1b[2J\n", "spec", "__class__", "status", "a" * 300))] = value
        elif change == "add":
            place.append(value)
        elif change == "deep":
            for _ in range(150):  # the tests' own copies are the first to go too deep
                value = {"spec": value} if self.rng.random() < 0.5 else [value]
            place[key] = value
        elif change == "copy" and isinstance(place, list):
            place += [copy.deepcopy(place[key]) for _ in range(self.rng.choice((1, 31, 500)))]
        else:
            place[key] = value

    def _rewrite(self, obj: dict[str, Any]) -> None:
        """Valid, and as heavy or as mean as the schema lets it be."""
        rng, spec = self.rng, obj["spec"]
        if obj["kind"] == "Campaign":
            spec["schedule"] = {
                "timeZone": rng.choice(("Europe/Warsaw", "Pacific/Apia", "Africa/Casablanca", "America/St_Johns")),
                "start": rng.choice(("2027-10-31T02:30:00", "2027-03-28T02:30:00", "2028-02-29T00:00:00")),
                "duration": rng.choice(("1s", "24h", "9600h")),
                "recurrence": rng.choice(RULES),
                "exclude": [
                    f"20{27 + i // 360}-{i // 30 % 12 + 1:02}-{i % 28 + 1:02}" for i in range(rng.choice((0, 28)))
                ],
            }
            spec["expected"] = {"peak": rng.choice(("0.000000001", "999999999")), "multiplier": "9999"}
            spec["release"] = {"holdFor": rng.choice(("0s", "24h")), "maxStepPercent": rng.choice((1, 1000))}
        elif obj["kind"] == "Storefront":
            first = spec["tiers"][0]
            spec["tiers"] = [
                {
                    **{k: v for k, v in first.items() if k in {"role", "targetRef"}},
                    "targetRef": {**first["targetRef"], "name": f"t{i}"},
                    "name": f"t{i}",
                    "capacityPerReplica": rng.choice(("0.000000001", "1", "999999999999999")),
                    "demandPerRequest": rng.choice(("0.000000001", "1", "999999")),
                    "maxReplicas": rng.choice((1, 100_000)),
                    "leadTime": rng.choice(("0s", "24h")),
                    "dependsOn": [f"t{j}" for j in range(i)][-rng.choice((1, 31)) :],
                }
                for i in range(rng.choice((1, 8, 32)))
            ]
        mark = rng.choice(
            ("\x1b[2J\n", "*@2027-11-26T00:00:00Z", "a,b@never", "@", "web@" + "9" * 900, "\U0001f600" * 99)
        )
        obj["metadata"].setdefault("annotations", {}).update({"forerun.dev/release": mark, "forerun.dev/ledger": mark})

    # what reads it

    def _read(self, obj: Any) -> Any:
        self.counts.objects += 1
        verdict, seconds = self._timed(obj)
        if seconds > STALL_SECONDS:  # a machine that is short of time stretches even the processor's: not three times
            seconds = min(seconds, *(self._timed(obj)[1] for _ in range(2)))
        self.counts.longest_seconds = max(self.counts.longest_seconds, seconds)
        if seconds > STALL_SECONDS:
            self.counts.stalls.append(f"seed {self.seed}: took {seconds:.1f} s; {repr(obj)[:400]}")
        return verdict

    def _timed(self, obj: Any) -> tuple[Any, float]:
        began = time.thread_time()
        try:
            verdict = self._all_readers(obj)
        except Exception as error:  # noqa: BLE001  # that is what is looked for
            self._fault(obj, repr(error)[:300])
            verdict = None
        return verdict, time.thread_time() - began

    def _all_readers(self, obj: Any) -> Any:
        verdict = None
        for kind, read in READERS.items():
            found = read(obj)
            if isinstance(found, Refusal):
                self._told(obj, found)
            if isinstance(obj, dict) and obj.get("kind") == kind:
                verdict = found
        if isinstance(verdict, Refusal):
            self.counts.refused += 1
        elif verdict is not None:
            self.counts.accepted += 1
        status = obj.get("status") if isinstance(obj, dict) else None
        convert.ledger_from(status)
        convert.ledger_faults(status)
        convert.lessons_from(status)
        convert.approvals_from(obj)
        stored = self._stored(obj)
        if stored is not None:
            self.index.upsert(stored)
            self._consequences(stored, verdict)
        return verdict

    def _stored(self, obj: Any) -> dict[str, Any] | None:
        """As an API server would hold it: one that has no name or no known kind never gets there."""
        if not isinstance(obj, dict) or not isinstance(obj.get("metadata"), dict):
            return None
        if not isinstance(obj.get("kind"), str) or obj["kind"] not in READERS:
            return None
        if not isinstance(obj["metadata"].get("name"), str):
            return None
        self.version += 1
        stored = copy.deepcopy(obj)
        namespace = stored["metadata"].get("namespace")
        annotations = stored["metadata"].get("annotations")
        stored["metadata"] |= {
            "namespace": namespace if isinstance(namespace, str) else "shop",
            "uid": "uid",
            "resourceVersion": str(self.version),
            "generation": self.version,
            "creationTimestamp": "2027-01-01T00:00:00Z",
            "annotations": annotations if isinstance(annotations, dict) else {},
        }
        return stored

    def _consequences(self, stored: dict[str, Any], verdict: Any) -> None:
        """What follows from an accepted object, and what a refused one is told."""
        if isinstance(verdict, Refusal):
            self._small(stored, refused_status(verdict, {}, self.version, NOW, None))
        elif isinstance(verdict, Campaign):
            windows = list(windows_of(verdict, NOW, held=self.rng.random() < 0.5))
            if len(windows) > 10:
                self._fault(stored, f"{len(windows)} windows at one moment")
            view = CampaignView(verdict, "Scheduled", windows[0].occurrence if windows else None)
            self._small(stored, campaign_status(view, {}, NOW))
            self._planned(stored, _shop(), windows)
        elif isinstance(verdict, Storefront):
            self._planned(stored, verdict, [_campaign()])
        _ = list(self.index.all_objects())
        self.index.campaigns_of(key_of(stored))

    def _planned(self, stored: dict[str, Any], storefront: Storefront, windows: list[ScheduledCampaign]) -> None:
        plan = make_plan(
            PlanInput(NOW, storefront, tuple(windows), _forecast(windows, self.rng.choice((0.0, 500.0, 1e14))))
        )
        spec = convert.plan_to_spec(plan)
        if len(spec["steps"]) > 200:
            self._fault(stored, f"a plan of {len(spec['steps'])} steps")
        self._small(stored, spec)
        known = {tier.name for tier in storefront.tiers}
        if any(step.tier not in known for step in plan.steps):
            self._fault(stored, "a step for a tier that nobody declared")
        self.counts.planned += 1

    def _told(self, obj: Any, refusal: Refusal) -> None:
        text = str(refusal)
        if not text.isprintable() or len(text) > 2000 or not refusal.field or not refusal.remedy:
            self._fault(obj, f"refused in words that are not one short line: {text[:200]!r}")

    def _small(self, obj: Any, written: dict[str, Any]) -> None:
        size = len(json.dumps(written, allow_nan=False))
        if size > LARGEST_STATUS:
            self._fault(obj, f"would write {size} bytes")

    def _fault(self, obj: Any, what: str) -> None:
        shown = repr(obj)
        self.counts.faults.append(f"seed {self.seed}: {what}; {shown[:400]}")


def _places(obj: Any) -> Any:
    """Every (container, key) below an object."""
    for key, child in list(obj.items() if isinstance(obj, dict) else enumerate(obj)):
        yield obj, key
        if isinstance(child, dict | list):
            yield from _places(child)


def _valid(kind: str) -> Any:
    found = READERS[kind](next(base for base in BASES if base["kind"] == kind))
    assert not isinstance(found, Refusal), found
    return found


def _shop() -> Storefront:
    return _valid("Storefront")


def _campaign() -> ScheduledCampaign:
    start = NOW + timedelta(hours=1)
    return ScheduledCampaign(_valid("Campaign"), Occurrence(start, start + timedelta(hours=2)))


def _forecast(windows: list[ScheduledCampaign], rps: float) -> Forecast | None:
    if not windows:
        return None
    first, last = min(w.occurrence.start for w in windows), max(w.occurrence.end for w in windows)
    step = max(60.0, (last - first).total_seconds() / 50)
    return Forecast("main", NOW, (Segment(first, step, ((rps,) * len(LEVELS),) * 51),), (), "hostile")


def live(seeds: range) -> Counts:
    counts = Counts()
    for seed in seeds:
        counts.add(Life(seed).run())
    return counts


def figure(counts: Counts, lives: int) -> Figure:
    value = (
        f"{len(counts.faults)} faults, {len(counts.stalls)} stalls in {counts.objects:,} objects ({counts.accepted:,} accepted, {counts.refused:,} refused, "
        f"{counts.planned:,} planned); the longest took {counts.longest_seconds:.2f} s of the processor"
    )
    goal = f">= {OBJECTS:,}: 0 unhandled exceptions, 0 stalls > 1 s"
    met = not counts.faults and not counts.stalls and counts.objects >= OBJECTS and counts.accepted > 0
    return Figure("hostile", "hostile objects, in process", goal, value, met, f"0..{lives - 1}", COMMAND)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=OBJECTS)
    parser.add_argument("--minutes", type=float, default=600.0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--fresh", action="store_true")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        counts = Life(arguments.seed).run()
        print(json.dumps(asdict(counts), indent=2))
        return bool(counts.faults or counts.stalls)
    progress = Progress("hostile", fresh=arguments.fresh)
    known = progress.read()
    counts, done = Counts(**known.get("counts", {})), known.get("done", 0)
    until = time.monotonic() + arguments.minutes * 60
    while counts.objects < arguments.objects and time.monotonic() < until and len(counts.faults) < 50:
        counts.add(live(range(done, done + 250)))
        done += 250
        progress.keep({"done": done, "counts": asdict(counts)})
        print(f"{counts.objects:,} objects, {len(counts.faults)} faults", file=sys.stderr)
    for fault in (*counts.faults[:20], *counts.stalls[:20]):
        print(ascii(fault), file=sys.stderr)
    found = figure(counts, done)
    found.write()
    print(found)
    return not found.met


if __name__ == "__main__":
    sys.exit(main())
