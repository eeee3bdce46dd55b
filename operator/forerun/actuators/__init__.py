"""Carry out one step on one target: read it afresh, raise or lower its floor, give it back.

Belongs here: how a floor is written on each kind of owner (HPA, ScaledObject, scale
subresource, a field of the target). Does not belong here: when and how high; the ledger is committed by the
caller before anything here is called. Ordinary refusals are returned as `Hold`.
"""

from forerun.actuators.field_reading import pod_selector
from forerun.actuators.floors import Standing, bounds_for, floor_of, standing
from forerun.actuators.reading import read_target
from forerun.actuators.restoring import forget, restore
from forerun.actuators.writing import lift_from_zero, write_floor

__all__ = [
    "Standing",
    "bounds_for",
    "floor_of",
    "forget",
    "lift_from_zero",
    "pod_selector",
    "read_target",
    "restore",
    "standing",
    "write_floor",
]
