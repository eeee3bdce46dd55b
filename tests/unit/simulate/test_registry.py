"""The arms by name, and policies from a user's file."""

import math

import pytest

from forerun.domain.policy import Policy as CapacityPolicy
from forerun.simulate import registry
from forerun.simulate.arena import Setting
from forerun.simulate.ours import Forerun
from forerun.simulate.policy import known_of
from forerun.simulate.registry import Deciding, Planned, RegistryError, arm, arm_from_file

from .arena_world import CALM, campaign, scenario


def known(target=0.7):
    return known_of(scenario([100.0] * 200, campaigns=(campaign(300, 300),)), CALM, target)


def test_every_name_is_an_arm_but_the_oracle_and_what_is_not_installed():
    names = [name for name in registry.NAMES if name not in (*registry.missing(), registry.ORACLE)]
    assert [arm(name).name for name in names] == names
    with pytest.raises(RegistryError, match="give one of forerun, hpa"):
        arm(registry.ORACLE)


def test_peers_are_tried_at_every_target_and_floors_at_every_factor():
    targets, factors = {0.6, 0.7, 0.8, 0.9}, {1.0, 1.25, 1.5}
    for name in ("forerun", "hpa", "hpa-rps"):
        assert {setting.hpa_target for setting in arm(name).settings} == targets
        assert {(setting.on_cpu, setting.factor) for setting in arm(name).settings} == {(name == "hpa", 1.0)}
    pairs = {(target, factor) for target in targets for factor in factors}
    assert {(setting.hpa_target, setting.factor) for setting in arm("keda-cron").settings} == pairs
    by_hand = pairs | {(None, factor) for factor in factors}
    assert {(setting.hpa_target, setting.factor) for setting in arm("static").settings} == by_hand


def test_a_fixed_target_leaves_no_other():
    assert arm("hpa", (0.8,)).settings == (Setting(0.8, on_cpu=True),)
    assert {setting.hpa_target for setting in arm("static", (0.8,)).settings} == {0.8}


def test_what_needs_a_library_that_is_not_there_says_how_it_comes(monkeypatch):
    monkeypatch.setattr(registry, "find_spec", lambda _: None)
    assert registry.missing() == ("mean-forecast",)
    with pytest.raises(RegistryError, match=r"pip install 'forerun\[backtest\]'"):
        arm("mean-forecast")


def test_forerun_has_the_policy_of_the_files():
    policy = CapacityPolicy(service_level=0.9)
    ours = arm("forerun", policy=policy)
    assert isinstance(ours, Deciding)
    made = ours.make(known())
    assert isinstance(made, Forerun) and made.policy is policy
    assert ours.make(known()) is not made  # a policy remembers: each scenario has its own


def test_floors_of_an_event_grow_with_the_factor():
    planned = arm("keda-cron")
    assert isinstance(planned, Planned)
    event = campaign(300, 300, expected=type(campaign(0, 1).expected)(peak_rps=400.0))
    sized = planned.plan(known_of(scenario([100.0] * 200, campaigns=(event,)), CALM, None))
    assert [sized(factor)["web"].max() for factor in (1.0, 1.25, 1.5)] == [40, 50, 60]  # of 10 calls/s each


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "class Mine:\n"
        "    every_seconds = 60.0\n"
        "    def __init__(self, known): self.known = known\n"
        "    def floors(self, view): return {}\n"
        "VALUE = 3\n"
    )
    return path


def test_a_policy_of_a_file_is_made_from_what_is_known(file):
    mine = arm_from_file(f"{file}:Mine", (0.7, 0.8))
    assert (mine.name, mine.settings) == ("Mine", (Setting(0.7), Setting(0.8)))
    seen = known()
    assert mine.make(seen).known is seen


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mine.py:VALUE", "there is no class 'VALUE'"),
        ("mine.py:", "there is no class ''"),
        ("gone.py:Mine", "no such file"),
    ],
)
def test_what_is_no_policy_is_refused(file, text, words):
    with pytest.raises(RegistryError, match=words):
        arm_from_file(f"{file.parent}/{text}")


@pytest.mark.parametrize("body", ["import no_such_module_of_ours", "raise SystemExit(3)", "1 / 0", "def ("])
def test_a_file_that_cannot_be_imported_is_refused_in_one_line(tmp_path, body):
    (tmp_path / "mine.py").write_text(body)
    with pytest.raises(RegistryError, match=r"mine\.py: cannot be imported: \w+: .*; correct it$"):
        arm_from_file(f"{tmp_path}/mine.py:Mine")


@pytest.mark.parametrize("every", [0, -1.0, math.nan, math.inf, "60", True, None])
def test_a_policy_must_say_how_often_it_is_asked(tmp_path, every):
    written = f"float('{every}')" if isinstance(every, float) else repr(every)
    (tmp_path / "mine.py").write_text(
        f"class Mine:\n    every_seconds = {written}\n    def __init__(self, known): ...\n"
    )
    with pytest.raises(TypeError, match="every_seconds is"):
        arm_from_file(f"{tmp_path}/mine.py:Mine").make(known())
