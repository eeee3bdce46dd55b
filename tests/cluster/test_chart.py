"""The chart on a real API server: installed, upgraded, uninstalled; what it allows and what it refuses.

It has a control plane of its own: the CRDs and cluster roles of a release are cluster-wide,
and these tests take them away.
"""

import json
import shutil
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from forerun.sandbox.binaries import Binaries
from forerun.sandbox.commands import CommandError
from forerun.sandbox.control_plane import ControlPlane

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "forerun"
SYSTEM = "forerun-system"
OPERATOR = f"system:serviceaccount:{SYSTEM}:forerun"
CAMPAIGN = {
    "apiVersion": "forerun.dev/v1alpha1",
    "kind": "Campaign",
    "metadata": {"name": "kept", "namespace": "shop"},
    "spec": {
        "storefrontRef": {"name": "main"},
        "type": "FlashSale",
        "schedule": {"timeZone": "Europe/Warsaw", "start": "2027-03-01T08:00:00", "duration": "4h"},
    },
}
# of the Prometheus operator's kind only what the chart writes, so that strict validation refuses anything else
SERVICE_MONITOR = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: servicemonitors.monitoring.coreos.com}
spec:
  group: monitoring.coreos.com
  names: {kind: ServiceMonitor, plural: servicemonitors}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [selector, endpoints]
            properties:
              selector:
                type: object
                properties:
                  matchLabels: {type: object, additionalProperties: {type: string}}
              endpoints:
                type: array
                items:
                  type: object
                  properties: {port: {type: string}, path: {type: string}, interval: {type: string}}
"""


@pytest.fixture(scope="module")
async def plane(programs: Binaries) -> AsyncIterator[ControlPlane]:
    async with ControlPlane(programs) as started:
        for name in ("shop", "shop-eu", "other", SYSTEM):
            started.kubectl_sync("create", "namespace", name)
        started.kubectl_sync("label", "namespace", SYSTEM, "pod-security.kubernetes.io/enforce=restricted")
        started.kubectl_sync("apply", "-f", "-", text=SERVICE_MONITOR)
        yield started


STANDING: dict[str, tuple[str, ...]] = {}  # control plane -> the values with which the release stands there


@pytest.fixture
def installed(plane: ControlPlane) -> ControlPlane:
    """The release with the chart's own values, whatever a test before left."""
    if STANDING.get(plane.name) != ():
        release(plane)
    return plane


