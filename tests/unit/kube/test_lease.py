"""The fence, rule by rule, on an API server in memory and a clock that the test moves."""

from datetime import UTC, datetime

import pytest
from tests.faults.memory_api import MemoryApi, MemoryCluster

from forerun.kube.errors import Forbidden
from forerun.kube.lease import Leadership

DURATION = 15.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Election:
    """Any number of processes that want the same Lease."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.api = MemoryApi(lambda: datetime.now(UTC))

    def process(self, name: str) -> Leadership:
        cluster = MemoryCluster(self.api, name)
        return Leadership(cluster, "system", "forerun", name, lease_duration_seconds=DURATION, clock=self.clock)

    @property
    def lease(self) -> dict:
        return self.api.get("Lease", "system", "forerun")["spec"]


@pytest.fixture
def election() -> Election:
    return Election()


async def tries(process: Leadership) -> bool:
    return await process._election.try_acquire_or_renew()


async def test_the_first_holds_it_with_epoch_one(election):
    first = election.process("first")
    assert not first.holds()
    assert first.epoch == 0
    assert await tries(first)
    assert first.holds()
    assert (first.epoch, election.lease["leaseTransitions"], election.lease["holderIdentity"]) == (1, 1, "first")


async def test_a_renewal_keeps_the_epoch_and_the_time_of_taking(election):
    first = election.process("first")
    await tries(first)
    taken = election.lease["acquireTime"]
    election.clock.now += 10
    assert await tries(first)
    assert (first.epoch, election.lease["acquireTime"]) == (1, taken)
    election.clock.now += DURATION - 1
    assert first.holds()


async def test_it_holds_no_longer_than_its_duration_without_a_renewal(election):
    first = election.process("first")
    await tries(first)
    election.clock.now += DURATION - 0.001
    assert first.holds()
    election.clock.now += 0.001
    assert not first.holds()


async def test_nobody_takes_what_is_renewed(election):
    first, second = election.process("first"), election.process("second")
    await tries(first)
    for _ in range(20):
        assert not await tries(second)
        election.clock.now += DURATION * 2 / 3
        assert await tries(first)
    assert not second.holds()


async def test_who_sees_it_late_waits_the_whole_duration_from_then(election):
    """When the last renewal was is not known: it is counted from the moment that it was first seen."""
    first, second = election.process("first"), election.process("second")
    await tries(first)
    election.clock.now += DURATION * 5
    assert not await tries(second)
    election.clock.now += DURATION
    assert not await tries(second)
    election.clock.now += 0.001
    assert await tries(second)


async def test_the_next_holder_has_a_later_epoch_and_the_one_before_has_lost(election):
    first, second = election.process("first"), election.process("second")
    await tries(first)
    await tries(second)
    election.clock.now += DURATION + 1
    assert await tries(second)
    assert (second.epoch, second.holds(), election.lease["leaseTransitions"]) == (2, True, 2)
    assert not first.holds()
    assert not await tries(first)
    assert first.epoch == 0
    assert election.lease["holderIdentity"] == "second"


async def test_two_never_hold_it_at_one_time(election):
    """The holder counts from before its renewal was sent, the other from after it was read: slow answers widen the gap."""
    first, second = election.process("first"), election.process("second")
    await tries(first)
    await tries(second)

    def slow(call: int) -> None:
        election.clock.now += 4.0

    first._lock._cluster.after = slow
    assert await tries(first)  # two requests, 8 s
    first._lock._cluster.after = lambda call: None
    assert first._election.renewed_at == election.clock.now - 8.0
    assert not await tries(second)
    while not await tries(second):
        election.clock.now += 0.5
        assert not (first.holds() and second.holds())
    assert not first.holds()


async def test_of_two_that_take_at_once_one_gets_it(election):
    first, second = election.process("first"), election.process("second")
    won: list[bool] = []

    def meanwhile(call: int) -> None:
        first._lock._cluster.before = lambda call: None
        second._lock._cluster.api.create("second", _lease("second"))

    first._lock._cluster.before = lambda call: meanwhile(call) if call == 2 else None
    won.append(await tries(first))
    assert won == [False]
    assert not first.holds()


def _lease(holder: str) -> dict:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "forerun", "namespace": "system"},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 7},
    }


async def test_what_is_released_is_free_at_once_with_the_next_epoch(election):
    first, second = election.process("first"), election.process("second")
    await tries(first)
    await first.release()
    assert not first.holds()
    assert election.lease["holderIdentity"] == ""
    assert await tries(second)
    assert second.epoch == 2


async def test_releasing_what_another_holds_changes_nothing(election):
    first, second = election.process("first"), election.process("second")
    await tries(first)
    await tries(second)
    election.clock.now += DURATION + 1
    await tries(second)
    await first.release()
    assert election.lease["holderIdentity"] == "second"


async def test_a_lease_that_was_deleted_is_lost_and_the_epoch_goes_on(election):
    first, second = election.process("first"), election.process("second")
    await tries(first)
    await tries(second)
    election.api.delete("admin", "Lease", "system", "forerun")
    assert not await tries(first)
    assert not first.holds()
    assert await tries(second)
    assert second.epoch == 2


async def test_an_epoch_that_a_ledger_knows_is_exceeded(election):
    """The Lease was lost with its namespace; the ledgers were not."""
    first = election.process("first")
    first.note_epoch(41)
    first.note_epoch(7)
    await tries(first)
    assert first.epoch == 42


async def test_a_write_of_another_in_between_is_a_lost_round(election):
    first = election.process("first")
    await tries(first)
    cluster = first._lock._cluster
    cluster.calls = 0

    def steal(call: int) -> None:
        if call == 2:
            election.api.patch("thief", "Lease", "system", "forerun", {"spec": {"holderIdentity": "thief"}})

    cluster.before = steal
    assert not await tries(first)
    cluster.before = lambda call: None
    assert not await tries(first)
    assert first.epoch == 0


# who acts once: `seize` and `keep`


@pytest.fixture
def wait(election, monkeypatch):
    """Instead of sleeping, the clock moves; `during` are what others do meanwhile, one after the other."""
    during = []

    async def sleep(seconds: float) -> None:
        election.clock.now += seconds
        if during:
            await during.pop(0)()

    monkeypatch.setattr("forerun.kube.lease.asyncio.sleep", sleep)
    return during


async def test_a_free_lease_is_seized_at_once(election, wait):
    job = election.process("job")
    assert await job.seize() == ""
    assert job.holds()
    assert election.clock.now == 1000.0


async def test_a_dead_holder_is_waited_for_and_the_epoch_goes_on(election, wait):
    operator, job = election.process("operator"), election.process("job")
    await tries(operator)
    assert await job.seize() == ""
    assert election.clock.now >= 1000.0 + DURATION
    assert (job.epoch, operator.holds()) == (2, False)


async def test_a_living_holder_is_told(election, wait):
    operator, job = election.process("operator"), election.process("job")
    await tries(operator)

    async def renew() -> None:
        await tries(operator)

    wait.append(renew)
    assert await job.seize() == "operator"
    assert not job.holds()
    assert operator.holds()


async def test_without_the_right_it_is_said_at_once(election, wait):
    job = election.process("job")

    def refuse(number: int) -> None:
        raise Forbidden("get Lease: not allowed", 403)

    job._lock._cluster.before = refuse
    with pytest.raises(Forbidden):
        await job.seize()
    assert election.clock.now == 1000.0


async def test_kept_while_the_work_lasts_and_free_after_it(election):
    job, operator = election.process("job"), election.process("operator")
    await job.seize()

    async def work() -> str:
        assert job.holds()
        return "done"

    assert await job.keep(work()) == "done"
    assert election.lease["holderIdentity"] == ""
    assert await tries(operator)
    assert operator.epoch == 2


async def test_free_also_where_the_work_fails(election):
    job = election.process("job")
    await job.seize()

    async def work() -> None:
        raise Forbidden("patch: not allowed", 403)

    with pytest.raises(Forbidden):
        await job.keep(work())
    assert election.lease["holderIdentity"] == ""
