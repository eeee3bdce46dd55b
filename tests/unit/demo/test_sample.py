from datetime import timedelta
from pathlib import Path

from forerun.sandbox.demo.sample import EVENTS_NAME, SAMPLE, TRACE_NAME, events_csv, trace_csv
from forerun.sandbox.demo.scenario import DeclaredEvent, make_scenario
from forerun.signals.trace import read_events, read_trace


def test_the_files_are_what_the_function_makes():
    assert (SAMPLE / TRACE_NAME).read_text() == trace_csv()
    assert (SAMPLE / EVENTS_NAME).read_text() == events_csv()


def test_the_sale_reaches_eight_times_the_usual_within_a_minute():
    series = read_trace(Path(str(SAMPLE / TRACE_NAME)))
    events = read_events(Path(str(SAMPLE / EVENTS_NAME)))
    assert series.step_seconds == 60.0
    declared = [DeclaredEvent(e.kind, e.name, e.start, e.end) for e in events]
    scenario = make_scenario(series, declared, speed=10.0)
    assert scenario.event.name == "Black Friday drop"
    assert [past.name for past in scenario.past] == ["Wednesday drop"]
    first = round((scenario.event.start - scenario.series.start) / timedelta(minutes=1))
    before, at_start, an_hour_later = (scenario.series.values[first + minutes] for minutes in (-1, 0, 60))
    assert 6.5 < at_start / before < 9.5
    assert 0.8 < an_hour_later / before < 1.2
