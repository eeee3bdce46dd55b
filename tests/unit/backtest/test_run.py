"""A whole backtest: models in a row, files out of it, and the page."""

import csv
import gzip
import json
from datetime import timedelta
from html.parser import HTMLParser

import numpy as np
import pytest

from forerun.backtest.decision import Prediction
from forerun.backtest.files import document, read_inputs, write_forecasts
from forerun.backtest.pages import page_of
from forerun.backtest.run import backtest
from forerun.backtest.scores import SCORED
from forerun.domain.campaign import Expected
from forerun.domain.forecast import LEVELS
from forerun.domain.reason import Hold, Reason
from forerun.report.backtest_page import backtest_page
from forerun.signals.trace import TraceError


class LastValue:
    """Says the last value known, spread evenly; a model as anyone could write one."""

    name = "last <value>"

    def predict(self, decisions):
        return [self._one(decision) for decision in decisions]

    def _one(self, decision):
        last = next(value for value in reversed(decision.request.history.values) if np.isfinite(value))
        row = tuple(last * (0.5 + level) for level in LEVELS)
        return Prediction((row,) * decision.bins, row, decision.start + timedelta(seconds=decision.step_seconds / 2))


class Silent:
    name = "silent"

    def predict(self, decisions):
        return [Hold(Reason.FORECAST_UNAVAILABLE, one.trace, {}, "it sleeps") for one in decisions]


@pytest.fixture(scope="module")
def result(shop):
    return backtest("shop", shop.trace, shop.events, [LastValue(), Silent()], live=True)


def test_every_model_has_figures_by_kind_and_silence_is_counted(result):
    last, silent = result.models
    assert (last.scores.events, last.scores.missing) == (4, 0)
    assert [kind for kind, _ in last.kinds] == ["drop"]
    assert dict(last.kinds)["drop"] == last.scores
    assert (silent.scores.events, silent.scores.missing) == (0, 4)


def test_after_the_onset_the_last_value_is_nearer_the_peak(result):
    live = result.models[0].live
    assert live.events == 4
    assert live.after < 0.5 * live.before


def test_the_document_is_json_and_says_null_where_nothing_counts(result):
    made = json.loads(json.dumps(document(result), allow_nan=False))
    last, silent = made["models"]
    assert (made["trace"], last["model"], last["events"], silent["peak_pinball"]) == ("shop", "last <value>", 4, None)
    assert last["coverage"]["0.9"] == result.models[0].scores.coverage[LEVELS.index(0.9)]
    assert last["kinds"][0]["kind"] == "drop"
    assert silent["holds"][0] == {"reason": "ForecastUnavailable", "detail": "it sleeps"}


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz"])
def test_the_figures_can_be_worked_out_again_from_the_forecasts(result, tmp_path, name):
    file = tmp_path / name
    write_forecasts(file, result, "web")
    packed = file.read_bytes()
    text = gzip.decompress(packed) if name.endswith("gz") else packed
    rows = list(csv.DictReader(text.decode().splitlines()))
    assert {row["series"] for row in rows} == {"web"}
    assert {row["model"] for row in rows} == {"last <value>"}
    losses = []
    for decision in result.decisions:
        peak = max(decision.actual)
        for level in SCORED:
            (value,) = (
                float(row["value"])
                for row in rows
                if row["event"] == decision.name and row["quantile"] == f"peak:{level:g}"
            )
            losses.append(max(level * (peak - value), (level - 1) * (peak - value)))
    assert np.mean(losses) == pytest.approx(result.models[0].scores.peak_pinball, rel=1e-6)
    first = [row for row in rows if row["event"] == result.decisions[0].name and row["quantile"] == "0.5"]
    assert len(first) == result.decisions[0].bins
    assert first[1]["time"] == (result.decisions[0].start + timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen, self.links = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag not in {"meta", "br"}:
            self.open.append(tag)
        self.links += [value for name, value in attrs if name in {"src", "href", "xlink:href"}]

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_fetches_nothing_and_escapes_what_it_is_given(result):
    text = backtest_page(page_of(result))
    tags = _Tags()
    tags.feed(text)
    assert tags.open == []
    assert tags.seen.count("figure") == 4
    assert tags.links == [f"#e{index}" for index in range(4)]
    assert "http" not in text
    assert "url(" not in text.replace("url(#c", "")
    assert "last &lt;value&gt;" in text
    assert "<value>" not in text
    assert "nan" not in text.lower().replace("unanswered", "")


def test_a_page_of_a_model_that_said_nothing_still_shows_what_happened(shop):
    text = backtest_page(page_of(backtest("shop", shop.trace, shop.events, [Silent()])))
    assert text.count("the model said nothing") == 4
    assert text.count("class=actual") == 4 + 1  # and once in the key


def test_a_thousand_events_make_a_page_below_fifteen_megabytes(result):
    one = page_of(result)
    page = type(one)(one.trace, one.figures, one.kinds, one.plots * 250, 0)
    assert len(backtest_page(page).encode()) < 15_000_000


TRACE = "timestamp,requests,series\n" + "".join(
    f"2026-03-{day:02d}T00:00:00Z,{day * 10},{series}\n" for series in ("web", "app") for day in range(1, 29)
)
EVENTS = (
    "kind,name,start,end,note,multiplier\n"
    "drop,a,2026-03-10T00:00:00Z,,series=web,2.5\n"
    "drop,b,2026-03-12T00:00:00Z,,series=app; late,\n"
    "drop,c,2026-03-14T00:00:00Z,,all series,\n"
)


@pytest.fixture
def written(tmp_path):
    def write(trace=TRACE, events=EVENTS):
        (tmp_path / "t.csv").write_text(trace)
        (tmp_path / "e.csv").write_text(events)
        return tmp_path / "t.csv", tmp_path / "e.csv"

    return write


def test_events_of_another_series_are_left_out_and_declared_numbers_read(written):
    inputs = read_inputs(*written(), "web")
    assert inputs.name == "t:web"
    assert [event.name for event in inputs.events] == ["a", "c"]
    assert inputs.declared == (Expected(multiplier=2.5), Expected())
    assert len(inputs.trace.values) == 28


@pytest.mark.parametrize(
    ("change", "series", "words"),
    [
        ({}, None, "t.csv: series: the file has several; give --series with one of web, app"),
        ({}, "shop", "t.csv: series: there is no 'shop'; it has web, app"),
        ({"trace": "timestamp,requests\n"}, "web", "no column of that name"),
        ({"trace": "timestamp,requests\n"}, None, "t.csv: no row"),
        ({"events": "kind,name,start,end,note\n"}, "web", "e.csv: start: there is no event"),
        ({"events": "name,start\n"}, "web", "e.csv, row 1: the header lacks kind"),
        ({"events": EVENTS.replace("2.5", "-1")}, "web", "e.csv, row 2: multiplier: '-1' is not a positive number"),
    ],
)
def test_bad_files_are_named_with_field_and_remedy(written, change, series, words):
    with pytest.raises(TraceError) as raised:
        read_inputs(*written(**change), series)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
