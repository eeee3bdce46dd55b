"""The CRDs: structural, bounded, in step with crds/, and in step with the models."""

from pathlib import Path

import pytest
import yaml

from forerun.api.convert import campaign_from, metrics_source_from, policy_from, storefront_from
from forerun.api.crds import KINDS, crd_manifests, crd_yaml
from forerun.domain.reason import Refusal

REPOSITORY = Path(__file__).parents[3]
MANIFESTS = crd_manifests()


def nodes(schema, path="", keyword=True):
    """Every schema node with its path."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from nodes(schema["additionalProperties"], f"{path}[*]")


def schema_of(manifest):
    return manifest["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


ALL = [(name, *node) for name, manifest in MANIFESTS.items() for node in nodes(schema_of(manifest)) if node[0]]
DATA = [entry for entry in ALL if entry[1].startswith((".spec", ".status"))]


def test_the_files_are_what_the_models_say():
    files = {path.name: path.read_text() for path in (REPOSITORY / "crds").glob("*.yaml")}

    assert files == crd_yaml()
    assert set(files) == {f"forerun.dev_{kind.plural}.yaml" for kind in KINDS}
    assert {name: yaml.safe_load(text) for name, text in files.items()} == MANIFESTS


@pytest.mark.parametrize(("name", "path", "schema"), DATA, ids=[f"{name}{path}" for name, path, _ in DATA])
def test_every_node_is_structural_and_bounded(name, path, schema):
    assert not schema.keys() & {
        "$ref",
        "$defs",
        "title",
        "default",
        "patternProperties",
        "propertyNames",
        "not",
        "const",
    }
    assert "x-kubernetes-preserve-unknown-fields" not in schema
    if schema.get("x-kubernetes-int-or-string"):
        assert "type" not in schema
        assert "maxLength" in schema
        return
    assert schema["type"] in {"object", "array", "string", "integer", "boolean"}
    if schema["type"] == "string":
        assert "maxLength" in schema or "enum" in schema
    if schema["type"] == "array":
        assert "maxItems" in schema
    if schema["type"] == "integer":
        assert {"minimum", "maximum"} <= schema.keys()
    if schema["type"] == "object":
        assert ("properties" in schema) != ("additionalProperties" in schema)
        if "additionalProperties" in schema:
            assert "maxProperties" in schema


def test_every_rule_says_what_to_do():
    rules = [(path, rule) for _, path, schema in ALL for rule in schema.get("x-kubernetes-validations", [])]

    assert len(rules) > 20
    for path, rule in rules:
        assert rule["message"], path
        assert "\n" not in rule["message"]


def test_lists_that_have_keys():
    keyed = {
        f"{name.removeprefix('forerun.dev_').removesuffix('.yaml')}{path}": schema["x-kubernetes-list-map-keys"]
        for name, path, schema in ALL
        if schema.get("x-kubernetes-list-type") == "map"
    }

    assert keyed["storefronts.spec.tiers"] == ["name"]
    assert keyed["capacitypolicies.spec.pools"] == ["name"]
    assert {kind for kind, keys in keyed.items() if keys == ["type"]} == {
        f"{kind.plural}.status.conditions" for kind in KINDS
    }


def test_names_of_kubectl():
    names = {manifest["spec"]["names"]["kind"]: manifest["spec"] for manifest in MANIFESTS.values()}

    assert {kind: spec["scope"] for kind, spec in names.items()} == {
        "Campaign": "Namespaced",
        "Storefront": "Namespaced",
        "CapacityPlan": "Namespaced",
        "CapacityPolicy": "Cluster",
        "MetricsSource": "Cluster",
    }
    assert names["Campaign"]["names"]["shortNames"] == ["camp"]
    assert names["Storefront"]["names"]["shortNames"] == ["sf"]
    assert [kind for kind, spec in names.items() if "all" in spec["names"]["categories"]] == ["Campaign"]
    assert all(spec["versions"][0]["subresources"] == {"status": {}} for spec in names.values())


def test_columns_of_campaigns():
    version = MANIFESTS["forerun.dev_campaigns.yaml"]["spec"]["versions"][0]
    columns = version["additionalPrinterColumns"]

    assert [column["name"] for column in columns if "priority" not in column] == [
        "Type", "Starts", "Phase", "Ready", "Peak", "Reason", "Age",
    ]  # fmt: skip
    assert [column["name"] for column in columns if column.get("priority") == 1] == [
        "Storefront", "Ends", "Priority", "Unserved",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=[kind.plural for kind in KINDS])
def test_every_column_points_at_a_field(kind):
    schema = schema_of(MANIFESTS[f"forerun.dev_{kind.plural}.yaml"])
    paths = {path for path, _ in nodes(schema)}

    for column in kind.columns:
        plain = column.path.split("[?")[0]
        assert plain in paths or plain == ".metadata.creationTimestamp", column


def test_every_sample_is_taken():
    readers = {
        "Campaign": campaign_from,
        "Storefront": storefront_from,
        "CapacityPolicy": policy_from,
        "MetricsSource": lambda obj: metrics_source_from(obj, None),
    }
    seen = []
    for path in sorted((REPOSITORY / "manifests" / "samples").glob("*.yaml")):
        for obj in yaml.safe_load_all(path.read_text()):
            if obj["kind"] in readers:
                found = readers[obj["kind"]](obj)
                assert not isinstance(found, Refusal), found
                seen.append(obj["kind"])
    assert sorted(seen) == sorted(readers)
