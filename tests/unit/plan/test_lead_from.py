"""Which lead time the plan counts with."""

from hypothesis import strategies as st
from tests.properties.plan_world import given

from forerun.domain.observation import LeadTime, LeadTimeSource
from forerun.plan.lead_time import ENOUGH_STARTS, lead_from, source_of

SECONDS = st.floats(0, 7200)


def measured(p95, samples, cold=None):
    return LeadTime(p95 / 2, p95, samples, cold_p95_seconds=cold, cold_samples=0 if cold is None else 1)


def test_as_declared_until_measured():
    assert lead_from(None, 300.0) == 300.0


def test_a_few_starts_lengthen_it_and_do_not_shorten_it():
    assert lead_from(measured(400.0, 3), 300.0) == 400.0
    assert lead_from(measured(40.0, 3), 300.0) == 300.0
    assert lead_from(measured(40.0, ENOUGH_STARTS - 1), 300.0) == 300.0


def test_enough_starts_replace_it():
    assert lead_from(measured(40.0, ENOUGH_STARTS), 300.0) == 40.0


def test_enough_is_where_the_longest_is_more_likely_than_not_at_or_above_p95():
    assert 1 - 0.95**ENOUGH_STARTS > 0.5 >= 1 - 0.95 ** (ENOUGH_STARTS - 1)


def test_never_shorter_than_a_cold_start():
    assert lead_from(measured(40.0, 500, cold=380.0), 300.0) == 380.0


def test_the_source_says_what_it_rests_on():
    assert source_of(measured(40.0, 3), 300.0) is LeadTimeSource.DECLARED
    assert source_of(measured(400.0, 3), 300.0) is LeadTimeSource.MEASURED
    assert source_of(measured(40.0, 50), 300.0) is LeadTimeSource.MEASURED


@given(SECONDS, SECONDS, st.integers(3, 100), st.none() | SECONDS)
def test_never_below_what_was_seen_nor_below_the_declared_one_without_enough(declared, p95, samples, cold):
    lead = lead_from(measured(p95, samples, cold), declared)
    assert lead >= max(p95, cold or 0.0)
    assert samples >= ENOUGH_STARTS or lead >= declared
    assert lead in {declared, p95, cold}
