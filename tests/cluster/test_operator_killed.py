"""SIGKILL in each phase of a campaign at once, and fail-over between two operators: the same end state."""

from functools import partial

from tests.cluster.scenario import Stage, is_one_raise, scenario, soon
from tests.cluster.shop import campaign

HPA = "HorizontalPodAutoscaler"
PHASES = {
    # lead time, of the pods really, seconds until the start, seconds until the end
    "Scheduled": ("3s", "0s", 90, 105),
    "Warming": ("60s", "55s", 82, 90),
    "Armed": ("45s", "0s", 62, 70),
    "Live": ("3s", "0s", 12, 66),
    "Releasing": ("3s", "0s", 12, 22),
}


async def killed_in_each_phase(stage: Stage) -> None:
    """Five campaigns, one in each phase, when the operator is killed; one plan is lost meanwhile.

    Then two operators at once: one leads, and is killed in its turn; the other takes over. Each
    floor is written once up and once down, whoever did it.
    """
    make = partial(stage.world.make_operator, system=stage.namespace, namespaces=[stage.namespace])
    first = make("first")
    second, third = make("second"), make("third")
    try:
        await first.start()
        await stage.warm_up()
        for phase, (lead, delay, _, _) in PHASES.items():
            await stage.small_shop(phase.lower(), lead=lead, ready_delay=delay)
        for phase, (_, _, start, end) in PHASES.items():
            await stage.create(campaign(phase.lower(), phase.lower(), soon(start), soon(end)))
        await stage.until(
            lambda: (
                all(stage.phase(phase.lower()) == phase for phase in PHASES)
                and all(stage.floor(HPA, phase.lower()) > 2 for phase in PHASES if phase != "Scheduled")
            ),
            "one campaign in each phase",
        )
        await first.kill()
        await stage.delete("CapacityPlan", "armed")  # what the ledger said stands on the target too
        await second.start(wait=False)
        await third.start(wait=False)
        leader = await stage.until(lambda: _leader(stage, second, third), "one of the two leads")
        await stage.until_phase("armed", "Live", "Releasing", "Completed")
        await stage.until_raised(HPA, "scheduled")
        await leader.kill()
        other = third if leader is second else second
        await stage.until(lambda: _leader(stage, other), "the other one takes over")
        await stage.until_over(*(phase.lower() for phase in PHASES))
        assert other.runs
        for phase in PHASES:
            floors = stage.floors(HPA, phase.lower())
            assert is_one_raise(floors), (phase, floors)
            assert not stage.ledger(phase.lower())
        code = await other.stop()
        assert code == 0, other.last_words()
    finally:
        for operator in (first, second, third):
            await operator.kill()


def _leader(stage: Stage, *operators):
    """The one of `operators` that holds the Lease, if it does."""
    holders = [lease["spec"].get("holderIdentity") for lease in stage.world.observer.all("Lease", stage.namespace)]
    return next((operator for operator in operators if operator.runs and operator.identity in holders), None)


killed_in_each_phase.__name__ = "test_killed_in_each_phase"
test_killed_in_each_phase = scenario(killed_in_each_phase, own_operator=True)
