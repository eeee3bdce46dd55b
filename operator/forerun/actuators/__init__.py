"""Carry out one step on one target: read it afresh, raise or lower its floor, give it back.

Belongs here: how a floor is written on each kind of owner (HPA, ScaledObject, scale
subresource). Does not belong here: when and how high; the ledger is committed by the
caller before anything here is called. Ordinary refusals are returned as `Hold`.
"""

from forerun.actuators.floors import Standing, bounds_for, standing
from forerun.actuators.limit_fields import fields_of
from forerun.actuators.limits import (
    LimitStanding,
    limit_standing,
    present_fields,
    read_limit,
    restore_limit,
    write_limit,
)
from forerun.actuators.reading import read_target, read_value
from forerun.actuators.restoring import forget, restore
from forerun.actuators.warm_up import as_lines, delete_job, read_job, start_job
from forerun.actuators.writing import lift_from_zero, write_floor

__all__ = [
    "LimitStanding",
    "Standing",
    "as_lines",
    "bounds_for",
    "delete_job",
    "fields_of",
    "forget",
    "lift_from_zero",
    "limit_standing",
    "present_fields",
    "read_job",
    "read_limit",
    "read_target",
    "read_value",
    "restore",
    "restore_limit",
    "standing",
    "start_job",
    "write_floor",
    "write_limit",
]
