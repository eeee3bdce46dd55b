"""tools/render_manifests.py: one source for CRDs, chart and plain manifests."""

import pytest
import yaml

CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: things.example.com
spec:
  group: example.com
  names: {kind: Thing, plural: things}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        description: 'text with {{ braces }} and "quotes"'
        properties:
          count: {type: integer, maximum: 100000000000, maxLength: 1000000}
"""


def test_written_files_are_current(renderer, helm):
    """crds/, the chart's templates and manifests/install/ say the same; else: make verify names the file."""
    assert renderer.main(["--check", "--helm", helm.binary]) == 0


def test_crd_survives_the_way_through_helm(renderer, helm, tmp_path):
    """Braces are not read as a template, and large integers stay integers."""
    chart = tmp_path / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: t\nversion: 1.0.0\n", encoding="utf-8")
    (chart / "values.yaml").write_text("crds: {install: true, keep: true}\n", encoding="utf-8")
    (chart / "templates" / "_l.tpl").write_text('{{ define "forerun.labels" }}a: b{{ end }}', encoding="utf-8")
    (chart / "templates" / "crd.yaml").write_text(renderer.crd_template(CRD), encoding="utf-8")
    done = helm.template(chart=chart)
    assert done.returncode == 0, done.stderr
    rendered, source = yaml.safe_load(done.stdout), yaml.safe_load(CRD)
    assert rendered["spec"] == source["spec"]
    assert "100000000000" in done.stdout
    assert rendered["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_crd_with_metadata_of_its_own_is_refused(renderer):
    with pytest.raises(renderer.RenderError, match="forerun crds"):
        renderer.crd_template(CRD.replace("spec:", "  annotations: {a: b}\nspec:", 1))


def test_missing_crds_name_the_remedy(renderer, tmp_path, capsys):
    assert renderer.main(["--crds", str(tmp_path), "--check"]) == 2
    assert "forerun crds" in capsys.readouterr().err


def test_check_finds_a_difference_and_changes_nothing(renderer, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "old.yaml").write_text("old", encoding="utf-8")
    (folder / "same.yaml").write_text("same", encoding="utf-8")
    files = {"same.yaml": "same", "new.yaml": "new"}
    wrong = renderer._settle(folder, files, check=True)
    assert {path.name for path in wrong} == {"old.yaml", "new.yaml"}
    assert {path.name for path in folder.iterdir()} == {"old.yaml", "same.yaml"}
    renderer._settle(folder, files, check=False)
    assert {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()} == files
    assert renderer._settle(folder, files, check=True) == []


def test_plain_manifests_hold_nothing_of_helm(renderer, helm):
    files = renderer.install_files(renderer.render(helm.binary))
    assert list(files) == sorted(files)  # kubectl apply -f FOLDER goes by name: namespace, CRDs, the rest
    for text in files.values():
        assert "helm.sh/" not in text
        assert "managed-by" not in text
    namespaced = [o for text in files.values() for o in yaml.safe_load_all(text) if "namespace" in o["metadata"]]
    assert {o["metadata"]["namespace"] for o in namespaced} == {renderer.NAMESPACE}


def test_named_helm_that_is_not_there_is_an_error_and_no_other_is_taken(renderer, monkeypatch, tmp_path):
    with pytest.raises(renderer.RenderError, match="HELM=PATH"):
        renderer.find_helm(str(tmp_path / "helm"))
    monkeypatch.setenv("HELM", str(tmp_path / "other"))
    with pytest.raises(renderer.RenderError, match="other"):
        renderer.find_helm()
