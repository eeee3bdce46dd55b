"""Recurrence rules (RFC 5545, section 3.3.10) in bounded work.

A rule is read by an own table of allowed parts, then expanded by dateutil. dateutil
searches for the next match until the year 9999, seconds for a rule that never matches;
so every rule is first asked for one match in the last years of that calendar, where the
search ends by itself after 36 years at the most.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Any, Final, Literal

from dateutil.rrule import DAILY, MONTHLY, WEEKLY, YEARLY, rrule, weekday

EXAMPLE: Final = "for example FREQ=WEEKLY;BYDAY=FR"
LONGEST_RULE: Final = 256
HIGHEST_INTERVAL: Final = 1000
HIGHEST_COUNT: Final = 1000
FIRST_WITHIN: Final = timedelta(days=3000)
_REGULAR_UNTIL: Final = datetime(2100, 1, 1)  # noqa: DTZ001 - wall time; 2100 has no 29 February

_Frequency = Literal[0, 1, 2, 3]  # dateutil's YEARLY, MONTHLY, WEEKLY, DAILY
_FREQUENCIES: Final[dict[str, _Frequency]] = {"DAILY": DAILY, "WEEKLY": WEEKLY, "MONTHLY": MONTHLY, "YEARLY": YEARLY}
_WEEKDAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_DAY = "(MO|TU|WE|TH|FR|SA|SU)"
_NUMBER = "[+-]?[0-9]{1,3}"
_FORMS: Final[dict[str, str]] = {
    "FREQ": "(DAILY|WEEKLY|MONTHLY|YEARLY)",
    "INTERVAL": "[0-9]{1,4}",
    "COUNT": "[0-9]{1,4}",
    "UNTIL": "20[0-9]{6}(T[0-9]{6}Z?)?",
    "WKST": _DAY,
    "BYDAY": f"([+-]?[0-9]{{1,2}})?{_DAY}(,([+-]?[0-9]{{1,2}})?{_DAY})*",
    "BYMONTH": "[0-9]{1,2}(,[0-9]{1,2})*",
    **dict.fromkeys(("BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYSETPOS"), f"{_NUMBER}(,{_NUMBER})*"),
}
_HIGHEST: Final = {"BYMONTH": 12, "BYMONTHDAY": 31, "BYYEARDAY": 366, "BYWEEKNO": 53, "BYSETPOS": 366}
# part -> frequencies it may stand with (RFC 5545)
_ONLY_WITH: Final = {
    "BYMONTHDAY": ("DAILY", "MONTHLY", "YEARLY"),
    "BYYEARDAY": ("YEARLY",),
    "BYWEEKNO": ("YEARLY",),
    "BYSETPOS": ("WEEKLY", "MONTHLY", "YEARLY"),  # ours: a day has one occurrence to choose from
}
_ANY_PART = "(" + "|".join(f"{name}={form}" for name, form in _FORMS.items()) + ")"
RULE_PATTERN: Final = f"^{_ANY_PART}(;{_ANY_PART})*$"
"""Syntax of a rule, for Python and for RE2; `read_rule` checks the rest."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that dateutil may expand. `until` is naive wall time of the schedule's zone, or aware."""

    frequency: _Frequency
    interval: int
    count: int | None
    until: datetime | None
    filters: tuple[tuple[str, Any], ...]  # keyword arguments of dateutil's rrule


@lru_cache(maxsize=2048)
def read_rule(text: str) -> Rule | str:
    """Read a checked rule; a string is the remedy for one that cannot be taken."""
    if len(text) > LONGEST_RULE or not re.fullmatch(RULE_PATTERN, text):
        return f"must be an RFC 5545 rule with FREQ=DAILY, WEEKLY, MONTHLY or YEARLY, {EXAMPLE}"
    pairs = [part.split("=", 1) for part in text.split(";")]
    parts = dict(pairs)
    if len(parts) < len(pairs):
        return "names one part twice; keep one of the two"
    remedy = next(_misfits(parts), None)
    return _built(parts) if remedy is None else remedy


def _built(parts: dict[str, str]) -> Rule | str:
    """The rule of parts that fit together; a string is the remedy for an UNTIL that is no date."""
    until = _until(parts["UNTIL"]) if "UNTIL" in parts else None
    if isinstance(until, str):
        return until
    filters: dict[str, Any] = {name.lower(): _numbers(parts[name]) for name in _HIGHEST if name in parts}
    if "BYDAY" in parts:
        filters["byweekday"] = tuple(_weekday(day) for day in parts["BYDAY"].split(","))
    return Rule(
        frequency=_FREQUENCIES[parts["FREQ"]],
        interval=int(parts.get("INTERVAL", "1")),
        count=int(parts["COUNT"]) if "COUNT" in parts else None,
        until=until,
        filters=(("wkst", _WEEKDAYS.index(parts.get("WKST", "MO"))), *filters.items()),
    )


