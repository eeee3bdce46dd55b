"""Room ahead of pods: how much, from when on, and when it is gone."""

from dataclasses import replace

import pytest
from hypothesis import strategies as st
from tests.properties.plan_world import at, given, make_campaign, make_state, make_tier, preview

from forerun.domain.capacity import CapacityPlan, Step
from forerun.domain.reason import Reason
from forerun.domain.storefront import CapacityAhead
from forerun.plan.capacity_ahead import room_ahead, room_moments

DROP = make_campaign()  # start 3600, end 7200, held until 7800
RECO = make_tier("reco", ahead=CapacityAhead(lead_seconds=900.0))


def plan_of(*steps):
    made = tuple(
        Step(at(when), "reco", floor, reason, ("drop",)) for when, floor, reason in sorted(steps, key=lambda s: s[0])
    )
    return CapacityPlan("main", at(0), at(8000), made)


PLAN = plan_of((3450, 10, Reason.CAMPAIGN), (3510, 16, Reason.CAMPAIGN), (7800, 2, Reason.RELEASING))


def room(now, floor=2, plan=PLAN, tier=RECO, campaigns=(DROP,), **fields):
    return room_ahead(tier, make_state("reco", 2, floor, **fields), plan, campaigns, at(now))


def test_none_before_the_nodes_have_to_be_asked_for():
    assert room(2549) is None
    assert room(2550).replicas == 8
    assert room(2550).until == at(7800)


def test_a_later_raise_within_the_lead_counts_in_full():
    assert room(2610).replicas == 14


def test_each_raise_takes_its_part_and_the_last_one_the_rest():
    assert room(3460, floor=10).replicas == 6
    assert room(3520, floor=16) is None


def test_a_raise_that_is_due_and_held_keeps_its_room():
    assert room(3600, floor=2).replicas == 14


def test_replicas_that_an_autoscaler_has_anyway_need_no_room():
    assert room(2700, desired=12).replicas == 4
    assert room(2700, desired=40) is None


def test_no_more_than_the_tier_may_have():
    assert room(2700, tier=replace(RECO, max_replicas=7)).replicas == 5


@pytest.mark.parametrize(
    "fields",
    [
        {"tier": make_tier("reco")},
        {"plan": None},
        {"plan": plan_of()},
        {"plan": plan_of((3450, 2, Reason.RELEASING))},
        {"campaigns": ()},
    ],
)
def test_none_where_nobody_asks(fields):
    assert room(2700, **fields) is None


def test_none_after_the_end():
    assert room(7800, floor=2) is None
    assert room(9000, floor=2) is None


def test_a_preview_has_no_steps_and_so_no_room():
    assert room(2700, plan=plan_of(), campaigns=(preview(DROP),)) is None


def test_it_is_looked_at_as_long_before_each_step_as_nodes_take():
    found = room_moments(type("S", (), {"tiers": (RECO,)})(), PLAN)
    assert found == [at(2550), at(2610), at(6900)]


STEPS = st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 80), st.sampled_from(Reason)), max_size=6)


@given(STEPS, st.integers(0, 60), st.integers(0, 60), st.integers(0, 10_000))
def test_room_and_floor_together_are_never_more_than_the_plan_or_the_tier_asks_for(steps, floor, desired, now):
    plan = plan_of(*steps)
    found = room(now, floor=floor, plan=plan, desired=desired)
    if found is None:
        return
    assert found.replicas > 0
    most = min(RECO.max_replicas, max(step.floor for step in plan.steps))
    assert found.replicas + max(floor, desired) <= most
    assert found.until > at(now)
