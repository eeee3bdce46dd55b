"""Antagonists: users, GitOps, autoscalers and crashes, in any order, against the operator on an API server in memory.

    python -m tests.faults.antagonists                      # 2,000 interleavings; some minutes
    python -m tests.faults.antagonists --examples 200 --seed 3

A stateful Hypothesis machine draws the moves; `antagonist_model.py` judges. What is found is shrunk to the shortest
sequence and printed as code.
"""

import argparse
import sys
import time
import traceback
from collections import Counter
from datetime import timedelta

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.faults import antagonist_world as shop
from tests.faults.antagonist_model import BOUNDS, Model
from tests.faults.antagonist_world import NAMESPACE, World
from tests.faults.figures import Figure, Progress
from tests.faults.memory_api import Crashed

from forerun.kube.errors import ApiError, Unavailable

EXAMPLES = 2000
COMMAND = "python -m tests.faults.antagonists"
HPA, SCALED, PLAIN = ("HorizontalPodAutoscaler", "web"), ("ScaledObject", "search"), ("StatefulSet", "cache")
TARGETS = (HPA, SCALED, PLAIN)
CAMPAIGNS = ("drop", "letter")
STEPS = 22
BATCH = 100  # interleavings of one seed
SETTLED = 160  # looks, 20 s apart: a minute's evidence, and one or two steps

targets = st.sampled_from(TARGETS)
names = st.sampled_from(CAMPAIGNS)
floors = st.sampled_from([0, 1, 2, 3, 7, 7, 12])
ceilings = st.sampled_from([5, 12, 20, 40])


class Tally:
    """Of all machines of this process."""

    lives = 0
    moves: Counter[str] = Counter()


