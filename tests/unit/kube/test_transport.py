"""What a healthy API server does not do on demand: refuse for now, hang up, talk nonsense.

A small HTTP server on loopback plays it; the cluster tests have the real one.
"""

import asyncio
import json
import os

import pytest
import yaml
from aiohttp import web

from forerun.kube import connection, transport
from forerun.kube.cluster import Cluster
from forerun.kube.errors import Conflict, Fenced, Forbidden, Invalid, NotConfigured, NotFound, Unavailable

LISTING = {
    "resources": [
        {"name": "configmaps", "kind": "ConfigMap", "namespaced": True},
    ]
}
OBJECT = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"}}


class Server:
    """Answers discovery, and everything else from a script; remembers what it was sent."""

    def __init__(self):
        self.script = []
        self.requests = []

    async def handle(self, request):
        if request.path == "/api/v1":
            return web.json_response(LISTING)
        self.requests.append((request, await request.text()))
        answer = self.script.pop(0) if self.script else web.json_response(OBJECT)
        if answer == "hang up":
            request.transport.close()
            return web.Response()
        if answer == "hang":
            await asyncio.sleep(3600)
        return answer


@pytest.fixture
async def server(tmp_path, monkeypatch):
    monkeypatch.setattr(transport, "BACKOFF_SECONDS", 0.0)
    fake = Server()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", fake.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    fake.token_file = tmp_path / "token"
    fake.token_file.write_text("first")
    fake.kubeconfig = tmp_path / "kubeconfig"
    fake.kubeconfig.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "x",
                "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x", "namespace": "shop"}}],
                "clusters": [{"name": "x", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
                "users": [{"name": "x", "user": {"tokenFile": str(fake.token_file)}}],
            }
        )
    )
    yield fake
    await runner.cleanup()


@pytest.fixture
async def cluster(server):
    cluster = await Cluster.connect(str(server.kubeconfig))
    yield cluster
    await cluster.close()


def refusal(status, message="", headers=None):
    return web.json_response({"kind": "Status", "message": message, "code": status}, status=status, headers=headers)


async def test_a_write_names_the_manager_and_carries_plain_json(cluster, server):
    await cluster.merge_patch("v1", "ConfigMap", "n", "c", {"data": {"a": None}})
    request, body = server.requests[0]
    assert (request.method, request.path) == ("PATCH", "/api/v1/namespaces/n/configmaps/c")
    assert request.query["fieldManager"] == "forerun"
    assert request.headers["Content-Type"] == "application/merge-patch+json"
    assert json.loads(body) == {"data": {"a": None}}
    assert request.headers["Authorization"] == "Bearer first"


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_server_is_asked_again(cluster, server, status):
    server.script = [refusal(status, headers={"Retry-After": "0"}), refusal(status)]
    assert await cluster.get("v1", "ConfigMap", "n", "c") == OBJECT
    assert len(server.requests) == 3


async def test_a_server_that_stays_busy_is_given_up_after_a_bounded_number_of_times(cluster, server):
    server.script = [refusal(429, "too many requests", {"Retry-After": "0"}) for _ in range(50)]
    with pytest.raises(Unavailable, match="get ConfigMap n/c: too many requests"):
        await cluster.get("v1", "ConfigMap", "n", "c")
    assert len(server.requests) == transport.ATTEMPTS


def test_a_wait_follows_retry_after_within_bounds_and_is_jittered_upwards():
    waits = [transport._wait_seconds({"Retry-After": "2"}, 0) for _ in range(50)]
    assert min(waits) >= 2.0 and max(waits) <= 2.0 * (1 + transport.JITTER) and len(set(waits)) > 1
    longest = transport.LONGEST_WAIT_SECONDS * (1 + transport.JITTER)
    assert transport._wait_seconds({"Retry-After": "86400"}, 0) <= longest
    assert transport._wait_seconds({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, 99) <= longest


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, Invalid), (403, Forbidden), (404, NotFound), (409, Conflict), (422, Invalid), (500, Unavailable)],
)
async def test_refusals_are_typed_and_say_verb_object_and_cause_in_one_line(cluster, server, status, kind):
    server.script = [refusal(status, "because\nof this")]
    with pytest.raises(kind) as raised:
        await cluster.merge_patch("v1", "ConfigMap", "n", "c", {})
    assert str(raised.value).startswith("patch ConfigMap n/c: because of this")
    assert "\n" not in str(raised.value)
    assert raised.value.status == status


async def test_a_forbidden_write_names_the_remedy(cluster, server):
    server.script = [refusal(403, 'cannot patch resource "configmaps"')]
    with pytest.raises(Forbidden, match="RoleBinding"):
        await cluster.merge_patch("v1", "ConfigMap", "n", "c", {})


async def test_a_connection_that_was_closed_under_us_is_tried_once_more(cluster, server):
    server.script = ["hang up"]
    assert await cluster.merge_patch("v1", "ConfigMap", "n", "c", {}) == OBJECT


async def test_a_create_is_never_sent_twice(cluster, server):
    server.script = ["hang up"]
    with pytest.raises(Unavailable):
        await cluster.create(OBJECT)
    assert len(server.requests) == 1


