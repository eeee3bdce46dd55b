"""The handbook names what the code has, no more and no less."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from forerun.domain.reason import Reason
from forerun.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
HANDBOOK = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    part = HANDBOOK.split(f"\n{heading}\n", 1)[1]
    table = re.search(r"(?:^\|.*\n)+", part, re.MULTILINE)
    assert table
    return [[cell.strip() for cell in line.strip("|\n").split("|")] for line in table[0].splitlines()[2:]]


def test_every_reason_stands_in_the_table_once():
    assert [row[0].strip("`") for row in rows("## Reasons")] == [str(reason) for reason in Reason]


def test_every_setting_stands_in_the_table_with_its_default():
    table = {row[0].strip("`"): row[1] for row in rows("## Settings")}
    assert set(table) == {f"FORERUN_{field.name.upper()}" for field in fields(Settings)}
    for field in fields(Settings):
        if field.default:
            assert table[f"FORERUN_{field.name.upper()}"] == str(field.default).removesuffix(".0"), field.name


def test_every_metric_stands_in_the_table():
    from forerun.observe.metrics import REGISTRY

    suffix = {"counter": "_total"}
    served = {metric.name + suffix.get(metric.type, ""): metric.type for metric in REGISTRY.collect()}
    assert {row[0].strip("`"): row[1] for row in rows("## Metrics")} == served


@pytest.mark.parametrize(
    "page",
    sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not link.startswith(("http:", "https:")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_decisions_are_numbered_without_a_gap_and_have_three_parts():
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [page.name[:4] for page in pages] == [f"{number:04d}" for number in range(1, len(pages) + 1)]
    for page in pages:
        headings = re.findall(r"^## (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequence"], page.name


def test_readme_lists_every_command_and_no_other():
    from forerun.cli.main import COMMANDS

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `forerun (\w+)", readme, re.MULTILINE)
    assert sorted(set(listed)) == sorted(COMMANDS)  # one may have several uses, each with a row


def test_the_forecast_page_names_the_columns_and_the_options_of_a_backtest():
    from forerun.backtest.files import FORECASTS_HEADER
    from forerun.cli.backtest import backtest

    page = (ROOT / "docs" / "forecast.md").read_text(encoding="utf-8")
    named = ", ".join(f"`{column}`" for column in FORECASTS_HEADER)
    assert named in " ".join(page.split())
    options = {option for parameter in backtest.params for option in parameter.opts if option.startswith("--")}
    assert {option for option in options - {"--output", "--help"} if option not in page} == set()


def test_contributing_names_forecast_files_that_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.split("\n## The forecast\n", 1)[1].split("\n## ", 1)[0]
    named = re.findall(r"`(\w+\.py)`", table)
    assert named
    assert [name for name in named if not (ROOT / "operator" / "forerun" / "forecast" / name).is_file()] == []
