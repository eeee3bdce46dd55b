"""A written schedule as a checked `Schedule`: zones, ends and rules that fit together."""

from datetime import datetime, timedelta, tzinfo

from forerun.api import recurrence
from forerun.api.models_campaign import Schedule as Written
from forerun.api.scalars import INSTANT_EXAMPLE
from forerun.api.windows import HORIZON, in_zone, window_length
from forerun.api.zones import offset_name, to_utc, to_wall, zone
from forerun.domain.campaign import Schedule
from forerun.domain.reason import Refusal

ZONE_REMEDY = "is not in the IANA time zone database; write one that is, for example Europe/Warsaw"


def schedule_from(written: Written, obj: str, path: str = "spec.schedule") -> Schedule | Refusal:
    """The checked schedule, or what does not fit; `path` is where it stands in the object."""
    if (written.end is None) == (written.duration is None):
        return Refusal(obj, f"{path}.end", "give end or duration, exactly one of the two, for example duration: 4h")
    name = _zone_name(written)
    if name is None:
        remedy = f"is required unless start and end carry an offset, as in {INSTANT_EXAMPLE}"
        return Refusal(obj, f"{path}.timeZone", remedy)
    place = zone(name)
    if place is None:
        return Refusal(obj, f"{path}.timeZone", ZONE_REMEDY)
    schedule = _placed(written, name, place)
    misfit = _window_remedy(schedule) or _recurrence_remedy(schedule, place)
    if misfit is not None:
        field, remedy = misfit
        return Refusal(obj, f"{path}.{field}", remedy)
    return schedule


def _zone_name(written: Written) -> str | None:
    """The zone that is named, else the offset of the start where nothing is local."""
    if written.time_zone is not None:
        return written.time_zone
    if written.start.tzinfo is None or (written.end is not None and written.end.tzinfo is None):
        return None
    return offset_name(written.start)


def _placed(written: Written, name: str, place: tzinfo) -> Schedule:
    """The schedule in wall time of its zone.

    A single window whose start and end are absolute keeps its elapsed length to the second;
    a recurring one keeps its wall-clock length, as `end` always does.
    """
    start = _wall(written.start, place)
    end = None if written.end is None else _wall(written.end, place)
    duration = written.duration
    absolute = written.end is not None and written.start.tzinfo is not None and written.end.tzinfo is not None
    if end is not None and absolute and (written.recurrence is None or end <= start):
        duration = (to_utc(end, place) - to_utc(start, place)).total_seconds()
        end = None
    return Schedule(name, start, end, duration, written.recurrence, frozenset(written.exclude or ()))


def _wall(written: datetime, place: tzinfo) -> datetime:
    return written if written.tzinfo is None else to_wall(written, place)


def _window_remedy(schedule: Schedule) -> tuple[str, str] | None:
    """Field and remedy of a window that is empty or too long."""
    length = window_length(schedule)
    if length <= timedelta():
        return "end", "must be after start"
    if length > HORIZON:
        return "end", f"must be at most {HORIZON.days} days after start"
    return None


def _recurrence_remedy(schedule: Schedule, place: tzinfo) -> tuple[str, str] | None:
    """Field and remedy of a rule that cannot be taken or never happens."""
    if schedule.recurrence is None:
        return None
    rule = recurrence.read_rule(schedule.recurrence)
    if isinstance(rule, str):
        return "recurrence", rule
    if not recurrence.has_start(in_zone(rule, place), schedule.start_local):
        days = recurrence.FIRST_WITHIN.days
        return (
            "recurrence",
            f"never happens within {days} days of start; check its days and UNTIL, {recurrence.EXAMPLE}",
        )
    return None
