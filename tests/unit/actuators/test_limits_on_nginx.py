"""The values that Forerun writes, in the real NGINX: what it lets through is the limit, and the rest is told 429."""

import asyncio
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from forerun.actuators.limit_fields import fields_of
from forerun.domain.limits import Limit
from forerun.domain.storefront import LimitKind, LimitPolicy, TargetRef
from forerun.sandbox.workdir import free_ports

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
TOTAL = LimitPolicy(TargetRef("k8s.nginx.org/v1", "Policy", "door"), LimitKind.TOTAL)
USUAL = {"spec": {"rateLimit": {"rate": "2r/s", "key": "${server_name}", "zoneSize": "1M", "burst": 4}}}
ANSWERS = 400

pytestmark = pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed: apt-get install nginx-light")

CONFIG = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  limit_req_zone $server_name zone=door:1m rate={rate};
  server {{
    listen 127.0.0.1:{port}; server_name door; root {folder};
    location / {{ limit_req zone=door burst={burst} nodelay; limit_req_status {code}; }}
  }}
}}
"""


def values(value: float, pods: int) -> dict[str, object]:
    """The fields of the Policy, as the controller renders them into directives of the same names."""
    found = fields_of(USUAL, Limit(TOTAL, value, pods), None, 2)
    assert isinstance(found, tuple), found
    return {str(path[-1]): written for path, written in found}


async def flood(port: int) -> Counter[int]:
    """One request after the other, as fast as they are answered: answers by status."""
    seen: Counter[int] = Counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while seen.total() < ANSWERS:
        writer.write(b"GET / HTTP/1.1\r\nHost: door\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1]) for line in head.splitlines() if line.lower().startswith(b"content-length")
        )
        await reader.readexactly(length)
        seen[int(head.split()[1])] += 1
        if b"Connection: close" in head:
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    return seen


@pytest.mark.parametrize(("value", "pods"), [(20.0, 4), (20.0, 2), (90.0, 6)])
async def test_each_pod_lets_its_share_through_and_says_429_to_the_rest(tmp_path, value, pods):
    limit = values(value, pods)
    (port,) = free_ports(1)
    (tmp_path / "index.html").write_text("ok")
    told = {"rate": limit["rate"], "burst": limit["burst"], "code": limit["rejectCode"]}
    (tmp_path / "nginx.conf").write_text(CONFIG.format(folder=tmp_path, port=port, **told))
    nginx = subprocess.Popen([NGINX, "-e", str(tmp_path / "error.log"), "-c", str(tmp_path / "nginx.conf")])  # noqa: S603
    try:
        async with asyncio.timeout(120):
            while True:
                try:
                    (await asyncio.open_connection("127.0.0.1", port))[1].close()
                    break
                except OSError:
                    assert nginx.poll() is None, (tmp_path / "error.log").read_text()
                    await asyncio.sleep(0.05)
        began = time.monotonic()
        seen = await flood(port)
        elapsed = time.monotonic() - began
    finally:
        nginx.terminate()
        nginx.wait()
    assert set(seen) <= {200, 429}
    # however fast this machine is: never more than the share and its burst, and the burst at the least
    assert limit["burst"] < seen[200] <= value / pods * elapsed + limit["burst"] + 2
    assert seen[429] >= ANSWERS - (value / pods * elapsed + limit["burst"] + 2)
