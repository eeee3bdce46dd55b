"""A sharded store comes down only while its own operator says that it may."""

import pytest
from tests.properties.plan_world import at, make_campaign, make_entry, make_state, make_storefront, make_tier

from forerun.domain.capacity import FloorDecision
from forerun.domain.observation import Sample
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Role, ShrinkWhen, TargetRef
from forerun.plan.due import decide
from forerun.plan.inputs import DueInput

STORE = make_tier(
    "store",
    role=Role.CACHE,
    shrink_when=ShrinkWhen(TargetRef("valkey.io/v1alpha1", "ValkeyCluster", "shop"), ("status",), "Ready"),
)


@pytest.mark.parametrize("may_shrink", [True, False, None])
@pytest.mark.parametrize("now", [9000, 300_000])  # after the hold; after the expiry
def test_it_comes_down_only_with_its_operator_s_word(may_shrink, now):
    state = make_state(STORE, 2, 10, may_shrink=may_shrink)
    entry = make_entry("store", 10, changed_at=at(3000))
    live = tuple(Sample(at(now - 5 * n), 10.0) for n in range(5, -1, -1))
    (outcome,) = decide(
        DueInput(at(now), make_storefront(STORE), None, (make_campaign(),), (state,), live, ledger=(entry,))
    )
    if may_shrink:
        assert isinstance(outcome, FloorDecision)
        assert outcome.floor < 10
    else:
        assert isinstance(outcome, Hold)
        assert outcome.reason is Reason.SLOTS_NOT_MOVED
