"""Paths of what the API server serves."""

import pytest

from forerun.kube.discovery import REDISCOVER_SECONDS, Discovery, resources_of
from forerun.kube.errors import NotFound

APPS = {
    "kind": "APIResourceList",
    "groupVersion": "apps/v1",
    "resources": [
        {"name": "deployments", "kind": "Deployment", "namespaced": True},
        {"name": "deployments/scale", "kind": "Scale", "namespaced": True},
        {"name": "deployments/status", "kind": "Deployment", "namespaced": True},
    ],
}
CORE = {"resources": [{"name": "nodes", "kind": "Node", "namespaced": False}]}


def test_subresources_belong_to_their_kind_and_are_no_kinds_of_their_own():
    found = resources_of("apps/v1", APPS)
    assert set(found) == {"Deployment"}
    assert found["Deployment"].subresources == {"scale", "status"}


def test_paths_of_namespaced_and_cluster_wide_kinds():
    deployment = resources_of("apps/v1", APPS)["Deployment"]
    node = resources_of("v1", CORE)["Node"]
    assert deployment.path("shop", "web", "scale") == "/apis/apps/v1/namespaces/shop/deployments/web/scale"
    assert deployment.path(None) == "/apis/apps/v1/deployments"
    assert node.path("ignored", "n1") == "/api/v1/nodes/n1"


def test_names_cannot_leave_their_place_in_the_path():
    deployment = resources_of("apps/v1", APPS)["Deployment"]
    assert deployment.path("shop", "../../secrets") == "/apis/apps/v1/namespaces/shop/deployments/..%2F..%2Fsecrets"


def test_a_namespaced_object_needs_its_namespace():
    with pytest.raises(ValueError, match="a namespace is needed"):
        resources_of("apps/v1", APPS)["Deployment"].path(None, "web")


async def test_a_missing_kind_is_asked_for_again_but_not_on_every_call():
    now, asked, served = [0.0], [], {"resources": []}

    async def fetch(path):
        asked.append(path)
        return served

    discovery = Discovery(fetch, lambda: now[0])
    for _ in range(3):
        with pytest.raises(NotFound, match="does not serve this kind"):
            await discovery.resource("apps/v1", "Deployment")
    assert asked == ["/apis/apps/v1"]
    served["resources"] = APPS["resources"]
    now[0] += REDISCOVER_SECONDS
    assert (await discovery.resource("apps/v1", "Deployment")).plural == "deployments"
    await discovery.resource("apps/v1", "Deployment")
    assert len(asked) == 2


async def test_a_group_that_is_not_served_is_a_kind_that_is_not_served():
    async def fetch(path):
        raise NotFound("404 page not found", 404)

    with pytest.raises(NotFound, match="install its CRD"):
        await Discovery(fetch, lambda: 0.0).resource("keda.sh/v1alpha1", "ScaledObject")
