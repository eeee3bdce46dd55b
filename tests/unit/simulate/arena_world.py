"""Small scenarios for the tests of the arena, and the loops it is checked against: pod by pod, tick by tick."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from forerun.domain.campaign import Campaign, CampaignType, Expected, Key, Occurrence, Schedule
from forerun.domain.forecast import EventWindow
from forerun.domain.observation import DemandSeries
from forerun.domain.storefront import Role, Storefront, TargetRef, Tier
from forerun.simulate.arena import Entrant, Setting, compete
from forerun.simulate.scenario import Scenario, World

START = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
CALM = World(jitter=0.0)


def tier(name="web", **fields) -> Tier:
    given = {
        "role": Role.WEB,
        "target": TargetRef("apps/v1", "Deployment", name),
        "capacity_per_replica_rps": 10.0,
        "max_replicas": 1000,
        "min_replicas": 2,
        "lead_time_seconds": 60.0,
    }
    return Tier(name=name, **{**given, **fields})


def scenario(door, *tiers, tick_seconds=5.0, **fields) -> Scenario:
    door = np.asarray(door, dtype=np.float64)
    storefront = Storefront(Key("arena", "shop"), "uid", 1, "default", "demand", "requests", tiers or (tier(),))
    given = {"name": "made", "group": "made", "campaigns": (), "start": START, "known": np.ones(door.size, bool)}
    return Scenario(storefront=storefront, tick_seconds=tick_seconds, door_rps=door, **{**given, **fields})


def campaign(start_seconds, length_seconds, name="sale", kind=CampaignType.FLASH_SALE, **fields) -> Campaign:
    begin = START.replace(tzinfo=None) + timedelta(seconds=start_seconds)
    schedule = Schedule("+00:00", begin, duration_seconds=float(length_seconds))
    return Campaign(Key("arena", name), name, 1, "shop", kind, schedule, **fields)


def window(start_seconds, length_seconds, name="sale", expected=None, kind=CampaignType.FLASH_SALE) -> EventWindow:
    begin = START + timedelta(seconds=start_seconds)
    return EventWindow(name, kind, Occurrence(begin, begin + timedelta(seconds=length_seconds)), expected or Expected())


def busy_days(days=15, level=100.0, seed=1, events=()) -> DemandSeries:
    """Up to START, in bins of 5 min: a wave each day, some noise, and 4 times as much inside the windows `events`."""
    size = days * 288
    hours = np.arange(size) / 12.0
    values = level * (1.0 + 0.4 * np.sin(2.0 * np.pi * hours / 24.0))
    values *= np.random.default_rng(seed).lognormal(0.0, 0.05, size)
    begin = START - timedelta(days=days)
    for event in events:
        first = int((event.occurrence.start - begin).total_seconds() // 300)
        last = int((event.occurrence.end - begin).total_seconds() // 300)
        values[first:last] *= 4.0
    return DemandSeries(begin, 300.0, tuple(values.tolist()))


def no_answer(requests):
    raise AssertionError("nobody was to ask for a forecast")


def run(entrants, world=CALM, answer=no_answer):
    return list(compete(entrants, world, answer, record=True))


def recorded(entrant, world=CALM, answer=no_answer, name="web"):
    (result,) = run([entrant], world, answer)
    return result.recorded[name]


def arm(made, floors=None, target=0.7, policy="arm", **setting) -> Entrant:
    return Entrant(made, policy, Setting(target, **setting), {} if floors is None else floors)


def altered(made, tick, factor=3.0) -> Scenario:
    """Another demand from `tick` on, and nothing else."""
    door = made.door_rps.copy()
    door[tick:] = factor * door[tick:] + 50.0
    return replace(made, door_rps=door)


class NaivePods:
    """Each pod is the tick at which it is Ready."""

    def __init__(self, initial, lead, jitter=0.0, phase=0, slots=None, node_ticks=0):
        self.ready_at = [-1] * initial
        middles = (-1.1503, -0.3186, 0.3186, 1.1503)  # z of the middles of four equal slices of a normal distribution
        self.delays = [max(min(lead, 1), round(lead * math.exp(jitter * z))) for z in middles]
        self.phase, self.node_ticks = phase, node_ticks
        self.slots = math.inf if slots is None or not node_ticks else max(slots, initial)
        self.nodes = []  # (tick, slots from then on)

    def ready(self, tick):
        return sum(at <= tick for at in self.ready_at)

    def scale(self, tick, replicas):
        for when, slots in self.nodes:
            if when <= tick:
                self.slots = max(self.slots, slots)
        standing, more = len(self.ready_at), replicas - len(self.ready_at)
        if more > 0:
            self.nodes.append((tick + self.node_ticks, replicas))
            warm = int(min(max(self.slots - standing, 0), more))
            for count, wait in ((warm, 0), (more - warm, self.node_ticks)):
                for portion, delay in enumerate(self.delays):
                    part = (count + (self.phase + tick + portion) % 4) // 4
                    self.ready_at += [tick + delay + wait] * part
        for _ in range(-more):
            self.ready_at.remove(max(self.ready_at))


def naive_run(made, shown_rps, world, floors, hpa_sync=None, initial=0, lead=0):
    """One tier with one lane: per tick (desired, ready, missing), and the sums; `hpa_sync(tick, ...)` None: floors."""
    one = made.storefront.tiers[0]
    pods, replicas = NaivePods(initial, lead, world.jitter, made.seed + world.seed), initial
    again, rows, sums, before = 0.0, [], dict.fromkeys(("replica_seconds", "unserved", "demand", "churn"), 0.0), initial
    every = max(1, round(world.sync_seconds / made.tick_seconds))
    for tick, door in enumerate(made.door_rps.tolist()):
        floor = max(int(floors[tick]), one.min_replicas)
        if hpa_sync is None:
            replicas = min(floor, one.max_replicas)
        elif tick % every == 0:
            replicas = hpa_sync(
                tick * made.tick_seconds, replicas, pods.ready(tick), shown_rps[tick], min(floor, one.max_replicas)
            )
        pods.scale(tick, replicas)
        ready, demand = pods.ready(tick), door * one.demand_per_request
        missing = max(demand + again - ready * one.capacity_per_replica_rps, 0.0)
        again = world.retry_share * missing
        rows.append((replicas, ready, missing))
        if tick >= made.judged_from:
            sums["replica_seconds"] += made.tick_seconds * replicas
            sums["unserved"] += made.tick_seconds * (missing - again)
            sums["demand"] += made.tick_seconds * demand
            sums["churn"] += abs(replicas - before) if tick > made.judged_from else 0
        before = replicas
    return rows, sums
