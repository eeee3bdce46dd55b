"""What makes the room: as large as the target's pods, on the same nodes, and in nobody's way."""

from datetime import UTC, datetime

import pytest

from forerun.actuators.ahead_objects import Means, name_of, objects_for, storefront_label
from forerun.domain.campaign import Key
from forerun.domain.storefront import CapacityAhead, Provision, Role, TargetRef, Tier

KEY = Key("shop", "main")
MEANS = Means("registry.example/pause:1", "forerun-placeholder")
OWNER = {"apiVersion": "forerun.dev/v1alpha1", "kind": "CapacityPlan", "metadata": {"name": "main", "uid": "plan-uid"}}
UNTIL = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
POD = {
    "nodeSelector": {"pool": "a10"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
    "affinity": {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}},
        "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "host"}]},
    },
    "imagePullSecrets": [{"name": "registry"}],
    "serviceAccountName": "reco",
    "initContainers": [
        {"name": "fetch", "image": "shop/fetch:1", "resources": {"requests": {"cpu": "4"}}},
        {"name": "proxy", "image": "shop/proxy:1", "restartPolicy": "Always", "resources": {"requests": {"cpu": "1"}}},
    ],
    "containers": [
        {
            "name": "reco",
            "image": "shop/reco:3",
            "env": [{"name": "TOKEN", "value": "secret"}],
            "resources": {"requests": {"cpu": "2"}, "limits": {"nvidia.com/gpu": "1"}},
        }
    ],
}
TARGET = {
    "spec": {
        "selector": {"matchLabels": {"app": "reco"}},
        "template": {"metadata": {"labels": {"app": "reco"}}, "spec": POD},
    }
}


def tier(name="reco", **fields):
    target = TargetRef("apps/v1", "Deployment", name)
    return Tier(name, Role.RECOMMENDER, target, 900.0, 60, ahead=CapacityAhead(**fields))


def made(provision=Provision.PLACEHOLDERS, target=TARGET, **fields):
    found = objects_for(OWNER, KEY, tier(**fields), target, 8, UNTIL, provision, MEANS)
    return {raw["kind"]: raw for raw in found}


def test_placeholders_take_the_same_room_on_the_same_nodes():
    spec = made()["Deployment"]["spec"]
    pod = spec["template"]["spec"]
    assert spec["replicas"] == 8
    assert [container["resources"] for container in pod["containers"]] == [
        {"requests": {"cpu": "2"}, "limits": {"nvidia.com/gpu": "1"}},
        {"requests": {"cpu": "1"}},  # a sidecar runs all the time; an init container does not
    ]
    assert {container["image"] for container in pod["containers"]} == {MEANS.image}
    assert (pod["nodeSelector"], pod["tolerations"]) == (POD["nodeSelector"], POD["tolerations"])
    # a rule between pods of the target would push placeholders and pods apart
    assert pod["affinity"] == {"nodeAffinity": POD["affinity"]["nodeAffinity"]}


def test_placeholders_are_in_nobody_s_way():
    raw = made()["Deployment"]
    pod = raw["spec"]["template"]
    assert pod["spec"]["priorityClassName"] == "forerun-placeholder"
    assert pod["spec"]["terminationGracePeriodSeconds"] == 0
    assert "app" not in pod["metadata"]["labels"]  # or the target's Service would send it requests
    assert "secret" not in str(raw)
    assert "serviceAccountName" not in pod["spec"]
    assert pod["spec"]["automountServiceAccountToken"] is False


def test_a_buffer_names_a_template_and_a_number_and_nothing_else():
    found = made(Provision.BUFFER)
    assert set(found) == {"PodTemplate", "CapacityBuffer"}
    assert found["CapacityBuffer"]["spec"] == {"podTemplateRef": {"name": "forerun-main-reco"}, "replicas": 8}
    assert found["PodTemplate"]["template"]["spec"] == made()["Deployment"]["spec"]["template"]["spec"]


def test_images_are_pulled_as_volumes_and_nothing_of_them_runs():
    pod = made(Provision.NONE, pulls_images=True)["DaemonSet"]["spec"]["template"]["spec"]
    assert [volume["image"]["reference"] for volume in pod["volumes"]] == [
        "shop/fetch:1",
        "shop/proxy:1",
        "shop/reco:3",
    ]
    assert [container["image"] for container in pod["containers"]] == [MEANS.image]
    assert "nvidia.com/gpu" not in str(pod["containers"])
    assert pod["imagePullSecrets"] == POD["imagePullSecrets"]
    assert pod["nodeSelector"] == POD["nodeSelector"]


def test_all_of_it_goes_with_the_plan_and_says_when_it_is_pointless():
    for raw in [*made(pulls_images=True).values(), *made(Provision.BUFFER).values()]:
        metadata = raw["metadata"]
        assert metadata["ownerReferences"][0]["uid"] == "plan-uid"
        assert metadata["annotations"]["forerun.dev/expires"] == "2026-11-27T12:00:00Z"
        assert metadata["labels"]["forerun.dev/capacity-ahead"] == "reco"
        assert (metadata["name"], metadata["namespace"]) == ("forerun-main-reco", "shop")


def test_pods_meet_the_restricted_level():
    for raw in made(pulls_images=True).values():
        pod = raw["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["securityContext"]["allowPrivilegeEscalation"] is False


@pytest.mark.parametrize(
    "target", [{}, {"spec": {}}, {"spec": {"template": "x"}}, {"spec": {"template": {"spec": {}}}}]
)
def test_without_a_pod_template_nothing_is_made(target):
    assert made(target=target) == {}


def test_names_stay_within_what_pods_may_be_called_and_apart():
    long, other = Key("shop", "s" * 80), Key("shop", "s" * 81)
    names = {name_of(long, tier("a" * 60)), name_of(other, tier("a" * 60)), name_of(Key("shop", "a.b"), tier("x"))}
    assert len(names) == 3
    assert all(len(name) <= 52 and "." not in name for name in names)
    labels = {storefront_label(long.name), storefront_label(other.name), storefront_label("main")}
    assert len(labels) == 3
    assert all(len(label) <= 63 for label in labels)
