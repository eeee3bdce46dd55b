"""The API `external.metrics.k8s.io`, answered from Prometheus, so that a real HPA of type External works.

Smaller than prometheus-adapter: one PromQL expression per metric name, one value for the
whole cluster, no label selectors, no custom or resource metrics. It is registered as any
adapter is (an APIService), and kube-apiserver speaks to it over HTTPS on loopback; both
ends show certificates of the control plane's own authority.
"""

import base64
import json
import math
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from forerun.sandbox.commands import SandboxError
from forerun.sandbox.control_plane import EXTERNAL_METRICS_HOST, ControlPlane
from forerun.sandbox.prometheus import PrometheusServer

GROUP = "external.metrics.k8s.io"
VERSION = "v1beta1"
_ROOT = f"/apis/{GROUP}/{VERSION}"
_READY_SECONDS = 30.0


class ExternalMetricsApi:
    """`queries` maps the name of a metric, as an HPA names it, to its PromQL expression.

    Where the expression gives no number the HPA is told so (404), never zero.
    """

    def __init__(self, plane: ControlPlane, prometheus: PrometheusServer, queries: Mapping[str, str]) -> None:
        self._plane = plane
        self._prometheus = prometheus
        self._queries = dict(queries)
        self._runner: web.AppRunner | None = None
        self._registered = False

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Served and Available in the cluster. Raises SandboxError or CommandError."""
        try:
            port = await self._serve()
            manifests = {"apiVersion": "v1", "kind": "List", "items": registration(port, self._authority())}
            self._registered = True
            await self._plane.kubectl("apply", "-f", "-", text=json.dumps(manifests))
            available = ("--for=condition=Available", f"--timeout={_READY_SECONDS:g}s")
            await self._plane.kubectl("wait", *available, f"apiservice/{VERSION}.{GROUP}")
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Take the registration back (an API that does not answer holds up deleted namespaces), then the server."""
        if self._registered:
            self._registered = False
            await self._plane.kubectl("delete", "apiservice", f"{VERSION}.{GROUP}", "--ignore-not-found")
            name, namespace, _ = EXTERNAL_METRICS_HOST.split(".")
            await self._plane.kubectl("delete", "service", name, "--namespace", namespace, "--ignore-not-found")
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _serve(self) -> int:
        application = web.Application()
        application.router.add_get(_ROOT, self._resources)
        application.router.add_get(f"{_ROOT}/namespaces/{{namespace}}/{{metric}}", self._metric)
        # kube-apiserver keeps its connections open: do not wait for it at the end
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._plane.pki / "admin.crt", self._plane.pki / "admin.key")
        context.load_verify_locations(self._plane.pki / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED  # only the front proxy of this control plane may ask
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        port: int = self._runner.addresses[0][1]
        return port

    def _authority(self) -> str:
        return base64.b64encode((self._plane.pki / "ca.crt").read_bytes()).decode()

    async def _resources(self, _request: web.Request) -> web.Response:
        resources = [
            {"name": name, "singularName": "", "namespaced": True, "kind": "ExternalMetricValueList", "verbs": ["get"]}
            for name in self._queries
        ]
        kind = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{GROUP}/{VERSION}"}
        return web.json_response({**kind, "resources": resources})

    async def _metric(self, request: web.Request) -> web.Response:
        name = request.match_info["metric"]
        if name not in self._queries:
            return _refusal(404, "NotFound", f"no query is configured for the metric {name!r}")
        if request.query.get("labelSelector"):
            return _refusal(400, "BadRequest", f"metric {name!r}: label selectors are not served here")
        try:
            value = await self._prometheus.value(self._queries[name])
        except SandboxError as failed:
            return _refusal(503, "ServiceUnavailable", str(failed))
        if value is None or not math.isfinite(value):
            return _refusal(404, "NotFound", f"metric {name!r}: Prometheus has no value for {self._queries[name]!r}")
        item = {
            "metricName": name,
            "metricLabels": {},
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "value": f"{round(value * 1000)}m",
        }
        kind = {"kind": "ExternalMetricValueList", "apiVersion": f"{GROUP}/{VERSION}", "metadata": {}}
        return web.json_response({**kind, "items": [item]})


def registration(port: int, authority: str) -> list[dict[str, Any]]:
    """Service and APIService of an adapter at this port of localhost; `authority` is its CA, base64."""
    name, namespace, _ = EXTERNAL_METRICS_HOST.split(".")
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"{VERSION}.{GROUP}"},
            "spec": {
                "group": GROUP,
                "version": VERSION,
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "caBundle": authority,
                "service": {"name": name, "namespace": namespace, "port": port},
            },
        },
    ]


def _refusal(code: int, reason: str, message: str) -> web.Response:
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason}
    return web.json_response({**status, "code": code, "message": message}, status=code)
