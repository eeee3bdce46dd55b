"""Windows that other schedulers get wrong, one by one: cases/windows.yaml."""

from datetime import datetime
from pathlib import Path

import pytest
import yaml

from forerun.api.convert import campaign_from
from forerun.api.windows import current_or_next, occurrences
from forerun.domain.campaign import Campaign, Occurrence

CASES = yaml.safe_load((Path(__file__).parent / "cases" / "windows.yaml").read_text())


def campaign_with(schedule):
    found = campaign_from(
        {
            "apiVersion": "forerun.dev/v1alpha1",
            "kind": "Campaign",
            "metadata": {"name": "case", "namespace": "shop"},
            "spec": {"storefrontRef": {"name": "main"}, "type": "FlashSale", "schedule": schedule},
        }
    )
    assert isinstance(found, Campaign), found
    return found


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_case(case):
    schedule = campaign_with(case["schedule"]).schedule
    after, before = (datetime.fromisoformat(case[end]) for end in ("from", "to"))

    expected = [
        Occurrence(datetime.fromisoformat(window["start"]), datetime.fromisoformat(window["end"]))
        for window in case["expect"]
    ]
    assert list(occurrences(schedule, after, before)) == expected
    assert current_or_next(schedule, after) == expected[0]
