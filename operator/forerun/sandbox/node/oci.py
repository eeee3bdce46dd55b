"""An image from files, as an OCI archive: no registry and no build tool is needed. Pure but for the files."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_PIECE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Image:
    """`name` with its tag, as pods write it; `layer` is a tar of the whole file system."""

    name: str
    layer: Path
    entrypoint: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    architecture: str = "amd64"


def write_archive(image: Image, archive: Path) -> None:
    """Write `archive`, for `ctr images import` or `podman load`."""
    layer = _digest(image.layer)
    config = _blob(
        {
            "architecture": image.architecture,
            "os": "linux",
            "config": {
                "Entrypoint": list(image.entrypoint),
                "Env": [f"{name}={value}" for name, value in image.environment.items()],
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]},
        }
    )
    manifest = _blob(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _described(_CONFIG, config),
            "layers": [{"mediaType": _LAYER, "digest": f"sha256:{layer}", "size": image.layer.stat().st_size}],
        }
    )
    named = {"org.opencontainers.image.ref.name": image.name, "io.containerd.image.name": image.name}
    index = {
        "schemaVersion": 2,
        "mediaType": _INDEX,
        "manifests": [{**_described(_MANIFEST, manifest), "annotations": named}],
    }
    with tarfile.open(archive, "w") as tar:
        _add(tar, "oci-layout", _blob({"imageLayoutVersion": "1.0.0"}))
        _add(tar, "index.json", _blob(index))
        for blob in (config, manifest):
            _add(tar, f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}", blob)
        tar.add(image.layer, f"blobs/sha256/{layer}", recursive=False)


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _blob(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True).encode()


def _described(kind: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": f"sha256:{hashlib.sha256(blob).hexdigest()}", "size": len(blob)}


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
