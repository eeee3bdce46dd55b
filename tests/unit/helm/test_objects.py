"""The objects that the chart renders: the pod, the CRDs, the optional parts."""

from pathlib import Path
from typing import Any

import pytest
import yaml

import forerun

ROOT = Path(__file__).resolve().parents[3]
KINDS = {"campaigns", "storefronts", "capacityplans", "capacitypolicies", "metricssources"}


def test_lint_finds_nothing(helm, chart):
    for values in sorted((chart / "ci").glob("*-values.yaml")):
        done = helm.run("lint", "--strict", str(chart), "-f", str(values), "--kube-version", helm.kube_version)
        assert done.returncode == 0, done.stdout


def test_chart_has_the_version_of_the_package(chart):
    described = yaml.safe_load((chart / "Chart.yaml").read_text(encoding="utf-8"))
    assert described["appVersion"] == forerun.__version__
    assert described["version"] == forerun.__version__


def test_every_object_has_a_name_and_our_labels(helm, values_set):
    for document in helm.objects(**values_set):
        hook = document["metadata"].get("annotations", {}).get("helm.sh/hook")
        labels = document["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "forerun"
        assert hook or labels["app.kubernetes.io/name"] == "forerun"


def test_selectors_find_the_pod_and_not_the_test_pod(helm):
    template = helm.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    test_pod = helm.one("Pod")["metadata"]["labels"]
    for selector in (
        helm.one("Deployment")["spec"]["selector"]["matchLabels"],
        helm.one("Service")["spec"]["selector"],
    ):
        assert selector.items() <= template.items()
        assert not selector.items() <= test_pod.items()


@pytest.mark.parametrize("kind", ["Deployment", "Pod"])
def test_pods_cannot_gain_rights_on_the_node(helm, kind):
    document = helm.one(kind)
    pod = document["spec"]["template"]["spec"] if kind == "Deployment" else document["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"]["memory"]


def test_digest_wins_over_tag(helm):
    def image(**values: Any) -> str:
        return helm.one("Deployment", image=values)["spec"]["template"]["spec"]["containers"][0]["image"]

    digest = "sha256:" + "a" * 64
    assert image() == f"forerun:{forerun.__version__}"
    assert image(repository="r.example.com/x", tag="1") == "r.example.com/x:1"
    assert image(tag="1", digest=digest) == f"forerun@{digest}"


def test_disruption_budget_only_for_more_than_one(helm):
    def kinds(**values: Any) -> set[str]:
        return {document["kind"] for document in helm.objects(**values)}

    assert "PodDisruptionBudget" not in kinds()
    assert "PodDisruptionBudget" not in kinds(replicaCount=0)
    assert "PodDisruptionBudget" in kinds(replicaCount=2)
    assert "PodDisruptionBudget" not in kinds(replicaCount=2, podDisruptionBudget={"enabled": False})


def test_optional_parts_are_off_by_default(helm):
    kinds = {document["kind"] for document in helm.objects()}
    assert not kinds & {"ServiceMonitor", "NetworkPolicy"}


def test_network_policy_names_every_way_in_and_out(helm):
    policy = helm.one("NetworkPolicy", networkPolicy={"enabled": True, "apiServer": {"cidrs": ["10.0.0.1/32"]}})["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert all(rule["ports"] for rule in policy["egress"] + policy["ingress"])
    api_server = [rule for rule in policy["egress"] if {"protocol": "TCP", "port": 6443} in rule["ports"]]
    assert [rule["to"] for rule in api_server] == [[{"ipBlock": {"cidr": "10.0.0.1/32"}}]]
    closed = helm.one("NetworkPolicy", networkPolicy={"enabled": True, "scrapers": [], "metrics": []})["spec"]
    assert closed["ingress"] == []
    assert len(closed["egress"]) == 2  # names and the API server


def test_crds_are_those_of_the_models(helm):
    rendered = {o["metadata"]["name"]: o for o in helm.objects() if o["kind"] == "CustomResourceDefinition"}
    assert {name.partition(".")[0] for name in rendered} == KINDS
    for path in (ROOT / "crds").glob("*.yaml"):
        source = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert rendered[source["metadata"]["name"]]["spec"] == source["spec"]


def test_crds_are_kept_unless_asked_otherwise(helm):
    def annotations(**values: Any) -> list[dict[str, str]]:
        crds = [o for o in helm.objects(**values) if o["kind"] == "CustomResourceDefinition"]
        return [crd["metadata"].get("annotations", {}) for crd in crds]

    assert annotations() == [{"helm.sh/resource-policy": "keep"}] * len(KINDS)
    assert annotations(crds={"keep": False}) == [{}] * len(KINDS)
    assert annotations(crds={"install": False}) == []


def test_artifact_hub_lists_every_kind(chart):
    annotations = yaml.safe_load((chart / "Chart.yaml").read_text(encoding="utf-8"))["annotations"]
    assert {crd["name"].partition(".")[0] for crd in yaml.safe_load(annotations["artifacthub.io/crds"])} == KINDS
