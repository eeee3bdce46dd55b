"""The values of the chart: described, checked, and turned into the operator's settings."""

import json
from collections.abc import Iterator
from dataclasses import fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from forerun.settings import Settings

NETWORKS = (ip_network("10.0.0.0/8"), ip_network("::1"))
# the chart sets these itself
CHART_OWNED = {"namespace", "watch_namespaces", "identity", "lease_name", "health_port"}


@pytest.fixture(scope="module")
def schema(chart: Path) -> dict[str, Any]:
    return json.loads((chart / "values.schema.json").read_text(encoding="utf-8"))


def nodes(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in node:
        yield from nodes(node["items"], f"{path}[]")


def test_schema_describes_every_value(schema):
    bare = [path for path, node in nodes(schema) if not path.endswith("[]") and not node.get("description")]
    assert bare == []
    assert [path for path, node in nodes(schema) if "type" not in node] == []


def test_schema_is_closed_except_for_kubernetes_own_objects(schema):
    of_kubernetes = {
        ".global", ".affinity", ".resources", ".extraEnv[]", ".tolerations[]", ".topologySpreadConstraints[]",
        ".networkPolicy.metrics[]", ".networkPolicy.scrapers[]",
    }  # fmt: skip
    open_nodes = {
        path
        for path, node in nodes(schema)
        if node["type"] == "object" and node.get("additionalProperties", True) is True
    }
    assert open_nodes == of_kubernetes


def test_values_file_and_schema_name_the_same_keys(schema, chart):
    values = yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8"))

    def compare(value: dict[str, Any], node: dict[str, Any], path: str) -> None:
        assert set(value) == set(node["properties"]) - {"global"}, path
        for key, child in value.items():
            if isinstance(child, dict) and node["properties"][key].get("properties") and key != "settings":
                compare(child, node["properties"][key], f"{path}.{key}")

    compare(values, schema, "")


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"replicas": 1}, "replicas"),
        ({"replicaCount": 3}, "replicaCount"),
        ({"replicaCount": -1}, "replicaCount"),
        ({"replicaCount": "1"}, "replicaCount"),
        ({"image": {"digest": "latest"}}, "digest"),
        ({"image": {"repo": "x"}}, "repo"),
        ({"crds": {"keep": "yes"}}, "keep"),
        ({"watchNamespaces": ["*"]}, "watchNamespaces"),
        ({"watchNamespaces": ["Shop"]}, "watchNamespaces"),
        ({"watchNamespaces": ["shop", "shop"]}, "watchNamespaces"),
        ({"watchNamespaces": "shop"}, "watchNamespaces"),
        ({"extraTargets": [{"apiGroup": "*", "resource": "rollouts"}]}, "extraTargets"),
        ({"extraTargets": [{"apiGroup": "x.io", "resource": "*"}]}, "extraTargets"),
        ({"extraTargets": [{"apiGroup": "x.io", "resource": "rollouts/status"}]}, "extraTargets"),
        ({"metricsSecrets": ["*"]}, "metricsSecrets"),
        ({"settings": {"tickSecond": 1}}, "tickSecond"),
        ({"settings": {"tickSeconds": -1}}, "tickSeconds"),
        ({"settings": {"evidenceSamples": 0}}, "evidenceSamples"),
        ({"healthPort": 80}, "healthPort"),
        ({"serviceMonitor": {"interval": "often"}}, "interval"),
        ({"fullnameOverride": "Forerun"}, "fullnameOverride"),
    ],
)
def test_bad_value_is_refused_by_its_name(helm, values, named):
    done = helm.template(values)
    assert done.returncode != 0
    assert named in done.stderr


def test_every_setting_of_the_operator_has_a_value_in_the_chart(schema):
    def camel(name: str) -> str:
        head, *rest = name.split("_")
        return head + "".join(word.capitalize() for word in rest)

    expected = {camel(field.name) for field in fields(Settings)} - {camel(name) for name in CHART_OWNED}
    assert set(schema["properties"]["settings"]["properties"]) == expected


def test_settings_arrive_in_the_operator_as_they_were_set(helm, schema):
    values: dict[str, Any] = {"watchNamespaces": ["shop", "shop-eu"], "healthPort": 9100, "settings": {}}
    expected: dict[str, Any] = {"watch_namespaces": ("shop", "shop-eu"), "health_port": 9100, "lease_name": "forerun"}
    for position, field in enumerate(fields(Settings)):
        if field.name in CHART_OWNED:
            continue
        name = next(key for key in schema["properties"]["settings"]["properties"] if _plain(key) == _plain(field.name))
        # large, small and broken numbers: what a template prints in exponent form would not be read again
        number = (3_000_000 + position) if isinstance(field.default, int) else (3_000_000.0, 0.25, 1.5)[position % 3]
        texts = {str: "text", tuple: "10.0.0.0/8,::1"}
        values["settings"][name] = texts.get(type(field.default), number)
        expected[field.name] = NETWORKS if field.default == () else values["settings"][name]
    container = helm.one("Deployment", **values)["spec"]["template"]["spec"]["containers"][0]
    environment = {variable["name"]: variable["value"] for variable in container["env"] if "value" in variable}
    known = {f"FORERUN_{field.name.upper()}" for field in fields(Settings)}
    assert set(environment) <= known
    read = Settings.from_environment(environment)
    assert {name: getattr(read, name) for name in expected} == expected


def test_numbers_of_a_values_file_arrive_as_they_were_set(helm, chart, tmp_path):
    """Helm reads numbers of a file as floats; 2419200 must not become 2.4192e+06."""
    path = tmp_path / "values.yaml"
    path.write_text(
        "settings: {historySeconds: 2419200, evidenceSamples: 1000000, timeCompression: 0.5}\n", encoding="utf-8"
    )
    done = helm.run("template", "forerun", str(chart), "--kube-version", helm.kube_version, "-f", str(path))
    assert done.returncode == 0, done.stderr
    deployment = next(d for d in yaml.safe_load_all(done.stdout) if d and d["kind"] == "Deployment")
    environment = {v["name"]: v.get("value") for v in deployment["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert environment["FORERUN_HISTORY_SECONDS"] == "2419200"
    assert environment["FORERUN_EVIDENCE_SAMPLES"] == "1000000"
    assert environment["FORERUN_TIME_COMPRESSION"] == "0.5"


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
