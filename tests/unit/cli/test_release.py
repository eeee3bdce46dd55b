"""Mistakes at `forerun release` are told before anything is asked of a cluster."""

import pytest
from click.testing import CliRunner

from forerun.cli.release import release


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name a CAMPAIGN, or one of --expired and --all"),
        (["sale", "--all", "-n", "shop"], "name a CAMPAIGN, or one of --expired and --all"),
        (["--all"], "--all: say where"),
        (["--all", "-n", "shop", "--once"], "--once: goes with --expired"),
        (["--expired", "--force"], "go with --all"),
        (["--expired", "-n", "shop", "-A"], "--all-namespaces: goes without --namespace"),
        (["--all", "-A", "--tier", "web"], "--tier: goes with a CAMPAIGN"),
        (["sale", "--dry-run"], "--dry-run: goes without a CAMPAIGN"),
        (["sale", "--include-kept"], "--include-kept: goes without a CAMPAIGN"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_two(arguments, said):
    done = CliRunner().invoke(release, arguments)
    assert done.exit_code == 2
    assert said in done.output
    assert done.output.count("\n") == 1
