"""Write what is derived from crds/ and the chart: the chart's CRD templates, and manifests/install/.

    python tools/render_manifests.py            write
    python tools/render_manifests.py --check    compare; exit code 1 where a file is not current

crds/ comes from `forerun crds`; nothing below is edited by hand. `helm` is the one of
--helm or $HELM, else the sandbox's pinned one, else the one on PATH.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from forerun.sandbox.binaries import ensure, present
from forerun.sandbox.commands import SandboxError

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "helm" / "forerun"
INSTALL = ROOT / "manifests" / "install"
NAMESPACE = "forerun-system"
KUBE_VERSION = "1.36.3"  # a helm built from its module believes in 1.20 otherwise
# keep: false leaves out an annotation that only helm reads; `helm test` needs helm as well
VALUES = ("crds.keep=false", "helmTest.enabled=false")
HEADER = "# Rendered from helm/forerun by tools/render_manifests.py; not edited by hand.\n"
KEEP = "helm.sh/resource-policy"


class RenderError(Exception):
    """One line: what is missing, and the remedy."""


def crd_template(text: str) -> str:
    """The chart's template of one CRD manifest: switched by `crds.install`, kept by `crds.keep`.

    The text of the manifest stays as it is; fromYaml and toYaml would turn large
    integers into floats, which the API server refuses.
    """
    body = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#")).removeprefix("---\n")
    head, found, rest = body.partition("\nmetadata:\n")
    if not found or set(yaml.safe_load(body)["metadata"]) != {"name"}:
        raise RenderError("a CRD manifest needs a metadata block with nothing but a name; run `forerun crds`")
    return (
        "{{- /* From crds/ by tools/render_manifests.py; not edited by hand. */}}\n"
        "{{- if .Values.crds.install }}\n"
        f"{_escaped(head)}\nmetadata:\n"
        '  labels: {{- include "forerun.labels" . | nindent 4 }}\n'
        "  {{- if .Values.crds.keep }}\n"
        "  annotations:\n"
        f"    {KEEP}: keep\n"
        "  {{- end }}\n"
        f"{_escaped(rest).rstrip()}\n"
        "{{- end }}\n"
    )


def crd_templates(folder: Path) -> dict[str, str]:
    """File name -> template, for every manifest in `folder`; RenderError where there is none."""
    manifests = sorted(folder.glob("*.yaml"))
    if not manifests:
        raise RenderError(f"{folder}: holds no CRD; run `forerun crds` first")
    return {path.name: crd_template(path.read_text(encoding="utf-8")) for path in manifests}


def install_files(documents: Iterable[dict[str, Any]]) -> dict[str, str]:
    """File name -> text; the numbers put namespace and CRDs first for `kubectl apply -f FOLDER`."""
    crds: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for document in documents:
        (crds if document["kind"] == "CustomResourceDefinition" else others).append(_without_helm(document))
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    }
    return {
        "00-namespace.yaml": _text([namespace]),
        "10-crds.yaml": _text(crds),
        "20-forerun.yaml": _text(others),
    }


def find_helm(explicit: str | None = None) -> str:
    """Path of a helm binary; RenderError with the remedy where the named one is none.

    The sandbox's pinned one goes before PATH's; it is fetched or built only where there is neither.
    """
    named = explicit or os.environ.get("HELM")
    if named:
        path = shutil.which(named)
        if not path:
            raise RenderError(f"{named}: no such program; name a helm with --helm PATH or HELM=PATH")
        return path
    pinned = present(("helm",)).get("helm")
    path = str(pinned) if pinned else shutil.which("helm")
    try:
        return path or str(ensure(("helm",))["helm"])
    except SandboxError as error:
        raise RenderError(f"no helm ({error}); name one with --helm PATH or HELM=PATH") from None


def has_helm(explicit: str | None = None) -> bool:
    """Whether `find_helm` would fetch and build nothing."""
    return bool(explicit or os.environ.get("HELM") or present(("helm",)) or shutil.which("helm"))


def render(helm: str, chart: Path = CHART) -> list[dict[str, Any]]:
    """The objects of the chart with the values of the plain manifests."""
    command = [helm, "template", "forerun", str(chart), "--namespace", NAMESPACE, "--kube-version", KUBE_VERSION]
    for value in VALUES:
        command += ["--set", value]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own arguments
    if done.returncode:
        raise RenderError(f"helm template: {done.stderr.strip().splitlines()[-1]}")
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def _escaped(text: str) -> str:
    """The text with `{{` kept as it is by helm."""
    return text.replace("{{", '{{ "{{" }}')


def _without_helm(document: dict[str, Any]) -> dict[str, Any]:
    labels = document["metadata"].get("labels", {})
    labels.pop("helm.sh/chart", None)
    labels.pop("app.kubernetes.io/managed-by", None)
    return document


def _text(documents: list[dict[str, Any]]) -> str:
    return HEADER + yaml.safe_dump_all(documents, sort_keys=False, width=120, allow_unicode=True)


def _settle(folder: Path, files: dict[str, str], *, check: bool) -> list[Path]:
    """Make `folder` hold these files and no other YAML; the paths that were not current."""
    folder.mkdir(parents=True, exist_ok=True)
    current = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.yaml")}
    wrong = sorted(name for name in {*current, *files} if current.get(name) != files.get(name))
    for name in wrong if not check else ():
        if name in files:
            (folder / name).write_text(files[name], encoding="utf-8")
        else:
            (folder / name).unlink()
    return [folder / name for name in wrong]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Render the chart's CRD templates and manifests/install/.")
    parser.add_argument("--helm", help="path of the helm binary")
    parser.add_argument("--crds", type=Path, default=ROOT / "crds", help="folder of the CRD manifests")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file is not current")
    parser.add_argument("--skip-unbuilt", action="store_true", help="leave out what needs helm where there is none yet")
    options = parser.parse_args(arguments)
    try:
        wrong = _settle(CHART / "templates" / "crds", crd_templates(options.crds), check=options.check)
        if options.skip_unbuilt and not has_helm(options.helm):
            print("manifests/install is left out: there is no helm yet; run `make binaries`", file=sys.stderr)  # noqa: T201
        elif not (wrong and options.check):  # the chart would render what is not current
            files = install_files(render(find_helm(options.helm)))
            wrong += _settle(INSTALL, files, check=options.check)
    except RenderError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command line
        return 2
    for path in wrong:
        word = "not current" if options.check else "written"
        print(f"{path.relative_to(ROOT)}: {word}", file=sys.stderr)  # noqa: T201 - a command line
    return 1 if wrong and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