class Antagonists(RuleBasedStateMachine):
    """One shop of three targets: an HPA's, a ScaledObject's and a plain StatefulSet."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.model = Model(self.world.api, set(TARGETS))

    @initialize(
        least=st.sampled_from([None, 1, 2]),
        most=st.sampled_from([4, 10, 40]),
        ahead=st.sampled_from([None, 10, 90, 90]),
    )
    def open(self, least: int | None, most: int, ahead: int | None) -> None:
        api = self.world.api
        for raw in (shop.namespace(), shop.source(), shop.policy()):
            api.create("admin", raw)
        for raw in (
            shop.workload("web"),
            shop.workload("search"),
            shop.workload("cache", "StatefulSet"),
        ):
            api.create("argocd", raw)
        api.create("argocd", shop.hpa("web", least, most))
        bounds = {} if least is None else {"minReplicaCount": least}
        api.create("argocd", shop.scaled_object("search", **bounds))
        tiers = [("web", "Deployment"), ("search", "Deployment"), ("cache", "StatefulSet")]
        api.create("admin", shop.storefront(tiers, release="Gradual"))
        self.git = {where: self._raw(where) for where in TARGETS}
        self.world.start()
        self.world.work()
        if ahead is not None:
            self.declare("drop", ahead, 600, 900)

    # time and the operator

    @rule(seconds=st.sampled_from([1, 20, 60, 60, 61, 300]), rounds=st.integers(1, 2))
    def pass_time(self, seconds: int, rounds: int) -> None:
        self.moved("time")
        self.world.pass_time(seconds)
        self.work(rounds)

    @rule()
    def wait_for_the_raise(self) -> None:
        for _ in range(4):
            self.world.pass_time(25)
            self.work(2)

    @rule(restart=st.booleans())
    def killed(self, restart: bool) -> None:
        self.moved("killed")
        self.world.stop()
        if restart:
            self.world.start()
            self.work()

    @precondition(lambda self: self.world.operator is None)
    @rule()
    def started(self) -> None:
        self.world.start()
        self.work()

    @rule(call=st.integers(1, 12), committed=st.booleans())
    def killed_at_a_request(self, call: int, committed: bool) -> None:
        """Before it is sent, or after it was carried out and before the answer."""
        self.moved("killed at a request")

        def die(number: int) -> None:
            if number == call:
                self.world.cluster.before = self.world.cluster.after = dead
                raise Crashed

        def dead(number: int) -> None:
            raise Crashed

        if self.world.operator is not None:
            self.world.cluster.calls = 0
            if committed:
                self.world.cluster.after = die
            else:
                self.world.cluster.before = die
            self.world.work()
            self.model.look()
            if self.world.operator is not None:
                self.world.cluster.before = self.world.cluster.after = _nobody

    @rule(call=st.integers(1, 8), where=targets, floor=floors)
    def somebody_is_quicker(self, call: int, where: tuple[str, str], floor: int) -> None:
        """An edit between what the operator reads and what it writes."""
        self._interrupt(call, lambda: self._edit(where, 0, floor))

    @rule(call=st.integers(1, 8), where=targets)
    def gitops_is_quicker(self, call: int, where: tuple[str, str]) -> None:
        self._interrupt(call, lambda: self._revert(where))

    @rule(call=st.integers(1, 10))
    def a_request_fails(self, call: int) -> None:
        def fail() -> None:
            raise Unavailable("no answer", 503)

        self._interrupt(call, fail)

    @rule()
    def watches_lag(self) -> None:
        self.moved("lag")
        self.world.lagging = not self.world.lagging

    @rule(rps=st.sampled_from([None, 0.0, 10.0, 450.0, 900.0]))
    def demand_is(self, rps: float | None) -> None:
        self.world.demand.rps = rps

    # people who own targets

    @rule(where=targets, floor=floors)
    def edit_floor(self, where: tuple[str, str], floor: int) -> None:
        self.moved("edit")
        self._edit(where, 0, floor)
        self.world.deliver()

    @rule(where=st.sampled_from([HPA, SCALED]), most=ceilings)
    def edit_ceiling(self, where: tuple[str, str], most: int) -> None:
        self.moved("edit")
        self._edit(where, 1, most)
        self.world.deliver()

    @rule(where=targets)
    def self_heal(self, where: tuple[str, str]) -> None:
        self.moved("self-heal")
        self._revert(where)
        self.work(1)

    @rule(where=targets, times=st.integers(4, 6))
    def self_heal_each_time(self, where: tuple[str, str], times: int) -> None:
        """Every few seconds, as Argo CD does, while the operator looks as often."""
        self.moved("self-heal loop")
        for _ in range(times):
            self._revert(where)
            self.world.pass_time(5)
            self.work(2)

    @rule(where=targets)
    def delete_and_recreate(self, where: tuple[str, str]) -> None:
        self.moved("recreate")
        if self._raw(where) is not None:
            self.world.api.delete("admin", where[0], NAMESPACE, where[1])
            git = self.git[where]
            assert git is not None
            fresh = {key: git[key] for key in ("apiVersion", "kind")} | {"spec": git["spec"]}
            self.world.api.create("argocd", fresh | {"metadata": shop.metadata(where[1])})
        self.world.deliver()

    @rule()
    def autoscaler_comes_or_goes(self) -> None:
        """The HPA of the web tier is taken away, or is back."""
        self.moved("autoscaler")
        if self._raw(HPA) is None:
            self.world.api.create("argocd", shop.hpa("web", 2, 20))
        else:
            self.world.api.delete("admin", *(HPA[0], NAMESPACE, HPA[1]))
        self.work(1)

    @rule()
    def keda_writes_its_hpa(self) -> None:
        """KEDA makes an HPA of the ScaledObject and keeps it as the ScaledObject says."""
        self.moved("KEDA")
        raw = self._raw(SCALED)
        if raw is None:
            return
        least, most = raw["spec"].get("minReplicaCount", 1), raw["spec"].get("maxReplicaCount", 100)
        made = shop.hpa("keda-hpa-search", max(1, least), max(1, most, least))
        made["spec"]["scaleTargetRef"]["name"] = "search"
        made["metadata"]["ownerReferences"] = [
            {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "search"}
        ]
        try:
            self.world.api.create("keda-operator", made)
        except ApiError:
            self.world.api.patch("keda-operator", made["kind"], NAMESPACE, "keda-hpa-search", {"spec": made["spec"]})
        self.world.deliver()

    @rule(name=st.sampled_from(["web", "search"]), replicas=st.sampled_from([1, 4, 9]))
    def autoscaler_scales(self, name: str, replicas: int) -> None:
        if self._raw(("Deployment", name)) is not None and not (name == "web" and self._raw(HPA) is None):
            self.world.api.scale("kube-controller-manager", "Deployment", NAMESPACE, name, replicas)

    # people who own campaigns

    @rule(
        name=names,
        ahead=st.sampled_from([-30, 10, 90]),
        lasts=st.sampled_from([120, 600]),
        peak=st.sampled_from([300, 900]),
    )
    def declare(self, name: str, ahead: int, lasts: int, peak: int) -> None:
        self.moved("campaign")
        start = self.world.now + timedelta(seconds=ahead)
        raw = shop.campaign(name, start, start + timedelta(seconds=lasts), peak)
        if self._raw(("Campaign", name)) is None:
            self.world.api.create("marketing", raw)
        else:
            self.world.api.patch("marketing", "Campaign", NAMESPACE, name, {"spec": raw["spec"]})
        self.work(1)

    @rule(name=names, suspend=st.booleans())
    def suspend(self, name: str, suspend: bool) -> None:
        self.moved("suspend")
        if self._raw(("Campaign", name)) is not None:
            self.world.api.patch("marketing", "Campaign", NAMESPACE, name, {"spec": {"suspend": suspend}})
        self.work(1)

    @rule(name=names)
    def cancel(self, name: str) -> None:
        self.moved("cancel")
        if self._raw(("Campaign", name)) is not None:
            self.world.api.delete("marketing", "Campaign", NAMESPACE, name)
        self.work(1)

    @rule()
    def plan_is_deleted(self) -> None:
        self.moved("plan deleted")
        if self._raw(("CapacityPlan", "main")) is not None:
            self.world.api.delete("admin", "CapacityPlan", NAMESPACE, "main")
        self.work(1)

    # what must hold

    @invariant()
    def nothing_is_wrong(self) -> None:
        self.model.look()
        assert not self.model.faults, self.model.faults[:5]
        assert not self.world.stumbled, self.world.stumbled[:5]

    def teardown(self) -> None:
        """Everybody stops; campaigns end; the operator is given time. Then all must be as its owners want it."""
        try:
            self._end()
        finally:
            self.world.close()

    def _end(self) -> None:
        world = self.world
        world.lagging, world.demand.rps = False, 10.0
        for name in CAMPAIGNS:
            if self._raw(("Campaign", name)) is not None:
                world.api.delete("marketing", "Campaign", NAMESPACE, name)
        if world.operator is None:
            world.start()
        for _ in range(SETTLED):
            world.pass_time(20)
            self.work(1)
            plan = self._raw(("CapacityPlan", "main"))
            if plan is not None and not plan.get("status", {}).get("ledger") and not self.model.ended():
                break
        self.work(2)
        assert not world.stumbled, world.stumbled[:5]
        left = self.model.ended()
        assert not left, left[:8]
        Tally.lives += 1
        Tally.moves["raise of ours"] += self.model.raises
        Tally.moves["edit of theirs"] += self.model.foreign_edits

    def moved(self, what: str) -> None:
        Tally.moves[what] += 1

    def work(self, rounds: int = 3) -> None:
        self.world.work(rounds)
        self.model.look()

    def _interrupt(self, call: int, act) -> None:
        self.moved("interrupt")

        def before(number: int) -> None:
            if number == call:
                act()

        if self.world.operator is not None:
            cluster = self.world.cluster
            cluster.calls, cluster.before = 0, before
            self.work()
            cluster.before = _nobody

    def _raw(self, where: tuple[str, str]):
        return self.world.get(*where)

    def _edit(self, where: tuple[str, str], bound: int, value: int) -> None:
        kind, name = where
        raw = self._raw(where)
        if raw is None:
            return
        if kind == "StatefulSet":
            self.world.api.scale("kubectl-scale", kind, NAMESPACE, name, value)
            return
        names = BOUNDS[kind]
        spec = {names[bound]: value}
        other = raw["spec"].get(names[1 - bound])
        if other is not None and (value > other if bound == 0 else value < other):
            spec[names[1 - bound]] = value  # whoever edits one bound past the other edits both
        if kind == "HorizontalPodAutoscaler" and 0 in spec.values():
            return  # the API server says no
        self.world.api.patch("kubectl-edit", kind, NAMESPACE, name, {"spec": spec})

    def _revert(self, where: tuple[str, str]) -> None:
        """What stands in Git is applied again."""
        raw, git = self._raw(where), self.git[where]
        if raw is None or git is None:
            return
        spec = {name: git["spec"].get(name) for name in BOUNDS[where[0]]}
        self.world.api.patch("argocd", where[0], NAMESPACE, where[1], {"spec": spec})


def _nobody(call: int) -> None:
    """Nothing happens."""


def play(examples: int, seed: int | None = None) -> None:
    """So many interleavings; AssertionError with the shortest that goes wrong."""
    chosen = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    machine = Antagonists
    if seed is not None:
        machine = type("Antagonists", (Antagonists,), {"_hypothesis_internal_use_seed": seed})
    run_state_machine_as_test(machine, settings=chosen)


def figure(lives: int, batches: int, moves: Counter[str], failure: str) -> Figure:
    made = ", ".join(f"{count:,} {what}" for what, count in moves.most_common())
    value = f"{lives:,} interleavings ({made}): " + (failure or "0 foreign edits lost, 0 raises left")
    goal = f">= {EXAMPLES:,} interleavings: 0 foreign edits lost, 0 raises left, Contested after <= 3 writes"
    met = not failure and lives >= EXAMPLES
    return Figure("antagonists", "antagonists, in memory", goal, value, met, f"0..{batches - 1}", COMMAND)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=EXAMPLES)
    parser.add_argument("--minutes", type=float, default=600.0, help="begin no batch after so many minutes")
    parser.add_argument("--seed", type=int, help="only this batch")
    parser.add_argument("--fresh", action="store_true", help="from the first batch on")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        play(BATCH, arguments.seed)
        return 0
    progress = Progress("antagonists", fresh=arguments.fresh)
    known = {"batches": 0, "lives": 0, "moves": {}} | progress.read()
    batches, failure, until = known["batches"], "", time.monotonic() + arguments.minutes * 60
    Tally.lives, Tally.moves = known["lives"], Counter(known["moves"])
    while Tally.lives < arguments.examples and time.monotonic() < until and not failure:
        try:
            play(BATCH, batches)
        except Exception as error:  # noqa: BLE001  # told below, whatever it is
            traceback.print_exc()
            failure = f"batch {batches} found: " + " ".join(str(error).split())[:200]
            continue
        batches += 1
        progress.keep({"batches": batches, "lives": Tally.lives, "moves": Tally.moves})
        print(f"{Tally.lives:,} of {arguments.examples:,} interleavings", file=sys.stderr)
    found = figure(Tally.lives, batches, Tally.moves, failure)
    found.write()
    print(found)
    return not found.met


if __name__ == "__main__":
    sys.exit(main())
