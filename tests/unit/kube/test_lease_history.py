"""What a process learns from the Lease beside holding it: who came before, and whether etcd went back in time."""

import copy

from forerun.kube.errors import Conflict, NotFound
from forerun.kube.lease import Leadership


class OneLease:
    """As much of the API server as one Lease needs, with its guard."""

    def __init__(self):
        self.raw = None
        self.version = 100

    async def get_lease(self, namespace, name):
        if self.raw is None:
            raise NotFound("no lease", 404)
        return copy.deepcopy(self.raw)

    async def put_lease(self, lease, *, create):
        seen = lease["metadata"].get("resourceVersion")
        if create is (self.raw is not None) or (self.raw and seen != self.raw["metadata"]["resourceVersion"]):
            raise Conflict("lease", 409)
        self.version += 1
        metadata = {**lease["metadata"], "uid": "lease", "resourceVersion": str(self.version)}
        self.raw = {**copy.deepcopy(dict(lease)), "metadata": metadata}
        return copy.deepcopy(self.raw)


class Process:
    def __init__(self, cluster, identity, clock):
        self.leadership = Leadership(cluster, "n", "forerun", identity, lease_duration_seconds=15.0, clock=clock)

    async def round(self):
        return await self.leadership._election.try_acquire_or_renew()


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


async def test_a_predecessor_that_released_the_lease_has_not_fallen_silent():
    cluster, clock = OneLease(), Clock()
    first, second = Process(cluster, "a", clock), Process(cluster, "b", clock)
    assert await first.round()
    assert not first.leadership.predecessor_fell_silent
    await first.leadership.release()
    assert await second.round()
    assert not second.leadership.predecessor_fell_silent


async def test_a_predecessor_whose_lease_ran_out_has_fallen_silent():
    cluster, clock = OneLease(), Clock()
    first, second = Process(cluster, "a", clock), Process(cluster, "b", clock)
    assert await first.round()
    assert not await second.round()
    clock.now = 16.0
    assert await second.round()
    assert second.leadership.predecessor_fell_silent
    assert second.leadership.epoch == 2
    assert await second.round(), "renewed"
    assert second.leadership.predecessor_fell_silent


async def test_the_same_process_started_again_has_nobody_before_it():
    """The container of the same pod: the process before it is certainly dead."""
    cluster, clock = OneLease(), Clock()
    assert await Process(cluster, "a", clock).round()
    again = Process(cluster, "a", clock)
    assert await again.round()
    assert again.leadership.epoch == 2
    assert not again.leadership.predecessor_fell_silent


async def test_a_lease_that_runs_back_in_time_is_lost():
    """etcd was restored from a snapshot: what this process remembers is not so any more."""
    cluster, clock = OneLease(), Clock()
    process = Process(cluster, "a", clock)
    assert await process.round()
    snapshot = copy.deepcopy(cluster.raw)
    assert await process.round()
    cluster.raw = snapshot
    assert not await process.round()
    assert not process.leadership.holds()