async def test_no_answer_in_time_is_unavailable(server, monkeypatch):
    monkeypatch.setattr(connection, "TIMEOUT_SECONDS", 0.2)
    cluster = await Cluster.connect(str(server.kubeconfig))
    server.script = ["hang"]
    with pytest.raises(Unavailable, match="no answer within"):
        await cluster.get("v1", "ConfigMap", "n", "c")
    await cluster.close()


async def test_nobody_there_is_unavailable(tmp_path, server, cluster):
    text = server.kubeconfig.read_text()
    port = yaml.safe_load(text)["clusters"][0]["cluster"]["server"].rsplit(":", 1)[1]
    closed = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    free = closed.sockets[0].getsockname()[1]
    closed.close()
    await closed.wait_closed()
    path = tmp_path / "gone"
    path.write_text(text.replace(port, str(free)))
    gone = await Cluster.connect(str(path))
    with pytest.raises(Unavailable, match="is the API server up"):
        await gone.get("v1", "ConfigMap", "n", "c")
    await gone.close()


async def test_a_page_that_is_not_json_is_no_object(cluster, server):
    server.script = [web.Response(text="<html>log in</html>", content_type="text/html")]
    with pytest.raises(Unavailable, match="is this an API server"):
        await cluster.get("v1", "ConfigMap", "n", "c")


async def test_an_expired_token_is_read_again(cluster, server):
    server.script = [refusal(401, "Unauthorized")]
    server.token_file.write_text("second")
    assert await cluster.get("v1", "ConfigMap", "n", "c") == OBJECT
    assert [request.headers["Authorization"] for request, _ in server.requests] == ["Bearer first", "Bearer second"]


async def test_credentials_that_stay_bad_are_forbidden(cluster, server):
    server.script = [refusal(401, "Unauthorized") for _ in range(9)]
    with pytest.raises(Forbidden, match="renew the token"):
        await cluster.get("v1", "ConfigMap", "n", "c")
    assert len(server.requests) == 2


async def test_nothing_is_written_behind_the_fence_but_reads_go_on(cluster, server):
    cluster.fence = lambda: False
    for write in (
        lambda: cluster.merge_patch("v1", "ConfigMap", "n", "c", {}),
        lambda: cluster.create(OBJECT),
        lambda: cluster.delete("v1", "ConfigMap", "n", "c"),
        lambda: cluster.put_scale("v1", "ConfigMap", "n", "c", 1, uid="u", resource_version="1"),
    ):
        with pytest.raises(Fenced, match="does not hold the Lease"):
            await write()
    assert server.requests == []
    assert await cluster.get("v1", "ConfigMap", "n", "c") == OBJECT


async def test_the_fence_is_asked_again_before_a_repeated_write(cluster, server):
    answers = [True, False]
    cluster.fence = lambda: answers.pop(0)
    server.script = [refusal(429, headers={"Retry-After": "0"})]
    with pytest.raises(Fenced):
        await cluster.merge_patch("v1", "ConfigMap", "n", "c", {})
    assert len(server.requests) == 1


async def test_a_list_goes_through_all_pages_and_starts_anew_when_it_expires(cluster, server):
    def page(name, token=None):
        return web.json_response({"metadata": {"continue": token}, "items": [{"metadata": {"name": name}}]})

    server.script = [page("a", "t1"), refusal(410, "expired"), page("a", "t2"), page("b")]
    found = await cluster.list("v1", "ConfigMap", "n", label_selector="x=y")
    assert [(item["kind"], item["metadata"]["name"]) for item in found] == [("ConfigMap", "a"), ("ConfigMap", "b")]
    assert [request.query.get("continue") for request, _ in server.requests] == [None, "t1", None, "t2"]
    assert all(request.query["labelSelector"] == "x=y" for request, _ in server.requests)


async def test_no_more_requests_at_once_than_allowed(server):
    running, most = 0, 0

    async def slow(request):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return web.json_response(OBJECT if request.path != "/api/v1" else LISTING)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", slow)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    config = yaml.safe_load(server.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    server.kubeconfig.write_text(yaml.safe_dump(config))
    cluster = await Cluster.connect(str(server.kubeconfig), concurrency=3)
    await asyncio.gather(*(cluster.get("v1", "ConfigMap", "n", f"c{i}") for i in range(20)))
    assert most == 3
    await cluster.close()
    await runner.cleanup()


async def test_the_context_names_the_namespace(cluster):
    assert cluster.namespace == "shop"


@pytest.mark.parametrize("text", [None, "", "nonsense: [", "apiVersion: v1\nkind: Config\n"])
async def test_a_kubeconfig_that_is_none_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_text(text)
    with pytest.raises(NotConfigured) as raised:
        await Cluster.connect(str(path))
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)


async def test_a_kubeconfig_that_does_not_exist_is_called_so(tmp_path, caplog):
    missing = f"{tmp_path / 'one'}{os.pathsep}{tmp_path / 'two'}"
    with pytest.raises(NotConfigured, match="no such file"):
        await Cluster.connect(missing)
    assert not caplog.records
