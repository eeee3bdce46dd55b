"""The short form of metric_lies.py, and that its judge is one."""

import math

from tests.faults import lies
from tests.faults.lies_life import Life
from tests.faults.lies_oracle import Facts, Oracle, Window
from tests.faults.metric_lies import live

LIVES = 60
WEB = Facts("web", 100.0, 1.0, baseline=2, most=50, scaled=True)
OPEN = (Window(0.0, 10_000.0, on=True),)


def test_no_floor_comes_down_because_of_a_lie():
    counts = live(range(10_000, 10_000 + LIVES))
    assert not counts.faults, "\n".join(counts.faults[:5])
    assert counts.hours > 100
    assert counts.justified > 0  # it does lower, where the truth allows it
    assert len(counts.lies) > 20


def test_same_seed_is_the_same_life():
    assert Life(7).run() == Life(7).run()


def oracle(*answers: tuple[float, str], tier: Facts = WEB) -> Oracle:
    judge = Oracle((tier,), 10.0, 3600.0)
    for i, (true, lie) in enumerate(answers):
        judge.heard(100.0 + i, true, lie)
    return judge


class TestOracle:
    def test_true_samples_justify(self):
        judge = oracle(*[(300.0, "")] * 5)
        judge.judge(104.0, OPEN, [30], [28])
        assert (judge.faults, judge.justified) == ([], 1)

    def test_one_lie_among_five_does_not(self):
        judge = oracle((300.0, ""), (300.0, "plain"), *[(300.0, "")] * 3)
        judge.judge(104.0, OPEN, [30], [29])
        assert judge.faults

    def test_below_true_demand(self):
        judge = oracle(*[(2810.0, "")] * 5)
        judge.judge(104.0, OPEN, [30], [28])
        assert judge.faults

    def test_below_true_demand_on_a_lie_that_looks_true(self):
        judge = oracle(*[(2850.0, "plausible")] * 5)
        judge.judge(104.0, OPEN, [30], [28])
        assert judge.faults

    def test_below_the_baseline(self):
        judge = oracle(*[(0.0, "")] * 5)
        judge.judge(20_000.0, (), [2], [1])
        assert judge.faults

    def test_too_fast(self):
        judge = oracle(*[(300.0, "")] * 5)
        judge.judge(104.0, OPEN, [30], [28])
        judge.judge(130.0, OPEN, [28], [26])
        assert len(judge.faults) == 1

    def test_what_nobody_else_scales_keeps_what_demand_fills(self):
        plain = Facts("web", 100.0, 1.0, baseline=2, most=50, scaled=False)
        over = (Window(0.0, 50.0, on=True),)
        judge = oracle(*[(2850.0, "")] * 5, tier=plain)
        judge.judge(104.0, over, [30], [29])
        assert (judge.faults, judge.released) == ([], 1)
        judge.judge(164.0, over, [29], [28])
        assert len(judge.faults) == 1

    def test_after_the_expiry_nothing_has_to_be_known(self):
        judge = oracle((300.0, ""))
        judge.judge(100.0, OPEN, [2], [30])
        judge.heard(13_601.0, 300.0, "plain")
        judge.judge(13_599.0, (Window(0.0, 10_000.0, on=True),), [30], [29])
        assert len(judge.faults) == 1
        judge.judge(13_700.0, (Window(0.0, 10_000.0, on=True),), [29], [28])
        assert len(judge.faults) == 1


def test_every_plain_lie_is_seen_through():
    """None of them is taken for a number."""
    life = Life(1)
    for name, tell in lies.PLAIN.items():
        for true in (0.0, 1.0, 5000.0):
            life.canned.answer = tell(life.rng, 1e9, true)
            heard = life.understood(_moment(1e9))
            assert not hasattr(heard, "value"), (name, heard)
    life.canned.answer = lies.honest(1e9, 17.5)
    assert life.understood(_moment(1e9)).value == 17.5
    assert math.isclose(life.understood(_moment(1e9 + 60)).value, 17.5)


def _moment(second: float):
    from datetime import UTC, datetime

    return datetime.fromtimestamp(second, UTC)
