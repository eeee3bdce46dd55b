"""What passes between the operator's process and the forecast worker: frames of JSON, each behind its length.

Times are epoch seconds, gaps are null; a number that JSON cannot hold never passes. A series is sent once and named
afterwards: histories are long, stay the same for an hour and may be shared by many requests.

To the worker go `{"keep": NAME, "series": {...}}`, `{"forget": [NAME, ...]}` and `{"id": N, "requests": [...]}`;
from it come `{"ready": true}` and, for each `id`, `{"id": N, "answers": [...]}`.
"""

import json
import math
from array import array
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from forerun.domain.campaign import CampaignType, Expected, Occurrence, Overlap
from forerun.domain.forecast import EventWindow, Forecast, ForecastRequest, Lesson, Peak, Segment
from forerun.domain.observation import DemandSeries
from forerun.domain.reason import Hold, Reason

LENGTH_BYTES = 4
LARGEST_FRAME = 256 * 1024 * 1024

Frame = dict[str, Any]


def pack(frame: Mapping[str, Any]) -> bytes:
    """The frame behind its length; ValueError where it holds NaN or infinity, or is too large."""
    body = json.dumps(frame, allow_nan=False, separators=(",", ":")).encode()
    if len(body) > LARGEST_FRAME:
        raise ValueError(f"a frame of {len(body)} bytes is larger than {LARGEST_FRAME}")
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def length_of(prefix: bytes) -> int:
    """The length that a prefix announces; ValueError where it is more than a frame may have."""
    length = int.from_bytes(prefix, "big")
    if length > LARGEST_FRAME:
        raise ValueError(f"a frame of {length} bytes is larger than {LARGEST_FRAME}")
    return length


def unpack(body: bytes) -> Frame:
    frame = json.loads(body)
    if not isinstance(frame, dict):
        raise TypeError("a frame must be a JSON object")
    return frame


def series_to(series: DemandSeries) -> Frame:
    values = [value if math.isfinite(value) else None for value in series.values]
    return {"start": series.start.timestamp(), "step": series.step_seconds, "values": values}


def series_from(frame: Frame) -> DemandSeries:
    values = array("d", (math.nan if value is None else value for value in frame["values"]))
    # an array reads like the tuple it stands for and takes a quarter of its memory
    return DemandSeries(_moment(frame["start"]), frame["step"], cast("tuple[float, ...]", values))


def request_to(request: ForecastRequest, history: str | None, recent: str | None) -> Frame:
    """The request; its series by the names under which they were sent."""
    return {
        "storefront": request.storefront,
        "now": request.now.timestamp(),
        "history": history,
        "recent": recent,
        "upcoming": [_window_to(window) for window in request.upcoming],
        "past": [_window_to(window) for window in request.past],
        "experience": [_lesson_to(lesson) for lesson in request.experience],
    }


def request_from(frame: Frame, series: Mapping[str, DemandSeries]) -> ForecastRequest:
    return ForecastRequest(
        storefront=frame["storefront"],
        now=_moment(frame["now"]),
        history=None if frame["history"] is None else series[frame["history"]],
        recent=None if frame["recent"] is None else series[frame["recent"]],
        upcoming=tuple(_window_from(window) for window in frame["upcoming"]),
        past=tuple(_window_from(window) for window in frame["past"]),
        experience=tuple(_lesson_from(lesson) for lesson in frame["experience"]),
    )


def answer_to(answer: Forecast | Hold) -> Frame:
    if isinstance(answer, Hold):
        numbers = {name: number for name, number in answer.numbers.items() if math.isfinite(number)}
        return {"hold": answer.reason, "subject": answer.subject, "numbers": numbers, "detail": answer.detail}
    return {
        "storefront": answer.storefront,
        "made_at": answer.made_at.timestamp(),
        "basis": answer.basis,
        "segments": [_segment_to(segment) for segment in answer.segments],
        "reach": _segment_to(answer.reach) if answer.reach else None,
        "peaks": [
            (
                peak.campaign,
                *_span(peak.occurrence),
                peak.p50_rps,
                peak.p90_rps,
                peak.p99_rps,
                peak.at.timestamp(),
                peak.quantiles,
            )
            for peak in answer.peaks
        ],
        "learnt": [_lesson_to(lesson) for lesson in answer.learnt],
    }


def answer_from(frame: Frame) -> Forecast | Hold:
    if "hold" in frame:
        return Hold(Reason(frame["hold"]), frame["subject"], frame["numbers"], frame["detail"])
    return Forecast(
        storefront=frame["storefront"],
        made_at=_moment(frame["made_at"]),
        segments=tuple(_segment_from(row) for row in frame["segments"]),
        peaks=tuple(_peak_from(row) for row in frame["peaks"]),
        basis=frame["basis"],
        learnt=tuple(_lesson_from(lesson) for lesson in frame["learnt"]),
        reach=_segment_from(frame["reach"]) if frame["reach"] else None,
    )


def _segment_to(segment: Segment) -> Sequence[Any]:
    return segment.start.timestamp(), segment.step_seconds, segment.quantiles


def _segment_from(row: Sequence[Any]) -> Segment:
    start, step, quantiles = row
    return Segment(_moment(start), step, tuple(map(tuple, quantiles)))


def _peak_from(row: Sequence[Any]) -> Peak:
    campaign, start, end, p50, p90, p99, at, quantiles = row
    return Peak(campaign, Occurrence(_moment(start), _moment(end)), p50, p90, p99, _moment(at), tuple(quantiles))


def _lesson_to(lesson: Lesson) -> Frame:
    return {
        "window": _window_to(lesson.window),
        "usual": lesson.usual_rps,
        "noise": lesson.noise_log_sd,
        "uplift": lesson.log_uplift,
    }


def _lesson_from(frame: Frame) -> Lesson:
    return Lesson(_window_from(frame["window"]), frame["usual"], frame["noise"], tuple(frame["uplift"]))


def _window_to(window: EventWindow) -> Frame:
    return {
        "campaign": window.campaign,
        "type": window.type,
        "span": _span(window.occurrence),
        "expected": [_finite(x) for x in (window.expected.multiplier, window.expected.peak_rps)],
        "audience": window.expected.audience,
        "overlap": window.overlap,
        "priority": window.priority,
    }


def _window_from(frame: Frame) -> EventWindow:
    multiplier, peak = frame["expected"]
    return EventWindow(
        campaign=frame["campaign"],
        type=CampaignType(frame["type"]),
        occurrence=Occurrence(*map(_moment, frame["span"])),
        expected=Expected(frame["audience"], multiplier, peak),
        overlap=Overlap(frame["overlap"]),
        priority=frame["priority"],
    )


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _span(occurrence: Occurrence) -> tuple[float, float]:
    return occurrence.start.timestamp(), occurrence.end.timestamp()


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
