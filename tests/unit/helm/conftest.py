"""The chart, rendered with the real helm; each set of values once."""

import importlib.util
import json
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "helm" / "forerun"


class Helm:
    """Runs helm against the chart."""

    def __init__(self, binary: str, kube_version: str) -> None:
        self.binary = binary
        self.kube_version = kube_version
        self._rendered: dict[str, list[dict[str, Any]]] = {}

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self.binary, *args], capture_output=True, text=True, check=False)

    def template(self, values: dict[str, Any] | None = None, chart: Path = CHART) -> subprocess.CompletedProcess[str]:
        settings = [
            part for key, value in (values or {}).items() for part in ("--set-json", f"{key}={json.dumps(value)}")
        ]
        kube = ("--kube-version", self.kube_version)
        return self.run("template", "forerun", str(chart), "-n", "forerun-system", *kube, *settings)

    def objects(self, **values: Any) -> list[dict[str, Any]]:
        """The rendered objects; the test fails with helm's message where it refuses."""
        key = json.dumps(values, sort_keys=True)
        if key not in self._rendered:
            done = self.template(values)
            assert done.returncode == 0, done.stderr
            self._rendered[key] = [document for document in yaml.safe_load_all(done.stdout) if document]
        return self._rendered[key]

    def one(self, kind: str, **values: Any) -> dict[str, Any]:
        found = [document for document in self.objects(**values) if document["kind"] == kind]
        assert len(found) == 1, f"{len(found)} objects of kind {kind}"
        return found[0]


@pytest.fixture(scope="session")
def renderer() -> ModuleType:
    """tools/render_manifests.py as a module."""
    spec = importlib.util.spec_from_file_location("render_manifests", ROOT / "tools" / "render_manifests.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def helm(renderer: ModuleType) -> Helm:
    return Helm(renderer.find_helm(), renderer.KUBE_VERSION)


@pytest.fixture(scope="session")
def chart() -> Path:
    return CHART


@pytest.fixture(scope="session", params=sorted((CHART / "ci").glob("*-values.yaml")), ids=lambda path: path.stem)
def values_set(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The values sets of the chart's ci/ folder, one after the other."""
    return yaml.safe_load(request.param.read_text(encoding="utf-8"))
