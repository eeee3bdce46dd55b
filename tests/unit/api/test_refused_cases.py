"""Every object of cases/refused.yaml is refused in one line that names its field."""

from pathlib import Path

import pytest
import yaml

from forerun.api.convert import campaign_from, storefront_from
from forerun.domain.reason import Refusal

CASES = yaml.safe_load((Path(__file__).parent / "cases" / "refused.yaml").read_text())
READERS = {"Campaign": campaign_from, "Storefront": storefront_from}


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_case(case):
    refusal = READERS[case["object"]["kind"]](case["object"])

    assert isinstance(refusal, Refusal)
    assert case["field"] in refusal.field
    assert refusal.field.startswith("spec")
    assert refusal.obj == f"{case['object']['kind']} shop/case"
    assert len(refusal.remedy) > 10
    assert "\n" not in str(refusal)
