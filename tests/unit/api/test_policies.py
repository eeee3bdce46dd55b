"""CapacityPolicy and MetricsSource objects."""

from datetime import UTC, datetime

import pytest

from forerun.api.convert import auth_secret_of, metrics_source_from, policy_from, policy_selects
from forerun.domain.campaign import Occurrence
from forerun.domain.policy import MetricsSource, Policy, Pool
from forerun.domain.reason import Refusal


def test_the_sample_policy(policy):
    assert policy_from(policy) == Policy(
        name="default",
        pools=(Pool("a10", "nvidia.com/gpu", 64, (("gpu", "a10"),)),),
        freeze_windows=(Occurrence(datetime(2027, 11, 22, 0, tzinfo=UTC), datetime(2027, 11, 22, 4, tzinfo=UTC)),),
        max_step_up_percent=1000.0,
        max_step_down_percent_per_minute=10.0,
        require_approval_above_replicas=100,
        service_level=0.99,
        replica_hours=500.0,
    )


def test_an_empty_policy_is_the_usual_one(policy):
    policy["spec"] = {}

    assert policy_from(policy) == Policy()


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (
            {"freezeWindows": [{"start": "2027-01-01T08:00:00", "end": "2027-01-01T09:00:00"}]},
            "freezeWindows[0].timeZone",
        ),
        ({"freezeWindows": [{"start": "2027-01-01T08:00:00Z", "end": "2027-01-01T07:00:00Z"}]}, "freezeWindows[0].end"),
        ({"freezeWindows": [{"start": "2027-01-01T08:00:00Z"}]}, "freezeWindows[0].end"),
        ({"maxStepDownPercentPerMinute": 0}, "maxStepDownPercentPerMinute"),
        ({"maxStepDownPercentPerMinute": "1001"}, "maxStepDownPercentPerMinute"),
        ({"pools": [{"name": "a", "resource": "gpu", "capacity": -1}]}, "pools[0].capacity"),
        ({"requireApprovalAbove": -1}, "requireApprovalAbove"),
        ({"serviceLevel": "0.2"}, "serviceLevel"),
        (
            {"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}},
            "namespaceSelector.matchExpressions[0]",
        ),
        (
            {"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}},
            "namespaceSelector.matchExpressions[0]",
        ),
        ({"pool": []}, "pool"),
    ],
)
def test_policy_misfits(policy, spec, field):
    policy["spec"] = spec
    found = policy_from(policy)

    assert isinstance(found, Refusal)
    assert found.field == f"spec.{field}"
    assert found.obj == "CapacityPolicy default"


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        (None, True),
        ({}, True),
        ({"matchLabels": {"team": "shop"}}, True),
        ({"matchLabels": {"team": "shop", "stage": "live"}}, False),
        ({"matchExpressions": [{"key": "team", "operator": "In", "values": ["shop", "x"]}]}, True),
        ({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["shop"]}]}, False),
        ({"matchExpressions": [{"key": "stage", "operator": "NotIn", "values": ["live"]}]}, True),
        ({"matchExpressions": [{"key": "team", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}, False),
        ({"matchExpressions": [{"key": "team", "operator": "Like"}]}, False),  # refused: holds nowhere
    ],
)
def test_selector(policy, selector, chosen):
    policy["spec"]["namespaceSelector"] = selector

    assert policy_selects(policy, {"team": "shop"}) is chosen


def test_the_sample_source(metrics_source):
    metrics_source["spec"]["enforcedMatchers"] = {"cluster": "production"}
    found = metrics_source_from(metrics_source, " secret\n")

    assert found == MetricsSource(
        "default", "http://prometheus-server.monitoring.svc:9090", 5.0, "secret", (("cluster", "production"),)
    )
    assert "secret" not in repr(found)
    assert auth_secret_of(metrics_source) is None


def test_the_secret_of_a_source(metrics_source):
    metrics_source["spec"]["authSecretRef"] = {"name": "token", "key": "t.txt"}
    assert auth_secret_of(metrics_source) == (None, "token", "t.txt")
    metrics_source["spec"]["authSecretRef"]["namespace"] = "ops"
    assert auth_secret_of(metrics_source) == ("ops", "token", "t.txt")


@pytest.mark.parametrize("token", ["", "two words", "two\nlines", "é"])
def test_tokens_that_would_break_a_header(metrics_source, token):
    found = metrics_source_from(metrics_source, token)

    assert isinstance(found, Refusal)
    assert token == "" or token not in str(found)


@pytest.mark.parametrize(
    "url",
    [
        "prometheus:9090",
        "ftp://prometheus",
        "file:///etc/passwd",
        "http://",
        "http://user:pw@prometheus",
        "http://prometheus?x=1",
        "http://prometheus/#x",
        "http://prome theus",
        "http://prometheus\n",
        "http://" + "a" * 1024,
    ],
)
def test_urls_that_are_refused(metrics_source, url):
    metrics_source["spec"]["url"] = url
    found = metrics_source_from(metrics_source, None)

    assert isinstance(found, Refusal)
    assert found.field == "spec.url"


@pytest.mark.parametrize("url", ["https://mimir.example.org/prometheus", "http://[::1]:9090", "http://10.0.0.1:9090/"])
def test_urls_that_are_taken(metrics_source, url):
    metrics_source["spec"]["url"] = url

    assert metrics_source_from(metrics_source, None).url == url.rstrip("/")


@pytest.mark.parametrize("matchers", [{"a-b": "x"}, {"": "x"}, {"a": 3}, {f"l{i}": "x" for i in range(17)}])
def test_matchers(metrics_source, matchers):
    metrics_source["spec"]["enforcedMatchers"] = matchers
    found = metrics_source_from(metrics_source, None)

    assert isinstance(found, Refusal)
    assert found.field.startswith("spec.enforcedMatchers")
