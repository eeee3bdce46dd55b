"""Carry out one step on one target: read it afresh, raise or lower its floor, give it back.

Belongs here: how a floor is written on each kind of owner (HPA, ScaledObject, scale
subresource). Does not belong here: when and how high; the ledger is committed by the
caller before anything here is called. Ordinary refusals are returned as `Hold`.
"""

from forerun.actuators.floors import Standing, bounds_for, standing
from forerun.actuators.marks import Mark, find_marks, kinds_of_owners
from forerun.actuators.reading import read_raised, read_target
from forerun.actuators.restoring import forget, restore
from forerun.actuators.writing import lift_from_zero, write_floor

__all__ = [
    "Mark",
    "Standing",
    "bounds_for",
    "find_marks",
    "forget",
    "kinds_of_owners",
    "lift_from_zero",
    "read_raised",
    "read_target",
    "restore",
    "standing",
    "write_floor",
]