def starts(rule: Rule, first: datetime, low: datetime) -> Iterator[datetime]:
    """Wall-clock starts of the rule from about `low` on, ascending, without end where the rule has none.

    `first` (DTSTART) and `low` are naive. Starts before `low` may be yielded too.
    """
    whole = first.replace(microsecond=0, fold=0)
    step = {DAILY: timedelta(days=rule.interval), WEEKLY: timedelta(weeks=rule.interval)}.get(rule.frequency)
    if step is not None and rule.count is None:
        # two steps earlier: the first week of a weekly rule may be a part of a week
        whole += max((low - whole) // step - 2, 0) * step
    for start in _expand(rule, whole):
        yield start + timedelta(microseconds=first.microsecond)


def has_start(rule: Rule, first: datetime) -> bool:
    """Whether the rule has an occurrence within 3,000 days of `first` (naive, 2000 to 2099) and before 2100."""
    whole = first.replace(microsecond=0, fold=0)
    twin = _late_twin(whole)
    shift = twin - whole
    until = min(whole + FIRST_WITHIN, _REGULAR_UNTIL)
    if rule.until is not None:
        until = min(rule.until, until)
    late = Rule(rule.frequency, rule.interval, rule.count, until + shift, rule.filters)
    return next(_expand(late, twin), None) is not None


def _expand(rule: Rule, first: datetime) -> Iterator[datetime]:
    frequency, filters = rule.frequency, dict(rule.filters)
    if frequency == DAILY and rule.interval == 1 and len(filters) > 1:
        # the same days, sought year by year instead of day by day: 20 times faster where they are rare
        frequency = YEARLY
        filters.setdefault("byweekday", tuple(range(7)))
    return islice(rrule(frequency, dtstart=first, interval=rule.interval, until=rule.until, **filters), rule.count)


def _late_twin(first: datetime) -> datetime:
    """The same day of a late year, from which on the calendar runs as it does from `first` to 2100.

    Both stretches skip no leap year, so the calendar repeats every 28 years in them, and one
    of 28 years in a row fits.
    """
    leap_phase = [year for year in range(9963, 9991) if year % 4 == first.year % 4]
    return next(twin for twin in map(first.replace, leap_phase) if twin.weekday() == first.weekday())


def _misfits(parts: dict[str, str]) -> Iterator[str]:
    """What RFC 5545 or our bounds forbid in a rule whose syntax is right."""
    frequency = parts.get("FREQ")
    if frequency is None:
        yield f"needs FREQ, {EXAMPLE}"
        return
    if not 1 <= int(parts.get("INTERVAL", "1")) <= HIGHEST_INTERVAL:
        yield f"INTERVAL must be from 1 to {HIGHEST_INTERVAL}"
    if not 1 <= int(parts.get("COUNT", "1")) <= HIGHEST_COUNT:
        yield f"COUNT must be from 1 to {HIGHEST_COUNT}; use UNTIL or no end instead"
    if "COUNT" in parts and "UNTIL" in parts:
        yield "names both COUNT and UNTIL; keep one of the two"
    yield from _misfit_lists(parts, frequency)
    yield from _misfit_ordinals(parts, frequency)


def _misfit_lists(parts: dict[str, str], frequency: str) -> Iterator[str]:
    for name, allowed in _ONLY_WITH.items():
        if name in parts and frequency not in allowed:
            yield f"{name} cannot stand with FREQ={frequency}"
    for name, highest in _HIGHEST.items():
        if any(not 1 <= abs(number) <= highest for number in _numbers(parts.get(name, "1"))):
            yield f"{name} must be from 1 to {highest}"
    choosers = {name for name in parts if name.startswith("BY")}
    if choosers == {"BYSETPOS"}:
        yield "BYSETPOS needs another part such as BYDAY to choose from"


def _misfit_ordinals(parts: dict[str, str], frequency: str) -> Iterator[str]:
    """Ordinals such as 1MO or -1FR: only where a month or a year is there to count in."""
    ordinals = [int(day[:-2]) for day in parts.get("BYDAY", "").split(",") if len(day) > 2]
    if ordinals and (frequency not in ("MONTHLY", "YEARLY") or "BYWEEKNO" in parts):
        yield "BYDAY with a number, such as 1MO, needs FREQ=MONTHLY or FREQ=YEARLY without BYWEEKNO"
    if any(not 1 <= abs(number) <= 53 for number in ordinals):
        yield "the number of a BYDAY must be from 1 to 53"


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


def _weekday(text: str) -> weekday:
    day = weekday(_WEEKDAYS.index(text[-2:]))
    return day(int(text[:-2])) if len(text) > 2 else day


def _until(text: str) -> datetime | str:
    """The inclusive last start; a date without a time means the whole of that day."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return "UNTIL must be a real date and time, for example UNTIL=20271231T235959Z"
    return found.replace(hour=23, minute=59, second=59) if len(text) == 8 else found
