"""What an HPA's own metrics ask for is reckoned as the HPA does."""

import pytest

from forerun.actuators.recommendation import quantity, recommended


def resource(target, current, name="averageUtilization"):
    return (
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", name: target}}},
        {"type": "Resource", "resource": {"name": "cpu", "current": {name: current}}},
    )


def external(target, current, name="averageValue"):
    return (
        {"type": "External", "external": {"metric": {"name": "rps"}, "target": {name: target}}},
        {"type": "External", "external": {"metric": {"name": "rps"}, "current": {name: current}}},
    )


def hpa(*metrics, replicas=10, active="True"):
    status = {
        "currentMetrics": [seen for _, seen in metrics],
        "conditions": [{"type": "ScalingActive", "status": active}],
    }
    if replicas is not None:
        status["currentReplicas"] = replicas
    return {"spec": {"metrics": [wished for wished, _ in metrics]}, "status": status}


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ([resource(60, 30)], 5),
        ([resource(60, 60)], 10),
        ([resource(60, 61)], 11),
        ([resource(60, 0)], 0),
        ([external("100", "250m")], 1),
        ([external("500m", "1")], 20),
        ([external("1k", "1500", "value")], 15),
        ([resource(60, 30), external("100", "90")], 9),
    ],
)
def test_the_largest_of_its_metrics(metrics, expected):
    assert recommended(hpa(*metrics)) == expected


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"spec": {}, "status": {}},
        hpa(resource(60, 30), active="False"),
        hpa(resource(60, 30), replicas=0),
        hpa(resource(60, 30), replicas=None),
        hpa(resource(60, None)),
        hpa(resource(0, 30)),
        hpa(resource(60, 30), external("100", "lots")),
        hpa((resource(60, 30)[0], external("1", "1")[1])),
        {**hpa(resource(60, 30)), "spec": {"metrics": []}},
    ],
)
def test_one_that_does_not_say_makes_all_silent(raw):
    assert recommended(raw) is None


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1", 1.0),
        (80, 80.0),
        ("150m", 0.15),
        ("1.5k", 1500.0),
        ("2Mi", 2.0 * 1024**2),
        ("1e3", 1000.0),
        ("1E", 1e18),
        (".5", 0.5),
        ("-1", None),
        ("", None),
        ("1x", None),
        (None, None),
        (1.5, None),
    ],
)
def test_quantities(written, expected):
    assert quantity(written) == (None if expected is None else pytest.approx(expected))
