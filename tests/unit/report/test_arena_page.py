"""The arena's page: what it says, what it escapes, and that its pictures show what they are given."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from forerun.report.arena_page import ArenaPage, ArmLine, GoalLine, GroupLine, arena_page
from forerun.report.arena_plots import ArenaTimeline, Spread, spread_svg, timeline_svg

SPREAD = Spread("sharp drops", 180.0, "forerun", (1.05, 1.1, 1.25, 1.4, 2.0), 40)
PEER = replace(SPREAD, arm="keda-cron", quantiles=(1.5, 2.0, 3.0, 4.0, 8.0))
LINE = ArenaTimeline(
    arm="forerun",
    setting="90 %",
    place="worst",
    name="drop/0007",
    lead_seconds=180.0,
    relative=1.8,
    unserved_percent=0.4,
    tick_seconds=5.0,
    start_seconds=600.0,
    end_seconds=1200.0,
    needed=(2.0,) * 120 + (20.0,) * 120 + (2.0,) * 120,
    ready=(3,) * 130 + (22,) * 110 + (3,) * 120,
    floor=(2,) * 100 + (22,) * 140 + (2,) * 120,
    optimum=(2,) * 90 + (20,) * 150 + (2,) * 120,
)
ARM = ArmLine("sharp drops", 180.0, "forerun", 1.25, 1.2, 1.3, 1.1, 1.6, 0.02, 30.0, 1.1, 1.2, 40)
GROUP = GroupLine(
    *(
        "drop",
        "generated",
        180.0,
        40,
        1.25,
        1.2,
        1.3,
        "90 %",
        "keda-cron",
        "80 % x1.25",
        2.5,
        0.5,
        0.02,
        0.9,
        1.1,
        1.6,
        1.2,
    )
)
PAGE = ArenaPage(
    notes=("a note",),
    goals=(GoalLine("a goal", "1.2", "<= 1.5", True), GoalLine("another", "3", "<= 2", False)),
    arms=(ARM,),
    groups=(GROUP, replace(GROUP, group="nasa", ratio=1.2)),
    losses=("nasa at 180 s: hpa",),
    spreads=(SPREAD, PEER),
    timelines=(LINE,),
)


class Reader(HTMLParser):
    """Text, tags, and whatever would be fetched."""

    def __init__(self, text):
        super().__init__()
        self.words, self.tags, self.fetched, self.ids = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.fetched += [value for name, value in attrs if name in {"src", "href"}]
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_data(self, data):
        self.words.append(data)


def numbers_of(path):
    return [float(word) for word in re.findall(r"-?\d+\.?\d*", path)]


def test_it_shows_goals_arms_groups_losses_and_pictures():
    read = Reader(arena_page(PAGE))
    text = " ".join(read.words)
    for word in (
        "a note",
        "MISSED",
        "met",
        "keda-cron",
        "80 % x1.25",
        "nasa at 180 s: hpa",
        "drop/0007",
        "1.200 to 1.300",
    ):
        assert word in text
    assert read.tags.count("svg") >= 2
    assert read.fetched == []


def test_texts_from_outside_are_escaped():
    evil = "<script>alert(1)</script>'\""
    page = replace(
        PAGE,
        notes=(evil,),
        losses=(evil,),
        goals=(GoalLine(evil, evil, evil, None),),
        groups=(replace(GROUP, group=evil, peer=evil, peer_setting=evil, setting=evil),),
        arms=(replace(ARM, arm=evil, kind=evil),),
        spreads=(replace(SPREAD, arm=evil, kind=evil),),
        timelines=(replace(LINE, arm=evil, name=evil, setting=evil, place=evil),),
    )
    read = Reader(arena_page(page))
    assert "script" not in read.tags
    assert sum("alert(1)" in words for words in read.words) >= 10


def test_pictures_of_one_page_do_not_share_a_clip():
    read = Reader(arena_page(replace(PAGE, timelines=(LINE, replace(LINE, place="best"), replace(LINE, arm="hpa")))))
    assert len(read.ids) == len(set(read.ids)) == 3


def test_a_peer_that_fares_better_is_marked():
    better, worse = (arena_page(replace(PAGE, groups=(replace(GROUP, ratio=ratio),))) for ratio in (0.9, 1.1))
    assert "<b class=good>0.900" in better
    assert "<b class=bad>1.100" in worse


def test_without_losses_it_says_so():
    assert "Nowhere in this run" in arena_page(replace(PAGE, losses=()))


def test_a_box_further_right_costs_more():
    svg = spread_svg((SPREAD, PEER), 8.0)
    middles = [numbers_of(found)[0] for found in re.findall(r"class='mid[^']*' d='M([^']*)'", svg)]
    assert middles[0] < middles[1]
    assert "1.25" in svg and "3.00" in svg


@pytest.mark.parametrize("longest", [1.0, 2.0, 1e6])
def test_the_axis_stays_inside_the_picture(longest):
    for place in map(float, re.findall(r"<path class=grid d='M([\d.]+)", spread_svg((SPREAD,), longest))):
        assert 0 <= place <= 480


def test_a_timeline_is_well_formed_and_stays_in_its_frame():
    svg = timeline_svg(LINE, "c")
    quoted = re.sub(r"=([^\s'>]+)(?=[\s>/])", r"='\1'", svg)
    ET.fromstring(quoted)
    for name in ("need", "ready", "floor", "best"):
        path = re.search(rf"class={name}[^>]* d='([^']*)'", svg).group(1)
        heights = [float(y) for y in re.findall(r"(?:V|[ML][\d.]+ )([\d.]+)", path)]
        assert heights and all(0 <= y <= 190 for y in heights)


def test_the_highest_need_is_not_thinned_away():
    needed = [1.0] * 4000
    needed[2017] = 40.0
    many = replace(LINE, needed=tuple(needed), ready=(2,) * 4000, floor=(2,) * 4000, optimum=(2,) * 4000)
    path = re.search(r"class=need d='([^']*)'", timeline_svg(many, "c")).group(1)
    heights = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", path)]
    assert min(heights) < 30 < max(heights)
    assert len(heights) < 600
