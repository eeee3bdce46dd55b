"""How many replicas an HPA's own metrics ask for, read off its spec and status: pure.

An HPA shows what it asks for only after its bounds (`desiredReplicas`). The metrics that it went by stand in its
status, so its reckoning can be done again: `ceil(currentReplicas * current / target)`, the largest of all metrics.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from forerun.actuators.owners import active_conditions

Raw = Mapping[str, Any]

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE]([+-]?[0-9]{1,3})|([numkMGTPE]|[KMGTPE]i))?")
_SUFFIXES: Mapping[str, float] = {
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "E": 1e18,
    **{f"{sign}i": 1024.0**power for power, sign in enumerate("KMGTPE", 1)},
}
_MOST_REPLICAS = 10**9


def recommended(hpa: Raw) -> int | None:
    """Replicas that its metrics ask for now, before any bound; None where one of them does not say.

    It is used to hold capacity, so the tolerance and the allowance for pods that start are left out.
    """
    status = hpa.get("status") or {}
    replicas = status.get("currentReplicas")
    wished, seen = (hpa.get("spec") or {}).get("metrics") or (), status.get("currentMetrics") or ()
    if active_conditions(hpa) is None or not replicas or not wished or len(wished) != len(seen):
        return None
    ratios = [_ratio(metric, current) for metric, current in zip(wished, seen, strict=True)]
    known = [ratio for ratio in ratios if ratio is not None]
    if len(known) < len(ratios):
        return None
    return math.ceil(min(int(replicas) * max(known), _MOST_REPLICAS) - 1e-9)


def _ratio(metric: Raw, seen: Raw) -> float | None:
    """What one metric measures over what it should be."""
    kind = str(metric.get("type") or "")
    field = kind[:1].lower() + kind[1:]
    if not kind or seen.get("type") != kind:
        return None
    target = (metric.get(field) or {}).get("target") or {}
    current = (seen.get(field) or {}).get("current") or {}
    for name in ("averageUtilization", "averageValue", "value"):
        if name in target:
            aim, now = quantity(target[name]), quantity(current.get(name))
            return None if aim is None or now is None or aim <= 0 else now / aim
    return None


def quantity(written: object) -> float | None:
    """A Kubernetes quantity ("150m", "1Gi", 80) as a number >= 0; None where it is none.

    The client has a parser too, but importing it loads the whole synchronous client.
    """
    found = _QUANTITY.fullmatch(str(written)) if isinstance(written, str | int) else None
    if found is None:
        return None
    number, exponent, suffix = found.groups()
    return float(number) * 10.0 ** int(exponent or 0) * _SUFFIXES.get(suffix or "", 1.0)
