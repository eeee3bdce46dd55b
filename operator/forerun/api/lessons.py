"""What occurrences taught, as it stands in the Storefront's status: `status.learnt`.

Version 1 holds `occurrences`, newest first. Logarithms are stored as thousandths (`...Milli`); `NOT_MEASURED`
stands for a slice of the curve without a measurement, since a merge patch cannot be trusted with a null inside
a list. `summary` is for people; it is made from the occurrences and never read back.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from math import exp, isfinite, isnan
from typing import Any

from forerun.api.ledgers import stored_time
from forerun.api.models_storefront import LEARNT_VERSION, LOWEST_MILLI, MOST_LESSONS, NOT_MEASURED, LessonSpec
from forerun.api.plans import figure
from forerun.api.refusals import parsed
from forerun.domain.campaign import CampaignType, Expected, Occurrence
from forerun.domain.forecast import CURVE_POINTS, EventWindow, Identity, Lesson

LEAST_OF_TYPE = MOST_LESSONS // len(CampaignType)

_USUAL_DIGITS = 6  # significant ones
_LARGEST_USUAL = 999_999_999_999_999.0
_AROUND = 1  # the peak of a curve is the highest mean of a slice and so many on each side


def lessons_from(status: object) -> tuple[Lesson, ...]:
    """The lessons in a Storefront's status, newest first; none of another version, and none that cannot be read."""
    learnt = status.get("learnt") if isinstance(status, Mapping) else None
    if not isinstance(learnt, Mapping) or learnt.get("version") != LEARNT_VERSION:
        return ()
    written = learnt.get("occurrences")
    if not isinstance(written, list):
        return ()
    return merged((), [lesson for value in written if (lesson := _lesson_from(value)) is not None])


def merged(known: Iterable[Lesson], learnt: Iterable[Lesson]) -> tuple[Lesson, ...]:
    """Both, newest first and each occurrence once; what is known stays as it is.

    Of more than `MOST_LESSONS` the oldest are left out, but not the newest `LEAST_OF_TYPE` of a campaign type: one
    that recurs daily does not drive out what was learnt of one that comes once a year.
    """
    found: dict[Identity, Lesson] = {}
    for lesson in (*known, *learnt):
        found.setdefault(lesson.window.identity, lesson)
    newest_first = sorted((lesson for lesson in found.values() if _is_whole(lesson)), key=_age, reverse=True)
    counts = dict.fromkeys(CampaignType, 0)
    kept: list[Lesson] = []
    others: list[Lesson] = []
    for lesson in newest_first:
        counts[lesson.window.type] += 1
        (kept if counts[lesson.window.type] <= LEAST_OF_TYPE else others).append(lesson)
    return tuple(sorted([*kept, *others[: MOST_LESSONS - len(kept)]], key=_age, reverse=True))


def learnt_with(stored: Any, lessons: Sequence[Lesson]) -> Any:
    """`status.learnt` with these lessons added.

    It is `stored` itself where that changes nothing, or where a later version of the operator wrote it.
    """
    if not lessons or is_later(stored):
        return stored
    known = lessons_from({"learnt": stored})
    wanted = merged(known, lessons)
    if {lesson.window.identity for lesson in wanted} == {lesson.window.identity for lesson in known}:
        return stored
    return {
        "version": LEARNT_VERSION,
        "occurrences": [_lesson_to(lesson) for lesson in wanted],
        "summary": _summary(wanted),
    }


def is_later(stored: object) -> bool:
    """Whether a later version of the operator wrote this: it is neither read nor written by this one."""
    version = stored.get("version") if isinstance(stored, Mapping) else None
    return isinstance(version, int) and version > LEARNT_VERSION


def peak_log_uplift(lesson: Lesson) -> float | None:
    """The highest mean of three neighbouring slices, of those that were measured; None where none was."""
    curve = lesson.log_uplift
    around = [curve[max(0, middle - _AROUND) : middle + _AROUND + 1] for middle in range(len(curve))]
    measured = [[value for value in values if value is not None] for values in around]
    return max((sum(values) / len(values) for values in measured if values), default=None)


def _age(lesson: Lesson) -> tuple[Occurrence, str, CampaignType]:
    return lesson.window.occurrence, lesson.window.campaign, lesson.window.type


def _is_whole(lesson: Lesson) -> bool:
    """Whether it can be stored and makes sense."""
    numbers = (lesson.usual_rps, lesson.noise_log_sd)
    occurrence = lesson.window.occurrence
    return (
        len(lesson.log_uplift) == CURVE_POINTS
        and all(isfinite(number) and number >= 0.0 for number in numbers)
        and occurrence.start < occurrence.end
    )


def _summary(lessons: Sequence[Lesson]) -> list[dict[str, Any]]:
    """How many occurrences of each type, and the geometric mean, the least and the largest of their peaks."""
    rows = []
    for kind in CampaignType:
        found = [peak_log_uplift(lesson) for lesson in lessons if lesson.window.type is kind]
        peaks = [peak for peak in found if peak is not None]
        if peaks:
            multipliers = (sum(peaks) / len(peaks), min(peaks), max(peaks))
            mean, lowest, highest = (_short(exp(_bounded(log) / 1000)) for log in multipliers)
            row = {"type": kind.value, "occurrences": len(peaks), "multiplier": mean}
            rows.append({**row, "lowest": lowest, "highest": highest})
    return rows


def _short(multiplier: float) -> str:
    """For people: 0.85, 3.1, 310."""
    return figure(float(f"{multiplier:.2g}"))


def _lesson_to(lesson: Lesson) -> dict[str, Any]:
    window = lesson.window
    written: dict[str, Any] = {
        "campaign": window.campaign,
        "type": window.type.value,
        "start": stored_time(window.occurrence.start),
        "end": stored_time(window.occurrence.end),
        "usual": _decimal(min(_LARGEST_USUAL, float(f"{lesson.usual_rps:.{_USUAL_DIGITS}g}"))),
        "noiseMilli": _bounded(lesson.noise_log_sd),
        "upliftMilli": [_milli(value) for value in lesson.log_uplift],
    }
    expected = _expected_to(window.expected)
    return {**written, "expected": expected} if expected else written


def _lesson_from(value: object) -> Lesson | None:
    found = parsed(LessonSpec, value, "Storefront", "status.learnt.occurrences")
    if not isinstance(found, LessonSpec):
        return None
    said = found.expected
    expected = Expected() if said is None else Expected(said.audience, said.multiplier, said.peak)
    return Lesson(
        window=EventWindow(found.campaign, found.type, Occurrence(found.start, found.end), expected),
        usual_rps=found.usual,
        noise_log_sd=found.noise_milli / 1000,
        log_uplift=tuple(None if milli == NOT_MEASURED else milli / 1000 for milli in found.uplift_milli),
    )


def _expected_to(expected: Expected) -> dict[str, Any]:
    """What was declared, as the Campaign had it."""
    numbers = {"multiplier": expected.multiplier, "peak": expected.peak_rps}
    said = {name: _decimal(number) for name, number in numbers.items() if number is not None}
    return said if expected.audience is None else {"audience": expected.audience, **said}


def _milli(value: float | None) -> int:
    return NOT_MEASURED if value is None or isnan(value) else _bounded(value)


def _bounded(log: float) -> int:
    """Thousandths; beyond e^30 nothing is told apart."""
    bound = -LOWEST_MILLI / 1000
    return round(1000 * max(-bound, min(bound, log)))


def _decimal(number: float) -> str:
    """All that the API's decimals can hold: nine digits after the point."""
    text = format(round(Decimal(number), 9), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
