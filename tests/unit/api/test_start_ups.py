"""Measured starts survive a restart through the Storefront's status."""

from datetime import UTC, datetime

import pytest

from forerun.api.models_storefront import StorefrontStatus
from forerun.api.refusals import parsed
from forerun.api.start_ups import start_up_to, starts_from
from forerun.domain.observation import LeadTime, PartTime, Start, StartPart

AT = datetime(2026, 11, 27, 7, 0, tzinfo=UTC)
STARTS = (
    Start("0f3c", AT, 84.0, ((StartPart.NODE_WAIT, 31.0), (StartPart.IMAGE_PULL, 12.0))),
    Start("9a1b", AT, 40.0),
)
MEASURED = LeadTime(40.0, 84.0, 2, 84.0, 1, (PartTime(StartPart.NODE_WAIT, 31.0, 31.0, 1),), STARTS)


def status(start_up):
    return {"tiers": [{"name": "reco", "leadTimeSeconds": "84", "leadTimeSource": "Measured", "startUp": start_up}]}


def test_what_is_written_is_read_back():
    written = status(start_up_to(MEASURED, "Deployment/reco"))
    assert starts_from(written) == {("reco", "Deployment/reco"): STARTS}


def test_what_is_written_fits_the_schema():
    assert isinstance(parsed(StorefrontStatus, status(start_up_to(MEASURED, "Deployment/reco")), "x"), StorefrontStatus)


def test_a_pull_of_less_than_a_second_is_still_a_pull():
    found = start_up_to(LeadTime(1.0, 1.0, 1, starts=(Start("a", AT, 1.0, ((StartPart.IMAGE_PULL, 0.2),)),)), "x")
    assert found["recent"][0]["imagePullSeconds"] == 1


@pytest.mark.parametrize(
    "garbled",
    [
        None,
        {},
        {"tiers": None},
        {"tiers": [None, 1, "x"]},
        status(None),
        status({"recent": "x"}),
        status({"target": 1, "recent": [None, {}, {"pod": 1}, {"pod": "a", "created": "x", "seconds": -1}]}),
    ],
)
def test_what_somebody_else_wrote_there_is_left_out(garbled):
    assert not any(starts_from(garbled).values())
