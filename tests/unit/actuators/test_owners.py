"""Who owns a floor, and what the HPA's conditions say."""

import pytest
from actuator_builders import WEB, hpa, scaled_object

from forerun.actuators.owners import desired_of, find_owner, scaled_object_of, wants_less
from forerun.actuators.reading import ready_of
from forerun.domain.ledger import Owner
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import TargetRef

OTHER = TargetRef("apps/v1", "Deployment", "other")
KEDA_REFERENCE = [{"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "web-so", "uid": "x"}]


@pytest.mark.parametrize(
    ("autoscalers", "owner", "name"),
    [
        ([], Owner.SCALE, "web"),
        ([hpa("others", OTHER)], Owner.SCALE, "web"),
        ([hpa("h")], Owner.HPA, "h"),
        ([hpa("h"), hpa("others", OTHER)], Owner.HPA, "h"),
        ([hpa("h", TargetRef("apps/v1beta1", "Deployment", "web"))], Owner.HPA, "h"),
        ([hpa("h", TargetRef("apps/v1", "StatefulSet", "web"))], Owner.SCALE, "web"),
        ([hpa("h", TargetRef("argoproj.io/v1", "Deployment", "web"))], Owner.SCALE, "web"),
        ([hpa("gone", deletionTimestamp="2026-01-01T00:00:00Z"), hpa("h")], Owner.HPA, "h"),
        ([scaled_object()], Owner.SCALED_OBJECT, "web-so"),
        ([scaled_object(), hpa("keda-hpa-web-so", ownerReferences=KEDA_REFERENCE)], Owner.SCALED_OBJECT, "web-so"),
        ([hpa("keda-hpa-web-so", ownerReferences=KEDA_REFERENCE)], Owner.SCALED_OBJECT, "web-so"),
        ([hpa("keda", labels={"scaledobject.keda.sh/name": "web-so"})], Owner.SCALED_OBJECT, "web-so"),
        ([hpa("keda", annotations={"scaledobject.keda.sh/name": "web-so"})], Owner.SCALED_OBJECT, "web-so"),
        ([scaled_object(reference={"kind": "StatefulSet", "name": "web"})], Owner.SCALE, "web"),
    ],
)
def test_the_owner_of_a_floor(autoscalers, owner, name):
    found = find_owner(WEB, autoscalers)
    assert not isinstance(found, Hold)
    assert (found[0], found[1].name) == (owner, name)


@pytest.mark.parametrize(
    "autoscalers",
    [
        [hpa("a"), hpa("b")],
        [scaled_object("a"), scaled_object("b")],
        [scaled_object("a"), hpa("b")],
        [scaled_object("a"), hpa("keda", ownerReferences=KEDA_REFERENCE)],
    ],
)
def test_two_owners_are_none(autoscalers):
    found = find_owner(WEB, autoscalers)
    assert isinstance(found, Hold)
    assert found.reason is Reason.AUTOSCALER_AMBIGUOUS
    assert "keep one" in found.detail


def test_an_owner_of_another_kind_is_not_keda():
    assert scaled_object_of(hpa(ownerReferences=[{"apiVersion": "v1", "kind": "ConfigMap", "name": "x"}])) is None


def condition(kind, status, reason=""):
    return {"type": kind, "status": status, "reason": reason}


ACTIVE = condition("ScalingActive", "True", "ValidMetricFound")


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([], None),
        ([ACTIVE], None),
        ([ACTIVE, condition("ScalingLimited", "True", "TooFewReplicas")], True),
        ([ACTIVE, condition("ScalingLimited", "True", "TooManyReplicas")], False),
        ([ACTIVE, condition("ScalingLimited", "False", "DesiredWithinRange")], False),
        ([ACTIVE, condition("ScalingLimited", "True", "ScaleUpLimit")], False),
        ([ACTIVE, condition("ScalingLimited", "True", "ScaleDownLimit")], None),
        (
            [
                condition("ScalingActive", "False", "FailedGetExternalMetric"),
                condition("ScalingLimited", "True", "TooFewReplicas"),
            ],
            None,
        ),
        ([condition("ScalingActive", "False", "ScalingDisabled")], None),
        ([condition("ScalingLimited", "True", "TooFewReplicas")], None),
    ],
)
def test_what_the_metric_asks_for(conditions, expected):
    assert wants_less(hpa(conditions=conditions)) is expected


def test_desired_is_the_hpas_once_it_has_computed_one():
    raw = hpa()
    assert desired_of(raw, 4) == 4
    raw["status"]["desiredReplicas"] = 0
    assert desired_of(raw, 4) == 4
    raw["status"]["desiredReplicas"] = 9
    assert desired_of(raw, 4) == 9


@pytest.mark.parametrize(
    ("api_version", "status", "expected"),
    [
        ("apps/v1", {"readyReplicas": 3, "observedGeneration": 1}, 3),
        ("apps/v1", {"replicas": 3, "observedGeneration": 1}, 0),
        ("apps/v1", {}, None),
        ("apps/v1", None, None),
        ("argoproj.io/v1alpha1", {"readyReplicas": 0}, 0),
        ("argoproj.io/v1alpha1", {"replicas": 3}, None),
    ],
)
def test_ready_zero_and_unknown_are_three_things(api_version, status, expected):
    raw = {"apiVersion": api_version, "metadata": {"generation": 7}}
    if status is not None:
        raw["status"] = status
    assert ready_of(raw) == expected
