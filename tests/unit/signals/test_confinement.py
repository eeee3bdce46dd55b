import pytest

from forerun.signals.confinement import unconfined

TENANT = (("tenant", "a"),)


@pytest.mark.parametrize(
    "query",
    [
        'sum(rate(http_requests_total{tenant="a"}[1m]))',
        "sum(rate(http_requests_total{job='x', tenant = 'a'}[1m]))",
        'sum by (service, pod) (x{tenant="a"}) / on(pod) group_left(node) y{tenant="a"} offset 5m',
        'sum(x{tenant="a"}) without (pod) > bool 1e3 and vector(1) or time() - Inf',
        '{__name__="x",tenant="a"}',
        'max_over_time(x{tenant="a"}[1h:30s] @ end())',
        "vector(1)",
    ],
)
def test_confined(query):
    assert unconfined(query, TENANT) is None


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("sum(x)", "x without"),
        ('sum(x{tenant="a"}) + secret', "secret without"),
        ('sum(x{tenant="a"}) + sum(secret{job="b"})', "a selector without"),
        ('x{my_tenant="a"}', "a selector without"),
        ('x{tenant="ab"}', "a selector without"),
        ('x{tenant=~"a"}', "a selector without"),
        ('x{tenant!="a"}', "a selector without"),
        ('x{job="tenant=\\"a\\""}', "a selector without"),
        ('label_replace(secret, "tenant", "a", "", "") # {tenant="a"}', "secret without"),
        ('vector(1) # tenant="a"', "a comment"),
        ('x{tenant="a" or job="b"}', "alternatives"),
        ('x{tenant="b"} + y{tenant="a"}', "a selector without"),
        ('count by (a) (x{tenant="a"}) * rate', "rate without"),
        ("{", "a selector without"),
        # keywords are names of metrics where an operand stands
        ("or", "or without"),
        ("sum(unless)", "unless without"),
        ('x{tenant="a"} + offset', "offset without"),
        ('x{tenant="a"} or and', "and without"),
        ("bool", "bool without"),
        ("sum(by)", "by without"),
        # what is not PromQL may mean anything
        ("\u00e9", "\u00e9, which"),
        ("$x", "$, which"),
        ('info(x{tenant="a"})', "info(), which"),
        # escapes would have to be understood
        ('x{tenant="\\x61"}', "a selector without"),
    ],
)
def test_unconfined(query, says):
    assert unconfined(query, TENANT).startswith(says)


def test_a_source_without_matchers_lets_everything_pass():
    assert unconfined("anything at all", ()) is None


def test_a_value_with_an_escape_is_not_the_value_that_it_looks_like():
    r"""`"a\b"` is a backspace; only a raw string means the backslash."""
    matchers = (("tenant", "a\\b"),)
    assert unconfined('x{tenant="a\\b"}', matchers) is not None
    assert unconfined("x{tenant=`a\\b`}", matchers) is None


@pytest.mark.parametrize(
    "query",
    [
        'x{tenant="a"} > bool y{tenant="a"}',
        'x{tenant="a"} == bool 1',
        'x{tenant="a"} offset 5m unless on(job) y{tenant="a"}',
        'x{tenant="a"} / ignoring(job) group_left y{tenant="a"}',
        '{"x", "tenant"="a"}',
    ],
)
def test_keywords_in_their_place_are_no_metrics(query):
    assert unconfined(query, TENANT) is None
