"""KEDA's processes, as far as they can be told without starting them."""

import re
from pathlib import Path

from forerun.sandbox.control_plane import EXTERNAL_METRICS_HOST
from forerun.sandbox.external_metrics import registration
from forerun.sandbox.keda import METRICS_API, adapter_flags, operator_flags


def test_every_address_is_on_loopback(tmp_path: Path) -> None:
    flags = (*operator_flags(tmp_path, 1001, 1002), *adapter_flags(tmp_path, tmp_path / "config", 1002, 1003, 1004))
    addresses = [flag.partition("=")[2] for flag in flags if "address" in flag.partition("=")[0]]
    assert len(addresses) == 5
    assert all(re.fullmatch(r"127\.0\.0\.1(:\d+)?|0", address) for address in addresses)


def test_the_adapter_asks_where_the_operator_answers(tmp_path: Path) -> None:
    bound = next(flag for flag in operator_flags(tmp_path, 1001, 1002) if "metrics-service-bind" in flag)
    asked = next(
        flag for flag in adapter_flags(tmp_path, tmp_path, 1002, 1003, 1004) if "metrics-service-address" in flag
    )
    assert bound.partition("=")[2] == asked.partition("=")[2]


def test_every_command_line_names_the_work_folder(tmp_path: Path) -> None:
    """Without it the processes of a killed run would not be known as ours, and left running."""
    folder = tmp_path / "keda"
    assert any(f"{tmp_path}/" in flag for flag in operator_flags(folder, 1, 2))
    assert any(f"{tmp_path}/" in flag for flag in adapter_flags(folder, tmp_path / "config", 1, 2, 3))


def test_the_api_server_finds_the_adapter_under_the_name_in_its_certificate() -> None:
    service, api = registration(1003, "Q0E=")
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    assert f"{name}.{namespace}.svc" == EXTERNAL_METRICS_HOST
    assert api["spec"]["service"] == {"name": name, "namespace": namespace, "port": 1003}
    assert service["spec"]["ports"] == [{"port": 1003}]
    assert f"{api['spec']['version']}.{api['spec']['group']}" == METRICS_API == api["metadata"]["name"]
