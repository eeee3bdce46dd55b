import json
import math
from dataclasses import replace
from datetime import timedelta

import pytest

from forerun.domain.forecast import Forecast, Peak, Segment
from forerun.domain.observation import DemandSeries
from forerun.domain.reason import Hold, Reason
from forerun.forecast import wire
from forerun.forecast.sent import SentSeries, digest_of


def through(frame):
    data = wire.pack(frame)
    assert wire.length_of(data[:4]) == len(data) - 4
    return wire.unpack(data[4:])


def test_a_request_comes_through_whole(scene):
    request = scene.request(
        scene.window(multiplier=2.5, audience=7, peak_rps=1e5, priority=3),
        now=scene.start + timedelta(microseconds=123457),
        history=DemandSeries(scene.start, 300.0, (1.0, math.nan, 0.1)),
        past=[scene.window("s/old")],
    )
    series = {"h": wire.series_from(through(wire.series_to(request.history)))}
    found = wire.request_from(through(wire.request_to(request, "h", None)), series)
    assert replace(found, history=None) == replace(request, history=None)
    assert [str(x) for x in found.history.values] == ["1.0", "nan", "0.1"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_never_reaches_json(scene, value):
    series = DemandSeries(scene.start, 300.0, (value, 1.0))
    assert through(wire.series_to(series))["values"] == [None, 1.0]
    request = scene.request(scene.window(multiplier=value, peak_rps=value))
    assert "NaN" not in json.dumps(through(wire.request_to(request, None, None)))
    with pytest.raises(ValueError):
        wire.pack({"x": value})


def test_answers_come_through_whole(scene):
    window = scene.window()
    forecast = Forecast(
        "s/main",
        scene.start,
        (Segment(scene.start, 60.0, ((0.1, 2.0), (3.0, 4.0))),),
        (Peak("s/c", window.occurrence, 1.0, 2.0, 3.0, scene.start),),
        "declared",
    )
    reaching = replace(forecast, reach=Segment(scene.start, 60.0, ((1.0, 2.0),)))
    hold = Hold(Reason.DEMAND_UNKNOWN, "s/main", {"a": 1.0}, "remedy")
    told = [forecast, reaching, hold]
    assert [wire.answer_from(through(wire.answer_to(x))) for x in told] == told


def test_a_length_beyond_the_limit_is_refused():
    with pytest.raises(ValueError):
        wire.length_of(b"\xff\xff\xff\xff")


def test_series_are_named_by_content_and_the_oldest_give_way(scene):
    series = [DemandSeries(scene.start, 300.0, (float(i), math.nan)) for i in range(3)]
    assert digest_of(series[0]) == digest_of(replace(series[0]))
    names = [digest_of(one) for one in series]
    assert len(set(names)) == 3
    sent = SentSeries(held=2)
    assert [sent.is_new(name) for name in [*names, names[0]]] == [True, True, True, False]
    assert sent.surplus() == {names[1]}
    sent.drop({names[1]})
    assert sent.is_new(names[1])
