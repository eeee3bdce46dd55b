import pytest
from click.testing import CliRunner

from forerun.cli.demo import demo

EVENTS = "kind,name,start,end,note\nflash-sale,drop,2026-11-27T19:00:00Z,2026-11-27T19:15:00Z,\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--speed", "-1"], "forerun: --speed: -1 is not between 1 and 1000"),
        (["--event", "nobody"], "forerun: --event: no event is called 'nobody'"),
        (["--multiplier", "0"], "forerun: --multiplier"),
        (["--events", "events.csv"], "forerun: --events: belongs to a trace"),
        (["--trace", "trace.csv"], "forerun: --trace: which of its moments is the campaign?"),
        (["--trace", "absent.csv", "--events", "events.csv"], "forerun: absent.csv: cannot be read"),
        (["--trace", "events.csv", "--events", "events.csv"], "forerun: events.csv, row 1: the header lacks"),
        (["--trace", "trace.csv", "--events", "trace.csv"], "forerun: trace.csv, row 1: the header lacks"),
        (["--trace", "trace.csv", "--events", "events.csv"], "forerun: --events: no event has a day of the trace"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "events.csv").write_text(EVENTS)
    (tmp_path / "trace.csv").write_text("timestamp,requests\n2026-11-27T18:59:00Z,60\n2026-11-27T19:00:00Z,60\n")
    result = CliRunner().invoke(demo, arguments)
    assert result.exit_code == 2
    assert result.output.startswith(said)
    assert result.output.count("\n") == 1


def test_a_missing_chart_is_one_line_with_the_remedy(tmp_path):
    result = CliRunner().invoke(demo, ["--out", str(tmp_path), "--chart", str(tmp_path / "nowhere")])
    assert result.exit_code == 1
    assert "--chart: helm/forerun is not here" in result.output
