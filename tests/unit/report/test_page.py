import subprocess
import sys
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from forerun.domain.campaign import Occurrence
from forerun.report.page import Chapter, TierLimits, outcome, report_page
from forerun.report.timeline import TimelineRow

START = datetime(2026, 11, 27, 19, 0, tzinfo=UTC)
WINDOW = Occurrence(START, START + timedelta(seconds=10))
TIER = TierLimits("web", 100.0, 20, 2.0)


def row(second, demand=100.0, floor=2, ready=2, unserved=0.0):
    return TimelineRow("forerun", START + timedelta(seconds=second), "web", demand, floor, floor, ready, unserved)


def chapter(rows, **more):
    return Chapter("Sale <b>", "x10", WINDOW, (300.0, 400.0, 500.0), (TIER,), tuple(rows), **more)


class Links(HTMLParser):
    """Everything that a browser would fetch."""

    def __init__(self):
        super().__init__()
        self.found = []
        self.tags = set()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.found += [v for k, v in attributes if k in {"src", "href", "xlink:href"} and v and not v.startswith("#")]


def test_one_file_that_fetches_nothing():
    page = report_page(chapter([row(second) for second in range(-5, 15)]))
    links = Links()
    links.feed(page)
    assert links.found == []
    assert not links.tags & {"script", "link", "img", "iframe"}
    assert "@import" not in page
    assert page.count("<svg") == 2


def test_texts_from_outside_are_escaped():
    page = report_page(
        chapter([row(0)], verdicts=(("kept <i>", False, ("a & b",)),), turns=((START, "Live", "<script>"),))
    )
    assert "Sale &lt;b&gt;" in page
    assert "kept &lt;i&gt;" in page
    assert "a &amp; b" in page
    assert "<script>" not in page
    assert "FAIL" in page


def test_the_same_rows_make_the_same_bytes():
    rows = [row(second) for second in range(-5, 15)]
    assert report_page(chapter(rows)) == report_page(chapter(rows))


def test_totals_hold_each_row_until_the_next():
    rows = [row(0, ready=3), row(2, demand=400.0, unserved=200.0, ready=2), row(4, ready=2), row(20, demand=900.0)]
    found = outcome(rows, TIER, WINDOW)
    assert found.unserved_percent == pytest.approx(100 * 400 / (200 + 800 + 1600))
    assert found.peak_needed == 4.0  # what came after the window does not count
    assert found.replica_hours == pytest.approx((3 * 2 + 2 * 2 + 2 * 16) / 3600)


@pytest.mark.parametrize("rows", [[], [row(0, demand=None, floor=None, ready=None, unserved=None)]])
def test_unknown_is_said(rows):
    page = report_page(chapter(rows))
    assert "unknown" in page
    found = outcome(rows, TIER, WINDOW)
    assert (found.unserved_percent, found.highest_floor) == (None, None)


def test_importing_it_does_not_import_matplotlib():
    code = "import forerun.report.page, sys; print([m for m in sys.modules if m.startswith('matplotlib')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
