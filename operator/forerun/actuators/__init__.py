"""Carry out one step on one target: read it afresh, raise or lower its floor, give it back.

Belongs here: how a floor is written on each kind of owner (HPA, ScaledObject, scale
subresource). Does not belong here: when and how high; the ledger is committed by the
caller before anything here is called. Ordinary refusals are returned as `Hold`.
"""

from forerun.actuators.floors import (
    Standing,
    bounds_for,
    noted_baseline,
    regressed,
    standing,
    stands,
    still_written,
)
from forerun.actuators.marks import AUTOSCALERS, Mark, find_marks, kinds_of_owners
from forerun.actuators.reading import read_raised, read_target
from forerun.actuators.restoring import abandon, forget, restore
from forerun.actuators.writing import lift_from_zero, mark, write_floor

__all__ = [
    "AUTOSCALERS",
    "Mark",
    "Standing",
    "abandon",
    "bounds_for",
    "find_marks",
    "forget",
    "kinds_of_owners",
    "lift_from_zero",
    "mark",
    "noted_baseline",
    "read_raised",
    "read_target",
    "regressed",
    "restore",
    "standing",
    "stands",
    "still_written",
    "write_floor",
]
