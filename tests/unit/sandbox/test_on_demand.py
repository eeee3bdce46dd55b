"""Programs that only a benchmark needs: no part of `make binaries`, and of a folder of their own."""

import re
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from forerun.sandbox import binaries, go_build, versions
from forerun.sandbox.commands import SandboxError

GO = """#!/bin/sh
# answers as go does; writes a program named after each package into the folder that follows -o
case "$1" in
env) echo go1.99.1; exit;;
mod) printf '{"Path": "%s", "Dir": "%s"}' "$4" "$GO_SOURCES"; exit;;
esac
cp go.mod "$GO_SEEN"
while [ "$1" != -o ]; do shift; done
target="$2"; shift 2
for package in "$@"; do printf '#!/bin/sh\\necho built\\n' > "$target/${package##*/}"; chmod +x "$target/${package##*/}"; done
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    go = tmp_path / "go-bin" / "go"
    go.parent.mkdir()
    go.write_text(GO)
    go.chmod(0o755)
    return {
        "PATH": f"{go.parent}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "KWOK_BINARY_PREFIX": "http://127.0.0.1:1",
        "GO_SEEN": str(tmp_path / "go.mod.seen"),
        "GO_SOURCES": str(tmp_path / "sources"),
    }


def run(environment: dict[str, str], code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout


def test_what_is_built_on_demand_does_not_move_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: versions.digest_of(name) for name in versions.PROGRAMS}
    ours = {versions.digest_of(name) for name in versions.KEDA_BUILD.programs}
    assert set(before.values()) == {versions.digest()}
    assert len(ours) == 1
    assert ours.isdisjoint(before.values())
    assert versions.KEDA_BUILD.programs.keys().isdisjoint(versions.PROGRAMS)
    monkeypatch.setattr(versions, "ON_DEMAND", ())
    assert {name: versions.digest_of(name) for name in versions.PROGRAMS} == before


def test_two_programs_of_one_build_get_their_names_and_their_own_folder(
    environment: dict[str, str], tmp_path: Path
) -> None:
    names = tuple(versions.KEDA_BUILD.programs)
    said = run(environment, f"from forerun.sandbox.binaries import *; print(*ensure({names!r}).values())").split()
    folder = tmp_path / "cache" / "forerun" / versions.digest_of(names[0]) / "bin"
    assert said == [str(folder / name) for name in names]
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    assert all(subprocess.check_output([path], text=True) == "built\n" for path in said)
    assert binaries.present(environment=environment) == {}
    source = resources.files("forerun.sandbox").joinpath("gomod", "keda", "go.mod")
    assert Path(environment["GO_SEEN"]).read_text() == source.read_text()


def test_the_sources_of_a_module_are_where_go_says(environment: dict[str, str], tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from forerun.sandbox import go_build, versions;"
        f"print(go_build.source_folder(Path({environment['PATH'].split(':')[0]!r}) / 'go', versions.KEDA_BUILD,"
        f" 'example.com/module', Path({str(tmp_path)!r})))"
    )
    assert run(environment, code).strip() == environment["GO_SOURCES"]
    with pytest.raises(SandboxError, match=r"no go\.mod that names example"):
        plain = next(build for build in versions.BUILDS if build.folder is None)
        go_build.source_folder(Path("go"), plain, "example.com/module", tmp_path)


def test_go_mod_and_the_table_name_the_same_versions() -> None:
    for build in versions.ON_DEMAND:
        text = resources.files("forerun.sandbox").joinpath("gomod", build.folder, "go.mod").read_text()
        required = dict(re.findall(r"^\s*(?:require )?(\S+) (v\S+?)(?: // indirect)?$", text, re.MULTILINE))
        tools = set(re.findall(r"^tool ([\w./-]+)$", text, re.MULTILINE))
        for package in build.programs.values():
            module = next(name for name in required if package.startswith(f"{name}/"))
            assert required[module] == build.version
            assert package in tools
        needed = tuple(map(int, re.search(r"^go (\S+)$", text, re.MULTILINE)[1].split(".")))
        assert needed <= versions.GO_MINIMUM
