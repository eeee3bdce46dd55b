import re
from datetime import timedelta
from io import StringIO

import pytest
from rich.console import Console
from tests.unit.demo.conftest import START, WINDOW, moments

from forerun.domain.campaign import Occurrence
from forerun.sandbox.demo.chart import Chart, Point, draw
from forerun.sandbox.demo.picture import picture
from forerun.sandbox.demo.recording import PlannedStep, Story, Turn
from forerun.sandbox.demo.view import Frame, line, render

WINDOW_AHEAD = Occurrence(START + timedelta(seconds=20), START + timedelta(seconds=80))


def printed(renderable, width, height):
    console = Console(width=width, height=height, file=StringIO(), force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get().splitlines()


@pytest.fixture
def live(scenario):
    story = Story(
        phase="Live",
        peak=(700.0, 900.0, 1200.0),
        steps=(PlannedStep(START + timedelta(seconds=95), "cache", 2),),
        holds=("recommender: waits until the tier that it depends on is Ready",),
        turns=(
            Turn(START - timedelta(seconds=40), "Warming", "Warming: cache floor 20, 2/20 Ready"),
            Turn(START, "Live", ""),
        ),
    )
    seen = moments(scenario, range(-60, 0), 100.0, 4, 4) + moments(scenario, range(31), 800.0, 20, 16)
    return Frame(scenario, START + timedelta(seconds=30), START - timedelta(seconds=60), WINDOW, seen, story, "")


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (160, 50), (60, 20)])
def test_a_frame_fits_its_terminal(live, width, height):
    lines = printed(render(live, width, height), width, height)
    assert len(lines) <= height
    assert all(len(text) <= width for text in lines)


def test_a_frame_tells_what_stands(live):
    text = "\n".join(printed(render(live, 100, 30), 100, 30))
    for words in ("drop · FlashSale · x10", "demand 800/s", "p99 1200/s", "T-40 s", "ends in 1:00", "held:"):
        assert words in text
    row = next(text for text in text.splitlines() if text.strip().startswith("ingress"))
    assert row.split()[:5] == ["ingress", str(live.scenario.tiers[2].needed(800.0)), "20", "20", "16"]


def test_before_anything_is_known_there_is_a_frame_too(scenario):
    frame = Frame(scenario, START, START, None, [], Story(), "nodes, the chart by helm, the sample shop")
    text = "\n".join(printed(render(frame, 80, 24), 80, 24))
    assert "demand unknown" in text
    assert "nodes, the chart by helm" in text
    assert line(frame) == "nodes, the chart by helm, the sample shop; Ready/floor: nothing yet"


def test_a_log_has_one_line(live):
    told = line(live)
    assert "\n" not in told
    assert "ends in 1:00  Live: demand 800/s, peak 700/s..1200/s; Ready/floor: cache 16/20" in told


def test_the_picture_asks_for_nothing_from_elsewhere(live):
    svg = picture(live)
    assert svg.startswith("<svg")
    assert "url(http" not in svg.replace('url("http', "url(http")
    assert "@font-face" not in svg


def chart(points, *, band=None, planned=()):
    return Chart(
        START,
        START + timedelta(seconds=100),
        START + timedelta(seconds=50),
        points,
        planned,
        Occurrence(START + timedelta(seconds=20), START + timedelta(seconds=80)),
        band,
    )


def points(demand, served):
    return [Point(START + timedelta(seconds=second), demand, served) for second in range(50)]


def cells(lines, column):
    return "".join(text.plain[column] for text in reversed(lines[:-1]))


def test_demand_fills_as_high_as_it_is():
    lines = draw(chart(points(50.0, 100.0), planned=[Point(START, None, 100.0)]), 108, 11)
    top = 1.08 * 100 / 1.6
    full = 50.0 / top * 10
    assert cells(lines, 20)[: int(full)] == "█" * int(full)
    assert cells(lines, 90).strip() == ""


def test_what_is_not_served_is_red():
    lines = draw(chart(points(100.0, 40.0)), 108, 11)
    styles = [str(span.style) for text in lines for span in text.spans if span.start <= 20 < span.end]
    assert "bright_red" in styles
    served = draw(chart(points(100.0, 120.0)), 108, 11)
    assert "bright_red" not in [str(span.style) for text in served for span in text.spans]


def test_the_band_and_the_plan_lie_ahead():
    lines = draw(chart(points(10.0, 20.0), band=(60.0, 90.0), planned=[Point(START, None, 50.0)]), 108, 11)
    assert "░" in cells(lines, 70)
    assert "┄" in cells(lines, 70)
    assert "░" not in cells(lines, 12)  # before the window
    assert "▲" in lines[-1].plain


def test_nothing_seen_is_an_empty_chart():
    lines = draw(chart([]), 80, 6)
    assert len(lines) == 6
    assert set("".join(text.plain for text in lines[:-1])) <= set(" 0123456789./s")


def test_the_marks_of_the_axis_never_overwrite_each_other():
    at_start = Chart(START, START + timedelta(seconds=100), START + timedelta(seconds=22), [], [], WINDOW_AHEAD, None)
    axis = draw(at_start, 108, 6)[-1].plain
    assert "├ start" in axis
    assert "┤ end" in axis
    assert "▲" not in axis


def test_no_text_of_the_picture_depends_on_blanks(live):
    texts = re.findall(r"<text [^>]*>([^<]*)</text>", picture(live))
    assert any("recommender" in text for text in texts)
    assert not [
        text for text in texts if "&#160;&#160;" in text or text.startswith("&#160;") or text.endswith("&#160;")
    ]
