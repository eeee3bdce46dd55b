"""The short form of `make test-faults`: a fixed share of its plans, and each outage once."""

import time

import pytest
from tests.faults import outages, split_brain
from tests.faults.bench import Bench
from tests.faults.carrying import Outcome, carry_out_all
from tests.faults.judge import Evidence
from tests.faults.lane import Lane
from tests.faults.plans import all_plans

SHARE = 0.01  # of all plans, chosen by their names: always the same ones
SECONDS = 200.0  # no plan is begun later; what is left out is told
PARALLEL = 4
ROUNDS = 25
OUTAGE_SECONDS = 20.0  # longer than the Lease lasts


async def test_every_life_is_the_same_twice(references: dict[str, Evidence]) -> None:
    """Without faults, under the proxy that refuses unguarded writes: else the others could not be judged by it."""
    assert not {name: found.problems for name, found in references.items() if found.problems}


async def test_a_share_of_all_plans(bench: Bench, references: dict[str, Evidence]) -> None:
    plans = [
        (plan, reference)
        for name, reference in references.items()
        for plan in all_plans(name, reference)
        if plan.is_in_short_form(SHARE)
    ]
    outcomes: list[Outcome] = []
    await carry_out_all(bench, plans, PARALLEL, outcomes.append, time.monotonic() + SECONDS)
    print(f"{len(outcomes)} of {len(plans)} plans of the short form carried out")
    assert len(outcomes) >= 10
    assert not [(outcome.plan, outcome.wrong or "missed") for outcome in outcomes if not outcome.ok]


async def test_operator_dead_from_raise_to_end(bench: Bench) -> None:
    measured = await outages.dead_from_raise_to_end(bench)
    assert not measured.wrong


async def test_api_server_down_when_a_raise_is_due(bench: Bench) -> None:
    measured = await outages.api_down(bench, OUTAGE_SECONDS)
    assert not measured.wrong
    assert measured.seconds["raised after the return"] <= outages.CONVERGED_SECONDS
    assert measured.requests["mean of 30 s"] <= outages.REQUESTS_PER_SECOND


async def test_five_operators_and_a_leader_that_is_stopped(bench: Bench) -> None:
    measured = await outages.five_operators(bench)
    assert not measured.wrong
    assert measured.seconds["fail-over"] <= outages.FAIL_OVER_SECONDS


async def test_rounds_of_two_leaders(bench: Bench) -> None:
    kubeconfig = bench.proxy.open_lane(Lane("split-brain", lambda: None))
    found = await split_brain.play(bench, kubeconfig, ROUNDS, seed=7)
    assert not found.accepted
    assert not found.wrong
    assert sum(found.refused.values()) == found.played == ROUNDS
    assert set(found.refused) == set(split_brain.HANDS)


async def test_without_settling_a_stale_write_would_be_accepted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rounds can fail: without what a new leader does first, they do."""

    async def nothing(*_: object) -> bool:
        return True

    monkeypatch.setattr(split_brain.Succession, "settle", nothing)
    kubeconfig = bench.proxy.open_lane(Lane("split-brain-unsettled", lambda: None))
    found = await split_brain.play(bench, kubeconfig, ROUNDS, seed=7)
    assert found.accepted
