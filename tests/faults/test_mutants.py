"""Every seeded fault can be put where it belongs, and is still Python."""

import ast

import pytest
from tests.faults.mutants import MUTANTS
from tests.faults.mutation import ROOT, WATCHES


def test_there_are_enough_and_each_has_its_own_name():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 60
    assert {mutant.watch for mutant in MUTANTS} <= set(WATCHES)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_its_text_stands_there_once_and_what_comes_of_it_is_python(mutant):
    text = (ROOT / "operator" / mutant.file).read_text(encoding="utf-8")
    assert text.count(mutant.original) == 1
    ast.parse(text.replace(mutant.original, mutant.mutated))