def release(plane: ControlPlane, *args: str, chart: Path = CHART) -> str:
    STANDING.pop(plane.name, None)
    said = plane.helm_sync(
        "upgrade", "--install", "forerun", str(chart), "--namespace", SYSTEM, "--reset-values", *args
    )
    plane.kubectl_sync("wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
    if chart == CHART:
        STANDING[plane.name] = args
    return said


def uninstall(plane: ControlPlane) -> None:
    STANDING.pop(plane.name, None)
    plane.helm_sync("uninstall", "forerun", "--namespace", SYSTEM, "--wait")


def allowed(plane: ControlPlane, user: str, *asked: str, groups: tuple[str, ...] = ()) -> set[str]:
    """Those of `asked` ("verb group/resource[/subresource] namespace [name]") that the API server's authorizer allows."""
    reviews = []
    for line in asked:
        verb, what, namespace, name = (*line.split(), "")[:4]
        group, resource, subresource = (*what.split("/"), "")[:3]
        attributes = {"verb": verb, "group": group.removeprefix("core"), "resource": resource, "name": name}
        attributes |= {"subresource": subresource, "namespace": namespace.removeprefix("-")}
        spec = {"user": user, "groups": ["system:authenticated", *groups], "resourceAttributes": attributes}
        reviews.append({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec})
    documents = yaml.safe_dump_all(reviews)
    answered = yaml.safe_load_all(plane.kubectl_sync("create", "-f", "-", "-o", "yaml", text=documents))
    return {line for line, review in zip(asked, _items(answered), strict=True) if review["status"]["allowed"]}


def _items(documents: Any) -> list[dict[str, Any]]:
    return [item for document in documents for item in document.get("items", [document])]


def eventually(holds: Callable[[], bool], what: str) -> None:
    """For what a controller does in its own time; generous, as only a failure waits for long."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


@pytest.mark.parametrize("values", sorted((CHART / "ci").glob("*-values.yaml")), ids=lambda path: path.stem)
def test_api_server_accepts_everything_that_is_rendered(installed: ControlPlane, values: Path):
    # other names, as all of this stands there already
    apart = ("--set", "fullnameOverride=checked", "--set", "crds.install=false", "-f", str(values))
    text = installed.helm_sync("template", "forerun", str(CHART), "-n", SYSTEM, "--kube-version", "1.36.3", *apart)
    said = installed.kubectl_sync("create", "--dry-run=server", "--validate=strict", "-f", "-", text=text)
    assert len(said.strip().splitlines()) == len([document for document in yaml.safe_load_all(text) if document])


@pytest.mark.parametrize("values", ["everything", "namespaced"])
def test_release_changes_to_these_values_and_back(installed: ControlPlane, values: str):
    path = CHART / "ci" / f"{values}-values.yaml"
    release(installed, "-f", str(path))
    expected = yaml.safe_load(path.read_text(encoding="utf-8"))["replicaCount"]
    shown = ("get", "deployment", "forerun", "-n", SYSTEM, "-o", "jsonpath={.spec.replicas}")
    assert installed.kubectl_sync(*shown) == str(expected)
    release(installed)
    assert installed.kubectl_sync(*shown) == "1"


def test_api_server_accepts_the_plain_manifests(installed: ControlPlane):
    dry_run = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict")
    said = installed.kubectl_sync(*dry_run, "-f", str(ROOT / "manifests" / "install"))
    for kind in ("namespace/", "customresourcedefinition", "deployment", "clusterrolebinding"):
        assert kind in said


def test_pods_pass_pod_security_restricted(installed: ControlPlane):
    everything = ("-f", str(CHART / "ci" / "everything-values.yaml"))
    for args in ((), everything):
        text = installed.helm_sync("template", "forerun", str(CHART), "-n", SYSTEM, "--kube-version", "1.36.3", *args)
        documents = {document["kind"]: document for document in yaml.safe_load_all(text) if document}
        template = documents["Deployment"]["spec"]["template"]
        operator = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**template["metadata"], "name": "operator", "namespace": SYSTEM},
            "spec": template["spec"],
        }
        for pod in (operator, documents["Pod"]):
            dry_run(installed, pod)
            # the namespace does enforce: the same pod without one of its guards is refused
            del pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"]
            with pytest.raises(CommandError, match="violates PodSecurity"):
                dry_run(installed, pod)


def dry_run(plane: ControlPlane, obj: dict[str, Any]) -> None:
    plane.kubectl_sync("create", "--dry-run=server", "-f", "-", text=json.dumps(obj))


NEEDED = [
    "list forerun.dev/campaigns shop",
    "watch forerun.dev/storefronts shop",
    "patch forerun.dev/campaigns/status shop",
    "create forerun.dev/capacityplans shop",
    "patch forerun.dev/capacityplans/status shop",
    "patch autoscaling/horizontalpodautoscalers shop",
    "patch keda.sh/scaledobjects shop",
    "patch apps/deployments shop",
    "patch apps/deployments/scale shop",
    "update apps/statefulsets/scale shop",
    "list apps/replicasets shop",
    "patch apps/replicasets shop",
    "list core/pods shop",
    "create events.k8s.io/events shop",
]
NEEDED_CLUSTER_WIDE = [
    "watch forerun.dev/capacitypolicies -",
    "watch forerun.dev/metricssources -",
    "list core/namespaces -",
    "watch apiextensions.k8s.io/customresourcedefinitions -",
    f"create coordination.k8s.io/leases {SYSTEM}",
    f"update coordination.k8s.io/leases {SYSTEM} forerun",
]
NEVER = [
    "delete apps/deployments shop",
    "create apps/deployments shop",
    "delete apps/statefulsets shop",
    "delete apps/replicasets shop",
    "delete autoscaling/horizontalpodautoscalers shop",
    "create autoscaling/horizontalpodautoscalers shop",
    "delete core/pods shop",
    "create core/pods shop",
    "create core/pods/exec shop",
    "get core/secrets shop",
    "list core/secrets shop",
    f"get core/secrets {SYSTEM} other-token",
    f"list core/secrets {SYSTEM}",
    "get core/configmaps shop",
    "patch forerun.dev/campaigns shop",
    "delete forerun.dev/campaigns shop",
    "patch forerun.dev/storefronts shop",
    "patch forerun.dev/capacitypolicies -",
    "patch forerun.dev/metricssources -",
    "update coordination.k8s.io/leases kube-system kube-scheduler",
    f"update coordination.k8s.io/leases {SYSTEM} someone-else",
    "create coordination.k8s.io/leases shop",
    "patch core/namespaces -",
    "patch core/nodes -",
    "patch apiextensions.k8s.io/customresourcedefinitions -",
    "create rbac.authorization.k8s.io/rolebindings shop",
    "impersonate core/users -",
]


def test_operator_may_what_it_needs_and_no_more(installed: ControlPlane):
    everywhere = [line.replace(" shop", " other") for line in NEEDED]
    needed = [*NEEDED, *NEEDED_CLUSTER_WIDE, *everywhere]
    assert allowed(installed, OPERATOR, *needed, *NEVER) == set(needed)


def test_listed_namespaces_take_all_other_rights_away(installed: ControlPlane):
    release(installed, "--set", "watchNamespaces={shop}")
    elsewhere = [line.replace(" shop", " other") for line in NEEDED]
    asked = [*NEEDED, *NEEDED_CLUSTER_WIDE, *elsewhere, *NEVER]
    assert allowed(installed, OPERATOR, *asked) == {*NEEDED, *NEEDED_CLUSTER_WIDE}
    release(installed, "--set", "watchNamespaces={shop-eu}")
    moved = {line.replace(" shop", " shop-eu") for line in NEEDED}
    assert allowed(installed, OPERATOR, *NEEDED, *moved) == moved


def test_named_secret_and_named_kind_are_all_that_their_values_add(installed: ControlPlane):
    named = [
        f"get core/secrets {SYSTEM} prometheus-token",
        "patch argoproj.io/rollouts shop",
        "patch argoproj.io/rollouts/scale shop",
    ]
    assert allowed(installed, OPERATOR, *named) == set()
    release(
        installed,
        "--set", "metricsSecrets={prometheus-token}",
        "--set-json", 'extraTargets=[{"apiGroup":"argoproj.io","resource":"rollouts"}]',
    )  # fmt: skip
    assert allowed(installed, OPERATOR, *named, *NEVER) == set(named)


def test_a_scale_is_really_written_with_these_rights(installed: ControlPlane):
    """The authorizer's word is one thing; here the API server takes the writes, and refuses the others."""
    installed.kubectl_sync("create", "deployment", "web", "--image=web", "-n", "shop")
    installed.kubectl_sync("autoscale", "deployment", "web", "--min=2", "--max=5", "-n", "shop")
    act = ("--as", OPERATOR, "-n", "shop")
    floor = '{"spec":{"minReplicas":4,"maxReplicas":9},"metadata":{"annotations":{"forerun.dev/ledger":"{}"}}}'
    installed.kubectl_sync("patch", "hpa", "web", "--type", "merge", "-p", floor, *act)
    installed.kubectl_sync("patch", "deployment", "web", "--subresource=scale", "-p", '{"spec":{"replicas":3}}', *act)
    with pytest.raises(CommandError, match="forbidden"):
        installed.kubectl_sync("delete", "deployment", "web", *act)
    with pytest.raises(CommandError, match="forbidden"):
        installed.kubectl_sync("get", "secrets", *act)
    release(installed, "--set", "watchNamespaces={shop-eu}")
    with pytest.raises(CommandError, match="forbidden"):
        installed.kubectl_sync("patch", "hpa", "web", "--type", "merge", "-p", floor, *act)


PEOPLE = {
    "view": (
        {"list forerun.dev/campaigns shop", "get forerun.dev/capacityplans shop"},
        {"create forerun.dev/campaigns shop"},
    ),
    "edit": (
        {"create forerun.dev/campaigns shop", "patch forerun.dev/storefronts shop"},
        {"patch forerun.dev/capacityplans shop", "patch forerun.dev/capacityplans/status shop"},
    ),
    "admin": (
        {"create forerun.dev/campaigns shop", "patch forerun.dev/capacityplans shop"},
        {"patch forerun.dev/capacityplans/status shop", "patch forerun.dev/capacitypolicies -"},
    ),
    "forerun-campaign-editor": (
        {"create forerun.dev/campaigns shop", "get forerun.dev/storefronts shop"},
        {
            "patch forerun.dev/storefronts shop",
            "patch forerun.dev/capacityplans shop",
            "patch apps/deployments/scale shop",
        },
    ),
    "forerun-approver": (
        {"patch forerun.dev/capacityplans shop"},
        {"create forerun.dev/campaigns shop", "patch forerun.dev/capacityplans/status shop"},
    ),
}


@pytest.mark.parametrize("role", PEOPLE)
def test_people_get_the_rights_of_their_role_in_their_namespace(installed: ControlPlane, role: str):
    may, may_not = PEOPLE[role]
    user = f"user-of-{role}"
    binding = ("create", "rolebinding", user, f"--clusterrole={role}", f"--user={user}", "-n", "shop")
    installed.kubectl_sync(*binding)
    # the controller manager adds the rules to view, edit and admin in its own time
    eventually(lambda: allowed(installed, user, *may) == may, f"{role} never got {may}")
    elsewhere = {line.replace(" shop", " other") for line in may}
    assert allowed(installed, user, *may_not, *elsewhere) == set()


def test_life_of_a_release(plane: ControlPlane, tmp_path: Path):
    """Upgrades bring new fields; uninstalling leaves campaigns; installing again takes them over."""
    said = release(plane)
    assert "What to do next" in said
    plane.kubectl_sync("apply", "-f", "-", text=json.dumps(CAMPAIGN))

    newer = tmp_path / "forerun"
    shutil.copytree(CHART, newer)
    (crd,) = [path for path in (newer / "templates" / "crds").iterdir() if "campaigns" in path.name]
    text = crd.read_text(encoding="utf-8")
    columns = "    additionalPrinterColumns:\n"
    assert text.count(columns) == 1
    added = "    - {name: Added, type: string, jsonPath: .metadata.name}\n"
    crd.write_text(text.replace(columns, columns + added), encoding="utf-8")
    release(plane, chart=newer)
    eventually(lambda: "ADDED" in plane.kubectl_sync("get", "campaigns", "-n", "shop"), "the new column never came")

    uninstall(plane)
    assert "kept" in plane.kubectl_sync("get", "campaigns", "-n", "shop")
    assert allowed(plane, OPERATOR, *NEEDED, *NEEDED_CLUSTER_WIDE) == set()

    release(plane, "--set", "crds.keep=false")
    assert "kept" in plane.kubectl_sync("get", "campaigns", "-n", "shop")
    uninstall(plane)
    eventually(lambda: "forerun.dev" not in plane.kubectl_sync("get", "crd", "-o", "name"), "the CRDs never went")
