"""Settings as the environment gives them."""

from ipaddress import ip_network

import pytest
from click.testing import CliRunner

from forerun.cli.run import run
from forerun.settings import Settings


def test_addresses_and_networks_are_read_with_spaces_and_host_bits():
    settings = Settings.from_environment({"FORERUN_METRICS_ALLOWED_CIDRS": "127.0.0.1/8, ::1,"})
    assert settings.metrics_allowed_cidrs == (ip_network("127.0.0.0/8"), ip_network("::1"))


@pytest.mark.parametrize(
    ("variable", "text", "remedy"),
    [
        ("FORERUN_METRICS_ALLOWED_CIDRS", "127.0.0.0/8,everything", "must be addresses or CIDRs such as 10.0.0.0/8"),
        ("FORERUN_METRICS_ALLOWED_CIDRS", "10.0.0.0/33", "'10.0.0.0/33' is none"),
        ("FORERUN_TICK_SECONDS", "soon", "must be a number, is 'soon'"),
        ("FORERUN_TICK_SECONDS", "inf", "must be finite and not negative"),
        ("FORERUN_API_CONCURRENCY", "-1", "must be finite and not negative"),
    ],
)
def test_a_wrong_variable_ends_the_operator_with_one_line_that_names_it(variable, text, remedy):
    done = CliRunner().invoke(run, env={variable: text})
    assert done.exit_code == 2
    assert variable in done.output
    assert remedy in done.output
    assert done.output.strip().count("\n") == 0
