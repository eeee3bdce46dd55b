"""Objects as they come from the API server, whole and valid; tests change copies of them."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parents[3]
SAMPLES = REPOSITORY / "manifests" / "samples"


def sample(kind: str) -> dict[str, Any]:
    for path in sorted(SAMPLES.glob("*.yaml")):
        for obj in yaml.safe_load_all(path.read_text()):
            if obj["kind"] == kind:
                return obj
    raise LookupError(kind)


@pytest.fixture
def campaign() -> dict[str, Any]:
    return deepcopy(sample("Campaign"))


@pytest.fixture
def storefront() -> dict[str, Any]:
    return deepcopy(sample("Storefront"))


@pytest.fixture
def policy() -> dict[str, Any]:
    return deepcopy(sample("CapacityPolicy"))


@pytest.fixture
def metrics_source() -> dict[str, Any]:
    return deepcopy(sample("MetricsSource"))
