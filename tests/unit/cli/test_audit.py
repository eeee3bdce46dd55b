"""`forerun audit verify` at the screen."""

import io
import json

import pytest
from click.testing import CliRunner

from forerun.cli.audit import audit
from forerun.observe.audit_chain import START, AuditChain


@pytest.fixture
def log(tmp_path):
    """Three sealed lines in two files, and their head."""
    chain = AuditChain()
    chain.begin("pod/1", START)
    lines = [json.dumps(chain(None, "info", {"kind": "audit", "after": floor})) for floor in (3, 5, 2)]
    first, second = tmp_path / "1.log", tmp_path / "2.log"
    first.write_text("starting\n" + lines[0] + "\n" + lines[1] + "\n", encoding="utf-8")
    second.write_text(lines[2], encoding="utf-8")
    return str(first), str(second), chain.head


def ran(*arguments, stdin=b""):
    return CliRunner().invoke(audit, ["verify", *arguments], input=io.BytesIO(stdin))


def test_whole(log):
    done = ran(log[0], log[1], "--head", log[2])
    assert done.exit_code == 0
    assert done.output == f"whole: 3 records of 1 runs, the last one {log[2]}\n"


def test_from_standard_input_as_json(log, tmp_path):
    text = b"".join((tmp_path / name).read_bytes() for name in ("1.log", "2.log"))
    done = ran("-o", "json", stdin=text)
    told = json.loads(done.output)
    assert (done.exit_code, told["whole"], told["records"], told["head"]) == (0, True, 3, log[2])


def test_broken(log):
    done = ran(log[1], log[0], "--head", log[2])
    assert done.exit_code == 1
    assert done.output.splitlines()[-1].startswith("BROKEN: 3 records")
    done = ran(log[0], "--head", log[2])
    assert done.exit_code == 1
    assert "the end is missing" in done.output


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--head", "12"], "--head: must be 64 hexadecimal digits"),
        (["nowhere.log"], "nowhere.log: No such file or directory"),
        ([], "standard input: there is no audit line in it"),
    ],
)
def test_bad_input_is_one_line(arguments, word):
    done = ran(*arguments)
    assert done.exit_code == 2
    assert word in done.output
    assert len(done.output.splitlines()) == 1
