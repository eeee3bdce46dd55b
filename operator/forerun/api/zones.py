"""Wall time and UTC: IANA zones and fixed offsets."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

ZONE_PATTERN = "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$"
_OFFSET = re.compile(r"([+-])([0-9]{2}):([0-9]{2})")
# these exist in some zone folders, and mean another thing on every machine, or count leap seconds
NOT_ZONES_PATTERN = "^(Local|localtime|posixrules|Factory|leapseconds|(posix|right)/.*)$"


@lru_cache(maxsize=1024)
def zone(name: str) -> tzinfo | None:
    """The zone of an IANA name, or of a fixed offset such as "+01:00"; None where there is none."""
    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        sign, hours, minutes = offset.groups()
        ahead = timedelta(hours=int(hours), minutes=int(minutes))
        return timezone(-ahead if sign == "-" else ahead) if ahead < timedelta(hours=24) else None
    if not re.fullmatch(ZONE_PATTERN, name) or re.fullmatch(NOT_ZONES_PATTERN, name):
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def to_utc(wall: datetime, place: tzinfo) -> datetime:
    """The instant of a naive wall time.

    In a gap the offset before it counts (02:30 in a gap 02->03 is 03:30 of the new
    time), in an overlap the first of the two, unless `wall.fold` asks for the second:
    both are what PEP 495 says.
    """
    return wall.replace(tzinfo=place).astimezone(UTC)


def to_wall(at: datetime, place: tzinfo) -> datetime:
    """The naive wall time of an instant; `fold` is 1 in the second pass of an overlap."""
    return at.astimezone(place).replace(tzinfo=None)


def offset_name(at: datetime) -> str:
    """The fixed zone of an aware time, as `zone` reads it."""
    minutes = round((at.utcoffset() or timedelta()).total_seconds() / 60)
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
