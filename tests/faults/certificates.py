"""A certificate authority of the proxy's own, and the certificate that it serves with."""

import base64
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificates:
    authority: Path
    certificate: Path
    key: Path


def make_certificates(folder: Path) -> Certificates:
    """For `localhost` and 127.0.0.1, on an elliptic curve: a handshake costs little."""
    made = Certificates(folder / "proxy-ca.crt", folder / "proxy.crt", folder / "proxy.key")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    names = ("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    authority_key = folder / "proxy-ca.key"
    _openssl("req", "-x509", *curve, "-subj", "/CN=fault proxy CA", "-keyout", authority_key, "-out", made.authority)
    signing = ("-CA", made.authority, "-CAkey", authority_key)
    _openssl(
        "req",
        "-x509",
        *curve,
        "-subj",
        "/CN=localhost",
        *names,
        *signing,
        "-keyout",
        made.key,
        "-out",
        made.certificate,
    )
    return made


def write_kubeconfig(path: Path, server: str, authority: Path) -> Path:
    """A kubeconfig that leads through the proxy, which has the credentials."""
    data = base64.b64encode(authority.read_bytes()).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "proxy", "cluster": {"server": server, "certificate-authority-data": data}}],
        "users": [{"name": "operator", "user": {"token": "checked-by-nobody"}}],
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "operator"}}],
        "current-context": "proxy",
    }
    path.write_text(json.dumps(config))
    return path


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
