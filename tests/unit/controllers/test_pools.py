"""Who is in a pool with whom, and how much place there is beside them."""

from dataclasses import replace

import pytest
from tests.properties.plan_world import NOON, at, make_campaign, make_entry, make_state, make_tier

from forerun.controllers.index import Index, Record
from forerun.controllers.pools import Pools
from forerun.controllers.state import StorefrontState
from forerun.domain.campaign import Key
from forerun.domain.capacity import CapacityPlan, FloorDecision, Step
from forerun.domain.policy import Policy, Pool
from forerun.domain.reason import Reason
from forerun.domain.stock import Piece, Quota, Stock, Supply
from forerun.domain.storefront import Accelerator, Storefront
from forerun.plan.arbitration import ask_of

GPU = "nvidia.com/gpu"
POLICY = Policy("gpus", pools=(Pool("a10", GPU, 12),))
TIER = make_tier("reco", accelerator=Accelerator(GPU, 1, "a10"))
MAIN, OUTLET, ALIEN = Key("shop", "main"), Key("outlet", "main"), Key("lab", "main")


class Reading:
    """What was read of the cluster: no nodes here, but what each test says."""

    def __init__(self):
        self.found = Supply()

    def supply(self, storefront, policy):
        return self.found


def shop(key, *tiers):
    return Storefront(key, f"uid-{key}", 1, "default", "x", "requests", tiers or (TIER,))


def state(key, policy=POLICY, **fields):
    found = StorefrontState(storefront=shop(key), policy=policy, tiers=(make_state("reco", 2, **fields),))
    found.asks = (ask_of(key, TIER, 2, (Piece(0, 10, 6, 0),)),)
    return found


@pytest.fixture
def reading():
    return Reading()


@pytest.fixture
def states():
    return {MAIN: state(MAIN), OUTLET: state(OUTLET), ALIEN: state(ALIEN, Policy("lab", pools=POLICY.pools))}


@pytest.fixture
def pools(reading, states):
    return Pools(reading, Index(), states)


def test_rivals_are_those_of_the_same_policy_s_pool(pools):
    rivals = pools.supply(shop(MAIN), POLICY).rivals
    assert [(rival.storefront, rival.baseline, rival.pieces[0].replicas) for rival in rivals] == [(OUTLET, 2, 6)]
    assert pools.sharing(shop(MAIN), POLICY) == (OUTLET,)


def test_a_storefront_without_accelerators_has_no_rivals(pools):
    assert pools.supply(shop(MAIN, make_tier("web")), POLICY) == Supply()


def test_room_is_what_others_leave(pools, states, reading):
    assert pools.room(shop(MAIN), POLICY, NOON) == {"reco": 10}
    states[OUTLET].tiers = (make_state("reco", 2, 2, desired=2, ready=9),)  # going down, and still there
    assert pools.room(shop(MAIN), POLICY, NOON) == {"reco": 3}
    reading.found = Supply((Stock("a10", GPU, 12, others=2),))
    assert pools.room(shop(MAIN), POLICY, NOON) == {"reco": 1}


def test_what_is_owed_or_being_written_is_not_free(pools, states):
    step = Step(at(-60), "reco", 5, Reason.CAMPAIGN, ("drop",))
    states[OUTLET].plan = CapacityPlan("main", NOON, at(9000), (step,))
    states[OUTLET].campaigns = (make_campaign(),)
    assert pools.room(shop(MAIN), POLICY, NOON) == {"reco": 7}
    states[OUTLET].reserved = {"reco": 11}
    assert pools.room(shop(MAIN), POLICY, NOON) == {"reco": 1}


def test_what_is_kept_after_the_end_is_no_surplus_to_be_divided(pools, states):
    states[OUTLET].tiers = (make_state("reco", 2, 8),)
    states[OUTLET].ledger = (make_entry("reco", 8, kept=True),)
    assert pools.supply(shop(MAIN), POLICY).rivals[0].baseline == 8


def test_a_pool_that_nobody_declares_has_no_end(pools):
    assert pools.room(shop(MAIN), Policy(), NOON) == {}


def test_two_tiers_do_not_take_the_same_place(pools, states):
    rank = replace(TIER, name="rank")
    both = shop(MAIN, TIER, rank)
    mine = states[MAIN] = replace(states[MAIN], storefront=both, tiers=(make_state("reco", 2), make_state("rank", 2)))
    floors = [FloorDecision(name, 8, Reason.LIVE_DEMAND) for name in ("reco", "rank")]
    taken, holds = pools.reserve(both, mine, POLICY, floors, NOON)
    assert [decision.tier for decision in taken] == ["reco"]
    assert [(hold.reason, hold.subject, hold.numbers["fits"]) for hold in holds] == [
        (Reason.WAITING_FOR_DONOR, "rank", 2)
    ]
    assert mine.reserved == {"reco": 8}


def test_before_all_in_the_pool_were_seen_there_is_no_room(reading, states):
    index = Index()
    new = Key("shop", "new")
    index.storefronts[new] = Record({}, shop(new))
    pools = Pools(reading, index, states)
    assert pools.room(shop(MAIN), POLICY, NOON) == {"reco": 0}
    states[new] = state(new)
    assert pools.room(shop(MAIN), POLICY, NOON) == {"reco": 8}


def test_a_quota_leaves_room_for_its_own_namespace_only(pools, reading, states):
    reading.found = Supply(quotas=(Quota("gpus", GPU, 5),))
    assert pools.room(shop(MAIN), Policy(), NOON) == {"reco": 5}
    states[Key("shop", "other")] = state(Key("shop", "other"))
    assert pools.room(shop(MAIN), Policy(), NOON) == {"reco": 3}


def test_tiers_of_one_storefront_take_room_from_each_other(pools, states):
    other = replace(TIER, name="rank")
    both = shop(MAIN, TIER, other)
    states[MAIN] = replace(states[MAIN], storefront=both, tiers=(make_state("reco", 2, 4), make_state("rank", 2, 3)))
    assert pools.room(both, POLICY, NOON) == {"reco": 12 - 3 - 2, "rank": 12 - 4 - 2}
