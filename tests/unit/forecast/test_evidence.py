from math import exp, log

import pytest

from forerun.domain.campaign import CampaignType, Expected
from forerun.forecast.evidence import (
    Belief,
    declared_beliefs,
    learnt,
    peak_share,
    pooled,
    size,
    trust,
    trusted,
    usual_from_declared,
)
from forerun.forecast.priors import PRIORS

CUSTOM = PRIORS[CampaignType.CUSTOM]


def test_pooling_weighs_by_precision_and_widens_where_they_contradict():
    agreeing = pooled([Belief(1.0, 0.1), Belief(1.0, 0.2)])
    assert agreeing.sd == pytest.approx(1 / (0.1**-2 + 0.2**-2) ** 0.5)
    assert pooled([Belief(0.0, 0.1), Belief(1.0, 0.2)]).mean == pytest.approx(0.2)
    assert pooled([Belief(0.0, 0.1), Belief(1.0, 0.2)]).sd > 2 * agreeing.sd


def test_no_past_is_the_published_prior():
    assert learnt(CUSTOM, []) == Belief(CUSTOM.log_multiplier_mean, CUSTOM.log_multiplier_sd)


def test_past_pulls_and_scatter_keeps_it_wide():
    equal = learnt(CUSTOM, [(1.0, Belief(-0.5, 0.1))] * 6)
    scattered = learnt(CUSTOM, [(1.0, Belief(-1.5, 0.1)), (1.0, Belief(0.5, 0.1))] * 3)
    assert equal.mean == pytest.approx(-0.5, abs=0.1)
    assert 0.2 < equal.sd < scattered.sd


def test_what_says_little_about_the_next_one_counts_little():
    near, far = (1.0, Belief(0.0, 0.1)), (0.05, Belief(2.0, 0.1))
    assert learnt(CUSTOM, [near, far]).mean < 0.2 < learnt(CUSTOM, [near, (1.0, Belief(2.0, 0.1))]).mean


def test_declarations_that_were_too_high_are_corrected_and_their_scatter_is_their_error():
    steady = trust([(1.0, log(0.5))] * 8)
    assert steady.bias == pytest.approx(log(0.5), abs=0.1)
    (belief,) = trusted([Belief(log(4), 0.4)], steady)
    assert exp(belief.mean) == pytest.approx(2.0, rel=0.15)
    wild = trust([(1.0, -1.5), (1.0, 1.5)] * 4)
    assert wild.bias == pytest.approx(0.0, abs=1e-9)
    assert wild.sd > 1.0 > steady.sd


def test_without_scores_a_declaration_is_taken_as_it_is():
    assert trusted([Belief(1.0, 0.4)], trust([])) == [Belief(1.0, 0.4)]
    assert abs(trust([(1.0, log(0.5))]).bias) < log(2) / 1.5


def test_declared_numbers_become_log_multipliers():
    (peak, multiplier) = declared_beliefs(Expected(multiplier=4.0, peak_rps=500.0), CUSTOM, 100.0, 3600.0)
    assert (peak.mean, multiplier.mean) == (pytest.approx(log(5)), pytest.approx(log(4)))
    (audience,) = declared_beliefs(Expected(audience=900_000), CUSTOM, 100.0, 3600.0)
    assert exp(audience.mean) == pytest.approx(1 + 900_000 * CUSTOM.requests_per_person / 3600 / 100)


def test_against_a_strong_contradiction_the_prior_yields():
    mild = size(Belief(0.7, 0.9), [Belief(1.1, 0.35)])
    assert 0.7 < mild.mean < 1.1
    assert size(Belief(0.7, 0.9), [Belief(18.0, 0.35)]).mean == pytest.approx(18.0, abs=0.1)


def test_usual_demand_from_a_declared_peak():
    both = usual_from_declared(Expected(multiplier=6.0, peak_rps=1200.0), Belief(0.7, 1.0))
    assert 200 < both < 300
    assert usual_from_declared(Expected(multiplier=6.0), Belief(0.7, 1.0)) is None


def test_peak_share_is_that_of_the_peak():
    assert peak_share(Expected(multiplier=2.0), Belief(1, 0.3)) == 0
    assert peak_share(Expected(peak_rps=2.0), Belief(1, 0.35)) == pytest.approx(1.0)
