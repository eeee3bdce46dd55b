"""What a sandbox starts is ended with it: real processes, ended by their pids."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from forerun.sandbox.workdir import WorkFolder, free_ports, sweep

SLEEPER = "import sys, time; print('up', flush=True); time.sleep(600)"
OWNER = """
import subprocess, sys
from pathlib import Path
from forerun.sandbox.workdir import WorkFolder

folder = WorkFolder(Path(sys.argv[1]), "test")
child = subprocess.Popen([sys.executable, "-c", sys.argv[2], f"{folder.path}/data"], start_new_session=True)
folder.pid_file("child").write_text(str(child.pid))
print(child.pid, flush=True)
child.wait()
"""


def start_child(folder: WorkFolder, argument: str | None = None) -> subprocess.Popen[str]:
    argument = f"{folder.path}/data" if argument is None else argument
    child = subprocess.Popen([sys.executable, "-c", SLEEPER, argument], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "up\n"
    folder.pid_file("child").write_text(str(child.pid))
    return child


def test_close_ends_what_was_started_and_removes_the_folder(tmp_path: Path) -> None:
    folder = WorkFolder(tmp_path, "test")
    child = start_child(folder)
    assert folder.running() == (child.pid,)
    assert folder.dead() == ()
    folder.close()
    assert child.wait(5) == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []
    folder.close()


def test_what_has_ended_is_named(tmp_path: Path) -> None:
    folder = WorkFolder(tmp_path, "test")
    child = start_child(folder)
    child.kill()
    child.wait(5)
    assert folder.dead() == ("child",)
    assert folder.running() == ()
    folder.close()


def test_a_pid_that_is_somebody_elses_by_now_is_not_touched(tmp_path: Path) -> None:
    folder = WorkFolder(tmp_path, "test")
    stranger = start_child(folder, argument="/somewhere/else")
    folder.close()
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait(5)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_an_owner_that_ends_by_a_signal_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", OWNER, str(tmp_path), SLEEPER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as owner:
        child = int(owner.stdout.readline())
        (folder,) = tmp_path.iterdir()
        assert sweep(tmp_path) == ()  # its owner lives
        assert lives(child)
        owner.send_signal(number)
        owner.wait(10)
    # after SIGKILL nobody could clean up but the next sandbox
    assert sweep(tmp_path) == ((folder,) if number == signal.SIGKILL else ())
    assert not lives(child)
    assert list(tmp_path.iterdir()) == []


def test_a_forked_child_does_not_close_its_parents_folder(tmp_path: Path) -> None:
    folder = WorkFolder(tmp_path, "test")
    forked = os.fork()
    if forked == 0:
        folder.close()
        os._exit(0)
    os.waitpid(forked, 0)
    assert folder.path.is_dir()
    folder.close()


def test_sweep_leaves_folders_of_others_alone(tmp_path: Path) -> None:
    (tmp_path / "forerun-notes").mkdir()
    (tmp_path / "other").mkdir()
    assert sweep(tmp_path) == ()
    assert len(list(tmp_path.iterdir())) == 2


def test_free_ports_can_be_listened_on_and_are_not_taken_ones() -> None:
    ports = free_ports(50)
    assert len(set(ports)) == 50
    with socket.create_server(("127.0.0.1", ports[0])):
        assert ports[0] not in free_ports(5000)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False
