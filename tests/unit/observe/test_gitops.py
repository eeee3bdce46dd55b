"""The settings that a Contested campaign names can be pasted."""

import re

import pytest
import yaml

from forerun.domain.storefront import TargetRef
from forerun.observe.gitops import leave_alone

HPA = TargetRef("autoscaling/v2", "HorizontalPodAutoscaler", "web")
SCALED = TargetRef("keda.sh/v1alpha1", "ScaledObject", "web")
DEPLOYMENT = TargetRef("apps/v1", "Deployment", "web")
ROLLOUT = TargetRef("argoproj.io/v1alpha1", "Rollout", "web")


def settings(owner: TargetRef) -> dict:
    """What the line says for each setting, read as YAML."""
    text = leave_alone(owner)
    found = re.findall(r"(spec\.[A-Za-z.]+): (\[.*?\])(?: and|;| to the)", text)
    return {name: yaml.safe_load(value) for name, value in found}


@pytest.mark.parametrize(
    ("owner", "group", "paths"),
    [
        (HPA, "autoscaling", ["/spec/minReplicas", "/spec/maxReplicas"]),
        (SCALED, "keda.sh", ["/spec/minReplicaCount", "/spec/maxReplicaCount"]),
        (DEPLOYMENT, "apps", ["/spec/replicas"]),
        (ROLLOUT, "argoproj.io", ["/spec/replicas"]),
    ],
)
def test_each_kind_has_its_own_setting(owner, group, paths):
    rule = {"paths": paths, "target": {"kind": owner.kind, "name": "web"}}
    assert settings(owner) == {
        "spec.ignoreDifferences": [
            {"group": group, "kind": owner.kind, "name": "web", "managedFieldsManagers": ["forerun"]}
        ],
        "spec.syncPolicy.syncOptions": ["RespectIgnoreDifferences=true"],
        "spec.driftDetection.ignore": [rule],
        "spec.ignore": [rule],
    }


@pytest.mark.parametrize("name", ["123", "1e3", "null", "on", "web.shop-eu"])
def test_a_name_stays_a_string(name):
    owner = TargetRef("apps/v1", "Deployment", name)
    assert settings(owner)["spec.ignoreDifferences"][0]["name"] == name


def test_it_fits_a_condition():
    assert len(leave_alone(HPA)) < 700
    assert "\n" not in leave_alone(HPA)
